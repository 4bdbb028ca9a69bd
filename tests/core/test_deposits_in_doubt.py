"""Deposits that may still be paid, or that cannot be credited: none ends too early or unseen."""

from collections.abc import Callable
from datetime import datetime, timedelta, tzinfo

import pytest

from core import payment_attention, payments
from core.commands import withdraw
from core.errors import Unavailable
from core.money import MAX_MINOR, Money
from core.payment_errors import DepositEnded
from tests.attempts import attempt
from tests.payment_desk import Desk
from tests.people import People

pytestmark = pytest.mark.promise("S3-healed")

Clock = Callable[[timedelta], None]


@pytest.fixture
def later(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Sets the clock of payments forward by as much as it is told to."""

    def set_forward(by: timedelta) -> None:
        class Later(datetime):
            @classmethod
            def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]  # is one
                return datetime.now(tz) + by

        desk.ahead = by
        monkeypatch.setattr(payments, "datetime", Later)

    return set_forward


@pytest.mark.parametrize("word", ["processing", "ongoing", "pending", "queued"])
async def test_a_deposit_that_somebody_is_paying_is_waited_for(
    desk: Desk, people: People, later: Clock, word: str
) -> None:
    person = await people.with_wallet(0)
    paid, never = await desk.deposit(person), await desk.deposit(person)
    for reference in (paid, never):
        desk.provider.books.charges[reference].status = word
    later(timedelta(days=6))
    assert (await desk.check(paid)).state == (await desk.check(never)).state == "PROCESSING"

    desk.provider.pay(paid)
    await desk.hear(paid, "success")
    later(timedelta(days=7))

    assert (await desk.check(never)).failure_code == "expired"
    assert await desk.states(paid) == ("SUCCESS", None, None)
    assert await person.balance() == 10
    await desk.prove()


async def test_a_decline_counts_an_hour_after_it_was_first_seen(
    desk: Desk, people: People, later: Clock
) -> None:
    person = await people.with_wallet(0)
    reference = await desk.deposit(person)
    # Declined this very second, on a page that is a day old.
    desk.provider.pay(reference, "failed")
    later(timedelta(hours=25))
    assert (await desk.check(reference)).state == "PROCESSING"
    # They try again, which takes a while, and are declined again.
    desk.provider.pay(reference, "ongoing")
    later(timedelta(hours=25, minutes=50))
    assert (await desk.check(reference)).state == "PROCESSING"
    desk.provider.pay(reference, "failed")
    for minutes, state in ((55, "PROCESSING"), (114, "PROCESSING"), (116, "FAILED")):
        later(timedelta(hours=25, minutes=minutes))
        assert (await desk.check(reference)).state == state
    assert await desk.states(reference) == ("FAILED", "declined", None)


@pytest.mark.promise("S3-deposit")
async def test_the_page_of_a_deposit_that_failed_is_not_told_again(
    desk: Desk, people: People, later: Clock
) -> None:
    person = await people.with_wallet(0)
    reference = await desk.deposit(person)
    later(timedelta(days=1))
    assert (await desk.check(reference)).failure_code == "expired"
    with pytest.raises(DepositEnded):
        await desk.payments.open_checkout(reference, is_repeated=True)


async def test_what_does_not_fit_into_the_wallet_is_shown_until_it_does(
    desk: Desk, people: People
) -> None:
    person = await people.with_wallet(0)
    reference = await desk.deposit(person)
    await person.deposit((MAX_MINOR - 500) / 100)
    desk.provider.pay(reference)

    for _ in range(2):
        with pytest.raises(Unavailable):
            await desk.hear(reference, "success")
    attention = "not_booked:balance_limit_exceeded"
    assert await desk.states(reference) == ("PROCESSING", None, attention)
    async with desk.database.reading() as session:
        listed = await payment_attention.list_attention(session, limit=100)
    assert reference in [view.payment.reference for view in listed]

    await desk.poster.post(attempt(withdraw(user_id=person.id, money=Money(500, "NGN"))))
    assert (await desk.check(reference)).state == "SUCCESS"
    assert await desk.states(reference) == ("SUCCESS", None, None)
    await desk.prove()


async def test_the_provider_is_asked_less_often_each_time(desk: Desk, people: People) -> None:
    reference = await desk.deposit(await people.with_wallet(0))
    waits = []
    for _ in range(4):
        before = datetime.now().astimezone()
        waits.append((await desk.check(reference)).due_at - before)
    assert [round(wait.total_seconds() / 5) * 5 for wait in waits] == [15, 30, 60, 120]
