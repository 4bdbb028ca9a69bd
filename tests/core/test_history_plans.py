"""How PostgreSQL reads a history: no further than the page, whichever plan it takes."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from bench.growth.filling import Filling, settle
from bench.people import make_people
from core.history import HistoryPage, read_history
from core.paging import encode_cursor
from db.lean import LeanConnection
from db.session import Database, DatabaseOptions
from db.urls import async_database_url
from tests.conftest import create_postgres_database, migrate
from tests.plans import explain, last_lean_statement, nodes
from tests.processes import SECRET_KEY

PEOPLE = 100
ENTRIES = 40_000
LIMIT = 20
# One more row tells whether there is a next page.
READ = LIMIT + 1


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
    page = HistoryPage(limit=LIMIT, offset=0, cursor=cursor)

    async def look(connection: LeanConnection) -> None:
        items, _ = await read_history(connection, 1, page)
        assert len(items) == LIMIT

    plan = await explain(
        database, await last_lean_statement(database, look), f"plan_cache_mode = {mode}"
    )

    assert max(node["Actual Rows"] for node in reads(plan)) <= READ


@pytest.mark.parametrize("mode", ["force_custom_plan", "force_generic_plan"])
@pytest.mark.parametrize("edge", ["since", "until"])
async def test_a_page_of_a_time_reads_no_more_than_what_is_near(
    database: Database, mode: str, edge: str
) -> None:
    """The wallet was opened at one time, and all of its transfers have another."""
    async with database.lean_turn() as connection:
        (opening,), _ = await read_history(
            connection, 1, HistoryPage(limit=LIMIT, offset=0, type="deposit")
        )
    page = {
        "since": HistoryPage(limit=LIMIT, offset=0, since=opening.date + timedelta(days=1)),
        "until": HistoryPage(limit=LIMIT, offset=0, until=opening.date),
    }[edge]

    async def look(connection: LeanConnection) -> None:
        items, _ = await read_history(connection, 1, page)
        assert len(items) == (1 if edge == "until" else 0)

    plan = await explain(
        database, await last_lean_statement(database, look), f"plan_cache_mode = {mode}"
    )

    assert max(node["Actual Rows"] for node in reads(plan)) <= READ
    assert not any(node.get("Rows Removed by Filter") for node in reads(plan))


@pytest.mark.parametrize("mode", ["force_custom_plan", "force_generic_plan"])
async def test_one_deposit_among_many_transfers_is_found_without_reading_those(
    database: Database, mode: str
) -> None:
    page = HistoryPage(limit=LIMIT, offset=0, type="deposit")

    async def look(connection: LeanConnection) -> None:
        items, _ = await read_history(connection, 1, page)
        assert [item.type for item in items] == ["deposit"]

    plan = await explain(
        database, await last_lean_statement(database, look), f"plan_cache_mode = {mode}"
    )

    assert [node["Actual Rows"] for node in reads(plan)] == [1, 1]
    assert not any(node.get("Rows Removed by Filter") for node in reads(plan))


def reads(plan: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the steps that read transactions."""
    return [node for node in nodes(plan) if node.get("Relation Name") == "transactions"]
