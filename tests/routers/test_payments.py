"""Deposits and payouts over HTTP, and what the provider's messages may do."""

import asyncio
from dataclasses import replace
from typing import Any
from uuid import uuid4

import httpx
import pytest

from core.api_keys import Permission
from db.session import Database
from devtools.paystack.app import LocalPaystack
from devtools.paystack.books import NEEDS_OTP, NOT_AN_ACCOUNT
from devtools.paystack.webhooks import sign
from tests.api_keys import made_key
from tests.conftest import serving, settings_for
from tests.paystack import SECRET, WEBHOOK, Trouble, deliver, event
from tests.people import People, Person

BANK = {"bank_code": "058", "account_number": "0123456789"}


@pytest.fixture
def people(shop: httpx.AsyncClient) -> People:
    return People(shop)


async def begin(person: Person, amount: object = 700, *, key: str | None = None) -> str:
    response = await person.send("POST", "/wallet/deposit", {"amount": amount}, key=key)
    assert response.status_code == 201, response.text
    return str(response.json()["reference"])


async def withdraw(
    person: Person, amount: object = 10, *, key: str | None = None, **bank: str
) -> httpx.Response:
    body = {"amount": amount, **BANK, **bank}
    return await person.send("POST", "/wallet/withdraw", body, key=key)


async def status_of(person: Person, reference: str, kind: str = "deposit") -> dict[str, Any]:
    response = await person.get(f"/wallet/{kind}/{reference}/status")
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found


def charge(provider: LocalPaystack, reference: str, **changes: object) -> bytes:
    """Return the message that a charge succeeded."""
    return event("charge.success", provider.books.charges[reference].shown() | changes)


@pytest.mark.promise("S3-deposit")
async def test_a_deposit_is_paid_and_credited_once(
    people: People, shop: httpx.AsyncClient, provider: LocalPaystack
) -> None:
    person = await people.with_wallet(0)
    response = await person.send("POST", "/wallet/deposit", {"amount": 700.5})
    assert response.status_code == 201
    begun = response.json()
    assert begun.keys() == {"reference", "authorization_url", "access_code"}
    reference = begun["reference"]
    assert provider.books.charges[reference].amount == 70_050
    async with httpx.AsyncClient() as browser:
        page = await browser.get(begun["authorization_url"])
    assert "700.50" in page.text
    told = await status_of(person, reference)
    assert (told["state"], told["status"], told["amount"]) == ("PROCESSING", "pending", 700.5)

    provider.pay(reference)
    # Looking at it credits nothing.
    await status_of(person, reference)
    assert await person.balance() == 0
    body = charge(provider, reference)
    answers = await asyncio.gather(*(deliver(shop, body) for _ in range(100)))

    assert {(answer.status_code, answer.text) for answer in answers} == {(200, '{"status":true}')}
    assert await person.balance() == 700.5
    told = await status_of(person, reference)
    assert (told["state"], told["status"]) == ("SUCCESS", "success")
    entries = await person.get(f"/transaction/{told['transaction_id']}/ledger")
    assert [(line["entry_type"], line["wallet_id"]) for line in entries.json()] == [
        ("DEBIT", None),
        ("CREDIT", person.wallet_id),
    ]


@pytest.mark.promise("S3-signed")
async def test_what_is_not_signed_is_not_heard(
    people: People, shop: httpx.AsyncClient, provider: LocalPaystack
) -> None:
    person = await people.with_wallet(0)
    reference = await begin(person)
    provider.pay(reference)
    body = charge(provider, reference)
    provider.books.calls.clear()

    for answer in (
        await deliver(shop, body, signature=""),
        await deliver(shop, body, signature="0" * 128),
        await deliver(shop, body, secret="sk_test_of_somebody_else"),
        await deliver(shop, body, secret=""),
        await deliver(shop, body + b" ", signature=sign(body, SECRET)),
        await deliver(shop, b"not json", signature="0" * 128),
        await shop.post(WEBHOOK, content=body),
    ):
        assert (answer.status_code, answer.json()["code"]) == (401, "signature_invalid")
    signed = ("x-paystack-signature", sign(body, SECRET))
    twice = await shop.post(WEBHOOK, content=body, headers=[signed, signed])
    assert twice.status_code == 401

    assert await person.balance() == 0
    assert provider.books.calls == []
    malformed = await deliver(shop, b"not json")
    assert (malformed.status_code, malformed.json()["code"]) == (400, "invalid_json")
    too_large = await deliver(shop, b" " * (64 * 1024 + 1))
    assert too_large.status_code == 413


@pytest.mark.promise("S3-amount")
async def test_what_a_message_says_of_amounts_is_not_believed(
    people: People, shop: httpx.AsyncClient, provider: LocalPaystack
) -> None:
    person = await people.with_wallet(0)
    reference = await begin(person, 10)
    # Rightly signed and yet not true: it was not paid.
    lie = charge(provider, reference, status="success", amount=99_999_900, currency="USD")
    assert (await deliver(shop, lie)).status_code == 200
    assert await person.balance() == 0

    provider.pay(reference)
    assert (await deliver(shop, lie)).status_code == 200
    assert await person.balance() == 10


