"""Credits moved at once, over real HTTP, with one and two API processes, on both engines."""

import asyncio
import itertools
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest

from core.verification import verify_rules
from db.session import Database
from tests.races import api_processes, clients_of
from tests.services import DIAMONDS, GOLD, Service, open_service, somebody

Callers = Iterator[Service]


@pytest.fixture(scope="module", params=[1, 2], ids=["1-process", "2-processes"])
async def callers(
    request: pytest.FixtureRequest,
    database: Database,
    database_url: str,
    redis_url: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[Callers]:
    """The same service as a caller of each process in turn, without end."""
    folder: Path = tmp_path_factory.mktemp("api")
    with api_processes(request.param, database_url, redis_url, folder) as processes:
        async with clients_of(processes) as clients:
            service = await open_service(clients[0], database)
            yield itertools.cycle([service.on(client) for client in clients])


@pytest.fixture(autouse=True)
async def books(database: Database) -> AsyncIterator[None]:
    """Whatever happened at once: the books are right afterwards."""
    yield
    assert [result.rule.name async for result in verify_rules(database) if not result.holds] == []


def outcomes(responses: list[httpx.Response]) -> Counter[int]:
    return Counter(response.status_code for response in responses)


@pytest.mark.promise("S4-spend")
async def test_fifty_spends_of_twenty_from_two_hundred(callers: Callers) -> None:
    user = somebody()
    await next(callers).move("top-up", user, 200)

    responses = await asyncio.gather(
        *[next(callers).move("spend", user, 20, key=f"{user}-{n}") for n in range(50)]
    )

    assert outcomes(responses) == {201: 10, 402: 40}
    left = sorted(item.json()["new_balance"] for item in responses if item.is_success)
    assert left == [0, 20, 40, 60, 80, 100, 120, 140, 160, 180]
    assert await next(callers).balance(user) == 0
    ledger = await next(callers).ledger(user)
    assert sum(item["amount"] for item in ledger) == 0
    assert [item["balance"] for item in ledger] == [*left, 200]


@pytest.mark.promise("S4-same-key")
async def test_thirty_top_ups_with_one_key(callers: Callers) -> None:
    user = somebody()

    responses = await asyncio.gather(
        *[next(callers).move("top-up", user, 10, key=f"{user}-once") for _ in range(30)]
    )

    assert outcomes(responses) == {201: 30}
    assert len({item.json()["transaction_id"] for item in responses}) == 1
    assert {item.json()["new_balance"] for item in responses} == {10}
    assert len(await next(callers).transactions(user)) == 1
    assert await next(callers).balance(user) == 10


@pytest.mark.promise("S4-top-up", "S4-bonus")
async def test_thirty_first_times_at_once_make_one_somebody(callers: Callers) -> None:
    user = somebody()

    responses = await asyncio.gather(
        *[next(callers).move("top-up", user, 1, GOLD) for _ in range(15)],
        *[next(callers).move("bonus", user, 1, DIAMONDS) for _ in range(15)],
    )

    assert outcomes(responses) == {201: 30}
    assert await next(callers).balance(user, GOLD) == 15
    assert await next(callers).balance(user, DIAMONDS) == 15
    accounts = {item["account_id"] for item in await next(callers).ledger(user)}
    assert len(accounts) == 2


@pytest.mark.promise("S4-proof")
async def test_many_at_once_over_one_treasury(callers: Callers) -> None:
    users = [somebody() for _ in range(20)]
    await asyncio.gather(*[next(callers).move("top-up", user, 10) for user in users])

    responses = await asyncio.gather(
        *[
            next(callers).move(what, user, 3)
            for what in ("top-up", "spend", "bonus", "spend")
            for user in users
        ]
    )

    assert outcomes(responses) == {201: 80}
    assert [await next(callers).balance(user) for user in users] == [10] * 20
