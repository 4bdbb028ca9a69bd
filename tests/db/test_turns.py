"""Many readers, few connections: who comes first is first, and batches need not wait for them."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import literal, select, text

from db.session import BATCHES_CONNECTIONS, Database, DatabaseOptions
from db.urls import async_database_url

READERS = 30
ROUNDS = 10


@pytest.fixture
async def small(database_url: str) -> AsyncIterator[Database]:
    """A database with two turns for reading."""
    opened = Database(
        DatabaseOptions(
            url=async_database_url(database_url),
            pool_size=2 + BATCHES_CONNECTIONS,
            pool_timeout_seconds=0.5,
        )
    )
    yield opened
    await opened.close()


@pytest.mark.parametrize("way", ["reading", "lean_turn"])
async def test_nobody_overtakes(small: Database, way: str) -> None:
    turns: list[int] = []

    async def read(reader: int) -> None:
        for _ in range(ROUNDS):
            if way == "reading":
                async with small.reading() as session:
                    turns.append(reader)
                    await (await session.connection()).execute(text("SELECT 1"))
            else:
                async with small.lean_turn() as connection:
                    turns.append(reader)
                    await connection.select(select(literal(1)), {})

    # Connected before: whoever waited for that would have turns left when nobody else has.
    async with small.lean_turn() as one, small.lean_turn() as other:
        for connection in (one, other):
            await connection.select(select(literal(1)), {})
    await asyncio.gather(*[read(reader) for reader in range(READERS)])

    for round_ in range(ROUNDS):
        assert Counter(turns[round_ * READERS : (round_ + 1) * READERS]).most_common(1)[0][1] <= 2


async def test_whoever_waits_too_long_is_told(small: Database) -> None:
    async with small.reading(), small.lean_turn():
        with pytest.raises(TimeoutError):
            async with small.reading():
                pass
        with pytest.raises(TimeoutError):
            async with small.lean_turn():
                pass

    async with small.reading() as session:
        assert (await (await session.connection()).execute(text("SELECT 1"))).scalar() == 1


async def test_batches_find_a_connection_however_many_read(small: Database) -> None:
    reading = asyncio.Event()
    done = asyncio.Event()

    async def read() -> None:
        async with small.reading() as session:
            await (await session.connection()).execute(text("SELECT 1"))
            reading.set()
            await done.wait()

    async def turn_a_page() -> None:
        async with small.lean_turn() as connection:
            await connection.select(select(literal(1)), {})
            await done.wait()

    readers = [asyncio.create_task(read())]
    readers += [asyncio.create_task(turn_a_page()) for _ in range(READERS)]
    await reading.wait()

    async with small.lean_reading() as one, small.lean_reading() as other:
        for connection in (one, other):
            rows = await connection.select(select(literal(1)), {})
            assert [tuple(row) for row in rows] == [(1,)]

    done.set()
    # Those that nobody let in meanwhile were told so.
    await asyncio.gather(*readers, return_exceptions=True)
