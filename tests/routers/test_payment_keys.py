"""Keys of payments over HTTP: those of the house's, and repeated requests."""

from uuid import uuid4

import httpx
import pytest
from starlette.responses import JSONResponse

from core.commands import Answer, Attempt
from core.payment_ends import key_of
from core.poster import Poster
from core.verification import verify_rules
from db.session import Database
from devtools.paystack.app import LocalPaystack
from tests.api_keys import made_key
from tests.conftest import serving, settings_for
from tests.paystack import SECRET, Trouble, deliver, event
from tests.people import People
from tests.routers.test_payments import begin, charge, people, status_of, withdraw
from tests.services import Service, somebody

__all__ = ("people",)


@pytest.mark.promise("S3-once")
async def test_a_service_cannot_take_the_key_that_ends_a_payment(
    people: People, shop: httpx.AsyncClient, database: Database, provider: LocalPaystack
) -> None:
    person = await people.with_wallet(0)
    reference = await begin(person)
    service = Service(shop, (await made_key(database)).text)
    for what in ("end", "reverse", "credit"):
        key = key_of(reference, what)
        taken = [
            await service.move("top-up", somebody(), 1, header_key=key),
            await service.move("top-up", somebody(), 1, key=key),
        ]
        assert [answer.status_code for answer in taken] == [400, 422]

    provider.pay(reference)
    assert (await deliver(shop, charge(provider, reference))).status_code == 200

    assert (await status_of(person, reference))["state"] == "SUCCESS"
    assert await person.balance() == 700
    assert [item.rule.name async for item in verify_rules(database) if not item.holds] == []


@pytest.mark.promise("S3-payout")
async def test_a_repeated_payout_is_answered_whatever_has_changed(
    people: People, shop: httpx.AsyncClient, provider: LocalPaystack, trouble: Trouble
) -> None:
    person = await people.with_wallet(40)
    key, refused_key = str(uuid4()), str(uuid4())
    refused = await withdraw(person, 41, key=refused_key)
    first = await withdraw(person, 40, key=key)
    assert (refused.status_code, first.status_code) == (402, 201)
    trouble.answers["/bank/resolve"] = JSONResponse(
        {"status": False, "message": "Could not resolve account name"}, 422
    )
    again = await withdraw(person, 40, key=key)
    assert (again.status_code, again.json()) == (201, first.json())

    reference = first.json()["reference"]
    provider.end(reference, "success")
    await deliver(shop, event("transfer.success", provider.books.transfers[reference].shown()))
    assert (await person.send("DELETE", "/wallet")).status_code == 200
    again = await withdraw(person, 40, key=key)
    assert (again.status_code, again.json()["state"]) == (201, "SUCCESS")
    assert again.headers["idempotency-replayed"] == "true"
    again = await withdraw(person, 41, key=refused_key)
    assert (again.status_code, again.json()["code"]) == (402, "insufficient_funds")
    # What is asked for the first time is told what is so now, and so is another request.
    assert (await withdraw(person, 40)).json()["code"] == "wallet_not_found"
    assert (await withdraw(person, 39, key=key)).json()["code"] == "idempotency_key_reused"


@pytest.mark.promise("S3-deposit")
async def test_a_repeated_deposit_is_answered_whatever_has_changed(
    people: People, shop: httpx.AsyncClient, provider: LocalPaystack
) -> None:
    person = await people.with_wallet(0)
    paid_key, failed_key = str(uuid4()), str(uuid4())
    body = {"amount": 5}
    paid, failed = [
        await person.send("POST", "/wallet/deposit", body, key=key)
        for key in (paid_key, failed_key)
    ]
    provider.pay(paid.json()["reference"])
    await deliver(shop, charge(provider, paid.json()["reference"]))
    provider.pay(failed.json()["reference"], "failed")
    await deliver(
        shop, event("charge.failed", provider.books.charges[failed.json()["reference"]].shown())
    )
    await person.withdraw(5)
    assert (await person.send("DELETE", "/wallet")).status_code == 200

    again = await person.send("POST", "/wallet/deposit", body, key=paid_key)
    assert (again.status_code, again.json()) == (201, paid.json())
    again = await person.send("POST", "/wallet/deposit", body, key=failed_key)
    assert (again.status_code, again.json()["code"]) == (409, "deposit_ended")


@pytest.mark.promise("S3-deposit", "S3-payout")
async def test_who_did_not_hear_of_their_own_commit_goes_on(
    people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = await people.with_wallet(40)
    post = Poster.post

    async def post_and_find_again(poster: Poster, attempt: Attempt) -> Answer:
        """As the poster does when a COMMIT lost its connection: the second try finds the key."""
        await post(poster, attempt)
        return await post(poster, attempt)

    monkeypatch.setattr(Poster, "post", post_and_find_again)
    begun = await person.send("POST", "/wallet/deposit", {"amount": 5}, key=str(uuid4()))
    assert begun.status_code == 201, begun.text
    assert "idempotency-replayed" not in begun.headers
    paid_out = await withdraw(person, 5)
    assert paid_out.json()["provider_status"] == "pending"


async def test_banks_are_asked_for_once_and_counted(
    database_url: str, redis_url: str, provider: LocalPaystack
) -> None:
    settings = settings_for(
        database_url,
        redis_url=redis_url,
        paystack_secret_key=SECRET,
        paystack_base_url=provider.base_url,
        rate_limit_enabled=True,
        rate_limit_transactions_per_user="3/minute",
    )
    async with serving(settings) as client:
        person = await People(client).sign_up()
        provider.books.calls.clear()
        answers = [await person.get("/banks", currency="NGN") for _ in range(5)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429]
    assert provider.books.calls == ["/bank"]
