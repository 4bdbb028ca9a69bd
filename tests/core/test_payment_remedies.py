"""What operators do about payments, once each, and never against what the provider says."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from starlette.responses import JSONResponse

from core import payments
from core.errors import BalanceLimitExceeded, WalletNotFound
from core.money import MAX_MINOR
from core.payment_errors import PaymentNotFound
from core.payment_remedies import PaymentRemedies, RemedyRefused
from tests.payment_desk import Desk
from tests.people import People, Person

pytestmark = pytest.mark.promise("S3-remedies")

LOST = JSONResponse(
    {"status": False, "message": "Transfer not found", "code": "transfer_not_found"}, 404
)


@pytest.fixture
def remedies(desk: Desk) -> PaymentRemedies:
    return PaymentRemedies(desk.database, desk.poster, desk.payments._provider)


async def paid_too_late(desk: Desk, person: Person, **changes: Any) -> str:
    """Return a deposit that was paid after it had failed."""
    reference = await desk.deposit(person)
    desk.provider.pay(reference, "failed")
    await desk.hear(reference, "failed")
    vars(desk.provider.books.charges[reference]).update(changes)
    desk.provider.pay(reference)
    await desk.hear(reference, "success")
    return reference


async def test_what_was_paid_too_late_is_credited_once(
    desk: Desk, people: People, remedies: PaymentRemedies
) -> None:
    person = await people.with_wallet(0)
    reference = await paid_too_late(desk, person)
    assert (await desk.states(reference))[2] == "success_after_failure"

    first = await remedies.credit(reference)
    assert await remedies.credit(reference) == first

    assert await person.balance() == 10
    newest, failed = await person.history(limit=2)
    assert (newest["id"], newest["type"], newest["state"]) == (first, "deposit", "SUCCESS")
    assert failed["state"] == "FAILED"
    # The provider tells it again, and nobody has to look into it again.
    await desk.hear(reference, "success")
    assert await desk.states(reference) == ("FAILED", "declined", None)
    await desk.prove()


async def test_what_the_provider_does_not_confirm_is_not_credited(
    desk: Desk, people: People, remedies: PaymentRemedies
) -> None:
    person = await people.with_wallet(0)
    less = await paid_too_late(desk, person, amount=999)
    unpaid = await desk.deposit(person)
    desk.provider.pay(unpaid, "failed")
    await desk.hear(unpaid, "failed")
    paid, pending = await desk.deposit(person), await desk.deposit(person)
    for reference in (paid, pending):
        desk.provider.pay(reference)
    await desk.hear(paid, "success")

    for reference in (less, unpaid, paid, pending):
        with pytest.raises(RemedyRefused):
            await remedies.credit(reference)
    with pytest.raises(PaymentNotFound):
        await remedies.credit(f"dep-{'0' * 32}")
    assert await person.balance() == 10
    await desk.prove()


async def test_a_wallet_that_cannot_take_it_may_do_so_later(
    desk: Desk, people: People, remedies: PaymentRemedies
) -> None:
    person, gone = await people.with_wallet(0), await people.with_wallet(0)
    reference, lost = await paid_too_late(desk, person), await paid_too_late(desk, gone)
    await person.deposit((MAX_MINOR - 500) / 100)
    with pytest.raises(BalanceLimitExceeded):
        await remedies.credit(reference)
    await person.withdraw(5)
    await remedies.credit(reference)
    assert (await gone.send("DELETE", "/wallet")).status_code == 200
    with pytest.raises(WalletNotFound):
        await remedies.credit(lost)
    assert (await desk.states(lost))[2] == "success_after_failure"
    await desk.prove()


@pytest.mark.parametrize(
    ("word", "right", "wrong", "balance"),
    [("success", "arrived", "returned", 15), ("failed", "returned", "arrived", 25)],
)
async def test_a_payout_of_another_amount_ends_as_the_provider_says(
    desk: Desk,
    people: People,
    remedies: PaymentRemedies,
    word: str,
    right: Any,
    wrong: Any,
    balance: int,
) -> None:
    person = await people.with_wallet(25)
    reference = await desk.pay_out(person)
    with pytest.raises(RemedyRefused):
        await remedies.end_payout(reference, right, note="It needs no attention yet.")
    made = desk.provider.books.transfers[reference]
    desk.provider.books.transfers[reference] = replace(made, amount=900)
    desk.provider.end(reference, word)
    await desk.hear(reference, "success" if word == "success" else "failed")
    assert await desk.states(reference) == ("PROCESSING", None, "amount_mismatch")

    with pytest.raises(RemedyRefused):
        await remedies.end_payout(reference, wrong, note="Against what the provider says.")
    await remedies.end_payout(reference, right, note="1 NGN is missing; seen to.")

    assert (await desk.view(reference)).attention is None
    assert await person.balance() == balance
    await desk.prove()


async def test_a_payout_that_the_provider_lost_ends_as_the_operator_says(
    desk: Desk, people: People, remedies: PaymentRemedies, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = await people.with_wallet(25)
    reference = await desk.pay_out(person)
    desk.trouble.answers["/transfer/verify"] = LOST
    monkeypatch.setattr(payments, "LIFETIME", timedelta(0))
    await desk.check(reference)
    assert await desk.states(reference) == ("PROCESSING", None, "payout_not_found")

    await remedies.end_payout(reference, "returned", note="Paystack says it was never made.")

    assert await desk.states(reference) == ("FAILED", "returned_by_operator", None)
    assert await person.balance() == 25
    await desk.prove()


async def test_what_an_operator_is_done_with_is_shown_again_for_another_reason_only(
    desk: Desk, people: People, remedies: PaymentRemedies
) -> None:
    person = await people.with_wallet(25)
    reference = await desk.pay_out(person)
    with pytest.raises(RemedyRefused):
        await remedies.clear(reference, note="It needs nothing.")
    desk.provider.end(reference, "failed")
    await desk.hear(reference, "failed")
    desk.provider.end(reference, "success")
    await desk.hear(reference, "success")
    await remedies.clear(reference, note="They paid it back.")
    await desk.hear(reference, "success")
    assert await desk.states(reference) == ("FAILED", "payout_failed", None)

    made = desk.provider.books.transfers[reference]
    desk.provider.books.transfers[reference] = replace(made, amount=900)
    await desk.hear(reference, "success")
    assert (await desk.states(reference))[2] == "amount_mismatch"