@pytest.mark.promise("S3-amount")
@pytest.mark.parametrize("change", [{"amount": 1}, {"amount": 100_000}, {"currency": "GHS"}])
async def test_a_payment_of_another_amount_or_currency_is_not_credited(
    people: People, shop: httpx.AsyncClient, provider: LocalPaystack, change: dict[str, Any]
) -> None:
    person = await people.with_wallet(0)
    reference = await begin(person)
    asked = provider.books.charges[reference]
    provider.books.charges[reference] = replace(asked, **change)
    provider.pay(reference)

    for _ in range(3):
        assert (await deliver(shop, charge(provider, reference))).status_code == 200

    assert await person.balance() == 0
    told = await status_of(person, reference)
    assert (told["state"], told["failure_code"]) == ("FAILED", "amount_mismatch")


@pytest.mark.promise("S3-once")
async def test_messages_about_what_is_not_ours_change_nothing(
    shop: httpx.AsyncClient, provider: LocalPaystack
) -> None:
    provider.books.calls.clear()
    for body in (
        event("charge.success", {"reference": f"dep-{uuid4().hex}", "amount": 100}),
        event("charge.success", {"reference": "another shop's", "amount": 100}),
        event("subscription.create", {}),
    ):
        assert (await deliver(shop, body)).status_code == 200
    assert provider.books.calls == []


@pytest.mark.promise("S3-once")
async def test_a_failure_on_our_side_asks_for_the_message_again(
    people: People, shop: httpx.AsyncClient, provider: LocalPaystack, trouble: Trouble
) -> None:
    person = await people.with_wallet(0)
    reference = await begin(person)
    provider.pay(reference)
    trouble.down()
    answer = await deliver(shop, charge(provider, reference))
    assert answer.status_code == 503
    assert answer.headers["retry-after"]
    trouble.answers.clear()
    assert (await deliver(shop, charge(provider, reference))).status_code == 200
    assert await person.balance() == 700


@pytest.mark.promise("S3-deposit")
async def test_a_repeated_deposit_is_the_same_one(
    people: People, provider: LocalPaystack, trouble: Trouble
) -> None:
    person = await people.with_wallet(0)
    key = str(uuid4())
    body = {"amount": 5}
    trouble.down()
    away = await person.send("POST", "/wallet/deposit", body, key=key)
    assert (away.status_code, away.json()["code"]) == (503, "provider_unavailable")
    assert away.headers["retry-after"]
    trouble.answers.clear()

    first = await person.send("POST", "/wallet/deposit", body, key=key)
    again = await person.send("POST", "/wallet/deposit", body, key=key)

    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json() == again.json()
    assert again.headers["idempotency-replayed"] == "true"
    assert len(await person.history()) == 1
    other = await person.send("POST", "/wallet/deposit", {"amount": 6}, key=key)
    assert other.json()["code"] == "idempotency_key_reused"


@pytest.mark.promise("S3-payout")
async def test_a_payout_leaves_at_once_arrives_or_is_back(
    people: People, shop: httpx.AsyncClient, provider: LocalPaystack
) -> None:
    person = await people.with_wallet(100)
    key, before = str(uuid4()), len(provider.books.transfers)
    response = await withdraw(person, 40, key=key)
    assert response.status_code == 201
    begun = response.json()
    assert (begun["state"], begun["provider_status"], begun["amount"]) == (
        "PROCESSING",
        "pending",
        40,
    )
    assert await person.balance() == 60

    provider.end(begun["reference"], "failed")
    body = event("transfer.failed", provider.books.transfers[begun["reference"]].shown())
    for answer in await asyncio.gather(*(deliver(shop, body) for _ in range(20))):
        assert answer.status_code == 200
    assert await person.balance() == 100

    again = await withdraw(person, 40, key=key)
    assert (again.status_code, again.json()["state"]) == (201, "FAILED")
    assert len(provider.books.transfers) == before + 1
    assert await person.balance() == 100
    assert (await status_of(person, begun["reference"], "withdraw")) == again.json()


@pytest.mark.promise("S3-payout")
async def test_payouts_that_cannot_begin(people: People, provider: LocalPaystack) -> None:
    person = await people.with_wallet(10)
    before = len(provider.books.transfers)
    for response, status, code in (
        (await withdraw(person, 11), 402, "insufficient_funds"),
        (await withdraw(person, account_number=NOT_AN_ACCOUNT), 422, "bank_account_not_found"),
        (await withdraw(person, bank_code="../1"), 422, "invalid_request"),
        (await withdraw(person, account_number="12x45"), 422, "invalid_request"),
        (await withdraw(person, 0), 422, "invalid_request"),
        (await withdraw(person, "0.001"), 422, "invalid_request"),
    ):
        assert (response.status_code, response.json()["code"]) == (status, code)
    assert await person.balance() == 10
    assert len(provider.books.transfers) == before
    yen = await people.with_wallet(1000, "JPY")
    for response in (
        await withdraw(yen),
        await yen.send("POST", "/wallet/deposit", {"amount": 1}),
    ):
        assert (response.status_code, response.json()["code"]) == (422, "currency_not_supported")
    nobody = await people.sign_up()
    assert (await withdraw(nobody)).json()["code"] == "wallet_not_found"


