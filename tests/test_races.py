"""What happens at once, over real HTTP, with one and two API processes, on both engines."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable

import httpx
import pytest

from tests.people import People
from tests.races import in_turn
from tests.servers import ValkeyServer

Clients = list[httpx.AsyncClient]


@pytest.fixture(scope="module")
async def valkey() -> AsyncIterator[ValkeyServer]:
    """A Redis of this module's own, to be treated badly."""
    with ValkeyServer() as server:
        yield server


@pytest.fixture(scope="module")
def redis_url(valkey: ValkeyServer) -> str:
    """The URL of that one."""
    return valkey.url


def outcomes(responses: list[httpx.Response]) -> Counter[int]:
    return Counter(response.status_code for response in responses)


@pytest.mark.promise("transfer", "errors-status")
async def test_fifty_transfers_of_ten_from_a_hundred(clients: Clients) -> None:
    people = People(clients[0])
    sender, receiver = await people.with_wallet(100), await people.with_wallet()
    callers = in_turn(sender, clients)

    responses = await asyncio.gather(
        *[next(callers).transfer(receiver.wallet_id, 10) for _ in range(50)]
    )

    assert outcomes(responses) == {200: 10, 402: 40}
    assert (await sender.balance(), await receiver.balance()) == (0, 100)
    states = Counter(line["state"] for line in await sender.history())
    assert states == {"SUCCESS": 11, "FAILED": 40}


@pytest.mark.promise("withdraw")
async def test_fifty_withdrawals_of_ten_from_a_hundred(clients: Clients) -> None:
    person = await People(clients[0]).with_wallet(100)
    callers = in_turn(person, clients)

    responses = await asyncio.gather(*[next(callers).withdraw(10) for _ in range(50)])

    assert outcomes(responses) == {200: 10, 402: 40}
    assert await person.balance() == 0
    left = sorted(
        response.json()["current_balance"] for response in responses if response.is_success
    )
    assert left == [0, 10, 20, 30, 40, 50, 60, 70, 80, 90]


@pytest.mark.promise("key-in-flight", "S0-14")
async def test_the_same_key_a_hundred_times_moves_once(clients: Clients) -> None:
    person = await People(clients[0]).with_wallet(100)
    callers = in_turn(person, clients)

    responses = await asyncio.gather(
        *[next(callers).withdraw(10, key="one-key") for _ in range(100)],
    )

    assert set(outcomes(responses)) <= {200, 409}
    assert len({response.content for response in responses if response.is_success}) == 1
    assert await person.balance() == 90
    assert (await person.withdraw(10, key="one-key")).headers["Idempotency-Replayed"] == "true"


async def test_opposite_transfers_never_fail(clients: Clients) -> None:
    people = People(clients[0])
    jane, joe = await people.with_wallet(1000), await people.with_wallet(1000)
    janes, joes = in_turn(jane, clients), in_turn(joe, clients)

    responses = await asyncio.gather(
        *[next(janes).transfer(joe.wallet_id, 1) for _ in range(60)],
        *[next(joes).transfer(jane.wallet_id, 1) for _ in range(60)],
    )

    assert outcomes(responses) == {200: 120}
    assert (await jane.balance(), await joe.balance()) == (1000, 1000)


async def test_a_ring_of_transfers_never_fails(clients: Clients) -> None:
    people = People(clients[0])
    ring = [await people.with_wallet(100) for _ in range(6)]
    tasks = [
        next(in_turn(person, clients[n % len(clients) :])).transfer(
            ring[(place + step) % len(ring)].wallet_id, 1
        )
        for n in range(4)
        for step in (1, 2, 5)
        for place, person in enumerate(ring)
    ]

    assert outcomes(await asyncio.gather(*tasks)) == {200: len(tasks)}
    assert sum([await person.balance() for person in ring]) == 600


async def flush(valkey: ValkeyServer) -> None:
    import redis.asyncio

    async with redis.asyncio.Redis.from_url(valkey.url) as connection:
        await connection.flushall()


async def kill(valkey: ValkeyServer) -> None:
    await asyncio.to_thread(valkey.kill)


async def pause(valkey: ValkeyServer) -> None:
    await asyncio.to_thread(valkey.pause)


@pytest.mark.faults
@pytest.mark.promise("S4-8")
@pytest.mark.parametrize("fault", [flush, kill, pause])
async def test_redis_may_fail_in_the_middle(
    clients: Clients, valkey: ValkeyServer, fault: Callable[[ValkeyServer], Awaitable[None]]
) -> None:
    people = People(clients[0])
    sender, receiver = await people.with_wallet(100), await people.with_wallet()
    callers = in_turn(sender, clients)

    async def transfer(n: int) -> httpx.Response:
        await asyncio.sleep(n * 0.002)
        # Each key is used twice.
        return await next(callers).transfer(
            receiver.wallet_id, 10, key=f"{fault.__name__}-{n // 2}"
        )

    async def fail() -> None:
        await asyncio.sleep(0.04)
        await fault(valkey)

    try:
        *responses, _ = await asyncio.gather(*[transfer(n) for n in range(100)], fail())
        codes = outcomes([response for response in responses if response is not None])
    finally:
        if fault is pause:
            valkey.resume()
        if fault is kill:
            await asyncio.to_thread(valkey.start)

    assert set(codes) <= {200, 402, 409}, codes
    assert (await sender.balance(), await receiver.balance()) == (0, 100)
    states = Counter(line["state"] for line in await sender.history())
    assert states["SUCCESS"] == 11
    assert states["FAILED"] == 40
