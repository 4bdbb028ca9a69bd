"""The history of a time is what the whole history has of that time, whatever clocks told it."""

import random
from datetime import UTC, datetime, timedelta, tzinfo
from typing import get_args

import pytest

from core import ledger
from core.commands import Command, EndPayment, Move, Primary, StartPayment, TransactionType
from core.history import HistoryItem, HistoryPage, read_history
from core.money import Money
from core.payment_commands import Payment
from core.payment_rows import new_reference
from core.times import CLOCKS_APART
from db.models import Tables
from db.session import Database
from tests.attempts import attempt
from tests.conftest import serving, settings_for
from tests.people import People

BATCHES = 300
BATCH = 6
ASKED = 120
# One process' clock is behind that of another, as far as it may be.
BEHIND = [timedelta(0), timedelta(0), timedelta(seconds=7), CLOCKS_APART - timedelta(seconds=1)]
STEPS = [timedelta(0), timedelta(microseconds=1), timedelta(seconds=3), timedelta(seconds=40)]
STEPS += [timedelta(hours=2)]
START = datetime(2020, 2, 29, 23, 59, 59, 999_999, tzinfo=UTC)


class Clock:
    """Takes the place of `datetime` where the ledger reads the clock of its process."""

    time = START

    def now(self, zone: tzinfo) -> datetime:
        return self.time.astimezone(zone)


@pytest.mark.promise("history")
async def test_the_history_of_a_time_is_that_part_of_the_whole(
    fresh: tuple[Database, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    database, url = fresh
    clock, randomness = Clock(), random.Random(20_261_129)
    monkeypatch.setattr(ledger, "datetime", clock)
    async with serving(settings_for(url)) as client:
        people = People(client)
        jane, john = await people.with_wallet(), await people.with_wallet()
        await jane.open_account()
    await post_at_random(database, (jane.id, john.id), clock, randomness)

    for user_id in (jane.id, john.id):
        everything = await read_all(database, user_id, HistoryPage(limit=100, offset=0))
        assert len({item.type for item in everything}) > 2
        assert {item.state for item in everything} == {"PROCESSING", "SUCCESS", "FAILED"}
        for _ in range(ASKED):
            page = ask_at_random([item.date for item in everything], randomness)
            expected = [item for item in everything if is_on(page, item)]
            assert await read_all(database, user_id, page) == expected, page


def ask_at_random(times: list[datetime], randomness: random.Random) -> HistoryPage:
    """Ask from a time, to a time or both, at or next to the time of something."""
    near = [timedelta(0), timedelta(0), timedelta(microseconds=1), -timedelta(microseconds=1)]
    since, until = sorted(randomness.choice(times) + randomness.choice(near) for _ in range(2))
    without = randomness.choice(["since", "until", None, None])
    return HistoryPage(
        limit=randomness.choice([7, 50, 100]),
        offset=0,
        type=randomness.choice([None, None, *get_args(TransactionType)]),
        since=None if without == "since" else since,
        until=None if without == "until" else until,
    )


def is_on(page: HistoryPage, item: HistoryItem) -> bool:
    return (
        (page.type is None or item.type == page.type)
        and (page.since is None or item.date >= page.since)
        and (page.until is None or item.date <= page.until)
    )


async def read_all(database: Database, user_id: int, page: HistoryPage) -> list[HistoryItem]:
    """Read all pages, one after another."""
    items: list[HistoryItem] = []
    async with database.lean_turn() as connection:
        while True:
            found, cursor = await read_history(connection, user_id, page)
            items += found
            if cursor is None:
                return items
            page = HistoryPage(
                limit=page.limit,
                offset=0,
                cursor=cursor,
                type=page.type,
                since=page.since,
                until=page.until,
            )


async def post_at_random(
    database: Database, people: tuple[int, int], clock: Clock, randomness: random.Random
) -> None:
    """Post movements that may fail, and deposits by a provider that end later or never."""
    now, pending = START, []
    for number in range(BATCHES):
        now += randomness.choice(STEPS)
        clock.time = now - randomness.choice(BEHIND)
        commands = [draw(people, randomness) for _ in range(randomness.randint(1, BATCH))]
        pending += [command.reference for command in commands if isinstance(command, StartPayment)]
        # Not in the batch that began it, and not all of them.
        if number % 3 == 0 and len(pending) > BATCH:
            reference = pending.pop(randomness.randrange(len(pending) - BATCH))
            payment = await payment_of(database, reference)
            code = randomness.choice([None, None, "abandoned"])
            commands.append(EndPayment(payment=payment, failure_code=code))
        async with database.lean_transaction() as connection:
            await ledger.post(connection, [attempt(command) for command in commands])


def draw(people: tuple[int, int], randomness: random.Random) -> Command:
    own, other = randomness.sample(people, 2)
    money = Money(randomness.randint(1, 100), "NGN")
    match randomness.choice(["deposit", "withdrawal", "transfer", "transfer", "provider"]):
        case "provider":
            return StartPayment(
                kind="deposit", user_id=own, reference=new_reference("deposit"), money=money
            )
        case "transfer":
            return Move("transfer", Primary(own), Primary(other), money)
        case "deposit":
            return Move("deposit", Primary(own), None, money)
        case _:
            return Move("withdrawal", Primary(own), None, money)


async def payment_of(database: Database, reference: str) -> Payment:
    table = Tables.provider_payments
    async with database.reading() as session:
        connection = await session.connection()
        row = (await connection.execute(table.select().where(table.c.reference == reference))).one()
    return Payment(
        reference=reference,
        kind="deposit",
        transaction_id=row.transaction_id,
        wallet_id=row.wallet_id,
        money=Money(row.amount_minor, row.currency),
    )
