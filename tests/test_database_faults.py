"""The database may be away: 503 with Retry-After, nothing acknowledged is lost, and it recovers."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from tests.conftest import create_postgres_database, migrate
from tests.people import People, Person
from tests.processes import ApiProcess
from tests.races import api_processes, clients_of
from tests.servers import PostgresServer

pytestmark = pytest.mark.faults


@pytest.fixture
async def postgres() -> AsyncIterator[PostgresServer]:
    """A PostgreSQL of this module's own, to be treated badly."""
    with PostgresServer() as server:
        yield server


@pytest.fixture
async def api(
    postgres: PostgresServer, redis_url: str, tmp_path: Path
) -> AsyncIterator[ApiProcess]:
    url = await create_postgres_database(postgres.url)
    await migrate(url)
    with api_processes(1, url, redis_url, tmp_path) as [process]:
        yield process


@pytest.mark.promise("errors-status")
async def test_postgresql_killed_under_load(api: ApiProcess, postgres: PostgresServer) -> None:
    async with clients_of([api]) as [client]:
        person = await People(client).with_wallet(0)
        acknowledged: list[str] = []
        codes: Counter[int] = Counter()
        ends = asyncio.get_running_loop().time() + 4

        async def deposit_until_the_end(n: int) -> None:
            count = 0
            while asyncio.get_running_loop().time() < ends:
                key = f"{n}-{count}"
                response = await person.deposit(1, key=key)
                codes[response.status_code] += 1
                if response.status_code == 200:
                    acknowledged.append(key)
                    count += 1
                    continue
                assert response.headers["Retry-After"] == "1"
                await asyncio.sleep(0.05)

        async def kill_and_start() -> None:
            await asyncio.sleep(1)
            await asyncio.to_thread(postgres.kill)
            await _expect_unready(client)
            await asyncio.to_thread(postgres.start)

        await asyncio.gather(*[deposit_until_the_end(n) for n in range(20)], kill_and_start())

        assert set(codes) == {200, 503}, codes
        history = await _successes(person)
        # A 503 says that the outcome is not known; the same key then tells, so each is there once.
        assert await person.balance() == len(history)
        for key in acknowledged[-5:]:
            again = await person.deposit(1, key=key)
            assert again.headers["Idempotency-Replayed"] == "true"
        assert await person.balance() == len(acknowledged)


async def _successes(person: Person) -> list[int]:
    found: list[int] = []
    cursor: dict[str, str] = {}
    while True:
        page = (await person.get("/transaction/history", limit=100, **cursor)).json()
        found += [line["id"] for line in page["transactions"] if line["state"] == "SUCCESS"]
        if page["next_cursor"] is None:
            return found
        cursor = {"cursor": page["next_cursor"]}


async def _expect_unready(client: httpx.AsyncClient) -> None:
    ready, alive = await client.get("/readyz"), await client.get("/livez")
    assert (ready.status_code, alive.status_code) == (503, 200)
    assert ready.json()["database"] == "down"


async def test_a_hung_database_is_answered_503_and_the_process_lives(
    postgres: PostgresServer, redis_url: str, tmp_path: Path
) -> None:
    url = await create_postgres_database(postgres.url)
    await migrate(url)
    environment = {"DATABASE_COMMAND_TIMEOUT_SECONDS": "1", "POSTING_DEADLINE_SECONDS": "2"}
    with api_processes(1, url, redis_url, tmp_path, **environment) as processes:
        async with clients_of(processes) as [client]:
            person = await People(client).with_wallet(100)
            await asyncio.to_thread(postgres.pause)
            try:
                started = time.perf_counter()
                responses = await asyncio.gather(
                    *[person.get("/wallet") for _ in range(30)],
                    *[person.withdraw(1, key=f"hung-{n}") for n in range(10)],
                )
                took = time.perf_counter() - started
                assert (await client.get("/livez")).status_code == 200
            finally:
                await asyncio.to_thread(postgres.resume)
            assert {response.status_code for response in responses} == {503}
            assert took < 5
            await asyncio.sleep(1.5)
            # The same requests again: each is done once, whatever became of the first.
            for n in range(10):
                assert (await person.withdraw(1, key=f"hung-{n}")).status_code == 200
            assert await person.balance() == 90


async def test_sigterm_makes_it_unready_before_the_door_closes(
    database_url: str, redis_url: str, tmp_path: Path
) -> None:
    with api_processes(1, database_url, redis_url, tmp_path, DRAIN_SECONDS="2") as [api]:
        async with clients_of([api]) as [client]:
            person = await People(client).with_wallet(0)
            ending = asyncio.create_task(asyncio.to_thread(api.stop))
            await asyncio.sleep(0.5)
            ready = await client.get("/readyz")
            still_served = await person.deposit(1)
            await ending
            assert (ready.status_code, ready.json()["status"]) == (503, "unavailable")
            assert still_served.status_code == 200
            with pytest.raises(httpx.TransportError):
                await client.get("/livez")


async def test_sigterm_finishes_what_is_in_flight(api: ApiProcess) -> None:
    async with clients_of([api]) as [client]:
        person = await People(client).with_wallet(0)
        tasks = [asyncio.create_task(person.deposit(1)) for _ in range(100)]
        await asyncio.sleep(0.05)
        await asyncio.to_thread(api.stop)
        done = await asyncio.gather(*tasks, return_exceptions=True)
        answered = [item for item in done if isinstance(item, httpx.Response)]
        # Whoever was connected got an answer; the others could not connect any more.
        assert all(response.status_code in {200, 503} for response in answered)
        refused = [item for item in done if not isinstance(item, httpx.Response)]
        assert all(isinstance(item, httpx.TransportError) for item in refused)
        successes = sum(response.status_code == 200 for response in answered)
        assert successes > 0
        await asyncio.to_thread(api.start)
        assert successes <= await person.balance() <= 100
