"""Ends of payments that several hear of at once, each with a look of its own from before."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
from structlog.testing import capture_logs

from core.payment_ends import PaymentEnds
from core.payment_rows import PaymentView
from core.poster import Poster, PosterLimits
from core.provider import Report, Verdict
from db.session import Database
from tests.payment_desk import Desk
from tests.people import People

pytestmark = pytest.mark.promise("S3-once")

PROCESSES = 4
ROUNDS = 8


@dataclass
class Rival:
    """Another process that hears of payments."""

    poster: Poster
    ends: PaymentEnds


@pytest.fixture
async def rivals(database: Database) -> AsyncIterator[list[Rival]]:
    posters = [Poster(database, PosterLimits()) for _ in range(PROCESSES)]
    yield [Rival(poster, PaymentEnds(database, poster)) for poster in posters]
    for poster in posters:
        await poster.stop()


def report_of(view: PaymentView, verdict: Verdict) -> Report:
    return Report(
        verdict=verdict,
        word=verdict,
        reference=view.payment.reference,
        money=view.payment.money,
    )


async def test_the_first_end_stands_for_whoever_looked_before(
    desk: Desk, people: People, rivals: list[Rival]
) -> None:
    person = await people.with_wallet(25)
    stale = await desk.view(await desk.pay_out(person))
    first, second = rivals[0].ends, rivals[1].ends

    await first.conclude(stale, report_of(stale, "failed"), is_final=True)
    await second.conclude(stale, report_of(stale, "success"), is_final=True)

    reference = stale.payment.reference
    assert await desk.states(reference) == ("FAILED", "payout_failed", "success_after_failure")
    assert await person.balance() == 25
    await desk.prove()


@pytest.mark.parametrize(
    ("kind", "verdict", "balance"),
    [("deposit", "success", 35), ("payout", "success", 15), ("payout", "failed", 25)],
)
async def test_an_end_heard_by_several_processes_at_once_is_heard_by_all(
    desk: Desk, people: People, rivals: list[Rival], kind: str, verdict: Verdict, balance: int
) -> None:
    with capture_logs() as lines:
        for _ in range(ROUNDS):
            person = await people.with_wallet(25)
            begun = desk.deposit(person) if kind == "deposit" else desk.pay_out(person)
            stale = await desk.view(await begun)
            await asyncio.gather(
                *(
                    rival.ends.conclude(stale, report_of(stale, verdict), is_final=True)
                    for rival in rivals
                )
            )
            assert await person.balance() == balance
    assert not [line for line in lines if line["log_level"] == "error"]
    await desk.prove()
