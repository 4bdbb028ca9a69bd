"""Accounts and transfers at once, over real HTTP, with 1 and 2 processes, on both engines."""

import asyncio
from collections import Counter
from uuid import uuid4

import httpx
import pytest

from core.verification import verify_rules
from db.session import Database
from tests.people import People
from tests.races import in_turn

Clients = list[httpx.AsyncClient]


def outcomes(responses: list[httpx.Response]) -> Counter[int]:
    return Counter(response.status_code for response in responses)


@pytest.mark.promise("S2-transfer", "S2-transfer-id")
async def test_fifty_transfers_of_ten_from_an_account_of_a_hundred(clients: Clients) -> None:
    jane = await People(clients[0]).with_wallet(100)
    wallet, number = await jane.wallet_number(), await jane.open_account()
    callers = in_turn(jane, clients)

    responses = await asyncio.gather(
        *[next(callers).send_money(wallet, number, 10) for _ in range(50)]
    )

    assert outcomes(responses) == {201: 10, 402: 40}
    assert await jane.balance() == 0
    assert (await jane.get(f"/accounts/{number}")).json()["balance"] == 100
    ids = {item.json().get("transfer_id") or item.json()["id"] for item in responses}
    assert len(ids) == 50


@pytest.mark.promise("S2-transfer")
async def test_transfers_both_ways_never_wait_for_each_other_for_ever(
    clients: Clients, database: Database
) -> None:
    people = People(clients[0])
    jane, john = await people.with_wallet(1000), await people.with_wallet(1000)
    accounts = [
        (person, await person.wallet_number(), await person.open_account())
        for person in (jane, john)
    ]
    (_, *janes), (_, *johns) = accounts
    routes = [
        (jane, janes[0], johns[1]),
        (john, johns[0], janes[1]),
        (jane, janes[0], janes[1]),
        (john, johns[0], johns[1]),
        (jane, janes[1], johns[0]),
        (john, johns[1], janes[0]),
    ]
    turns = {person.id: in_turn(person, clients) for person in (jane, john)}

    responses = await asyncio.gather(
        *[
            next(turns[person.id]).send_money(source, target, 1)
            for _ in range(20)
            for person, source, target in routes
        ]
    )

    assert set(outcomes(responses)) <= {201, 402}
    total = 0.0
    for person in (jane, john):
        listed = (await person.get("/accounts")).json()["accounts"]
        total += sum(account["balance"] for account in listed)
    assert total == 2000
    assert [result.rule.name async for result in verify_rules(database) if not result.holds] == []


@pytest.mark.promise("S2-accounts")
async def test_one_key_opens_one_account(clients: Clients) -> None:
    jane, key = await People(clients[0]).sign_up(), str(uuid4())
    callers = in_turn(jane, clients)

    responses = await asyncio.gather(
        *[next(callers).send("POST", "/accounts", {"currency": "NGN"}, key=key) for _ in range(30)]
    )

    assert outcomes(responses) == {201: 30}
    assert len({response.content for response in responses}) == 1
    assert len((await jane.get("/accounts")).json()["accounts"]) == 1


@pytest.mark.promise("S2-accounts")
async def test_the_hundredth_account_is_the_last(clients: Clients) -> None:
    jane = await People(clients[0]).with_wallet()
    callers = in_turn(jane, clients)
    await asyncio.gather(*[next(callers).open_account() for _ in range(94)])

    responses = await asyncio.gather(
        *[next(callers).send("POST", "/accounts", {"currency": "NGN"}) for _ in range(20)]
    )

    assert outcomes(responses) == {201: 5, 409: 15}
