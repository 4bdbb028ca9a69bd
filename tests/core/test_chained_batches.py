"""Batches that follow one another at once: PostgreSQL commits one and begins the next in one."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import pytest
from sqlalchemy import Select, column, select

from core.commands import deposit, withdraw
from core.errors import InternalError
from core.money import Money
from core.poster import Poster, PosterLimits
from db.lean import LeanConnection
from db.session import Database, DatabaseOptions
from tests.attempts import attempt
from tests.conftest import settings_for
from tests.cutting_proxy import cutting_proxy
from tests.people import People

ONE_BY_ONE = PosterLimits(batch=1)
TEN = Money(1000, "NGN")
CHAINED = "COMMIT AND CHAIN"
BACKEND: Select[tuple[int]] = select(column("pg_backend_pid()", is_literal=True))


class Overheard:
    """What is said to PostgreSQL without a session, but for the statements on tables."""

    def __init__(self) -> None:
        self.said: list[str] = []

    @contextmanager
    def around(self, statement: str) -> Iterator[None]:
        if not statement.startswith(("SELECT", "WITH")):
            self.said.append(statement)
        yield


@pytest.fixture
async def opened(database_url: str) -> AsyncIterator[Database]:
    """The service's database, opened once more."""
    database = Database(DatabaseOptions(url=settings_for(database_url).database_url))
    yield database
    assert writers_in_use(database) == 0
    await database.close()


def writers_in_use(database: Database) -> int:
    return database.pool_use()["writers"].in_use


async def test_waiting_batches_share_one_beginning(people: People, opened: Database) -> None:
    person = await people.with_wallet(100)
    overheard = Overheard()
    opened.around_lean = overheard.around
    poster = Poster(opened, ONE_BY_ONE)

    for _ in range(2):
        answers = await asyncio.gather(
            *[poster.post(attempt(withdraw(user_id=person.id, money=TEN))) for _ in range(3)]
        )
        assert [answer.status for answer in answers] == [200] * 3
        # Whoever is the last leaves nothing open behind.
        assert writers_in_use(opened) == 0

    if opened.dialect_name == "postgresql":
        assert overheard.said == ["BEGIN", CHAINED, CHAINED, "COMMIT"] * 2
    assert await person.balance() == 40


async def test_a_batch_that_fails_in_a_chain_leaves_the_others_alone(
    people: People, opened: Database
) -> None:
    person = await people.with_wallet(0)
    poster = Poster(opened, ONE_BY_ONE)
    # More than a column holds: the database refuses it, in a transaction that others began.
    amounts = [TEN, Money(10**30, "NGN"), TEN, Money(10**30, "NGN"), TEN]

    answers = await asyncio.gather(
        *[poster.post(attempt(deposit(user_id=person.id, money=money))) for money in amounts],
        return_exceptions=True,
    )

    assert [isinstance(answer, InternalError) for answer in answers] == [
        money is not TEN for money in amounts
    ]
    assert await person.balance() == 30


@pytest.mark.faults
@pytest.mark.parametrize(("batches", "commit"), [(1, "COMMIT"), (4, CHAINED)])
async def test_a_connection_cut_at_commit_moves_money_once(
    people: People, database_url: str, engine_name: str, batches: int, commit: str
) -> None:
    if engine_name == "sqlite":
        pytest.skip("there is no connection to cut: the file is the database")
    person = await people.with_wallet(100)
    async with cutting_proxy(database_url, cuts=1) as (proxy_url, cut):
        database = Database(DatabaseOptions(url=settings_for(proxy_url).database_url))
        poster = Poster(database, ONE_BY_ONE)
        answers = await asyncio.gather(
            *[poster.post(attempt(withdraw(user_id=person.id, money=TEN))) for _ in range(batches)]
        )
        await database.close()
    assert cut == [commit]
    assert [answer.status for answer in answers] == [200] * batches
    # The ledger was asked again what became of the first, but nobody has asked for it before.
    assert [answer.replayed for answer in answers] == [False] * batches
    assert await person.balance() == 100 - 10 * batches


class EndingDatabase(Database):
    """Ends the first connection of a batch when its transaction was committed.

    `states` is what PostgreSQL said that this connection was doing.
    """

    def __init__(self, url: str, rival: Database):
        super().__init__(DatabaseOptions(url=url))
        self._rival = rival
        self.states: list[str] = []

    @asynccontextmanager
    async def lean_transaction(self, **options: Any) -> AsyncIterator[LeanConnection]:
        async with super().lean_transaction(**options) as connection:
            [[backend]] = await connection.select(BACKEND, {})
            yield connection
        if self.states:
            return
        async with self._rival.transaction() as session:
            rival = await session.connection()
            state = await rival.exec_driver_sql(
                f"SELECT state FROM pg_stat_activity WHERE pid = {backend:d}"
            )
            self.states.append(state.scalar_one())
            await rival.exec_driver_sql(f"SELECT pg_terminate_backend({backend:d})")


@pytest.mark.faults
async def test_a_connection_that_ends_between_two_batches_loses_nothing(
    people: People, database: Database, database_url: str, engine_name: str
) -> None:
    if engine_name == "sqlite":
        pytest.skip("there is no connection that could end")
    person = await people.with_wallet(100)
    ending = EndingDatabase(settings_for(database_url).database_url, database)
    poster = Poster(ending, ONE_BY_ONE)

    answers = await asyncio.gather(
        *[poster.post(attempt(withdraw(user_id=person.id, money=TEN))) for _ in range(3)]
    )

    assert ending.states == ["idle in transaction"]
    assert [answer.status for answer in answers] == [200] * 3
    assert await person.balance() == 70
    assert writers_in_use(ending) == 0
    await ending.close()
