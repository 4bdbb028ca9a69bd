"""How PostgreSQL executes what the service asks of it."""

import json
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import asyncpg
from asyncpg.connection import LoggedQuery
from sqlalchemy import event
from sqlmodel.ext.asyncio.session import AsyncSession

from db.lean import LeanConnection
from db.session import Database, DatabaseOptions

Statement = tuple[str, tuple[Any, ...]]


async def last_statement(
    database: Database, read: Callable[[AsyncSession], Awaitable[object]]
) -> Statement:
    """Look through a session of the service's; return the last statement and its parameters."""
    executed: list[Statement] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        executed.append((statement, tuple(parameters)))

    reader = database.engines["readers"].sync_engine
    event.listen(reader, "before_cursor_execute", note)
    try:
        async with database.reading() as session:
            await read(session)
    finally:
        event.remove(reader, "before_cursor_execute", note)
    return executed[-1]


async def last_lean_statement(
    database: Database, read: Callable[[LeanConnection], Awaitable[object]]
) -> Statement:
    """Look through a lean connection; return the last statement and its parameters."""
    executed: list[Statement] = []

    def note(query: LoggedQuery) -> None:
        executed.append((query.query, tuple(query.args)))

    def listen(connection: Any, _record: object) -> None:
        connection.driver_connection.add_query_logger(note)

    url = database.engine.url.render_as_string(hide_password=False)
    own = Database(DatabaseOptions(url=url))
    event.listen(own.engines["readers"].sync_engine, "connect", listen)
    try:
        async with own.lean_turn() as connection:
            await read(connection)
    finally:
        await own.close()
    return executed[-1]


async def explain(database: Database, statement: Statement, *settings: str) -> dict[str, Any]:
    """Return how PostgreSQL executes it as a prepared statement, with these settings."""
    text, parameters = statement
    url = database.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    connection = await asyncpg.connect(url)
    try:
        for setting in settings:
            await connection.execute(f"SET {setting}")
        await connection.execute(f"PREPARE looked AS {text}")
        values = ", ".join(f"'{value}'" for value in parameters)
        told = await connection.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) EXECUTE looked({values})")
    finally:
        await connection.close()
    plan: dict[str, Any] = json.loads(told)[0]["Plan"]
    return plan


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Return all steps of a plan."""
    yield plan
    for child in plan.get("Plans", ()):
        yield from nodes(child)
