"""Redis may be away: nobody waits for it for long, and it is taken back when it returns."""

import asyncio
import time
from collections.abc import AsyncIterator

import hiredis
import pytest
from redis.asyncio import Connection, SSLConnection, UnixDomainSocketConnection

from integrations import redis as guarded
from integrations.redis import GuardedRedis, RedisUnavailable
from tests.conftest import serving, settings_for
from tests.people import People
from tests.servers import ValkeyServer

pytestmark = pytest.mark.faults


@pytest.fixture
async def valkey() -> AsyncIterator[ValkeyServer]:
    with ValkeyServer() as server:
        yield server


async def test_a_command_arrives_as_it_was_given(valkey: ValkeyServer) -> None:
    redis = GuardedRedis(valkey.url)
    for given, arrived in {
        "naïve": "naïve".encode(),
        b"\r\n$1\r\n\0\xff": b"\r\n$1\r\n\0\xff",
        "": b"",
        -7: b"-7",
        0.5: b"0.5",
        "x" * 100_000: b"x" * 100_000,
    }.items():
        assert await redis.execute("ECHO", given) == arrived
    await redis.close()


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("redis://127.0.0.1/0", Connection),
        ("rediss://127.0.0.1/0", SSLConnection),
        ("unix:///nowhere", UnixDomainSocketConnection),
    ],
)
def test_every_kind_of_connection_packs_in_c(
    url: str, kind: type[Connection], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hiredis, "pack_command", lambda command: b"packed %a" % (command,))

    pool = GuardedRedis(url).client.connection_pool
    connection = pool.make_connection()  # type: ignore[no-untyped-call]  # its own

    assert isinstance(connection, kind)
    assert connection.pack_command("ECHO", 1) == [b"packed (b'ECHO', 1)"]


async def test_a_hung_server_costs_one_short_wait(
    valkey: ValkeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guarded, "BREAKER_OPEN_SECONDS", 0.3)
    redis = GuardedRedis(valkey.url)
    await redis.execute("SET", "a", "1")
    await asyncio.to_thread(valkey.pause)
    try:
        first, second = await _seconds_of_failure(redis), await _seconds_of_failure(redis)
        many = time.perf_counter()
        await asyncio.gather(*[_seconds_of_failure(redis) for _ in range(200)])
        many = time.perf_counter() - many
    finally:
        valkey.resume()
    assert first < 0.1, "at most 50 ms, and some for a slow machine"
    assert second < 0.01, "the breaker is open"
    assert many < 0.1
    await asyncio.sleep(0.4)
    # Back again: one call finds out, and everyone else follows.
    assert await redis.execute("GET", "a") == b"1"
    await redis.close()


async def test_a_killed_server_is_found_again(
    valkey: ValkeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guarded, "BREAKER_OPEN_SECONDS", 0.1)
    redis = GuardedRedis(valkey.url)
    assert await redis.ping()
    await asyncio.to_thread(valkey.kill)
    assert not await redis.ping()
    await asyncio.to_thread(valkey.start)
    await asyncio.sleep(0.15)
    assert await redis.ping()
    await redis.close()


async def test_requests_go_on_while_redis_hangs(valkey: ValkeyServer, database_url: str) -> None:
    settings = settings_for(database_url, redis_url=valkey.url, rate_limit_enabled=True)
    async with serving(settings) as client:
        person = await People(client).with_wallet(100)
        await asyncio.to_thread(valkey.pause)
        try:
            times = []
            for _ in range(10):
                started = time.perf_counter()
                assert (await person.deposit(1)).status_code == 200
                times.append(time.perf_counter() - started)
            ready = (await client.get("/readyz")).json()
        finally:
            valkey.resume()
        # The limit, the lookup and the storing may each have met the hanging server once.
        assert sorted(times)[5] < 0.1
        assert (ready["status"], ready["database"], ready["redis"]) == ("ready", "up", "down")
        assert await person.balance() == 110


async def _seconds_of_failure(redis: GuardedRedis) -> float:
    started = time.perf_counter()
    with pytest.raises(RedisUnavailable):
        await redis.execute("PING")
    return time.perf_counter() - started
