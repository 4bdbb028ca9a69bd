"""Books that break the rules of money: writes what the ledger never would, past the database's own
constraints, in a transaction that the caller rolls back.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from sqlalchemy import insert, text
from sqlalchemy.ext.asyncio import AsyncConnection

from core.verification import RuleResult, check_rules
from core.wallet_numbers import make_wallet_number
from db.models import Tables

NOW = datetime.now(UTC)
# An id that no row has.
NOBODY = 10**9

# Entry type, wallet and currency of each entry.
Sides = tuple[tuple[str, int | None, str], ...]


@dataclass(frozen=True, kw_only=True)
class Forgery:
    """A movement as the ledger writes it, but for what a test changes."""

    type: str = "deposit"
    state: str = "SUCCESS"
    wallet: int
    counterparty: int | None = None
    amount: int = 100
    entry_amount: int = 100
    sides: Sides = ()
    keys: int = 1
    has_receipts: bool = True


class Forger:
    """Writes what the ledger never would."""

    def __init__(self, connection: AsyncConnection, principal_id: int):
        self.connection = connection
        self._principal_id = principal_id
        self.is_sqlite = connection.dialect.name == "sqlite"

    async def broken(self) -> set[str]:
        """Return the names of the rules that are broken."""
        return {result.rule.name for result in await self.results() if not result.holds}

    async def results(self) -> list[RuleResult]:
        """Check all rules."""
        return [result async for result in check_rules(self.connection)]

    async def execute(self, statement: str, **values: object) -> Any:
        """Run SQL."""
        return await self.connection.execute(text(statement), values)

    async def drop_check(self, table: str, name: str) -> None:
        """Take away a CHECK constraint."""
        if self.is_sqlite:
            await self.execute("PRAGMA ignore_check_constraints = ON")
        else:
            await self.execute(f"ALTER TABLE {table} DROP CONSTRAINT ck_{table}_{name}")

    async def drop_reference(self, table: str, name: str) -> None:
        """Take away a foreign key."""
        if self.is_sqlite:
            await self.execute("PRAGMA defer_foreign_keys = ON")
        else:
            await self.execute(f"ALTER TABLE {table} DROP CONSTRAINT {name}")

    async def past_the_guard(self, trigger: str, table: str, statement: str, **values: Any) -> None:
        """Run SQL that an append-only trigger refuses, and leave the trigger as it was."""
        found = await self.connection.execute(
            text("SELECT sql FROM sqlite_master WHERE name = :name")
            if self.is_sqlite
            else text("SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE tgname = :name"),
            {"name": trigger},
        )
        definition = found.scalar_one()
        await self.drop_trigger(trigger, table)
        await self.execute(statement, **values)
        await self.execute(definition)

    async def drop_trigger(self, trigger: str, table: str) -> None:
        """Take away a trigger."""
        await self.execute(f"DROP TRIGGER {trigger}{'' if self.is_sqlite else f' ON {table}'}")

    async def triggers(self) -> list[tuple[str, str]]:
        """Return all append-only triggers there are, with their tables."""
        rows = await self.connection.execute(
            text("SELECT name, tbl_name FROM sqlite_master WHERE type = 'trigger'")
            if self.is_sqlite
            else text(
                "SELECT tgname, tgrelid::regclass::text FROM pg_trigger WHERE NOT tgisinternal"
            )
        )
        return [(row[0], row[1]) for row in rows]

    async def move(self, forgery: Forgery) -> int:
        """Write a movement with its entries, balances, snapshots and keys; return its id."""
        rows = await self.connection.execute(
            insert(Tables.transactions).returning(Tables.transactions.c.id),
            {
                "type": forgery.type,
                "state": forgery.state,
                "failure_code": "forged" if forgery.state == "FAILED" else None,
                "wallet_id": forgery.wallet,
                "counterparty_wallet_id": forgery.counterparty,
                "amount_minor": forgery.amount,
                "currency": "NGN",
                "created_at": NOW,
            },
        )
        transaction_id: int = rows.scalar_one()
        for entry_type, wallet_id, currency in forgery.sides:
            await self.enter(transaction_id, entry_type, wallet_id, currency, forgery.entry_amount)
        if forgery.has_receipts:
            await self.execute(
                "INSERT INTO outbox (transaction_id, user_id, created_at, due_at, attempts)"
                " SELECT DISTINCT transaction_id, user_id, wallets.created_at,"
                " wallets.created_at, 0 FROM entries JOIN wallets ON wallets.id = wallet_id"
                " WHERE transaction_id = :id AND user_id IS NOT NULL",
                id=transaction_id,
            )
        for _ in range(forgery.keys):
            await self.connection.execute(
                insert(Tables.idempotency_keys), self._key(transaction_id)
            )
        return transaction_id

    async def enter(
        self,
        transaction_id: int,
        entry_type: str,
        wallet_id: int | None,
        currency: str,
        amount: int,
    ) -> None:
        """Write an entry, and the balance that follows from it."""
        snapshot: int | None = None
        if wallet_id is not None:
            change = amount if entry_type == "CREDIT" else -amount
            changed = await self.execute(
                "UPDATE wallets SET balance_minor = balance_minor + :change WHERE id = :id "
                "RETURNING balance_minor",
                change=change,
                id=wallet_id,
            )
            snapshot = changed.scalar_one()
        row = {
            "transaction_id": transaction_id,
            "wallet_id": wallet_id,
            "entry_type": entry_type,
            "amount_minor": amount,
            "currency": currency,
            "balance_snapshot_minor": snapshot,
            "created_at": NOW,
        }
        await self.connection.execute(insert(Tables.entries), row)

    async def open_wallet(self, user_id: int | None, *, may_go_negative: bool = False) -> int:
        """Open an empty wallet, a person's beside the primary one; return its id."""
        rows = await self.connection.execute(
            insert(Tables.wallets).returning(Tables.wallets.c.id),
            {
                "user_id": user_id,
                "system_role": "treasury" if user_id is None else None,
                "is_primary": False,
                "wallet_number": make_wallet_number(),
                "currency": "NGN",
                "balance_minor": 0,
                "may_go_negative": may_go_negative,
                "created_at": NOW,
                "updated_at": NOW,
            },
        )
        return int(rows.scalar_one())

    async def hold_credits(self, like_wallet: int, code: str) -> int:
        """Open an empty account of a new holder of credits; return its id."""
        await self.execute(
            "INSERT INTO credit_holders (external_user_id, created_at)"
            " SELECT :name, created_at FROM wallets WHERE id = :id",
            name=uuid4().hex,
            id=like_wallet,
        )
        await self.execute(
            "INSERT INTO wallets (holder_id, is_primary, wallet_number, currency, balance_minor,"
            " may_go_negative, created_at, updated_at) SELECT MAX(id), FALSE, :number, :code, 0,"
            " FALSE, MAX(created_at), MAX(created_at) FROM credit_holders",
            number=make_wallet_number(),
            code=code,
        )
        found = await self.execute("SELECT MAX(id) FROM wallets")
        return int(found.scalar_one())

    def _key(self, transaction_id: int) -> dict[str, object]:
        return {
            "principal_id": self._principal_id,
            "key": str(uuid4()),
            "fingerprint": b"f" * 32,
            "status": 200,
            "body": "{}",
            "transaction_id": transaction_id,
            "replays": 0,
            "created_at": NOW,
        }


def deposit_sides(wallet_id: int) -> Sides:
    """Return the sides of a deposit."""
    return (("DEBIT", None, "NGN"), ("CREDIT", wallet_id, "NGN"))


def withdrawal_sides(wallet_id: int) -> Sides:
    """Return the sides of a withdrawal."""
    return (("DEBIT", wallet_id, "NGN"), ("CREDIT", None, "NGN"))
