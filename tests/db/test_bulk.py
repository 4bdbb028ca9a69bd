"""Many rows in one statement: each has its own values, whatever their number."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import BigInteger, Boolean, Column, LargeBinary, MetaData, String, Table, select

from db import bulk
from db.bulk import Row, Step, Work, write
from db.columns import UtcDateTime
from db.session import Database, DatabaseOptions
from tests.conftest import settings_for

MOMENT = datetime(2026, 1, 31, 12, tzinfo=UTC)
LATER = datetime(2026, 2, 1, 12, tzinfo=UTC)
THINGS = Table(
    "things",
    MetaData(),
    Column("owner_id", BigInteger, primary_key=True),
    Column("key", String(20), primary_key=True),
    Column("print", LargeBinary),
    Column("is_new", Boolean),
    Column("count", BigInteger),
    Column("changed_at", UtcDateTime()),
)
ADDED = Step(
    table=THINGS, columns=("owner_id", "key", "print", "is_new", "count"), shared=("changed_at",)
)
CHANGED = Step(
    table=THINGS,
    keys=("owner_id", "key"),
    columns=("is_new",),
    added=("count",),
    shared=("changed_at",),
)


@pytest.fixture
async def things(empty_url: str) -> AsyncIterator[Database]:
    """A database with an empty table of things."""
    opened = Database(DatabaseOptions(url=settings_for(empty_url).database_url))
    async with opened.transaction() as session:
        await (await session.connection()).run_sync(THINGS.metadata.create_all)
    yield opened
    await opened.close()


def row_of(number: int) -> Row:
    # Every third has nothing but its key.
    rest = (None, None, None) if number % 3 == 0 else (bytes([number % 256]), True, number)
    return (number, f"k'{number}", *rest)


async def written(things: Database, *works: Work) -> dict[int, Any]:
    """Write this; return all rows by their owners, without these."""
    async with things.lean_transaction() as connection:
        await write(connection, works)
    async with things.lean_reading() as connection:
        rows = await connection.select(select(THINGS), {})
    return {row[0]: tuple(row)[1:] for row in rows}


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 33, 64, 100])
async def test_each_row_is_written_with_its_own_values(things: Database, count: int) -> None:
    rows = [row_of(number) for number in range(1, count + 1)]

    found = await written(things, Work(ADDED, rows, (MOMENT,)))

    assert found == {row[0]: (*row[1:], MOMENT) for row in rows}


async def test_only_rows_with_these_keys_change(things: Database) -> None:
    rows = [(number, "key", b"print", True, 100) for number in range(1, 8)]
    await written(things, Work(ADDED, rows, (MOMENT,)))
    changes = [(2, "key", False, 1), (3, "other", False, 1), (5, "key", None, -7)]

    found = await written(things, Work(CHANGED, changes, (LATER,)))

    assert found.pop(2) == ("key", b"print", False, 101, LATER)
    assert found.pop(5) == ("key", b"print", None, 93, LATER)
    assert found == dict.fromkeys((1, 3, 4, 6, 7), ("key", b"print", True, 100, MOMENT))


async def test_more_than_a_statement_takes_goes_in_several(
    things: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "SQLITE_ROWS_LIMIT", 4)
    rows = [row_of(number) for number in range(1, 12)]

    found = await written(things, Work(ADDED, rows, (MOMENT,)))

    assert found == {row[0]: (*row[1:], MOMENT) for row in rows}


async def test_what_has_no_rows_is_not_written(things: Database) -> None:
    assert await written(things, Work(ADDED, [], (MOMENT,)), Work(CHANGED, [], (LATER,))) == {}
