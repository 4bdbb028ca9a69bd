"""The servers that other tests rely on: they start, die, come back with their data, and freeze."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import asyncpg
import psutil
import pytest
import redis

from tests.processes import ProcessError
from tests.servers import LocalServer, PostgresServer, ValkeyServer

pytestmark = pytest.mark.faults


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    with PostgresServer() as server:
        yield server


@pytest.fixture(scope="module")
def valkey() -> Iterator[ValkeyServer]:
    with ValkeyServer() as server:
        yield server


async def execute(server: PostgresServer, statement: str) -> None:
    connection = await asyncpg.connect(server.url, timeout=5)
    try:
        await connection.execute(statement, timeout=5)
    finally:
        await connection.close(timeout=1)


def client(server: ValkeyServer) -> redis.Redis:
    return redis.Redis.from_url(server.url, socket_timeout=0.5, decode_responses=True)


async def test_postgres_keeps_what_it_committed_when_killed(postgres: PostgresServer) -> None:
    await execute(postgres, "CREATE TABLE kept AS SELECT 7 AS number")
    url_before = postgres.url

    postgres.kill()
    with pytest.raises(OSError):  # noqa: PT011 - refused or reset, by platform
        await execute(postgres, "SELECT 1")
    postgres.start()

    assert postgres.url == url_before
    await execute(postgres, "INSERT INTO kept SELECT number + 1 FROM kept")


async def test_postgres_is_durable(postgres: PostgresServer) -> None:
    connection = await asyncpg.connect(postgres.url)
    try:
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):
            assert await connection.fetchval(f"SHOW {setting}") == "on"
        assert await connection.fetchval("SHOW max_connections") == "200"
    finally:
        await connection.close()


async def test_postgres_answers_nothing_while_paused(postgres: PostgresServer) -> None:
    connection = await asyncpg.connect(postgres.url)

    postgres.pause()
    try:
        with pytest.raises(TimeoutError):
            await connection.execute("SELECT 1", timeout=0.3)
    finally:
        postgres.resume()

    connection.terminate()
    await execute(postgres, "SELECT 1")


def test_valkey_keeps_its_data_over_kill_and_restart(valkey: ValkeyServer) -> None:
    with client(valkey) as connection:
        connection.set("kept", "yes")
    url_before = valkey.url

    valkey.kill()
    valkey.start()
    valkey.restart()

    assert valkey.url == url_before
    with client(valkey) as connection:
        assert connection.get("kept") == "yes"


def test_valkey_answers_nothing_while_paused(valkey: ValkeyServer) -> None:
    with client(valkey) as connection:
        assert connection.ping()
        valkey.pause()
        try:
            with pytest.raises(redis.TimeoutError):
                connection.ping()
        finally:
            valkey.resume()
        assert connection.ping()


@pytest.mark.parametrize("server_class", [PostgresServer, ValkeyServer])
def test_stopped_for_good_nothing_is_left(server_class: Callable[[], LocalServer]) -> None:
    with server_class() as server:
        process = psutil.Process(server.pid)
        folder = server.log_path.parent
        assert folder.exists()

    assert not process.is_running()
    assert not folder.exists()
    with pytest.raises(ProcessError):
        _ = server.pid


@pytest.mark.parametrize("name", ["PostgresServer", "ValkeyServer"])
def test_nothing_is_left_when_the_test_run_is_killed(name: str) -> None:
    """Given a test run with a frozen server, when it is killed, then server and data go away."""
    program = f"""if True:
        import time
        import psutil
        from tests.servers import {name}
        server = {name}().start()
        server.pause()
        family = [server.pid, *(child.pid for child in psutil.Process(server.pid).children())]
        print(server.log_path.parent, *family, flush=True)
        time.sleep(60)
        """
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True
    ) as test_run:
        assert test_run.stdout is not None
        folder, *pids = test_run.stdout.readline().split()
        test_run.kill()

    assert pids
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline and (any(map(is_alive, pids)) or Path(folder).exists()):
        time.sleep(0.05)
    assert not any(map(is_alive, pids))
    assert not Path(folder).exists()


def is_alive(pid: str) -> bool:
    """Whether a process runs; one that has ended but was not yet reaped does not."""
    try:
        return psutil.Process(int(pid)).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_a_server_that_ended_by_itself_can_be_started_again(valkey: ValkeyServer) -> None:
    os.kill(valkey.pid, signal.SIGTERM)
    while valkey.is_running:
        time.sleep(0.01)

    valkey.restart()

    with client(valkey) as connection:
        assert connection.ping()
