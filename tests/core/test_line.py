"""Batches that were in each other's way stand in line, and are formed when their turn has come."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from typing import Any

import asyncpg
import pytest

from core.commands import withdraw
from core.errors import Unavailable
from core.money import Money
from core.observation import Unobserved
from core.poster import IN_THE_WAY_SECONDS, STAY_IN_LINE, Poster, PosterLimits
from db.lean import TURN
from db.session import Database, DatabaseOptions
from tests.attempts import attempt
from tests.conftest import settings_for
from tests.people import People, Person

ONE = Money(100, "NGN")
WHO_WAITS = "SELECT pid FROM pg_locks WHERE NOT granted LIMIT 1"


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """The service's database, opened once more."""
    database = Database(DatabaseOptions(url=settings_for(database_url).database_url))
    if database.dialect_name == "sqlite":
        await database.close()
        pytest.skip("SQLite's writers stand in line from BEGIN on")
    yield database
    assert database.pool_use()["writers"].in_use == 0
    await database.close()


class Sizes(Unobserved):
    """Notes how large each batch is."""

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def batch(self, marks: Sequence[Any]) -> AbstractContextManager[object]:
        self.sizes.append(len(marks))
        return nullcontext()


class Rival:
    """Another process: what it holds, others wait for."""

    def __init__(self, connection: "asyncpg.Connection[asyncpg.Record]"):
        self.connection = connection

    @asynccontextmanager
    async def holding(self, statement: str, *values: Any) -> AsyncIterator[None]:
        async with self.connection.transaction():
            await self.connection.fetch(statement, *values)
            yield

    async def until_somebody_waits(self) -> None:
        """Wait until another connection waits for a lock."""
        async with asyncio.timeout(5):
            while not await self.connection.fetchval(WHO_WAITS):  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.005)

    async def end_who_waits(self) -> None:
        await self.until_somebody_waits()
        await self.connection.fetch(f"SELECT pg_terminate_backend(({WHO_WAITS}))")


@pytest.fixture
async def rival(database: Database, database_url: str) -> AsyncIterator[Rival]:
    connection = await asyncpg.connect(database_url.replace("+asyncpg", ""))
    yield Rival(connection)
    await connection.close()


async def withdrawn(poster: Poster, person: Person, times: int = 1) -> None:
    posted = [poster.post(attempt(withdraw(user_id=person.id, money=ONE))) for _ in range(times)]
    assert {answer.status for answer in await asyncio.gather(*posted)} == {200}


async def in_each_others_way(poster: Poster, person: Person, rival: Rival) -> None:
    """Have a batch of the poster wait for a wallet."""
    async with rival.holding("SELECT id FROM wallets WHERE id = $1 FOR UPDATE", person.wallet_id):
        posting = asyncio.create_task(withdrawn(poster, person))
        await rival.until_somebody_waits()
        await asyncio.sleep(0.02)
    await posting


async def test_whoever_comes_before_the_turn_is_in_the_batch(
    people: People, database: Database, rival: Rival
) -> None:
    person, sizes = await people.with_wallet(100), Sizes()
    poster = Poster(database, PosterLimits(), sizes)
    await in_each_others_way(poster, person, rival)

    async with rival.holding(TURN):
        first = asyncio.create_task(withdrawn(poster, person))
        await rival.until_somebody_waits()
        others = asyncio.create_task(withdrawn(poster, person, times=9))
        await asyncio.sleep(0.02)
        assert not first.done()
    await asyncio.gather(first, others)

    assert sizes.sizes == [1, 10]
    assert await person.balance() == 89


async def test_a_turn_ends_with_its_batch(people: People, database: Database, rival: Rival) -> None:
    person = await people.with_wallet(100)
    poster = Poster(database, PosterLimits())
    await in_each_others_way(poster, person, rival)
    await withdrawn(poster, person, times=3)
    async with asyncio.timeout(0.9), rival.holding(TURN):
        pass


async def test_nobody_stands_in_line_for_nothing(
    people: People, database: Database, rival: Rival
) -> None:
    person = await people.with_wallet(100)
    poster = Poster(database, PosterLimits())
    async with rival.holding(TURN):
        await withdrawn(poster, person)

    await in_each_others_way(poster, person, rival)
    # Nobody is in the way any more: after some batches it is forgotten, however long they waited.
    for _ in range(STAY_IN_LINE):
        async with rival.holding(TURN):
            posting = asyncio.create_task(withdrawn(poster, person))
            await rival.until_somebody_waits()
            await asyncio.sleep(2 * IN_THE_WAY_SECONDS)
        await posting

    async with rival.holding(TURN), asyncio.timeout(0.9):
        await withdrawn(poster, person)
    assert await person.balance() == 100 - 3 - STAY_IN_LINE


async def test_a_line_that_stands_still_is_left(
    people: People, database: Database, rival: Rival
) -> None:
    person = await people.with_wallet(100)
    poster = Poster(database, PosterLimits())
    await in_each_others_way(poster, person, rival)

    started = time.monotonic()
    async with rival.holding(TURN):
        await withdrawn(poster, person, times=5)
        waited = time.monotonic() - started
    # Once is enough for a while, whoever is in the way meanwhile.
    await in_each_others_way(poster, person, rival)
    async with rival.holding(TURN), asyncio.timeout(0.9):
        await withdrawn(poster, person)

    assert 0.9 < waited < 2.5
    assert await person.balance() == 92


async def test_a_connection_lost_in_line_loses_nothing(
    people: People, database: Database, rival: Rival
) -> None:
    person = await people.with_wallet(100)
    poster = Poster(database, PosterLimits())
    await in_each_others_way(poster, person, rival)

    async with rival.holding(TURN):
        posting = asyncio.create_task(withdrawn(poster, person, times=5))
        await rival.end_who_waits()
        await posting

    assert await person.balance() == 94


async def test_whoever_waits_for_a_held_wallet_keeps_nobody_in_line(
    people: People, database: Database, rival: Rival
) -> None:
    jane, joe = await people.with_wallet(100), await people.with_wallet(100)
    poster = Poster(database, PosterLimits())
    await in_each_others_way(poster, jane, rival)
    held = "SELECT id FROM wallets WHERE id = $1 FOR UPDATE"

    async with rival.holding(held, jane.wallet_id):
        refused = poster.post(attempt(withdraw(user_id=jane.id, money=ONE)))
        with pytest.raises(Unavailable):
            await refused
        async with asyncio.timeout(0.9):
            await rival.connection.fetch(TURN)
            await withdrawn(poster, joe)
    assert (await jane.balance(), await joe.balance()) == (99, 99)
