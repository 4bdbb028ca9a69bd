"""Receipts end to end: real API, worker, Redis and database; only Brevo is a fake."""

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
import redis.asyncio
from sqlalchemy import update

from core import outbox
from db.models import Tables
from db.session import Database, DatabaseOptions
from operations.children import ROOT
from tests.conftest import create_postgres_database, migrate, settings_for, sqlite_url
from tests.fakes import FakeBrevo, fake_brevo
from tests.people import People
from tests.processes import ApiProcess, WorkerProcess
from tests.races import clients_of, environment_for
from tests.servers import ValkeyServer

pytestmark = [pytest.mark.faults, pytest.mark.promise("S0-21")]


@dataclass
class House:
    """Everything that runs."""

    api: ApiProcess
    worker: WorkerProcess
    redis: ValkeyServer
    brevo: FakeBrevo
    client: httpx.AsyncClient
    url: str
    environment: dict[str, str]


@pytest.fixture(scope="module")
async def shared_house(
    engine_name: str,
    tmp_path_factory: pytest.TempPathFactory,
    request: pytest.FixtureRequest,
) -> AsyncIterator[House]:
    """A database, Redis, API and worker of this module's own."""
    folder = tmp_path_factory.mktemp("house")
    if engine_name == "sqlite":
        url = sqlite_url(folder)
    else:
        url = await create_postgres_database(request.getfixturevalue("postgres_url"))
    await migrate(url)
    async with running(url, folder) as house:
        yield house


@pytest.fixture
async def house(shared_house: House) -> House:
    """The same, everything running, nothing waiting, and a Brevo that knows of nothing yet."""
    await eventually(lambda: quiet(shared_house))
    # A receipt that was handed over twice may be done and still be sent once more.
    await eventually(lambda: idle(shared_house))
    shared_house.brevo.forget()
    return shared_house


@asynccontextmanager
async def running(url: str, folder: Path) -> AsyncIterator[House]:
    async with fake_brevo() as brevo:
        with ExitStack() as stack:
            redis = stack.enter_context(ValkeyServer())
            environment = environment_for(url, redis.url) | {
                "BREVO_API_KEY": "a-brevo-key",
                "BREVO_BASE_URL": brevo.url,
                "LOG_LEVEL": "INFO",
            }
            api = ApiProcess(environment, log_path=folder / "api.log")
            worker = WorkerProcess(environment, log_path=folder / "worker.log")
            await asyncio.to_thread(stack.enter_context, api)
            await asyncio.to_thread(stack.enter_context, worker)
            async with clients_of([api]) as [client]:
                yield House(api, worker, redis, brevo, client, url, environment)


async def eventually(
    condition: Callable[[], Awaitable[bool] | bool], *, seconds: float = 20
) -> None:
    """Wait until something holds; fail if it does not in time."""
    for _ in range(int(seconds / 0.05)):
        holds = condition()
        if holds if isinstance(holds, bool) else await holds:
            return
        await asyncio.sleep(0.05)
    raise AssertionError("It did not happen in time.")


async def quiet(house: House) -> bool:
    """Whether no receipt waits."""
    database = Database(DatabaseOptions(url=settings_for(house.url).database_url))
    async with database.reading() as session:
        standing = await outbox.standing(session)
    await database.close()
    return standing.waiting == 0


async def idle(house: House) -> bool:
    """Whether the worker holds no message and none waits for it in Redis."""
    async with redis.asyncio.Redis.from_url(house.redis.url) as connection:
        return not await connection.keys("dramatiq:__acks__.*") and not await connection.exists(
            "dramatiq:receipts"
        )


