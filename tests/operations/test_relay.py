"""What the relay hands over, and that handing over is not yet sending."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError
from sqlalchemy import select, update

from core import outbox
from db.models import Tables
from db.session import Database, DatabaseOptions
from operations.relay import PASS_SECONDS, QUEUED_LIMIT, Relay
from tests.conftest import (
    create_postgres_database,
    migrate,
    serving,
    settings_for,
    sqlite_url,
)
from tests.people import People


@dataclass
class Queue:
    """A broker as the relay knows it: how many wait, and one more."""

    waiting: int = 0
    away: bool = False
    taken: list[int] = field(default_factory=list)
    namespace: str = "test"

    @property
    def client(self) -> "Queue":
        return self

    def llen(self, _name: str) -> int:
        if self.away:
            raise RedisConnectionError
        return self.waiting

    def enqueue(self, message: Any) -> None:
        self.taken += message


@dataclass
class House:
    """A database of this test's own, and people in it."""

    database: Database
    options: DatabaseOptions
    people: People
    queue: Queue

    @contextmanager
    def relaying(self, *, receipts_per_second: float = 1000) -> Iterator[None]:
        """Run a relay for the length of a block."""
        relay = Relay(
            self.options,
            "receipts",
            lambda lease: lease.ids,  # type: ignore[arg-type,return-value]  # the queue takes whatever it is
            due=outbox,
            rows_per_second=receipts_per_second,
        )
        relay.after_worker_boot(self.queue, None)
        try:
            yield
        finally:
            relay.before_worker_shutdown(self.queue, None)

    async def ids(self) -> list[int]:
        """Return the receipts that are open, oldest first."""
        items = Tables.outbox.c
        async with self.database.reading() as session:
            connection = await session.connection()
            rows = await connection.execute(
                select(items.id).where(items.done_at.is_(None)).order_by(items.id)
            )
            return [row.id for row in rows]

    async def end_lease(self, receipt_id: int) -> None:
        items = Tables.outbox.c
        async with self.database.transaction() as session:
            await (await session.connection()).execute(
                update(Tables.outbox).where(items.id == receipt_id).values(due_at=datetime.now(UTC))
            )

    async def takes(self, expected: list[int]) -> None:
        """Wait until the queue holds these, in whatever order, and then a pass longer."""
        for _ in range(100):
            if len(self.queue.taken) >= len(expected):
                break
            await asyncio.sleep(0.05)
        await asyncio.sleep(2 * PASS_SECONDS)
        assert sorted(self.queue.taken) == sorted(expected)


@pytest.fixture
async def house(
    engine_name: str,
    redis_url: str,
    tmp_path_factory: pytest.TempPathFactory,
    request: pytest.FixtureRequest,
) -> AsyncIterator[House]:
    if engine_name == "sqlite":
        url = sqlite_url(tmp_path_factory.mktemp("relay"))
    else:
        url = await create_postgres_database(request.getfixturevalue("postgres_url"))
    await migrate(url)
    settings = settings_for(url, redis_url=redis_url)
    options = DatabaseOptions(url=settings.database_url)
    database = Database(options)
    async with serving(settings) as client:
        yield House(database, options, People(client), Queue())
    await database.close()


@pytest.mark.promise("S0-21")
async def test_what_was_handed_over_is_open_until_it_was_sent(house: House) -> None:
    for _ in range(3):
        await house.people.with_wallet(5)
    ids = await house.ids()

    with house.relaying():
        await house.takes(ids)
        assert await house.ids() == ids
        # Lost on its way, it is handed over again when its lease ends, whatever came after it.
        await house.end_lease(ids[0])
        await house.takes([*ids, ids[0]])
    assert await house.ids() == ids


async def test_nothing_is_taken_that_cannot_be_handed_over(house: House) -> None:
    await house.people.with_wallet(5)
    ids = await house.ids()

    for house.queue.away, house.queue.waiting in ((True, 0), (False, QUEUED_LIMIT)):
        with house.relaying():
            await house.takes([])
    house.queue.waiting = QUEUED_LIMIT - 1
    with house.relaying():
        await house.takes(ids)


async def test_after_many_it_pauses_for_as_long_as_its_pace_says(house: House) -> None:
    for _ in range(3):
        await house.people.with_wallet(5)
    ids = await house.ids()

    with house.relaying(receipts_per_second=1.5):
        await house.takes(ids)
        await house.end_lease(ids[0])
        await asyncio.sleep(0.5)
        assert len(house.queue.taken) == len(ids), "It pauses for two seconds."
        await house.takes([*ids, ids[0]])
