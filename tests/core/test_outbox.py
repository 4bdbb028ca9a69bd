"""Receipts from the row written with the money until they are done, dead, or taken up again."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, update

from core import outbox
from core.outbox import LEASE, Receipt
from db.models import Tables
from db.session import Database
from tests.people import People, Person

NOW = datetime(2040, 1, 1, tzinfo=UTC)


async def receipts_of(database: Database, person: Person) -> list[int]:
    """The ids of a person's receipts, oldest first."""
    items = Tables.outbox.c
    async with database.reading() as session:
        connection = await session.connection()
        rows = await connection.execute(
            select(items.id).where(items.user_id == person.id).order_by(items.id)
        )
        return [row.id for row in rows]


async def lease_of(database: Database, ids: list[int], now: datetime) -> list[int]:
    """Lease whatever is due, and return those of `ids` among it."""
    async with database.transaction() as session:
        return [
            one
            for one in (await outbox.lease_due(session, now=now, limit=10_000)).ids
            if one in ids
        ]


async def read(database: Database, receipt_id: int) -> Receipt | None:
    async with database.reading() as session:
        return (await outbox.read_receipts(session, [receipt_id])).get(receipt_id)


@pytest.mark.promise("S0-21")
async def test_each_party_of_a_success_gets_a_receipt(people: People, database: Database) -> None:
    jane = await people.with_wallet(100, first_name="Jane", last_name="Doe")
    joe = await people.with_wallet(0, first_name="Joe", last_name="Roe")
    await jane.transfer(joe.wallet_id, 30)
    await jane.withdraw(20)
    await jane.withdraw(1000)
    key = "replayed"
    for _ in range(2):
        await jane.deposit(1, key=key)

    told = [await read(database, one) for one in await receipts_of(database, jane)]
    [joes] = [await read(database, one) for one in await receipts_of(database, joe)]

    assert [
        (item.type, item.is_sender, item.money.minor, item.balance.minor, item.other_name)
        for item in told
        if item
    ] == [
        ("deposit", False, 10000, 10000, None),
        ("transfer", True, 3000, 7000, "Joe Roe"),
        ("withdrawal", True, 2000, 5000, None),
        ("deposit", False, 100, 5100, None),
    ]
    assert joes is not None
    assert (joes.is_sender, joes.other_name, joes.balance.minor) == (False, "Jane Doe", 3000)
    assert (joes.email, joes.first_name) == (joe.email, "Joe")


async def test_a_lease_is_one_callers_until_it_ends(people: People, database: Database) -> None:
    ids = await receipts_of(database, await people.with_wallet(100))

    taken = await asyncio.gather(*[lease_of(database, ids, NOW) for _ in range(4)])
    assert sorted(taken) == [[], [], [], ids]
    assert await lease_of(database, ids, NOW + LEASE / 2) == []
    assert await lease_of(database, ids, NOW + LEASE) == ids


async def test_done_is_done(people: People, database: Database) -> None:
    ids = await receipts_of(database, await people.with_wallet(100))
    async with database.transaction() as session:
        await outbox.mark_done(session, ids, now=NOW)

    assert await lease_of(database, ids, NOW + timedelta(days=400)) == []
    assert await read(database, ids[0]) is None
    async with database.transaction() as session:
        given_up = await outbox.mark_failed(session, ids[0], error="late", permanent=True, now=NOW)
    assert not given_up


async def test_failures_wait_longer_and_end(people: People, database: Database) -> None:
    [receipt_id] = await receipts_of(database, await people.with_wallet(100))
    now, ends = NOW + timedelta(days=1), []
    for _ in range(outbox.ATTEMPTS_LIMIT):
        async with database.transaction() as session:
            ends.append(
                await outbox.mark_failed(
                    session, receipt_id, error="x" * 500, permanent=False, now=now
                )
            )
    assert ends == [False] * (outbox.ATTEMPTS_LIMIT - 1) + [True]
    async with database.reading() as session:
        [dead] = [item for item in await outbox.list_dead(session) if item.id == receipt_id]
    assert (dead.attempts, len(dead.last_error)) == (outbox.ATTEMPTS_LIMIT, 200)
    assert await lease_of(database, [receipt_id], now + timedelta(days=400)) == []

    async with database.transaction() as session:
        assert await outbox.revive_dead(session, now=now) >= 1
    assert await lease_of(database, [receipt_id], now) == [receipt_id]


def test_the_wait_doubles_up_to_an_hour_and_varies() -> None:
    for attempts, longest in ((1, 2), (2, 4), (5, 32), (30, 3600)):
        waits = {outbox.backoff(attempts).total_seconds() for _ in range(50)}
        assert longest / 2 <= min(waits) < max(waits) <= longest


async def test_a_late_commit_is_not_skipped(people: People, database: Database) -> None:
    early, late = [await people.with_wallet(100) for _ in range(2)]
    early_ids, late_ids = [await receipts_of(database, one) for one in (early, late)]
    later = NOW + timedelta(days=500)
    items = Tables.outbox.c
    async with database.transaction() as session:
        # As if the transaction with the smaller id were the one that commits last.
        await (await session.connection()).execute(
            update(Tables.outbox)
            .where(items.id.in_(early_ids))
            .values(due_at=later + timedelta(seconds=1))
        )
    assert await lease_of(database, early_ids + late_ids, later) == late_ids
    async with database.transaction() as session:
        await outbox.mark_done(session, late_ids, now=later)
    assert await lease_of(database, early_ids + late_ids, later + timedelta(seconds=1)) == early_ids


async def test_how_receipts_stand_is_told_without_looking_at_too_many(
    people: People, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def stand() -> outbox.Standing:
        async with database.reading() as session:
            return await outbox.standing(session)

    before = await stand()
    began = datetime.now(UTC)
    person = await people.with_wallet(1)
    for _ in range(2):
        await person.deposit(1)
    given_up, sent, _ = await receipts_of(database, person)
    async with database.transaction() as session:
        await outbox.mark_failed(session, given_up, error="gone", permanent=True, now=NOW)
        await outbox.mark_done(session, [sent], now=NOW)

    after = await stand()

    assert (after.waiting, after.dead) == (before.waiting + 1, before.dead + 1)
    assert after.oldest is not None
    assert after.oldest == (before.oldest or after.oldest)
    assert before.oldest is not None or after.oldest >= began
    monkeypatch.setattr(outbox, "COUNTED_LIMIT", 1)
    bounded = await stand()
    assert (bounded.waiting, bounded.dead) == (1, 1)
