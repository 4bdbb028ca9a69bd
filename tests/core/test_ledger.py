"""Posting in a transaction that others see only in part: locks, races and replays."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import uuid4

import pytest
from sqlalchemy import select

from core import ledger
from core.commands import Answer, Attempt, OpenWallet, withdraw
from core.money import Money
from core.poster import Poster, PosterLimits
from db.models import Tables
from db.session import Database, DatabaseOptions
from tests.attempts import attempt
from tests.conftest import settings_for
from tests.people import People

# Long enough for whoever does not wait to have read what they decide on.
READING_SECONDS = 0.3


@pytest.fixture
async def elsewhere(database_url: str) -> AsyncIterator[Database]:
    """The same database, opened by what might be another process."""
    opened = Database(DatabaseOptions(url=settings_for(database_url).database_url))
    yield opened
    await opened.close()


async def settle(database: Database, tried: Attempt) -> Answer:
    """Settle one attempt, once."""
    async with database.lean_transaction() as connection:
        [answer] = await ledger.post(connection, [tried])
    assert isinstance(answer, Answer)
    return answer


@asynccontextmanager
async def not_yet_committed(database: Database, tried: Attempt) -> AsyncIterator[None]:
    """Settle an attempt, and commit it a while after the block began something else."""
    async with database.lean_transaction() as connection:
        await ledger.post(connection, [tried])
        yield
        await asyncio.sleep(READING_SECONDS)


@pytest.mark.promise("withdraw")
async def test_a_batch_waits_for_the_wallets_of_another(
    people: People, database: Database, elsewhere: Database
) -> None:
    person = await people.with_wallet(100)
    sixty = withdraw(user_id=person.id, money=Money(6000, "NGN"))

    async with not_yet_committed(database, attempt(sixty)):
        second = asyncio.create_task(settle(elsewhere, attempt(sixty)))

    assert (await second).status == 402
    assert await person.balance() == 40


@pytest.mark.promise("key-in-flight")
async def test_whoever_loses_a_race_for_a_key_finds_the_winners_answer(
    people: People, database: Database, elsewhere: Database
) -> None:
    person = await people.sign_up()
    # There is no wallet yet that one could lock and the other wait for.
    opening = attempt(OpenWallet(user_id=person.id, opening=Money(500, "NGN")))
    poster = Poster(elsewhere, PosterLimits())

    async with not_yet_committed(database, opening):
        second = asyncio.create_task(poster.post(opening))

    answer = await second
    assert (answer.status, answer.replayed) == (200, True)
    assert await person.balance() == 5


async def test_a_replay_is_written_down(people: People, database: Database) -> None:
    person = await people.with_wallet(100)
    tried = attempt(withdraw(user_id=person.id, money=Money(1000, "NGN")))
    assert not (await settle(database, tried)).replayed
    assert (await settle(database, tried)).replayed
    async with database.lean_transaction() as batch:
        fresh = tried._replace(key=str(uuid4()))
        first, again, known = await ledger.post(batch, [fresh, fresh, tried])
    assert [isinstance(item, Answer) and item.replayed for item in (first, again, known)] == [
        False,
        True,
        True,
    ]

    keys = Tables.idempotency_keys.c
    async with database.reading() as session:
        connection = await session.connection()
        statement = select(keys.replays).where(
            keys.principal_id == person.id, keys.key.in_([tried.key, fresh.key])
        )
        # Only what writes cannot have answered from a commit that a failover then loses.
        assert sorted((await connection.execute(statement)).scalars()) == [1, 2]
    assert await person.balance() == 80
