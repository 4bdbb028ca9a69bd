"""What makes a measurement wrong."""

import asyncio

import asyncpg
import pytest

from bench.load import Sent
from bench.proof import LOOK_SECONDS, SAME_LOOKS, Books, disproof
from db.session import Database, DatabaseOptions
from tests.conftest import settings_for
from tests.people import People


def sent(answered: int, *, unheard: int = 0, **failures: int) -> Sent:
    return Sent(answered=answered, failures=failures, seconds=1, latencies_ms={}, unheard=unheard)


@pytest.mark.parametrize(
    ("report", "written"), [(sent(10), 10), (sent(10, unheard=4), 10), (sent(10, unheard=4), 14)]
)
def test_movements_that_add_up(report: Sent, written: int) -> None:
    assert disproof(report, written=written, each_writes=True) == ""


@pytest.mark.parametrize(
    ("report", "written"), [(sent(10), 9), (sent(10), 11), (sent(10, unheard=4), 15)]
)
def test_movements_that_do_not(report: Sent, written: int) -> None:
    said = disproof(report, written=written, each_writes=True)

    assert said.startswith(f"The database has {written} new transactions")


def test_reading_writes_nothing() -> None:
    assert disproof(sent(10, unheard=4), written=0, each_writes=False) == ""
    assert disproof(sent(10, unheard=4), written=1, each_writes=False) != ""


def test_whatever_is_not_a_200_makes_a_run_wrong() -> None:
    report = Sent(
        answered=10, failures={"timeout": 1, "503": 2}, seconds=1, latencies_ms={}, unheard=4
    )

    said = disproof(report, written=10, each_writes=True)

    assert said == "Not every answer was a success: 2 503, 1 timeout."


def test_a_run_without_answers_is_wrong() -> None:
    assert disproof(sent(0), written=0, each_writes=False) == "There was no answer at all."


async def test_what_stands_still_is_waited_for(
    people: People, database: Database, database_url: str
) -> None:
    if database.dialect_name == "sqlite":
        pytest.skip("SQLite does not tell who is at work")
    await people.with_wallet(1)
    url = settings_for(database_url).database_url
    books = Books(DatabaseOptions(url=url))
    mark = await asyncio.to_thread(books.mark)
    # One statement by itself: it is at work until it is committed.
    slowly_once_more = f"""
        DO $$ BEGIN
            PERFORM pg_sleep({3 * SAME_LOOKS * LOOK_SECONDS});
            INSERT INTO transactions (type, state, wallet_id, amount_minor, currency, created_at)
            SELECT type, state, wallet_id, amount_minor, currency, now() FROM transactions;
        END $$
    """

    connection = await asyncpg.connect(url.replace("+asyncpg", ""))
    working = asyncio.create_task(connection.execute(slowly_once_more))
    await asyncio.sleep(LOOK_SECONDS)
    count = await asyncio.to_thread(books.count_since, mark)

    assert count == 1
    await working
    await connection.close()