@pytest.mark.promise("S3-payout")
async def test_a_payout_while_the_provider_is_away_is_kept_for_the_worker(
    people: People, trouble: Trouble
) -> None:
    person = await people.with_wallet(100)
    trouble.down()
    response = await withdraw(person, 40)
    assert (response.status_code, response.json()["state"]) == (201, "PROCESSING")
    assert await person.balance() == 60


@pytest.mark.promise("S3-otp")
async def test_an_otp_is_shown(people: People) -> None:
    person = await people.with_wallet(100)
    response = await withdraw(person, 40, account_number=NEEDS_OTP)
    assert (response.json()["state"], response.json()["provider_status"]) == ("PROCESSING", "otp")


@pytest.mark.promise("S3-deposit", "S3-payout")
async def test_payments_are_seen_by_their_owner_alone(people: People) -> None:
    person, other = await people.with_wallet(100), await people.with_wallet(100)
    deposit = await begin(person)
    payout = (await withdraw(person)).json()["reference"]
    for kind, reference in (("deposit", deposit), ("withdraw", payout)):
        path = f"/wallet/{kind}/{reference}/status"
        assert (await person.get(path)).status_code == 200
        assert (await other.get(path)).json()["code"] == "payment_not_found"
    # Neither is the other kind.
    assert (await person.get(f"/wallet/withdraw/{deposit}/status")).status_code == 404
    assert (await person.get("/wallet/deposit/nothing/status")).status_code == 422


async def test_banks_and_accounts(people: People) -> None:
    person = await people.sign_up()
    banks = (await person.get("/banks", currency="NGN")).json()["banks"]
    assert {"name": "Guaranty Test Bank", "code": "058"} in banks
    assert (await person.get("/banks", currency="JPY")).status_code == 422
    account = await person.get("/banks/resolve", **BANK)
    assert account.json() == {**BANK, "account_name": "JANE TEST DOE"}
    unknown = await person.get("/banks/resolve", **(BANK | {"account_number": NOT_AN_ACCOUNT}))
    assert unknown.json()["code"] == "bank_account_not_found"


async def test_services_with_a_key_of_the_right_permission(
    people: People, shop: httpx.AsyncClient, database: Database
) -> None:
    person = await people.with_wallet(100)
    deposits, transfers = [
        {"x-api-key": (await made_key(database, owner_id=person.id, permission=permission)).text}
        for permission in (Permission.DEPOSIT, Permission.TRANSFER)
    ]
    paths = {"/wallet/deposit": {"amount": 1}, "/wallet/withdraw": {"amount": 1, **BANK}}
    for path, body in paths.items():
        right, wrong = (deposits, transfers) if "deposit" in path else (transfers, deposits)
        assert (await shop.post(path, json=body, headers=right)).status_code == 201
        assert (await shop.post(path, json=body, headers=wrong)).status_code == 403
    assert await person.balance() == 99


@pytest.mark.promise("S3-signed")
async def test_without_a_provider_nothing_is_begun_and_nobody_is_believed(
    client: httpx.AsyncClient,
) -> None:
    person = await People(client).with_wallet(100)
    begun = await person.send("POST", "/wallet/deposit", {"amount": 1})
    assert (begun.status_code, begun.json()["code"]) == (503, "payments_not_configured")
    for secret in ("", SECRET):
        body = event("charge.success", {"reference": f"dep-{uuid4().hex}"})
        assert (await deliver(client, body, secret=secret)).status_code == 503
    assert await person.history(type="deposit", limit=1) != []


@pytest.mark.promise("S3-signed")
async def test_a_webhook_secret_of_its_own(
    database_url: str, redis_url: str, provider: LocalPaystack
) -> None:
    settings = settings_for(
        database_url,
        redis_url=redis_url,
        paystack_secret_key=SECRET,
        paystack_webhook_secret="another secret",
        paystack_base_url=provider.base_url,
    )
    body = event("charge.success", {"reference": f"dep-{uuid4().hex}"})
    async with serving(settings) as client:
        assert (await deliver(client, body, secret="another secret")).status_code == 200
        assert (await deliver(client, body)).status_code == 401


@pytest.mark.promise("S3-secret")
async def test_the_secret_is_in_no_document(shop: httpx.AsyncClient, people: People) -> None:
    person = await people.with_wallet(0)
    assert SECRET not in (await shop.get("/openapi.json")).text
    assert SECRET not in (await person.send("POST", "/wallet/deposit", {"amount": 1})).text
    assert SECRET not in (await shop.get("/readyz")).text
    assert SECRET not in repr(settings_for("sqlite:///x.db", paystack_secret_key=SECRET))
