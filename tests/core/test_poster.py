"""Group posting: nothing is lost, doubled or answered too early, whatever the database does."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import func, select

from core.commands import Outcome, Rendered, deposit, transfer, withdraw
from core.errors import IdempotencyKeyReused, InternalError, Unavailable
from core.money import Money
from core.poster import Poster, PosterLimits
from db.lean import LeanConnection
from db.models import Tables
from db.session import Database, DatabaseOptions
from tests.attempts import attempt
from tests.conftest import settings_for
from tests.people import People, Person

LIMITS = PosterLimits()
TEN = Money(1000, "NGN")


class LosingDatabase(Database):
    """Loses the connection at COMMIT, a number of times, before or after it took effect."""

    def __init__(self, url: str, *, losses: int, after_commit: bool):
        super().__init__(DatabaseOptions(url=url))
        self.losses = losses
        self._after_commit = after_commit

    @asynccontextmanager
    async def lean_transaction(self, **options: Any) -> AsyncIterator[LeanConnection]:
        if self.losses == 0:
            async with super().lean_transaction(**options) as connection:
                yield connection
            return
        self.losses -= 1
        async with super().lean_transaction(**options) as connection:
            yield connection
            if not self._after_commit:
                raise ConnectionResetError("lost before COMMIT arrived")
        raise ConnectionResetError("lost after COMMIT took effect")


class SlowDatabase(Database):
    """Takes as long to commit as it is told."""

    def __init__(self, options: DatabaseOptions):
        super().__init__(options)
        self.at_commit, self.may_commit = asyncio.Event(), asyncio.Event()

    @asynccontextmanager
    async def lean_transaction(self, **options: Any) -> AsyncIterator[LeanConnection]:
        async with super().lean_transaction(**options) as connection:
            yield connection
            self.at_commit.set()
            await self.may_commit.wait()


async def transactions_of(database: Database, person: Person) -> int:
    async with database.reading() as session:
        connection = await session.connection()
        statement = select(func.count()).where(Tables.transactions.c.wallet_id == person.wallet_id)
        return int((await connection.execute(statement)).scalar_one())


@pytest.mark.parametrize("losses", [1, 2])
@pytest.mark.parametrize("after_commit", [True, False])
async def test_an_unknown_outcome_of_commit_is_resolved_by_the_key(
    people: People, database: Database, database_url: str, losses: int, after_commit: bool
) -> None:
    person, other = await people.with_wallet(100), await people.with_wallet()
    url = settings_for(database_url).database_url
    losing = LosingDatabase(url, losses=losses, after_commit=after_commit)
    poster = Poster(losing, LIMITS)
    before = await transactions_of(database, person)
    command = transfer(user_id=person.id, to_wallet_id=other.wallet_id, money=TEN)

    answers = await asyncio.gather(*[poster.post(attempt(command)) for _ in range(3)])

    assert [answer.status for answer in answers] == [200] * 3
    assert (await person.balance(), await other.balance()) == (70, 30)
    assert await transactions_of(database, person) == before + 3
    await losing.close()


async def test_an_outcome_that_stays_unknown_is_not_guessed(
    people: People, database_url: str
) -> None:
    person = await people.with_wallet(100)
    url = settings_for(database_url).database_url
    losing = LosingDatabase(url, losses=99, after_commit=True)
    poster = Poster(losing, LIMITS)
    tried = attempt(withdraw(user_id=person.id, money=TEN))

    with pytest.raises(Unavailable):
        await poster.post(tried)

    # The caller tries again under the same key, once the database is back.
    losing.losses = 0
    assert (await poster.post(tried)).replayed
    assert await person.balance() == 90
    await losing.close()


async def test_nobody_is_answered_before_the_commit(people: People, database_url: str) -> None:
    person = await people.with_wallet(100)
    slow = SlowDatabase(DatabaseOptions(url=settings_for(database_url).database_url))
    poster = Poster(slow, LIMITS)

    posting = asyncio.create_task(poster.post(attempt(withdraw(user_id=person.id, money=TEN))))
    await slow.at_commit.wait()
    answered, _ = await asyncio.wait([posting], timeout=0.05)
    slow.may_commit.set()

    assert not answered
    assert (await posting).status == 200
    assert await person.balance() == 90
    await slow.close()


async def test_one_bad_command_never_fails_its_neighbours(
    people: People, database: Database
) -> None:
    person = await people.with_wallet(100)
    poster = Poster(database, LIMITS)
    good = [attempt(deposit(user_id=person.id, money=TEN)) for _ in range(9)]
    # More than a column holds: the database refuses the whole batch for it.
    monstrous = attempt(deposit(user_id=person.id, money=Money(10**30, "NGN")))
    unspeakable = good[0]._replace(key=str(uuid4()), render=_fail)

    answers = await asyncio.gather(
        *[poster.post(item) for item in [*good[:5], monstrous, unspeakable, *good[5:]]],
        return_exceptions=True,
    )

    assert [type(answer) for answer in answers[5:7]] == [InternalError, InternalError]
    rest = answers[:5] + answers[7:]
    assert all(not isinstance(answer, BaseException) and answer.status == 200 for answer in rest)
    assert await person.balance() == 190


@pytest.mark.faults
async def test_a_wallet_that_somebody_holds_does_not_stop_the_others(
    people: People, database: Database, engine_name: str
) -> None:
    held, others = await people.with_wallet(0), [await people.with_wallet(0) for _ in range(60)]
    poster = Poster(database, LIMITS)
    everybody = [held, *others]
    async with database.transaction() as session:
        connection = await session.connection()
        # On SQLite this holds the whole database, which is then busy for everybody alike.
        if engine_name == "postgresql":
            wallet = Tables.wallets.c
            await connection.execute(
                select(wallet.id).where(wallet.id == held.wallet_id).with_for_update()
            )
            started = time.perf_counter()
            answers = await asyncio.gather(
                *[poster.post(attempt(deposit(user_id=one.id, money=TEN))) for one in everybody],
                return_exceptions=True,
            )
            assert time.perf_counter() - started < 3
            assert isinstance(answers[0], Unavailable)
            assert not [answer for answer in answers[1:] if isinstance(answer, BaseException)]
    answer = await poster.post(attempt(deposit(user_id=held.id, money=TEN)))
    assert answer.status == 200
    assert await held.balance() == 10


def _fail(_outcome: Outcome) -> Rendered:
    raise RuntimeError("a defect of ours")


async def test_a_key_in_one_batch_counts_as_in_two(people: People, database: Database) -> None:
    person = await people.with_wallet(100)
    poster = Poster(database, LIMITS)
    ten, five = (
        withdraw(user_id=person.id, money=TEN),
        withdraw(user_id=person.id, money=Money(500, "NGN")),
    )

    first, again, reused = await asyncio.gather(
        poster.post(attempt(ten, key="k")),
        poster.post(attempt(ten, key="k")),
        poster.post(attempt(five, key="k")),
        return_exceptions=True,
    )

    assert not isinstance(first, BaseException)
    assert not isinstance(again, BaseException)
    assert (first.replayed, again.replayed, first.body == again.body) == (False, True, True)
    assert isinstance(reused, IdempotencyKeyReused)
    assert await person.balance() == 90


async def test_a_full_queue_and_a_passed_deadline_are_unavailable(
    people: People, database: Database
) -> None:
    person = await people.with_wallet(100)
    command = deposit(user_id=person.id, money=TEN)
    crowded = Poster(database, PosterLimits(batch=1, queue=2))
    answers = await asyncio.gather(
        *[crowded.post(attempt(command)) for _ in range(10)], return_exceptions=True
    )
    refused = [answer for answer in answers if isinstance(answer, Unavailable)]
    assert refused
    assert all(answer.retry_after_seconds for answer in refused)
    assert await person.balance() == 100 + 10 * (10 - len(refused))

    hurried = Poster(database, PosterLimits(deadline_seconds=0.0001))
    late = attempt(command)
    with pytest.raises(Unavailable):
        await hurried.post(late)
    await hurried.stop()
    # It was taken, so it was finished; the same key tells.
    assert (await crowded.post(late)).replayed


async def test_stopping_finishes_what_was_taken(people: People, database: Database) -> None:
    person = await people.with_wallet(100)
    poster = Poster(database, PosterLimits(batch=2))
    tasks = [
        asyncio.create_task(poster.post(attempt(deposit(user_id=person.id, money=TEN))))
        for _ in range(9)
    ]
    await asyncio.sleep(0)

    await poster.stop()

    assert [(await task).status for task in tasks] == [200] * 9
    with pytest.raises(Unavailable):
        await poster.post(attempt(deposit(user_id=person.id, money=TEN)))
    assert await person.balance() == 190
