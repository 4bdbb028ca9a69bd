"""Limits hold across processes, and whoever asks often costs few round trips."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from uuid import uuid4

import pytest

from core.errors import RateLimited
from core.limiter import RateLimits, parse_limits
from dependencies import limits as counting
from dependencies.limits import RateLimiter
from integrations import redis as guarded
from integrations.rate_limits import COUNTS_IN_A_BATCH
from integrations.redis import GuardedRedis
from tests.servers import ValkeyServer


@pytest.fixture(scope="module")
def redis_url() -> Iterator[str]:
    """A Redis of this module's own: how many scripts it ran is counted below."""
    with ValkeyServer() as server:
        yield server.url


@pytest.fixture
async def redis(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[GuardedRedis]:
    # On a busy machine a reply may take longer than a request would wait for it.
    monkeypatch.setattr(guarded, "WAIT_SECONDS", 5)
    client = GuardedRedis(redis_url)
    yield client
    await client.close()


def limiter(redis: GuardedRedis, redis_url: str, limit: str, installation: str) -> RateLimiter:
    one = parse_limits("1/minute")
    limits = RateLimits(
        signup_per_ip=one,
        sign_in_per_ip=one,
        sign_in_per_account=one,
        transactions_per_user=parse_limits(limit),
        transactions_per_key=one,
    )
    return RateLimiter(limits, redis, redis_url=redis_url, installation_id=installation)


async def allowed(limiter: RateLimiter, attempts: int) -> int:
    count = 0
    for _ in range(attempts):
        try:
            await limiter.count_transaction(1)
        except RateLimited:
            continue
        count += 1
    return count


async def test_two_processes_together_allow_what_the_limit_says(
    redis: GuardedRedis, redis_url: str
) -> None:
    installation = uuid4().hex
    one, other = [limiter(redis, redis_url, "200/minute", installation) for _ in range(2)]

    counts = await asyncio.gather(allowed(one, 150), allowed(other, 150))

    # Never more; and what a process holds in advance and does not use is little.
    assert 200 - 2 * 200 * counting.SHARE <= sum(counts) <= 200


async def test_whoever_asks_often_is_counted_by_shares(redis: GuardedRedis, redis_url: str) -> None:
    often = limiter(redis, redis_url, "10000/minute", uuid4().hex)
    before = await scripts_run(redis)

    assert await allowed(often, 1000) == 1000

    assert await scripts_run(redis) - before < 20


async def test_whoever_asks_seldom_is_counted_by_shares_too(
    redis: GuardedRedis, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seldom = limiter(redis, redis_url, "600/minute", uuid4().hex)
    now = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    before = await scripts_run(redis)
    for _ in range(12):
        now += 4
        await seldom.count_transaction(1)

    assert await scripts_run(redis) - before == 1


@pytest.mark.parametrize(
    ("limit", "seconds_apart"),
    [
        ("100/second;100/hour", 1.5),
        ("600/minute;5000/day", 61),
        ("60000/minute;10000000/day", 61),
    ],
)
async def test_a_short_window_takes_no_more_than_its_part_of_a_long_one(
    redis: GuardedRedis,
    redis_url: str,
    monkeypatch: pytest.MonkeyPatch,
    limit: str,
    seconds_apart: float,
) -> None:
    counted = limiter(redis, redis_url, limit, uuid4().hex)
    longest = max(parse_limits(limit), key=lambda item: item.get_expiry())
    taken: list[int] = []
    now = 0.0

    async def hit(_items: object, _name: object, cost: int) -> None:
        taken.append(cost)

    monkeypatch.setattr(time, "monotonic", lambda: now)
    monkeypatch.setattr(counted, "_hit", hit)
    asked = 0
    while now < longest.get_expiry():
        await counted.count_transaction(1)
        asked += 1
        now += seconds_apart

    assert 0 <= sum(taken) - asked <= longest.amount * counting.SHARE


async def test_a_long_window_loses_little_at_each_start(
    redis: GuardedRedis, redis_url: str
) -> None:
    installation = uuid4().hex
    for _ in range(100):
        started_anew = limiter(redis, redis_url, "5000/day", installation)
        await started_anew.count_transaction(1)

    assert await allowed(limiter(redis, redis_url, "5000/day", installation), 4950) >= 4890


async def test_what_a_second_refuses_is_not_counted_against_the_day(
    redis: GuardedRedis, redis_url: str
) -> None:
    installation = uuid4().hex
    hurried = limiter(redis, redis_url, "400/day;10/second", installation)
    in_a_second = await allowed(hurried, 300)
    daily = limiter(redis, redis_url, "400/day", installation)

    assert in_a_second < 100, "most of them were refused"
    assert await allowed(daily, 401) == 400 - in_a_second


async def test_a_crowd_is_counted_in_redis(redis: GuardedRedis, redis_url: str) -> None:
    installation = uuid4().hex
    crowd = limiter(redis, redis_url, "600/minute", installation)
    before = await scripts_run(redis)

    await asyncio.gather(*[crowd.count_transaction(number) for number in range(300)])

    # A connection for each is more than the client has; then they were counted in process.
    assert len(await redis.client.keys(f"*{installation}*")) == 300
    assert await scripts_run(redis) - before == 300 / COUNTS_IN_A_BATCH


async def test_who_cannot_be_counted_is_counted_alone_in_process(
    redis: GuardedRedis, redis_url: str
) -> None:
    installation = uuid4().hex
    crowd = limiter(redis, redis_url, "40/minute", installation)
    await crowd.count_transaction(1)
    [spoilt] = await redis.client.keys(f"*{installation}*")
    await redis.client.delete(spoilt)
    await redis.client.lpush(spoilt, "no number")

    counts = await asyncio.gather(
        *[crowd.count_transaction(number) for _ in range(41) for number in (1, 2)],
        return_exceptions=True,
    )

    assert [type(count) for count in counts if count is not None] == [RateLimited] * 2
    # Both were told so, and the other by all processes.
    with pytest.raises(RateLimited):
        await limiter(redis, redis_url, "40/minute", installation).count_transaction(2)


async def test_a_crowd_over_its_limit_is_refused_as_a_whole(
    redis: GuardedRedis, redis_url: str
) -> None:
    full = limiter(redis, redis_url, "40/minute", uuid4().hex)
    assert await allowed(full, 41) == 40

    answers = await asyncio.gather(
        *[full.count_transaction(1) for _ in range(300)], return_exceptions=True
    )

    assert {type(answer) for answer in answers} == {RateLimited}


async def test_a_redis_that_forgot_how_to_count_is_told_again(
    redis: GuardedRedis, redis_url: str
) -> None:
    installation = uuid4().hex
    counted = limiter(redis, redis_url, "40/minute", installation)
    assert await allowed(counted, 10) == 10

    await redis.client.script_flush()

    assert await allowed(counted, 40) == 30
    assert await allowed(limiter(redis, redis_url, "40/minute", installation), 1) == 0


async def test_near_the_limit_each_refusal_costs_one_count(
    redis: GuardedRedis, redis_url: str
) -> None:
    often = limiter(redis, redis_url, "600/minute", uuid4().hex)
    assert await allowed(often, 650) == 600
    before = await scripts_run(redis)

    assert await allowed(often, 10) == 0

    # To count, and to say for how long.
    assert await scripts_run(redis) - before == 20


@pytest.mark.parametrize("at_once", [5, 20, 100])
async def test_whoever_asks_many_times_at_once_is_allowed_as_much(
    redis: GuardedRedis, redis_url: str, at_once: int
) -> None:
    often = limiter(redis, redis_url, "600/minute", uuid4().hex)

    counts = await asyncio.gather(*[allowed(often, 700 // at_once + 1) for _ in range(at_once)])

    assert 600 * (1 - counting.SHARE) <= sum(counts) <= 600


async def test_a_small_limit_is_counted_exactly(redis: GuardedRedis, redis_url: str) -> None:
    installation = uuid4().hex
    one, other = [limiter(redis, redis_url, "99/minute", installation) for _ in range(2)]

    assert await allowed(one, 50) + await allowed(other, 60) == 99


async def test_a_share_is_not_kept_beyond_its_window(redis: GuardedRedis, redis_url: str) -> None:
    often = limiter(redis, redis_url, "1000/second", uuid4().hex)
    assert await allowed(often, 20) == 20
    await asyncio.sleep(1.1)
    before = await scripts_run(redis)

    await often.count_transaction(1)

    assert await scripts_run(redis) - before == 1


async def test_a_key_is_counted_by_itself(redis: GuardedRedis, redis_url: str) -> None:
    counting_both = limiter(redis, redis_url, "1/minute", uuid4().hex)
    await counting_both.count_transaction(7)

    await counting_both.count_transaction_by_key(7)
    await counting_both.count_transaction_by_key(8)

    with pytest.raises(RateLimited):
        await counting_both.count_transaction_by_key(7)


async def scripts_run(redis: GuardedRedis) -> int:
    told = await redis.client.info("commandstats")
    return sum(
        told[command]["calls"] for command in ("cmdstat_eval", "cmdstat_evalsha") if command in told
    )
