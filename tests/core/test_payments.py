"""Payments by a provider: each ends once, whatever is heard how often and in which order."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from core import payment_attention, payment_rows, payments, wallets
from core.commands import CloseWallet, Primary, StartPayment
from core.errors import IdempotencyInFlight
from core.payment_commands import BankAccount
from core.payment_errors import DepositEnded, ProviderUnavailable
from core.payment_rows import new_reference
from devtools.paystack.books import NEEDS_OTP, REFUSED
from integrations.paystack import Paystack
from tests.attempts import attempt
from tests.payment_desk import BANK, TEN, Desk
from tests.paystack import SECRET
from tests.people import People


@pytest.mark.promise("S3-deposit")
async def test_a_deposit_waits_without_money_and_is_credited_once(
    desk: Desk, people: People
) -> None:
    person = await people.with_wallet(0)
    reference = await desk.deposit(person)

    assert await person.balance() == 0
    [line] = await person.history()
    assert (line["type"], line["state"]) == ("deposit", "PROCESSING")
    await desk.hear(reference, "success")
    assert await desk.states(reference) == ("PROCESSING", None, None)

    desk.provider.pay(reference)
    await desk.hear(reference, "success", times=100)

    assert await person.balance() == 10
    [line] = await person.history()
    assert (line["type"], line["state"], line["sender"]) == (
        "deposit",
        "SUCCESS",
        "External Source",
    )
    await desk.prove()


@pytest.mark.promise("S3-amount")
@pytest.mark.parametrize("change", [{"amount": 1001}, {"amount": 999}, {"currency": "USD"}])
async def test_what_was_not_asked_for_is_not_credited(
    desk: Desk, people: People, change: dict[str, Any]
) -> None:
    person = await people.with_wallet(0)
    reference = await desk.deposit(person)
    vars(desk.provider.books.charges[reference]).update(change)
    desk.provider.pay(reference)

    await desk.hear(reference, "success", times=3)

    assert await person.balance() == 0
    assert await desk.states(reference) == ("FAILED", "amount_mismatch", "amount_mismatch")
    await desk.prove()


@pytest.mark.promise("S3-once")
async def test_success_after_failure_changes_nothing_and_is_told_to_an_operator(
    desk: Desk, people: People
) -> None:
    person = await people.with_wallet(0)
    reference = await desk.deposit(person)
    desk.provider.pay(reference, "failed")
    # A card that was declined may be followed by another one, unless we are told that it is over.
    assert (await desk.check(reference)).state == "PROCESSING"
    await desk.hear(reference, "failed")
    assert await desk.states(reference) == ("FAILED", "declined", None)

    desk.provider.pay(reference)
    await desk.hear(reference, "success", times=3)

    assert await desk.states(reference) == ("FAILED", "declined", "success_after_failure")
    assert await person.balance() == 0
    await desk.prove()


@pytest.mark.promise("S3-once")
async def test_a_failure_after_success_takes_nothing_back(desk: Desk, people: People) -> None:
    person = await people.with_wallet(0)
    reference = await desk.deposit(person)
    desk.provider.pay(reference)
    await desk.hear(reference, "success")
    desk.provider.pay(reference, "failed")
    await desk.hear(reference, "failed")
    assert await desk.states(reference) == ("SUCCESS", None, None)
    desk.provider.pay(reference, "reversed")
    await desk.hear(reference, "reversed")
    assert await desk.states(reference) == ("SUCCESS", None, "deposit_reversed")
    assert await person.balance() == 10
    await desk.prove()


@pytest.mark.promise("S3-payout")
async def test_a_payout_leaves_at_once_and_arrives(desk: Desk, people: People) -> None:
    person = await people.with_wallet(25)
    before = await desk.in_transit()
    reference = await desk.pay_out(person)

    assert await person.balance() == 15
    assert await desk.in_transit() == before + 1000
    newest = (await person.history())[0]
    assert (newest["type"], newest["state"]) == ("payout", "PROCESSING")
    await desk.prove()

    desk.provider.end(reference, "success")
    await desk.hear(reference, "success", times=20)

    assert await person.balance() == 15
    assert await desk.in_transit() == before
    assert (await person.history())[0]["state"] == "SUCCESS"
    await desk.prove()


@pytest.mark.promise("S3-payout-back")
@pytest.mark.parametrize("word", ["failed", "reversed", "abandoned", "blocked", "rejected"])
async def test_a_payout_that_fails_is_back_once(desk: Desk, people: People, word: str) -> None:
    person = await people.with_wallet(25)
    before = await desk.in_transit()
    reference = await desk.pay_out(person)
    desk.provider.end(reference, word)

    await desk.hear(reference, "failed", times=20)

    assert await person.balance() == 25
    assert await desk.in_transit() == before
    assert (await desk.view(reference)).state == "FAILED"
    lines = await person.history(limit=2)
    assert [(line["type"], line["state"]) for line in lines] == [
        ("payout_returned", "SUCCESS"),
        ("payout", "FAILED"),
    ]
    # A success that arrives late, or in the wrong order, pays nothing out again.
    desk.provider.end(reference, "success")
    await desk.hear(reference, "success", times=3)
    assert await person.balance() == 25
    assert (await desk.view(reference)).attention == "success_after_failure"
    await desk.prove()


@pytest.mark.promise("S3-payout-back")
async def test_what_comes_back_after_it_arrived_is_back_once(desk: Desk, people: People) -> None:
    person = await people.with_wallet(25)
    before = await desk.in_transit()
    reference = await desk.pay_out(person)
    desk.provider.end(reference, "success")
    await desk.hear(reference, "success")

    desk.provider.end(reference, "reversed")
    await desk.hear(reference, "reversed", times=20)
    await desk.hear(reference, "success", times=3)

    assert await person.balance() == 25
    assert await desk.in_transit() == before
    view = await desk.view(reference)
    assert (view.state, view.is_reversed) == ("SUCCESS", True)
    await desk.prove()


@pytest.mark.promise("S3-payout-back")
async def test_success_and_reversal_at_once(desk: Desk, people: People) -> None:
    person = await people.with_wallet(25)
    reference = await desk.pay_out(person)
    # Each is told by its own message, and both messages find out that it was reversed.
    desk.provider.end(reference, "reversed")
    await asyncio.gather(
        *(desk.hear(reference, claim) for claim in ("success", "reversed") for _ in range(10))
    )
    assert await person.balance() == 25
    await desk.prove()


async def test_who_has_closed_the_wallet_is_found_by_a_person(desk: Desk, people: People) -> None:
    person = await people.with_wallet(10)
    reference = await desk.pay_out(person)
    desk.provider.end(reference, "success")
    await desk.hear(reference, "success")
    assert (await person.send("DELETE", "/wallet")).status_code == 200

    desk.provider.end(reference, "reversed")
    await desk.hear(reference, "reversed")

    assert (await desk.view(reference)).attention == "reversed_without_wallet"
    async with desk.database.reading() as session:
        listed = await payment_attention.list_attention(session, limit=100)
    assert reference in [view.payment.reference for view in listed]
    await desk.prove()


@pytest.mark.promise("S3-payout")
async def test_a_wallet_with_a_payment_under_way_is_not_closed(desk: Desk, people: People) -> None:
    person = await people.with_wallet(10)
    paid_out = await desk.pay_out(person)
    closing = CloseWallet(wallet=Primary(person.id))
    assert (await desk.poster.post(attempt(closing))).body == "payment_under_way"
    response = await person.send("DELETE", "/wallet")
    assert (response.status_code, response.json()["code"]) == (409, "payment_under_way")

    desk.provider.end(paid_out, "success")
    await desk.hear(paid_out, "success")
    paid_in = await desk.deposit(person)
    assert (await person.send("DELETE", "/wallet")).status_code == 409
    desk.provider.pay(paid_in, "failed")
    await desk.hear(paid_in, "failed")

    assert (await person.send("DELETE", "/wallet")).status_code == 200
    await desk.prove()


async def test_a_freeze_holds_up_new_payments_and_not_the_end_of_old_ones(
    desk: Desk, people: People
) -> None:
    person = await people.with_wallet(25)
    deposited, paid_out = await desk.deposit(person), await desk.pay_out(person)
    number = (await person.get("/wallet")).json()["wallet_number"]
    async with desk.database.transaction() as session:
        await wallets.set_frozen(session, number, frozen=True)

    begun = StartPayment(
        kind="deposit", user_id=person.id, reference=new_reference("deposit"), money=TEN
    )
    assert (await desk.poster.post(attempt(begun))).body == "wallet_frozen"
    desk.provider.pay(deposited)
    await desk.hear(deposited, "success")
    desk.provider.end(paid_out, "failed")
    await desk.hear(paid_out, "failed")

    assert await person.balance() == 35
    await desk.prove()


@pytest.mark.promise("S3-otp")
async def test_an_otp_is_told(desk: Desk, people: People) -> None:
    person = await people.with_wallet(25)
    reference = await desk.pay_out(person, BankAccount(bank_code="058", number=NEEDS_OTP))
    view = await desk.check(reference)
    assert (view.state, view.provider_status) == ("PROCESSING", "otp")
    assert await person.balance() == 15
    # Paystack gives up after half an hour.
    desk.provider.end(reference, "abandoned")
    assert (await desk.check(reference)).state == "FAILED"
    assert await person.balance() == 25


@pytest.mark.promise("S3-payout-back")
async def test_a_payout_that_the_provider_refuses_is_back_at_once(
    desk: Desk, people: People
) -> None:
    person = await people.with_wallet(25)
    reference = await desk.pay_out(person, BankAccount(bank_code="058", number=REFUSED))
    assert await desk.states(reference) == ("FAILED", "provider_refused", None)
    assert await person.balance() == 25
    await desk.prove()


@pytest.mark.promise("S3-healed")
async def test_lost_webhooks_are_healed_by_asking(desk: Desk, people: People) -> None:
    person = await people.with_wallet(25)
    deposited, paid_out = await desk.deposit(person), await desk.pay_out(person)
    assert (await desk.check(deposited)).state == "PROCESSING"
    desk.provider.pay(deposited)
    desk.provider.end(paid_out, "failed")

    desk.trouble.down()
    assert (await desk.check(deposited)).state == "PROCESSING"
    with pytest.raises(ProviderUnavailable):
        await desk.hear(deposited, "success")
    desk.trouble.answers.clear()

    assert (await desk.check(deposited)).state == "SUCCESS"
    assert (await desk.check(paid_out)).state == "FAILED"
    assert await person.balance() == 35
    await desk.prove()


@pytest.mark.promise("S3-healed")
async def test_what_is_due_is_borrowed_once_and_put_off_longer_each_time(
    desk: Desk, people: People
) -> None:
    reference = await desk.deposit(await people.with_wallet(0))
    id_ = (await desk.view(reference)).id

    async def leased(seconds: float) -> bool:
        now = datetime.now(UTC) + timedelta(seconds=seconds)
        async with desk.database.transaction() as session:
            lease = await payment_rows.lease_due(session, now=now, limit=10_000)
            return id_ in lease.ids

    assert not await leased(0)
    assert await leased(20)
    assert not await leased(20)
    waits = [payment_rows.wait_after(attempts).total_seconds() for attempts in (0, 1, 2, 30)]
    assert waits == [15, 30, 60, 3600]


@pytest.mark.promise("S3-healed")
async def test_after_a_day_without_payment_a_deposit_expires(
    desk: Desk, people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = await people.with_wallet(10)
    unpaid = await desk.deposit(person)
    unsent = await desk.begin(person, "payout")
    waiting = await desk.begin(person, "deposit")
    assert (await desk.check(waiting)).state == "PROCESSING"
    monkeypatch.setattr(payments, "START_PATIENCE", timedelta(0))
    assert (await desk.check(waiting)).failure_code == "not_started"
    monkeypatch.setattr(payments, "LIFETIME", timedelta(0))

    # Nobody knows, so nothing is decided.
    desk.trouble.down()
    assert (await desk.check(unpaid)).state == "PROCESSING"
    desk.trouble.answers.clear()
    assert (await desk.check(unpaid)).failure_code == "expired"
    assert (await desk.check(unsent)).failure_code == "expired"
    assert await person.balance() == 10
    await desk.prove()


@pytest.mark.promise("S3-healed")
async def test_a_payout_that_may_still_arrive_is_never_given_up(
    desk: Desk, people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = await people.with_wallet(10)
    reference = await desk.pay_out(person)
    monkeypatch.setattr(payments, "LIFETIME", timedelta(0))
    assert (await desk.check(reference)).state == "PROCESSING"
    desk.provider.end(reference, "success")
    assert (await desk.check(reference)).state == "SUCCESS"


@pytest.mark.promise("S3-deposit")
async def test_a_page_is_opened_once_and_told_again(desk: Desk, people: People) -> None:
    person = await people.with_wallet(0)
    reference = await desk.begin(person, "deposit")
    with pytest.raises(IdempotencyInFlight):
        await desk.payments.open_checkout(reference, is_repeated=True)
    desk.trouble.down()
    with pytest.raises(ProviderUnavailable):
        await desk.payments.open_checkout(reference, is_repeated=False)
    desk.trouble.answers.clear()

    first = await desk.payments.open_checkout(reference, is_repeated=True)
    assert await desk.payments.open_checkout(reference, is_repeated=True) == first
    assert desk.trouble.calls.count("/transaction/initialize") == 2

    # A page that the provider knows and nobody was told of cannot be paid on.
    lost = await desk.begin(person, "deposit")
    client = Paystack(secret_key=SECRET, base_url=desk.provider.base_url)
    await client.open_checkout(reference=lost, money=TEN, email="somebody@example.com")
    await client.close()
    for is_repeated in (False, True):
        with pytest.raises(DepositEnded):
            await desk.payments.open_checkout(lost, is_repeated=is_repeated)
    assert await desk.states(lost) == ("FAILED", "page_lost", None)


@pytest.mark.promise("S3-payout-back")
async def test_a_payout_that_the_provider_has_already_is_not_refused(
    desk: Desk, people: People
) -> None:
    person = await people.with_wallet(25)
    reference = await desk.begin(person, "payout")
    # Taken once before, by a process that did not live to write down anything.
    client = Paystack(secret_key=SECRET, base_url=desk.provider.base_url)
    recipient = await client.make_recipient(BANK, name="Jane Doe", currency="NGN")
    await client.pay_out(reference=reference, recipient_code=recipient, money=TEN)
    await client.close()

    view = await desk.payments.send_payout(reference, is_repeated=False)

    assert (view.state, view.provider_status) == ("PROCESSING", "pending")
    assert await person.balance() == 15
    await desk.prove()
