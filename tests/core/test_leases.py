"""What is lent: as much as was asked for, to one at a time, and only while it is held."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from core import outbox, payment_rows
from core.leases import Lease
from core.payments import Payments
from core.poster import Poster, PosterLimits
from operations.relay import Due
from tests.payment_desk import Desk
from tests.people import People

pytestmark = pytest.mark.promise("S3-healed")

ROWS = 30
LIMIT = 7


async def test_no_more_is_lent_than_was_asked_for(desk: Desk, people: People) -> None:
    person = await people.with_wallet(1)
    for _ in range(ROWS):
        await desk.begin(person, "deposit")
        await person.deposit(1)
    later = datetime.now(UTC) + timedelta(hours=1)

    async def lend(due: Due) -> Lease:
        async with desk.database.transaction() as session:
            return await due.lease_due(session, now=later, limit=LIMIT)

    modules: tuple[Due, ...] = (payment_rows, outbox)
    for module in modules:
        # At once, and one after another: none is lent twice.
        leases = [*await asyncio.gather(lend(module), lend(module)), await lend(module)]
        assert [len(lease.ids) for lease in leases] == [LIMIT] * 3
        assert len({id_ for lease in leases for id_ in lease.ids}) == 3 * LIMIT


async def test_who_has_a_payment_no_more_does_not_ask(desk: Desk, people: People) -> None:
    person = await people.with_wallet(25)
    reference = await desk.begin(person, "payout")
    id_, leased_until = await desk.lend(reference)
    poster = Poster(desk.database, PosterLimits())
    other = Payments(desk.database, poster, desk.payments._provider)

    # The message was handed over twice, and comes once more when all is done.
    await asyncio.gather(
        *(one.check(id_, leased_until=leased_until) for one in (desk.payments, other))
    )
    assert desk.trouble.calls.count("/transfer") == 1
    desk.trouble.calls.clear()
    await other.check(id_, leased_until=leased_until)
    assert desk.trouble.calls == []

    # It was lent to another worker since, or its lease is over.
    _, leased_until = await desk.lend(reference)
    await desk.lend(reference)
    await other.check(id_, leased_until=leased_until)
    over = datetime.now(UTC) - timedelta(seconds=1)
    async with desk.database.transaction() as session:
        view = await desk.view(reference)
        await payment_rows.give_back(session, view, now=over)
    await other.check(id_, leased_until=over)
    assert desk.trouble.calls == []
    await poster.stop()


async def test_who_lost_a_payout_while_looking_does_not_ask_for_it(
    desk: Desk, people: People
) -> None:
    person = await people.with_wallet(25)
    reference = await desk.begin(person, "payout")
    stale = await desk.view(reference)
    await desk.lend(reference)
    async with desk.database.transaction() as session:
        assert not await payment_rows.note_asking(session, stale, now=datetime.now(UTC))
    assert (await desk.view(reference)).asked_at is None
