"""A person's wallet by one of their keys: what the person could do, as far as it is permitted."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import httpx
import pytest

from core.wallets import set_frozen
from db.session import Database
from tests.api_keys import own_key
from tests.conftest import serving, settings_for
from tests.people import People, Person
from tests.services import Service

TRANSFER = "/wallet/transfer"


def refusal(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, response.json()["code"]


async def service_of(person: Person, *permissions: str) -> Service:
    """Return a service that has a key of the person's, with all permissions unless told so."""
    made = await own_key(person, *(permissions or ("read", "deposit", "transfer")))
    return Service(person.client, made["api_key"])


async def send_to(
    service: Service, recipient: Person, amount: object, key: str | None = None
) -> httpx.Response:
    body = {"recipient_wallet_number": await recipient.wallet_number(), "amount": amount}
    return await service.post(TRANSFER, body, header_key=key)


@pytest.mark.promise("S3-balance")
async def test_the_balance_is_told_to_its_owner_and_to_a_key_that_may_read(people: People) -> None:
    person = await people.with_wallet(700.5)
    await person.open_account("USD")
    expected = {
        "balance": 700.5,
        "currency": "NGN",
        "wallet_number": await person.wallet_number(),
    }

    assert (await person.get("/wallet/balance")).json() == expected
    service = await service_of(person, "read")
    assert (await service.get("/wallet/balance")).json() == expected


@pytest.mark.promise("S3-transfer")
@pytest.mark.parametrize("name", ["recipient_wallet_number", "wallet_number"])
async def test_a_transfer_by_either_name_of_the_recipient(people: People, name: str) -> None:
    sender, receiver = await people.with_wallet(100), await people.with_wallet(0)
    number = await receiver.wallet_number()

    response = await (await service_of(sender, "transfer")).post(
        TRANSFER, {name: number, "amount": "30.50"}
    )

    assert response.status_code == 200, response.text
    answer = response.json()
    transaction_id = (await sender.history())[0]["id"]
    assert answer == {
        "transaction_id": f"txn_{transaction_id}",
        "status": "success",
        "amount": 30.5,
        "recipient_wallet": number,
    }
    assert (await sender.balance(), await receiver.balance()) == (69.5, 30.5)
    ledger = (await sender.get(f"/transaction/{transaction_id}/ledger")).json()
    assert [(line["entry_type"], line["amount"]) for line in ledger] == [
        ("DEBIT", 30.5),
        ("CREDIT", 30.5),
    ]
    by_person = await sender.send("POST", TRANSFER, {name: number, "amount": 9.5})
    assert by_person.status_code == 200
    assert await sender.balance() == 60


@pytest.mark.promise("S3-transfer")
async def test_a_transfer_is_refused_as_any_other_is(people: People, database: Database) -> None:
    sender, receiver = await people.with_wallet(100), await people.with_wallet(0)
    foreign, none = await people.with_wallet(0, "USD"), await people.sign_up()
    service = await service_of(sender)

    assert refusal(await send_to(service, receiver, 100.01)) == (402, "insufficient_funds")
    assert refusal(await send_to(service, sender, 1)) == (422, "self_transfer")
    assert refusal(await send_to(service, foreign, 1)) == (422, "currency_mismatch")
    unknown = {"wallet_number": "530172648913", "amount": 1}
    assert refusal(await service.post(TRANSFER, unknown)) == (404, "recipient_not_found")
    by_none = await service_of(none)
    assert refusal(await send_to(by_none, receiver, 1)) == (404, "wallet_not_found")
    states = [line["state"] for line in await sender.history()]
    assert states == ["FAILED"] * 4 + ["SUCCESS"]
    assert (await sender.balance(), await receiver.balance()) == (100, 0)


@pytest.mark.promise("S3-transfer", "S3-key-standing")
async def test_a_key_can_do_no_more_than_its_owner(people: People, database: Database) -> None:
    sender, receiver = await people.with_wallet(100), await people.with_wallet(0)
    service = await service_of(sender)
    async with database.transaction() as session:
        await set_frozen(session, await sender.wallet_number(), frozen=True)
    assert refusal(await send_to(service, receiver, 1)) == (409, "wallet_frozen")
    async with database.transaction() as session:
        await set_frozen(session, await sender.wallet_number(), frozen=False)

    assert (await send_to(service, receiver, 100)).status_code == 200
    number = await receiver.wallet_number()
    assert (await sender.send("DELETE", "/wallet")).status_code == 200
    body = {"wallet_number": number, "amount": 1}
    assert refusal(await service.post(TRANSFER, body)) == (404, "wallet_not_found")
    assert refusal(await service.get("/wallet/balance")) == (404, "wallet_not_found")


