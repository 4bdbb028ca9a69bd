"""What the database refuses by itself, on both engines, whoever asks."""

import pytest
from sqlalchemy import inspect, text
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.types import BigInteger

from db.models import Tables
from db.session import Database
from tests.people import People

APPEND_ONLY = "append-only"


async def execute(database: Database, statement: str, **parameters: object) -> None:
    async with database.transaction() as session:
        await (await session.connection()).execute(text(statement), parameters)


@pytest.mark.promise("S0-16")
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE entries SET amount_minor = amount_minor + 1 WHERE transaction_id = :id",
        "UPDATE entries SET created_at = created_at WHERE transaction_id = :id",
        "DELETE FROM entries WHERE transaction_id = :id",
        "UPDATE transactions SET state = 'FAILED', failure_code = 'x' WHERE id = :id",
        "DELETE FROM transactions WHERE id = :id",
        "UPDATE idempotency_keys SET body = 'other' WHERE transaction_id = :id",
        "UPDATE idempotency_keys SET fingerprint = zero WHERE transaction_id = :id",
        "UPDATE idempotency_keys SET replays = replays + 1, transaction_id = NULL"
        " WHERE transaction_id = :id",
        "DELETE FROM idempotency_keys WHERE transaction_id = :id",
        "DELETE FROM wallets WHERE id = :wallet_id AND :id > 0",
    ],
)
async def test_what_was_written_stays(
    people: People, database: Database, engine_name: str, statement: str
) -> None:
    person = await people.with_wallet(100)
    moved = (await person.withdraw(10)).json()
    zero = "zeroblob(32)" if engine_name == "sqlite" else r"'\x00'::bytea"
    wallet = {"wallet_id": person.wallet_id} if ":wallet_id" in statement else {}

    with pytest.raises(DBAPIError, match=APPEND_ONLY):
        await execute(
            database, statement.replace("zero", zero), id=moved["transaction_id"], **wallet
        )

    ledger = (await person.get(f"/transaction/{moved['transaction_id']}/ledger")).json()
    assert [entry["amount"] for entry in ledger] == [10, 10]


@pytest.mark.promise("S0-16")
@pytest.mark.parametrize(
    "table_and_row",
    [
        "entries SELECT * FROM entries WHERE transaction_id = :id",
        "idempotency_keys SELECT * FROM idempotency_keys WHERE transaction_id = :id",
        "transactions SELECT * FROM transactions WHERE id = :id",
        "wallets SELECT wallets.* FROM wallets JOIN transactions ON wallet_id = wallets.id"
        " WHERE transactions.id = :id",
    ],
)
async def test_nothing_is_replaced(
    people: People, database: Database, engine_name: str, table_and_row: str
) -> None:
    person = await people.with_wallet(100)
    moved = (await person.withdraw(10)).json()
    # SQLite alone has REPLACE, which deletes without firing the triggers of DELETE.
    verb = "INSERT OR REPLACE INTO" if engine_name == "sqlite" else "INSERT INTO"

    with pytest.raises(IntegrityError, match=r"(?i)unique"):
        await execute(database, f"{verb} {table_and_row}", id=moved["transaction_id"])


@pytest.mark.promise("S0-16")
@pytest.mark.parametrize("table", ["entries", "transactions", "idempotency_keys", "wallets"])
async def test_truncating_is_refused(database: Database, engine_name: str, table: str) -> None:
    # SQLite has no TRUNCATE; its DELETE without a condition fires the row trigger.
    statement = f"DELETE FROM {table}" if engine_name == "sqlite" else f"TRUNCATE {table} CASCADE"
    with pytest.raises(DBAPIError, match=APPEND_ONLY):
        await execute(database, statement)


@pytest.mark.promise("S0-16", "S0-15")
async def test_a_third_or_unequal_entry_is_refused(people: People, database: Database) -> None:
    person = await people.with_wallet(100)
    moved = (await person.withdraw(10)).json()
    columns = (
        "INSERT INTO entries (transaction_id, wallet_id, entry_type, amount_minor, currency,"
        " balance_snapshot_minor, created_at)"
    )
    for change in (
        "entry_type",
        "'ADJUST'",
    ):
        with pytest.raises(IntegrityError):
            await execute(
                database,
                f"{columns} SELECT transaction_id, wallet_id, {change}, amount_minor, currency,"
                " balance_snapshot_minor, created_at FROM entries WHERE transaction_id = :id",
                id=moved["transaction_id"],
            )
    # An entry that differs from its transaction in amount or currency, or has none.
    for amount, currency, transaction in (
        ("amount_minor + 1", "currency", "id"),
        ("amount_minor", "'USD'", "id"),
        ("amount_minor", "currency", "id + 1000000"),
    ):
        with pytest.raises(IntegrityError):
            await execute(
                database,
                f"{columns} SELECT {transaction}, NULL, 'DEBIT', {amount}, {currency}, NULL,"
                " created_at FROM transactions WHERE id = (SELECT max(id) FROM transactions"
                " WHERE state = 'FAILED' OR id = :id)",
                id=moved["transaction_id"],
            )


@pytest.mark.promise("S0-16", "money-range")
@pytest.mark.parametrize("balance", [-1, 10**15])
async def test_a_balance_out_of_range_is_refused(
    people: People, database: Database, balance: int
) -> None:
    person = await people.with_wallet(100)
    with pytest.raises(IntegrityError):
        await execute(
            database,
            "UPDATE wallets SET balance_minor = :balance WHERE id = :id",
            id=person.wallet_id,
            balance=balance,
        )


@pytest.mark.promise("wallet-open", "wallet-close")
async def test_a_second_open_wallet_and_a_closed_one_with_money_are_refused(
    people: People, database: Database
) -> None:
    person = await people.with_wallet(100)
    with pytest.raises(IntegrityError):
        await execute(
            database,
            "INSERT INTO wallets (user_id, is_primary, wallet_number, currency, balance_minor,"
            " may_go_negative, created_at, updated_at) SELECT user_id, is_primary, '000000000000',"
            " currency, 0, may_go_negative, created_at, updated_at FROM wallets WHERE id = :id",
            id=person.wallet_id,
        )
    with pytest.raises(IntegrityError):
        await execute(
            database,
            "UPDATE wallets SET closed_at = updated_at WHERE id = :id",
            id=person.wallet_id,
        )
    await person.withdraw(100)
    await person.send("DELETE", "/wallet")
    with pytest.raises(DBAPIError, match=APPEND_ONLY):
        await execute(
            database, "UPDATE wallets SET closed_at = NULL WHERE id = :id", id=person.wallet_id
        )


@pytest.mark.promise("money-minor")
async def test_amounts_are_bigint_in_the_database(database: Database) -> None:
    def amount_types(connection: object) -> dict[str, object]:
        inspector = inspect(connection)
        assert inspector is not None
        return {
            f"{table}.{column['name']}": column["type"]
            for table in ("wallets", "transactions", "entries")
            for column in inspector.get_columns(table)
            if column["name"].endswith("_minor")
        }

    async with database.reading() as session:
        found = await (await session.connection()).run_sync(amount_types)
    assert set(found) == {
        "wallets.balance_minor",
        "transactions.amount_minor",
        "entries.amount_minor",
        "entries.balance_snapshot_minor",
    }
    assert all(isinstance(kind, BigInteger) for kind in found.values())


async def test_reading_cannot_write(people: People, database: Database) -> None:
    person = await people.with_wallet(100)
    with pytest.raises(DBAPIError):
        async with database.reading() as session:
            await (await session.connection()).execute(
                Tables.wallets.update().values(frozen_at=None)
            )
    assert await person.balance() == 100
