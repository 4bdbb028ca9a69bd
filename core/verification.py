"""Proves the rules of money on a live database: each rule is one query that finds who breaks it.

Reads only, and all rules see the same snapshot, so money may go on moving meanwhile. The queries
are in `core.proofs`.
"""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from core import payment_proofs, proofs
from db.session import Database

OFFENCES_LIMIT: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What must hold; `query` returns the rows that break it, at most `:limit` of them.

    `sqlite_query` stands in for it where the two engines keep the answer in different places.
    """

    name: str
    promise: str
    query: str
    sqlite_query: str | None = None


@dataclass(frozen=True, slots=True)
class RuleResult:
    """How a rule fared: the first OFFENCES_LIMIT offending rows, and whether there are more."""

    rule: Rule
    offences: tuple[Mapping[str, Any], ...]
    has_more: bool

    @property
    def holds(self) -> bool:
        """Whether nothing breaks the rule."""
        return not self.offences


async def verify_rules(database: Database) -> AsyncIterator[RuleResult]:
    """Check every rule of RULES in turn, all on the database as it is at the first.

    Raises what the driver raises; a large ledger needs a patient command time-out.
    """
    # One snapshot: money that moved between two looks would seem lost.
    async with database.snapshot() as session:
        async for result in check_rules(await session.connection()):
            yield result


async def check_rules(connection: AsyncConnection) -> AsyncIterator[RuleResult]:
    """Check every rule within the transaction of `connection`, uncommitted changes included."""
    for rule in RULES:
        is_sqlite = connection.dialect.name == "sqlite"
        query = rule.sqlite_query if is_sqlite and rule.sqlite_query else rule.query
        found = await connection.execute(text(query), {"limit": OFFENCES_LIMIT + 1})
        rows = [dict(row) for row in found.mappings()]
        yield RuleResult(rule, tuple(rows[:OFFENCES_LIMIT]), len(rows) > OFFENCES_LIMIT)


RULES: Final = (
    Rule(
        name="paired",
        promise="Every success has one debit and one credit of its amount; all else has none.",
        query=proofs.PAIRED,
    ),
    Rule(
        name="on_named_wallets",
        promise="Entries stand on the wallets that their transaction names.",
        query=proofs.ON_NAMED_WALLETS,
    ),
    Rule(
        name="sum_is_zero",
        promise="All entries of a currency sum to zero, the outside world included.",
        query=proofs.SUM_IS_ZERO,
    ),
    Rule(
        name="balance_is_sum",
        promise="A balance is the sum of the wallet's entries and the snapshot of its last.",
        query=proofs.BALANCE_IS_SUM,
    ),
    Rule(
        name="snapshots_follow",
        promise="Each snapshot is the one before it plus or minus the amount.",
        query=proofs.SNAPSHOTS_FOLLOW,
    ),
    Rule(
        name="not_negative",
        promise="No balance is, or ever was, below zero where the wallet may not.",
        query=proofs.NOT_NEGATIVE,
    ),
    Rule(
        name="append_only",
        promise="The database refuses changes to entries, finished transactions and keys.",
        query=proofs.APPEND_ONLY,
        sqlite_query=proofs.APPEND_ONLY_SQLITE,
    ),
    Rule(
        name="one_key",
        promise="Every movement was made under exactly one idempotency key.",
        query=proofs.ONE_KEY,
    ),
    Rule(
        name="receipts_promised",
        promise="A receipt for each person whose wallet a movement changed, and of nothing else.",
        query=proofs.RECEIPTS_PROMISED,
    ),
    Rule(
        name="keys_refer",
        promise="An idempotency key is a person's or the house's, and its transaction exists.",
        query=proofs.KEYS_REFER,
    ),
    Rule(
        name="credits_backed",
        promise="What holders have of any credits, the treasury owes; nobody else has any.",
        query=proofs.CREDITS_BACKED,
    ),
    Rule(
        name="assets_allow",
        promise="Credits were only given out by the house and taken back by it.",
        query=proofs.ASSETS_ALLOW,
    ),
    Rule(
        name="payments_booked",
        promise="Each payment by a provider began, ended and came back by movements of its own.",
        query=payment_proofs.PAYMENTS_BOOKED,
    ),
    Rule(
        name="payments_credited",
        promise="What was credited after all is what a deposit was for, which had failed.",
        query=payment_proofs.PAYMENTS_CREDITED,
    ),
    Rule(
        name="movements_of_payments",
        promise="What waits for a provider, or was paid out, belongs to a payment.",
        query=payment_proofs.MOVEMENTS_OF_PAYMENTS,
    ),
    Rule(
        name="in_transit",
        promise="In transit is what payouts under way took from wallets, and nothing else.",
        query=payment_proofs.IN_TRANSIT,
    ),
    Rule(name="closed_empty", promise="A closed wallet is empty.", query=proofs.CLOSED_EMPTY),
    Rule(
        name="owned",
        promise="A wallet is the house's, or somebody's who exists and may not overdraw it.",
        query=proofs.OWNED,
    ),
)