@pytest.mark.promise("S3-transfer")
async def test_bad_transfers(people: People) -> None:
    sender, receiver = await people.with_wallet(100), await people.with_wallet(0)
    service, number = await service_of(sender), await receiver.wallet_number()
    wrong: dict[str, dict[str, Any]] = {
        "both names": {"recipient_wallet_number": number, "wallet_number": number},
        "both, one null": {"recipient_wallet_number": None, "wallet_number": number},
        "no name": {},
        "null": {"wallet_number": None},
        "mistyped": {"wallet_number": number[:-1] + str((int(number[-1]) + 1) % 10)},
        "a number": {"wallet_number": int(number)},
        "another field": {"wallet_number": number, "currency": "NGN"},
        "too many decimals": {"wallet_number": number, "amount": 1.001},
        "nothing": {"wallet_number": number, "amount": 0},
        "less": {"wallet_number": number, "amount": -1},
    }
    for name, fields in wrong.items():
        response = await service.post(TRANSFER, {"amount": 1} | fields)
        assert refusal(response) == (422, "invalid_request"), name
    assert await receiver.balance() == 0


@pytest.fixture(scope="module", params=["shared", "none"])
async def either(
    request: pytest.FixtureRequest, database_url: str, redis_url: str
) -> AsyncIterator[httpx.AsyncClient]:
    """The application with Redis, and without."""
    url = redis_url if request.param == "shared" else "redis://127.0.0.1:1"
    async with serving(settings_for(database_url, redis_url=url)) as opened:
        yield opened


@pytest.mark.promise("S3-transfer", "S0-14", "key-scope")
async def test_a_transfer_under_a_key_is_made_once(either: httpx.AsyncClient) -> None:
    people = People(either)
    sender, receiver = await people.with_wallet(100), await people.with_wallet(0)
    one, other = await service_of(sender), await service_of(sender)
    number, key = await receiver.wallet_number(), str(uuid4())
    body = {"recipient_wallet_number": number, "amount": 30}

    first = await one.post(TRANSFER, body, header_key=key)
    assert first.status_code == 200, first.text
    # By the owner's other key or the owner, by the other name, however the amount is written.
    same = {"amount": "30.00", "wallet_number": number}
    for again in (
        await other.post(TRANSFER, same, header_key=key),
        await sender.send("POST", TRANSFER, body, key=key),
    ):
        assert again.content == first.content
        assert again.headers["idempotency-replayed"] == "true"
    changed = await one.post(TRANSFER, body | {"amount": 31}, header_key=key)
    assert refusal(changed) == (422, "idempotency_key_reused")
    assert (await sender.balance(), await receiver.balance()) == (70, 30)

    # Also when the wallet is no more, or another one holds what the amount is not of.
    await sender.withdraw(70)
    assert (await sender.send("DELETE", "/wallet")).status_code == 200
    assert (await one.post(TRANSFER, body, header_key=key)).content == first.content
    assert refusal(await one.post(TRANSFER, body)) == (404, "wallet_not_found")
    assert refusal(await one.post(TRANSFER, body | {"amount": 31}, header_key=key)) == (
        422,
        "idempotency_key_reused",
    )
    await sender.send("POST", "/wallet", {"currency": "JPY"})
    assert (await one.post(TRANSFER, body, header_key=key)).content == first.content


@pytest.mark.promise("S3-transactions")
async def test_transactions_are_those_of_the_wallet(
    people: People,
) -> None:
    person, other = await people.with_wallet(100), await people.with_wallet(0)
    savings = await person.open_account()
    await person.transfer(other.wallet_id, 10)
    await person.send_money(await person.wallet_number(), savings, 20)
    # Between further accounts: the wallet has no part in it.
    third = await person.open_account()
    await person.send_money(savings, third, 5)
    await person.withdraw(1000)
    service = await service_of(person, "read")

    listed = (await service.get("/wallet/transactions", limit=100)).json()
    history = await person.history()

    assert [line["amount"] for line in history] == [1000, 5, 20, 10, 100]
    assert listed == {
        "transactions": [line for line in history if line["amount"] != 5],
        "limit": 100,
        "offset": 0,
        "next_cursor": None,
    }
    assert (await person.get("/wallet/transactions", limit=100)).json() == listed
    page = (await service.get("/wallet/transactions", limit=2)).json()
    rest = await service.get("/wallet/transactions", limit=2, cursor=page["next_cursor"])
    assert page["transactions"] + rest.json()["transactions"] == listed["transactions"]
    deposits = (await service.get("/wallet/transactions", type="deposit")).json()
    assert [line["amount"] for line in deposits["transactions"]] == [100]


@pytest.mark.promise("S3-key-standing")
async def test_keys_do_not_multiply_what_a_person_may_do(database_url: str, redis_url: str) -> None:
    limits = {"rate_limit_enabled": True, "rate_limit_transactions_per_user": "6/minute"}
    async with serving(settings_for(database_url, redis_url=redis_url, **limits)) as client:
        people = People(client)
        # Opening the wallet and making two keys count.
        sender, receiver = await people.with_wallet(100), await people.with_wallet(0)
        services = [await service_of(sender, "transfer") for _ in range(2)]
        statuses = [(await send_to(services[n % 2], receiver, 1)).status_code for n in range(5)]
        by_person = await sender.deposit(1)

    assert statuses == [200, 200, 200, 429, 429]
    assert by_person.status_code == 429
