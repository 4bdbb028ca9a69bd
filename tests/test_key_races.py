"""People's keys at once, over real HTTP, with 1 and 2 processes, on both engines."""

import asyncio
from collections import Counter

import httpx
import pytest

from core.own_keys import ACTIVE_KEYS_LIMIT
from db.session import Database
from tests.api_keys import create_key, expire, listed, own_key, revoke, roll_over
from tests.people import People
from tests.races import in_turn
from tests.services import Service

Clients = list[httpx.AsyncClient]


def outcomes(responses: list[httpx.Response]) -> Counter[tuple[int, str]]:
    return Counter((item.status_code, item.json().get("code", "")) for item in responses)


@pytest.mark.promise("S3-key-limit")
async def test_fifty_keys_at_once_are_five(clients: Clients) -> None:
    jane = await People(clients[0]).sign_up()
    callers = in_turn(jane, clients)

    responses = await asyncio.gather(*[create_key(next(callers)) for _ in range(50)])

    refused = (409, "too_many_api_keys")
    assert outcomes(responses) == {(201, ""): ACTIVE_KEYS_LIMIT, refused: 50 - ACTIVE_KEYS_LIMIT}
    keys = await listed(jane)
    assert [key["active"] for key in keys] == [True] * ACTIVE_KEYS_LIMIT


@pytest.mark.promise("S3-key-limit", "S3-key-rollover")
async def test_rolling_over_and_making_at_once_are_five_and_each_once(
    clients: Clients, database: Database
) -> None:
    jane = await People(clients[0]).sign_up()
    over = [(await own_key(jane))["id"] for _ in range(3)]
    await expire(database, *over)
    callers = in_turn(jane, clients)

    responses = await asyncio.gather(
        *[roll_over(next(callers), key_id) for _ in range(5) for key_id in over],
        *[create_key(next(callers)) for _ in range(15)],
    )

    counted = outcomes(responses)
    assert counted[201, ""] == ACTIVE_KEYS_LIMIT
    assert {code for _, code in counted} <= {
        "",
        "too_many_api_keys",
        "api_key_already_revoked",
    }
    keys = await listed(jane)
    assert sum(key["active"] for key in keys) == ACTIVE_KEYS_LIMIT
    assert len(keys) == len(over) + ACTIVE_KEYS_LIMIT


@pytest.mark.promise("S3-key-revoke")
async def test_a_key_that_was_revoked_opens_nothing_in_any_process(clients: Clients) -> None:
    jane = await People(clients[0]).with_wallet(5)
    for turn in range(4):
        made = await own_key(jane)
        services = [Service(client, made["api_key"]) for client in clients]
        for service in services:
            assert (await service.get("/wallet/balance")).status_code == 200
        # In the midst of others, whose keys are asked for with the same queries.
        busy = [
            asyncio.create_task(service.get("/wallet/balance"))
            for service in services
            for _ in range(20)
        ]

        revoker = next(in_turn(jane, clients[turn % len(clients) :]))
        assert (await revoke(revoker, made["id"])).status_code == 200
        after = await asyncio.gather(
            *[service.get("/wallet/balance") for service in services for _ in range(10)]
        )

        assert outcomes(after) == {(401, "api_key_revoked"): len(after)}
        assert set(outcomes(await asyncio.gather(*busy))) <= {(200, ""), (401, "api_key_revoked")}
