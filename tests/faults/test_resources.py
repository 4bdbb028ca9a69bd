"""Something runs out: connections to the database, or room on the disk."""

import asyncio
import os
import resource
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path

import psutil
import pytest

from tests.conftest import migrate, serving, settings_for, sqlite_url
from tests.faults.conftest import Summary
from tests.faults.reckoning import broken_rules
from tests.people import People
from tests.processes import ApiProcess
from tests.races import api_processes, clients_of

pytestmark = pytest.mark.faults

SOME_MORE_BYTES = 40_000


async def test_no_connection_left_is_answered_within_two_seconds(
    database_url: str, redis_url: str, summary: Summary
) -> None:
    settings = settings_for(database_url, redis_url=redis_url)
    house = serving(settings)
    async with house as client, AsyncExitStack() as taken:
        person = await People(client).with_wallet(100)
        # The process's own pool, not the one of the fixture; with what is kept for batches.
        database = house._app.state.services.database
        for _ in range(settings.database_pool_size):
            await taken.enter_async_context(database.lean_reading())
        started = time.perf_counter()

        async def read() -> tuple[int, float]:
            response = await person.get("/wallet")
            return response.status_code, time.perf_counter() - started

        reads = [asyncio.create_task(read()) for _ in range(30)]
        await asyncio.sleep(0.2)
        alive_after = time.perf_counter()
        assert (await client.get("/livez")).status_code == 200
        alive_after = time.perf_counter() - alive_after
        answers = await asyncio.gather(*reads)
        await taken.aclose()

        slowest = max(seconds for _, seconds in answers)
        summary.add(f"no connection left: 30 reads answered 503, the last in {slowest:.2f} s")
        assert {status for status, _ in answers} == {503}
        assert slowest < 2
        assert alive_after < 0.2
        assert await person.balance() == 100


async def test_a_full_disk_stops_money_but_not_reading(tmp_path: Path, redis_url: str) -> None:
    """The disk is as good as full when the process may not make its files any larger."""
    url = sqlite_url(tmp_path)
    await migrate(url)
    with api_processes(1, url, redis_url, tmp_path) as [process]:
        async with clients_of([process]) as [client]:
            person = await People(client).with_wallet(0)
            statuses = []
            with full_disk(process, tmp_path):
                for n in range(60):
                    statuses.append((await person.deposit(1, key=f"full-{n}")).status_code)
                    if statuses[-1] != 200:
                        break
                done = statuses.count(200)
                assert statuses[-1] == 503, statuses
                assert await person.balance() == done
            # There is room again: the same request succeeds, and was not done before.
            assert (await person.deposit(1, key=f"full-{done}")).status_code == 200
            assert await person.balance() == done + 1
    assert not await broken_rules(url)


@contextmanager
def full_disk(process: ApiProcess, folder: Path) -> Iterator[None]:
    """Let no file of a process grow much beyond the largest in `folder`."""
    largest = max(entry.stat().st_size for entry in os.scandir(folder))
    running = psutil.Process(process.pid)
    _, hard = running.rlimit(resource.RLIMIT_FSIZE)
    running.rlimit(resource.RLIMIT_FSIZE, (largest + SOME_MORE_BYTES, hard))
    try:
        yield
    finally:
        running.rlimit(resource.RLIMIT_FSIZE, (hard, hard))
