"""How PostgreSQL reads a history: no further than the page, whichever plan it takes."""

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import asyncpg
import pytest
from sqlalchemy import event

from bench.growth.filling import Filling, settle
from bench.people import make_people
from core.history import HistoryPage, read_history
from core.paging import encode_cursor
from db.session import Database, DatabaseOptions
from db.urls import async_database_url
from tests.conftest import create_postgres_database, migrate
from tests.processes import SECRET_KEY

PEOPLE = 100
ENTRIES = 40_000
LIMIT = 20
# One more row tells whether there is a next page.
READ = LIMIT + 1

Statement = tuple[str, tuple[Any, ...]]


@pytest.fixture(scope="module")
async def database(postgres_url: str) -> AsyncIterator[Database]:
    """A database with a wallet that has a tenth of 20,000 transactions."""
    url = await create_postgres_database(postgres_url)
    await migrate(url)
    opened = Database(DatabaseOptions(url=async_database_url(url)))
    await make_people(opened, count=PEOPLE, secret_key=SECRET_KEY)
    await (await Filling.of(opened)).fill_to(ENTRIES, opened, lambda _: None)
    await settle(opened)
    yield opened
    await opened.close()


@pytest.mark.parametrize("mode", ["force_custom_plan", "force_generic_plan"])
@pytest.mark.parametrize("cursor", [None, encode_cursor(ENTRIES // 4)], ids=["newest", "halfway"])
async def test_a_page_of_a_long_history_reads_no_more_than_the_page(
    database: Database, mode: str, cursor: str | None
) -> None:
    statement, parameters = await statement_of(
        database, HistoryPage(limit=LIMIT, offset=0, cursor=cursor)
    )

    plan = await explain(database, statement, parameters, mode)

    read = [
        node["Actual Rows"] for node in nodes(plan) if node.get("Relation Name") == "transactions"
    ]
    assert read
    assert max(read) <= READ


async def statement_of(database: Database, page: HistoryPage) -> Statement:
    """Read a page of the hot wallet; return the statement for it and its parameters."""
    executed: list[Statement] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        executed.append((statement, tuple(parameters)))

    reader = database.engines["readers"].sync_engine
    event.listen(reader, "before_cursor_execute", note)
    try:
        async with database.reading() as session:
            items, _ = await read_history(session, 1, page)
    finally:
        event.remove(reader, "before_cursor_execute", note)
    assert len(items) == LIMIT
    return executed[-1]


async def explain(
    database: Database, statement: str, parameters: tuple[Any, ...], mode: str
) -> dict[str, Any]:
    """Return how PostgreSQL executes it as a prepared statement."""
    url = database.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(f"SET plan_cache_mode = {mode}")
        await connection.execute(f"PREPARE page AS {statement}")
        values = ", ".join(f"'{value}'" for value in parameters)
        told = await connection.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) EXECUTE page({values})")
    finally:
        await connection.close()
    plan: dict[str, Any] = json.loads(told)[0]["Plan"]
    return plan


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Return all steps of a plan."""
    yield plan
    for child in plan.get("Plans", ()):
        yield from nodes(child)
