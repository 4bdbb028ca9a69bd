"""Filling a ledger for measuring: what it leaves, and where it is refused."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import func, select

from bench.growth import filling
from bench.growth.filling import Filling, NotFillableError, settle
from bench.people import Person, make_people
from bench.stand import COMMAND_SECONDS
from core.money import to_wire
from core.verification import verify_rules
from db.models import Tables
from db.session import Database, DatabaseOptions
from tests.conftest import create_postgres_database, migrate, settings_for, sqlite_url
from tests.processes import SECRET_KEY

PEOPLE = 20
ENTRIES = 1000


@pytest.fixture
async def unused(
    engine_name: str, tmp_path: Path, request: pytest.FixtureRequest
) -> AsyncIterator[Database]:
    """A migrated database without anything in it, opened as the benchmark opens one.

    A checkpoint writes what every test beside this one has changed, and may take long.
    """
    if engine_name == "sqlite":
        url = sqlite_url(tmp_path)
    else:
        url = await create_postgres_database(request.getfixturevalue("postgres_url"))
    await migrate(url)
    options = DatabaseOptions(
        url=settings_for(url).database_url, command_timeout_seconds=COMMAND_SECONDS
    )
    opened = Database(options)
    yield opened
    await opened.close()


@pytest.fixture
async def people(unused: Database) -> list[Person]:
    """People in it, who opened their wallets."""
    return await make_people(unused, count=PEOPLE, secret_key=SECRET_KEY)


async def test_a_filled_ledger_keeps_the_rules_of_money(
    unused: Database, people: list[Person], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(filling, "CHUNK_TRANSFERS", 100)
    ledger = await Filling.of(unused)
    added: list[int] = []
    await ledger.fill_to(ENTRIES // 2, unused, added.append)
    await ledger.fill_to(ENTRIES, unused, added.append)
    await settle(unused)

    assert [result.rule.name async for result in verify_rules(unused) if not result.holds] == []
    assert await count(unused, "entries") == ENTRIES == ledger.entries
    assert sum(added) == ENTRIES - 2 * PEOPLE
    assert len(added) > 2
    transfers = sum(added) // 2
    assert await count(unused, "idempotency_keys") == transfers + PEOPLE
    assert await count(unused, "outbox") == 2 * transfers + PEOPLE


async def test_the_hot_wallet_has_a_tenth_in_both_roles(
    unused: Database, people: list[Person]
) -> None:
    await (await Filling.of(unused)).fill_to(ENTRIES, unused, lambda _: None)
    transactions = Tables.transactions.c
    async with unused.reading() as session:
        for role in (transactions.wallet_id, transactions.counterparty_wallet_id):
            of_hot = select(func.count()).where(
                role == people[0].wallet_id, transactions.type == "transfer"
            )
            found = (await (await session.connection()).execute(of_hot)).scalar_one()
            assert found == (ENTRIES // 2 - PEOPLE) // 20


async def test_the_answers_are_those_of_the_service(unused: Database, people: list[Person]) -> None:
    await (await Filling.of(unused)).fill_to(ENTRIES, unused, lambda _: None)
    keys, entries = Tables.idempotency_keys.c, Tables.entries.c
    statement = (
        select(keys.body, keys.principal_id, Tables.entries)
        .join(Tables.entries, entries.transaction_id == keys.transaction_id)
        .where(entries.entry_type == "DEBIT", entries.wallet_id.is_not(None))
    )
    users = {person.wallet_id: person.user_id for person in people}
    async with unused.reading() as session:
        rows = (await (await session.connection()).execute(statement)).all()
    assert len(rows) == ENTRIES // 2 - PEOPLE
    for row in rows:
        body = json.loads(row.body)
        assert body.pop("recipient_wallet_id") in users.keys() - {row.wallet_id}
        assert row.principal_id == users[row.wallet_id]
        assert body == {
            "wallet_id": row.wallet_id,
            "amount": to_wire(row.amount_minor, row.currency),
            "current_balance": to_wire(row.balance_snapshot_minor, row.currency),
            "transaction_id": row.transaction_id,
        }
        # Not only equal as numbers: 7 is written as 7, never as 7.0 or 7.00.
        assert f'"amount":{json.dumps(body["amount"])},' in row.body


async def test_a_ledger_that_was_used_is_refused(unused: Database, people: list[Person]) -> None:
    await (await Filling.of(unused)).fill_to(ENTRIES, unused, lambda _: None)
    with pytest.raises(NotFillableError, match="has been used"):
        await Filling.of(unused)
    assert await count(unused, "entries") == ENTRIES


async def test_a_ledger_without_people_is_refused(unused: Database) -> None:
    with pytest.raises(NotFillableError, match="Only 0 wallets"):
        await Filling.of(unused)


async def count(database: Database, table: str) -> int:
    async with database.reading() as session:
        statement = select(func.count()).select_from(getattr(Tables, table))
        return int((await (await session.connection()).execute(statement)).scalar_one())
