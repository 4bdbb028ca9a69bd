"""Connections that are lent to one batch after another without a turn through the pool."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import asyncpg
import pytest
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from db import lender
from db.lender import Lender, Lent
from tests.conftest import create_postgres_database, settings_for

KEEP = 2


@pytest.fixture
async def engine(postgres_url: str) -> AsyncIterator[AsyncEngine]:
    """A pool of four connections to an empty database."""
    url = settings_for(await create_postgres_database(postgres_url)).database_url
    made = create_async_engine(url, pool_size=4, max_overflow=0, pool_timeout=0.1)
    yield made
    await made.dispose()


@pytest.fixture
def lends(engine: AsyncEngine) -> Iterator[Lender]:
    """A lender of its connections, which keeps half of them."""
    made = Lender(engine, keep=KEEP)
    yield made
    made.close()


async def backend_of(lends: Lender) -> int:
    lent = await lends.take()
    backend = int(await postgresql(lent).fetchval("SELECT pg_backend_pid()"))
    lends.give_back(lent, fit=True)
    return backend


def postgresql(lent: Lent) -> "asyncpg.Connection[asyncpg.Record]":
    assert isinstance(lent.driver, asyncpg.Connection)
    return lent.driver


def in_pool(engine: AsyncEngine) -> int:
    return int(engine.pool.checkedin())  # type: ignore[attr-defined]  # of a QueuePool


async def test_a_connection_is_lent_again_without_the_pool(
    engine: AsyncEngine, lends: Lender
) -> None:
    backends = {await backend_of(lends) for _ in range(5)}

    assert len(backends) == 1
    assert (lends.kept, in_pool(engine)) == (1, 0)


async def test_no_more_are_kept_than_may_be(engine: AsyncEngine, lends: Lender) -> None:
    lent = [await lends.take() for _ in range(4)]

    for one in lent:
        lends.give_back(one, fit=True)

    assert (lends.kept, in_pool(engine)) == (KEEP, 2)
    lends.close()
    assert (lends.kept, in_pool(engine)) == (0, 4)


async def test_whoever_waits_in_the_pool_gets_what_comes_back(postgres_url: str) -> None:
    url = settings_for(await create_postgres_database(postgres_url)).database_url
    small = create_async_engine(url, pool_size=1, max_overflow=0, pool_timeout=1)
    lends = Lender(small, keep=1)
    first = await lends.take()
    waiting = asyncio.create_task(lends.take())
    await asyncio.sleep(0.01)

    lends.give_back(first, fit=True)

    second = await waiting
    assert second.driver is first.driver
    lends.give_back(second, fit=True)
    lends.close()
    await small.dispose()


async def test_many_at_once_leave_the_others_their_share(
    engine: AsyncEngine, lends: Lender
) -> None:
    lent = [await lends.take() for _ in range(3)]

    # While two are still lent, the third is for whoever waits in the pool.
    lends.give_back(lent.pop(), fit=True)

    assert (lends.kept, in_pool(engine)) == (0, 1)
    for one in lent:
        lends.give_back(one, fit=True)
    assert lends.kept == KEEP


async def test_what_comes_back_after_the_end_is_not_kept(
    engine: AsyncEngine, lends: Lender
) -> None:
    lent = await lends.take()
    lends.close()

    lends.give_back(lent, fit=True)

    assert (lends.kept, in_pool(engine)) == (0, 1)


async def test_after_a_while_it_goes_through_the_pool(
    engine: AsyncEngine, lends: Lender, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lender, "KEPT_SECONDS", 0.05)
    back: list[object] = []
    event.listen(engine.sync_engine, "checkin", lambda *arguments: back.append(arguments))

    await backend_of(lends)
    await backend_of(lends)
    assert back == []
    await asyncio.sleep(0.1)
    await backend_of(lends)

    assert len(back) == 1


async def test_what_is_closed_busy_or_unfit_is_not_lent_again(lends: Lender) -> None:
    closed, busy, unfit = [await lends.take() for _ in range(3)]
    postgresql(closed).terminate()
    await busy.driver.execute("BEGIN")
    for one in (closed, busy):
        lends.give_back(one, fit=True)
    lends.give_back(unfit, fit=False)
    assert lends.kept == 0

    kept = await lends.take()
    lends.give_back(kept, fit=True)
    assert lends.kept == 1
    postgresql(kept).terminate()
    other = await lends.take()
    assert other.driver is not kept.driver
    lends.give_back(other, fit=True)
