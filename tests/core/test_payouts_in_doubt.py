"""Payouts of which nobody knows whether the provider took them: none is given back and made too."""

from datetime import timedelta

import pytest
from starlette.responses import JSONResponse

from core import payments, payouts
from core.payment_commands import BankAccount
from devtools.paystack.books import REFUSED
from integrations.paystack import Paystack
from tests.payment_desk import BANK, TEN, Desk
from tests.paystack import SECRET
from tests.people import People

pytestmark = pytest.mark.promise("S3-payout-back")

NOT_FOUND = JSONResponse(
    {"status": False, "message": "Transfer not found", "code": "transfer_not_found"}, 404
)
REFUSAL = JSONResponse(
    {"status": False, "message": "Your balance is not enough", "code": "insufficient_balance"}, 400
)


async def take(desk: Desk, reference: str) -> None:
    """Have the provider take a payout, for a process that did not live to write down anything."""
    client = Paystack(secret_key=SECRET, base_url=desk.provider.base_url)
    recipient = await client.make_recipient(BANK, name="Jane Doe", currency="NGN")
    await client.pay_out(reference=reference, recipient_code=recipient, money=TEN)
    await client.close()


async def test_what_the_provider_has_is_not_given_back_although_it_does_not_find_it(
    desk: Desk, people: People
) -> None:
    person = await people.with_wallet(25)
    reference = await desk.begin(person, "payout")
    await take(desk, reference)
    # It refuses the reference as one that it knows, and its other call does not find it yet.
    desk.trouble.answers["/transfer/verify"] = NOT_FOUND

    view = await desk.payments.send_payout(reference, is_repeated=False)
    assert (view.state, await person.balance()) == ("PROCESSING", 15)
    assert (await desk.check(reference)).state == "PROCESSING"

    desk.trouble.answers.clear()
    desk.provider.end(reference, "success")
    await desk.hear(reference, "success")
    assert await desk.states(reference) == ("SUCCESS", None, None)
    assert await person.balance() == 15
    await desk.prove()


async def test_what_the_provider_has_and_never_finds_is_for_an_operator(
    desk: Desk, people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = await people.with_wallet(25)
    reference = await desk.begin(person, "payout")
    await take(desk, reference)
    desk.trouble.answers["/transfer/verify"] = NOT_FOUND
    await desk.payments.send_payout(reference, is_repeated=False)
    # It may refuse what it has for another reason as well.
    desk.trouble.answers |= {"/transferrecipient": None, "/transfer": REFUSAL}
    monkeypatch.setattr(payouts, "MISS_PATIENCE", timedelta(0))
    assert (await desk.check(reference)).state == "PROCESSING"

    monkeypatch.setattr(payments, "LIFETIME", timedelta(0))
    await desk.check(reference)

    assert await desk.states(reference) == ("PROCESSING", None, "payout_not_found")
    assert await person.balance() == 15


async def test_a_refusal_after_an_unknown_outcome_is_not_believed_at_once(
    desk: Desk, people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = await people.with_wallet(25)
    reference = await desk.begin(person, "payout")
    desk.trouble.answers["/transferrecipient"] = None
    desk.trouble.down("/transfer")
    await desk.payments.send_payout(reference, is_repeated=False)
    # It is there, its balance too low by now, and what it took a moment ago it does not find yet.
    desk.trouble.answers = {"/transfer/verify": NOT_FOUND, "/transfer": REFUSAL}
    assert (await desk.check(reference)).state == "PROCESSING"
    assert await person.balance() == 15

    monkeypatch.setattr(payouts, "MISS_PATIENCE", timedelta(0))
    await desk.check(reference)
    assert await desk.states(reference) == ("FAILED", "provider_refused", None)
    assert await person.balance() == 25
    await desk.prove()


async def test_a_first_refusal_is_believed(desk: Desk, people: People) -> None:
    person = await people.with_wallet(25)
    reference = await desk.pay_out(person, BankAccount(bank_code="058", number=REFUSED))
    assert await desk.states(reference) == ("FAILED", "provider_refused", None)
    assert not [path for path in desk.trouble.calls if path.startswith("/transfer/verify")]
    # What the operator has at the provider is nobody else's business.
    assert (await desk.view(reference)).provider_status is None


@pytest.mark.parametrize(
    "answer",
    [
        JSONResponse({"message": "Not Found"}, 404),
        JSONResponse({"status": False, "message": "Not found", "code": "not_found"}, 404),
        JSONResponse({"status": False, "message": "Route not found"}, 404),
        JSONResponse({"status": False, "message": "Integration not found"}, 400),
    ],
)
async def test_only_the_provider_says_that_it_knows_nothing(
    desk: Desk, people: People, monkeypatch: pytest.MonkeyPatch, answer: JSONResponse
) -> None:
    person = await people.with_wallet(25)
    reference = await desk.pay_out(person)
    monkeypatch.setattr(payments, "LIFETIME", timedelta(0))
    desk.trouble.answers["/transfer/verify"] = answer
    assert (await desk.check(reference)).state == "PROCESSING"
    assert (await desk.view(reference)).attention is None
