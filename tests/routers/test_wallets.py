"""Opening, looking at and closing a wallet."""

import asyncio
import re

import httpx
import pytest

from core.wallet_numbers import luhn_check_digit
from tests.conftest import serving, settings_for
from tests.people import People

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")


@pytest.mark.promise("wallet-open", "S0-15", "times-utc")
async def test_opening_a_wallet_with_a_balance_posts_it(people: People) -> None:
    person = await people.sign_up("Jane", "Doe")

    response = await person.send("POST", "/wallet", {"balance": 1000.5, "currency": "NGN"})

    assert response.status_code == 201
    wallet = response.json()
    assert set(wallet) == {"id", "user_id", "wallet_number", "balance", "currency", "created_at"}
    assert (wallet["user_id"], wallet["balance"], wallet["currency"]) == (person.id, 1000.5, "NGN")
    assert TIME.fullmatch(wallet["created_at"])
    number = wallet["wallet_number"]
    assert len(number) == 12
    assert number[-1] == luhn_check_digit(number[:-1])
    [opening] = await person.history()
    assert (opening["type"], opening["amount"], opening["state"]) == ("deposit", 1000.5, "SUCCESS")
    entries = (await person.get(f"/transaction/{opening['id']}/ledger")).json()
    assert [(entry["entry_type"], entry["wallet_id"]) for entry in entries] == [
        ("DEBIT", None),
        ("CREDIT", wallet["id"]),
    ]


@pytest.mark.promise("wallet-open")
async def test_an_empty_wallet_has_no_history(people: People) -> None:
    person = await people.with_wallet()

    assert await person.balance() == 0
    assert await person.history() == []


@pytest.mark.promise("wallet-open")
async def test_a_person_opens_one_wallet_even_at_once(people: People) -> None:
    person = await people.sign_up()
    responses = await asyncio.gather(
        *[person.send("POST", "/wallet", {"balance": 10, "currency": "NGN"}) for _ in range(20)]
    )

    assert sorted(response.status_code for response in responses) == [201] + [409] * 19
    codes = {response.json()["code"] for response in responses if response.status_code == 409}
    assert codes == {"wallet_exists"}
    assert await person.balance() == 10


@pytest.mark.promise("wallet-read")
async def test_the_owner_sees_their_wallet(people: People) -> None:
    person = await people.sign_up("Jane", "Doe")
    opened = (await person.send("POST", "/wallet", {"currency": "KWD", "balance": "1.234"})).json()

    seen = (await person.get("/wallet")).json()

    assert seen["full name"] == "Jane Doe"
    assert TIME.fullmatch(seen["updated_at"])
    assert opened.items() <= seen.items()
    assert set(seen) == {*opened, "updated_at", "full name"}


@pytest.mark.promise("wallet-read", "refusals")
async def test_without_a_wallet_there_is_nothing_to_see_or_move(people: People) -> None:
    person = await people.sign_up()
    responses = [
        await person.get("/wallet"),
        await person.send("DELETE", "/wallet"),
        await person.deposit(1),
        await person.withdraw(1),
        await person.transfer(1, 1),
    ]

    assert [response.status_code for response in responses] == [404] * 5
    assert {response.json()["code"] for response in responses} == {"wallet_not_found"}


@pytest.mark.promise("wallet-close")
async def test_closing_keeps_history_and_makes_room_for_another(people: People) -> None:
    person, other = await people.with_wallet(50), await people.with_wallet(0)
    refused = await person.send("DELETE", "/wallet")
    assert (refused.status_code, refused.json()["code"]) == (409, "wallet_not_empty")
    sent = (await person.transfer(other.wallet_id, 50)).json()

    closed = await person.send("DELETE", "/wallet")

    assert closed.status_code == 200
    assert closed.json() == {"message": "wallet belonging to Jane Doe deleted successfully"}
    assert (await person.get("/wallet")).status_code == 404
    assert (await other.transfer(person.wallet_id, 1)).json()["code"] == "recipient_not_found"
    assert len(await person.history()) == 2
    ledger = await person.get(f"/transaction/{sent['transaction_id']}/ledger")
    assert len(ledger.json()) == 2

    again = await person.send("POST", "/wallet", {"currency": "USD", "balance": 7})
    assert again.status_code == 201
    assert again.json()["id"] > person.wallet_id
    assert len(await person.history()) == 3


@pytest.mark.promise("wallet-close")
async def test_a_wallet_is_closed_once(people: People) -> None:
    person = await people.with_wallet()
    responses = await asyncio.gather(*[person.send("DELETE", "/wallet") for _ in range(10)])

    assert sorted(response.status_code for response in responses) == [200] + [404] * 9


@pytest.mark.promise("wallet-close")
async def test_closing_and_paying_in_never_lose_money(people: People) -> None:
    rich = await people.with_wallet(100)
    for _ in range(5):
        person = await people.with_wallet()
        closed, paid = await asyncio.gather(
            person.send("DELETE", "/wallet"), rich.transfer(person.wallet_id, 1)
        )
        assert (closed.status_code, paid.status_code) in {(200, 404), (409, 200)}


@pytest.mark.promise("direct-funding")
async def test_production_makes_no_money_unless_told_to(
    database_url: str, redis_url: str, people: People
) -> None:
    production = {"environment": "production", "redis_url": redis_url}
    person, owner = await people.sign_up(), await people.with_wallet()
    async with serving(settings_for(database_url, **production)) as strict:
        opened = await strict.post(
            "/wallet", json={"balance": 5, "currency": "NGN"}, headers=person.headers
        )
        paid = await _deposit(strict, owner.headers)
        assert [opened.status_code, paid.status_code] == [403, 403]
        assert {opened.json()["code"], paid.json()["code"]} == {"direct_funding_disabled"}
        empty = await strict.post("/wallet", json={"currency": "NGN"}, headers=person.headers)
        assert empty.status_code == 201
    allowed = settings_for(database_url, allow_direct_funding=True, **production)
    async with serving(allowed) as generous:
        assert (await _deposit(generous, owner.headers)).status_code == 200
    assert await owner.balance() == 5


async def _deposit(client: httpx.AsyncClient, headers: dict[str, str]) -> httpx.Response:
    return await client.patch(
        "/transaction/deposit",
        json={"amount": 5, "currency": "NGN"},
        headers=headers | {"X-Idempotency-Key": "direct-funding"},
    )
