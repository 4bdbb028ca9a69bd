"""The balance at any time is what a replay of all entries up to it gives."""

import random
from datetime import UTC, datetime, timedelta
from itertools import accumulate

import pytest

from core.accounts import OwnAccount, find_account, read_balance_at
from core.book import Account, Book
from core.commands import Move, Primary, WalletId
from core.money import Money
from core.settlement import Settlement
from db.bulk import write
from db.models import Tables
from db.sequences import reserve_ids
from db.session import Database
from tests.attempts import attempt
from tests.conftest import serving, settings_for
from tests.people import People

POSTINGS = 10_000
TIMES = 1_000
BATCH = 40
# Many postings share a time, and times stand still for a while or leap.
STEPS = [timedelta(0)] * 6 + [timedelta(microseconds=1), timedelta(milliseconds=7)]
STEPS += [timedelta(hours=5), timedelta(days=40)]
START = datetime(2020, 2, 29, 23, 59, 59, 999_999, tzinfo=UTC)

Change = tuple[datetime, int]


@pytest.mark.promise("S2-balance-at")
async def test_the_balance_at_any_time_is_that_of_a_replay(fresh: tuple[Database, str]) -> None:
    database, url = fresh
    async with serving(settings_for(url)) as client:
        people = People(client)
        jane, john = await people.with_wallet(), await people.with_wallet()
        numbers = [await person.wallet_number() for person in (jane, john)]
    async with database.lean_turn() as connection:
        accounts = [
            await find_account(connection, person.id, number)
            for person, number in zip((jane, john), numbers, strict=True)
        ]
    randomness = random.Random(20_261_120)
    changes = await post_at_random(database, accounts, randomness)

    for account in accounts:
        times, balances = replay(changes[account.id])
        asked = [randomness.choice(times) for _ in range(TIMES // 4)]
        asked += [time + timedelta(microseconds=1) for time in asked[: TIMES // 8]]
        asked += [time - timedelta(microseconds=1) for time in asked[: TIMES // 8]]
        asked += [START - timedelta(days=1), times[-1] + timedelta(days=1)]
        async with database.lean_turn() as connection:
            for at in asked:
                early = [index for index, time in enumerate(times) if time <= at]
                expected = balances[early[-1]] if early else 0
                found = await read_balance_at(connection, account, at)
                assert found == Money(expected, "NGN"), at


def replay(changes: list[Change]) -> tuple[list[datetime], list[int]]:
    """Return the time of each change and the balance after it."""
    return [time for time, _ in changes], list(accumulate(minor for _, minor in changes))


async def post_at_random(
    database: Database, accounts: list[OwnAccount], randomness: random.Random
) -> dict[int, list[Change]]:
    """Post deposits, withdrawals and transfers as the ledger does, but at times of our own."""
    changes: dict[int, list[Change]] = {account.id: [] for account in accounts}
    book = Book(
        Account(
            id=account.id,
            number=account.number,
            user_id=account.id,
            is_primary=True,
            currency="NGN",
            balance_minor=0,
        )
        for account in accounts
    )
    now = START
    posted = 0
    while posted < POSTINGS:
        now += randomness.choice(STEPS)
        count = randomness.randint(1, BATCH)
        async with database.lean_transaction() as connection:
            settlement = Settlement(
                book=book,
                remembered={},
                transaction_ids=await reserve_ids(connection, Tables.transactions, count),
                wallet_ids=[],
                holder_ids=[],
                now=now,
            )
            for _ in range(count):
                before = {account.id: book.get(account.id).balance_minor for account in accounts}
                settlement.settle(attempt(draw(accounts, randomness)))
                for account in accounts:
                    change = book.get(account.id).balance_minor - before[account.id]
                    changes[account.id] += [(now, change)] if change else []
            for group in settlement.records.groups():
                await write(connection, group)
        posted += count
    return changes


def draw(accounts: list[OwnAccount], randomness: random.Random) -> Move:
    """Draw a movement that may or may not be possible."""
    own, other = randomness.sample(accounts, 2)
    money = Money(randomness.randint(1, 100), "NGN")
    kind = randomness.choice(["deposit", "deposit", "withdrawal", "transfer"])
    if kind == "transfer":
        return Move("transfer", Primary(own.id), WalletId(other.id), money)
    return Move("deposit" if kind == "deposit" else "withdrawal", Primary(own.id), None, money)