async def test_both_parties_get_one_mail_each(house: House) -> None:
    people = People(house.client)
    jane = await people.with_wallet(0, first_name="Jane", last_name="<b>Doe</b>")
    joe = await people.with_wallet(0, first_name="Joe", last_name="Roe")
    await jane.deposit(100)
    await jane.transfer(joe.wallet_id, 30)
    await jane.withdraw(1000)

    await eventually(lambda: house.brevo.count() == {jane.email: 2, joe.email: 1})

    [received] = house.brevo.delivered_to(joe.email)
    assert (
        received["subject"]
        == "You received NGN\N{NO-BREAK SPACE}30.00 from Jane <b>Doe</b> · Wallet"
    )
    assert "&lt;b&gt;Doe&lt;/b&gt;" in received["htmlContent"]
    assert received["textContent"]
    assert received["sender"] == {"email": "no-reply@example.com", "name": "Wallet"}
    assert house.brevo.api_keys == {"a-brevo-key"}
    await asyncio.sleep(0.5)
    assert len(house.brevo.requests) == 3
    assert await quiet(house)
    assert (await house.client.get("/readyz")).json()["outbox_age_seconds"] is None


async def test_nothing_is_lost_when_everything_fails_in_between(house: House) -> None:
    people = People(house.client)
    person, other = await people.with_wallet(0), await people.with_wallet(0)
    house.brevo.failures = [500, 503, 429]
    acknowledged = 0
    for n in range(6):
        assert (await person.deposit(1, key=f"d{n}")).status_code == 200
        acknowledged += 1
    await asyncio.to_thread(house.worker.kill)
    await asyncio.to_thread(house.redis.kill)
    assert (await person.transfer(other.wallet_id, 1)).status_code == 200
    # Killed right after the commit, before anything else could happen.
    await asyncio.to_thread(house.api.kill)
    await asyncio.to_thread(house.redis.start)
    await flush(house.redis)
    await asyncio.to_thread(house.api.start)
    # What was handed over before it died waits for the end of its lease: let it end now.
    await end_leases(house)
    await asyncio.to_thread(house.worker.start)

    await eventually(
        lambda: house.brevo.count() == {person.email: acknowledged + 1, other.email: 1},
        seconds=40,
    )
    await eventually(lambda: quiet(house))


async def flush(valkey: ValkeyServer) -> None:
    async with redis.asyncio.Redis.from_url(valkey.url) as connection:
        await connection.flushall()


async def end_leases(house: House) -> None:
    database = Database(DatabaseOptions(url=settings_for(house.url).database_url))
    async with database.transaction() as session:
        await (await session.connection()).execute(
            update(Tables.outbox)
            .where(Tables.outbox.c.done_at.is_(None))
            .values(due_at=datetime.now(UTC))
        )
    await database.close()


async def test_a_worker_killed_while_sending_does_not_send_twice(house: House) -> None:
    house.brevo.slow_seconds = 1
    person = await People(house.client).with_wallet(5)
    await eventually(lambda: len(house.brevo.requests) == 1)
    await asyncio.to_thread(house.worker.kill)
    house.brevo.slow_seconds = 0
    await end_leases(house)
    await flush(house.redis)
    await asyncio.to_thread(house.worker.start)

    await eventually(lambda: len(house.brevo.requests) >= 2)
    await eventually(lambda: quiet(house))
    # Asked twice under one key: the provider delivered once.
    assert house.brevo.count() == {person.email: 1}
    assert len({mail["headers"]["idempotencyKey"] for mail in house.brevo.requests}) == 1


async def test_a_refused_mail_is_kept_listed_and_sent_again(house: House) -> None:
    # More than one: a mail of before that is asked for once more must not use it up.
    house.brevo.failures = [400] * 10
    person = await People(house.client).with_wallet(5)
    await eventually(lambda: quiet(house))
    house.brevo.failures.clear()

    code, said = await wallet(house, "outbox")

    assert code == 1
    assert person.email in said
    assert "Brevo answered 400" in said
    assert house.brevo.count() == {}

    code, said = await wallet(house, "outbox", "--resend")

    assert (code, said) == (0, "1 receipts are taken up again; a running worker sends them.\n")
    await eventually(lambda: house.brevo.count() == {person.email: 1})
    await eventually(lambda: quiet(house))
    assert (await wallet(house, "outbox"))[0] == 0


async def wallet(house: House, *arguments: str) -> tuple[int, str]:
    """Run a command of ./wallet on this house; return its exit code and output."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "cli.py",
        *arguments,
        cwd=ROOT,
        env=house.environment | {"PATH": "", "COLUMNS": "200"},
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, output.decode()
