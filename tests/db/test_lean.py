"""Connections without a session: they begin, commit and roll back as sessions do."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import Any

import asyncpg
import pytest
from sqlalchemy import Select, String, bindparam, column, literal, select, table
from sqlalchemy.exc import DBAPIError

from db import lender
from db.faults import Fault, classify
from db.lean import LeanConnection
from db.session import Database, DatabaseOptions
from tests.conftest import settings_for

THINGS = table("things", column("name", String))
NAMES = select(THINGS.c.name).order_by(THINGS.c.name)
GIVEN = select(literal(7).label("fixed"), bindparam("given", type_=String).label("given"))
PATIENCE: Select[tuple[str]] = select(column("current_setting('lock_timeout')", is_literal=True))
BACKEND: Select[tuple[int]] = select(column("pg_backend_pid()", is_literal=True))


@pytest.fixture
async def things(empty_url: str) -> AsyncIterator[Database]:
    """A database with a table of names, each there once, and one connection for reading."""
    url = settings_for(empty_url).database_url
    opened = Database(DatabaseOptions(url=url, pool_size=1))
    async with opened.transaction() as session:
        connection = await session.connection()
        await connection.exec_driver_sql("CREATE TABLE things (name VARCHAR(20) PRIMARY KEY)")
    yield opened
    await opened.close()


async def add(connection: LeanConnection, *names: str) -> None:
    mark = "$1" if connection.dialect_name == "postgresql" else "?1"
    for name in names:
        await connection.execute(f"INSERT INTO things (name) VALUES ({mark})", (name,))


async def added(
    things: Database,
    *names: str,
    error: type[Exception] | None = None,
    another: bool = False,
) -> None:
    """Add names in a transaction of their own, which ends in an error if one is given."""
    async with things.lean_transaction(another=lambda: another) as connection:
        await add(connection, *names)
        if error is not None:
            raise error


async def names_in(things: Database) -> list[str]:
    async with things.lean_reading() as connection:
        return [row[0] for row in await connection.select(NAMES, {})]


async def test_what_is_fixed_and_what_is_given_are_put_in_order(things: Database) -> None:
    async with things.lean_reading() as connection:
        for given in ("a", "b"):
            rows = await connection.select(GIVEN, {"given": given})
            assert [tuple(row) for row in rows] == [(7, given)]


async def test_a_block_that_ends_commits_each_row(things: Database) -> None:
    await added(things, "first", "second")

    assert await names_in(things) == ["first", "second"]


async def test_a_block_that_raises_leaves_nothing_and_gives_the_connection_back(
    things: Database,
) -> None:
    for _ in range(20):
        with pytest.raises(LookupError):
            await added(things, "lost", error=LookupError)

    assert await names_in(things) == []
    assert things.pool_use()["writers"].in_use == 0


async def test_a_refused_statement_is_classified_and_its_connection_used_again(
    things: Database,
) -> None:
    await added(things, "once")

    for _ in range(20):
        with pytest.raises((sqlite3.Error, asyncpg.PostgresError)) as refused:
            await added(things, "never", "once")
        assert classify(refused.value) is Fault.CONFLICT

    assert await names_in(things) == ["once"]


@pytest.mark.parametrize("another", [False, True])
async def test_nobody_is_told_of_a_commit_that_did_not_happen(
    things: Database, another: bool
) -> None:
    async def swallow() -> None:
        async with things.lean_transaction(another=lambda: another) as connection:
            await add(connection, "swallowed")
            with suppress(sqlite3.IntegrityError, asyncpg.UniqueViolationError):
                await add(connection, "swallowed")
                # Only now SQLite is told.
                await connection.select(NAMES, {})

    with pytest.raises((sqlite3.OperationalError, asyncpg.InFailedSQLTransactionError)):
        await swallow()
    assert things.pool_use()["writers"].in_use == 0
    await added(things, "after")
    assert await names_in(things) == ["after"]


async def test_what_follows_in_a_chain_is_a_transaction_of_its_own(things: Database) -> None:
    await added(things, "first", another=True)
    with pytest.raises(LookupError):
        await added(things, "lost", error=LookupError)
    await added(things, "second", another=True)
    with pytest.raises((sqlite3.Error, asyncpg.PostgresError)):
        await added(things, "never", "first", another=True)
    await added(things, "third", another=True)
    # Committed, whatever becomes of the transaction that was begun for the next.
    assert await names_in(things) == ["first", "second", "third"]
    await added(things, "fourth")

    assert await names_in(things) == ["first", "fourth", "second", "third"]
    assert things.pool_use()["writers"].in_use == 0


async def test_a_chain_passes_the_pool_after_a_while(
    things: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lender, "KEPT_SECONDS", 0)

    await added(things, "first", another=True)

    assert things.pool_use()["writers"].in_use == 0


async def test_a_transaction_that_is_no_more_is_begun_anew(things: Database) -> None:
    if things.dialect_name == "sqlite":
        pytest.skip("SQLite begins no transaction in advance")
    async with things.lean_transaction(another=lambda: True) as connection:
        [[before]] = await connection.select(BACKEND, {})
    async with things.transaction() as session:
        rival = await session.connection()
        await rival.exec_driver_sql(f"SELECT pg_terminate_backend({before:d})")
    # The word of it arrives.
    await asyncio.sleep(0.2)

    await added(things, "first")

    assert await names_in(things) == ["first"]
    assert things.pool_use()["writers"].in_use == 0


async def test_patience_lasts_for_its_own_transaction(things: Database) -> None:
    if things.dialect_name == "sqlite":
        pytest.skip("SQLite waits for the one writer, not for rows")
    patience: list[Any] = []
    for timeout_ms in (None, 70, None):
        transaction = things.lean_transaction(lock_timeout_ms=timeout_ms, another=lambda: True)
        async with transaction as connection:
            patience += await connection.select(PATIENCE, {})

    assert [row[0] for row in patience] == ["1s", "70ms", "1s"]


async def test_closing_gives_up_what_was_begun_for_nobody(things: Database) -> None:
    await added(things, "first", another=True)

    await things.close()

    assert things.pool_use()["writers"].in_use == 0
    assert await names_in(things) == ["first"]


async def test_whoever_only_looks_cannot_write(things: Database) -> None:
    async def write() -> None:
        async with things.lean_reading() as connection:
            await add(connection, "written")

    with pytest.raises((sqlite3.Error, asyncpg.ReadOnlySQLTransactionError)):
        await write()
    assert await names_in(things) == []


@pytest.mark.parametrize("pgbouncer", [False, True])
@pytest.mark.parametrize("way", ["lean_reading", "lean_turn", "lean_transaction"])
async def test_whoever_finds_nothing_costs_no_connection(
    things: Database, empty_url: str, way: str, pgbouncer: bool
) -> None:
    if things.dialect_name == "sqlite":
        pytest.skip("SQLite has no server")
    url = settings_for(empty_url).database_url
    opened = Database(DatabaseOptions(url=url, pool_size=3, pgbouncer=pgbouncer))
    backends: set[int] = set()

    async def look(error: type[Exception]) -> None:
        async with getattr(opened, way)() as connection:
            backends.update(row[0] for row in await connection.select(BACKEND, {}))
            if error is LookupError:
                raise error
            await connection.select(select(column("missing")).select_from(table("missing")), {})

    for error in (LookupError, asyncpg.UndefinedTableError) * 3:
        with pytest.raises(error):
            await look(error)
    await opened.close()

    assert len(backends) == 1


async def test_whoever_is_cut_off_waiting_for_the_lock_does_not_get_it_later(
    things: Database,
) -> None:
    if things.dialect_name == "postgresql":
        pytest.skip("PostgreSQL locks rows, and is told when nobody waits any more")
    path = str(things.engine.url.database)
    rival = sqlite3.connect(path, isolation_level=None)
    rival.execute("BEGIN IMMEDIATE")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1), things.lean_transaction() as connection:
            await connection.select(NAMES, {})
    rival.execute("COMMIT")

    await added(things, "after")

    assert await names_in(things) == ["after"]
    rival.execute("BEGIN IMMEDIATE")
    rival.close()
    assert things.pool_use()["writers"].in_use == 0


async def test_a_transaction_says_nothing_before_it_needs_an_answer(things: Database) -> None:
    if things.dialect_name == "postgresql":
        pytest.skip("each answer of PostgreSQL's is awaited")
    said: list[str] = []

    def around(statement: str) -> AbstractContextManager[None]:
        said.append(" ".join(statement.split()[:2]))
        return nullcontext()

    things.around_lean = around
    async with things.lean_transaction() as connection:
        assert said == []
        await connection.select(NAMES, {})
        assert said == ["BEGIN IMMEDIATE", "SELECT things.name"]
        await add(connection, "one", "another")
        assert len(said) == 2

    assert said[2:] == ["INSERT INTO", "INSERT INTO", "COMMIT"]


@pytest.mark.parametrize("way", ["transaction", "lean_transaction"])
async def test_a_commit_that_fails_leaves_nothing_open(things: Database, way: str) -> None:
    if things.dialect_name == "postgresql":
        pytest.skip("PostgreSQL ends a transaction whose COMMIT fails")
    orphan = (
        "CREATE TABLE IF NOT EXISTS parts (thing VARCHAR(20) REFERENCES things (name))",
        "PRAGMA defer_foreign_keys = ON",
        "INSERT INTO parts VALUES ('missing')",
    )

    async def commit_an_orphan() -> None:
        async with getattr(things, way)() as opened:
            for statement in orphan:
                if way == "transaction":
                    await (await opened.connection()).exec_driver_sql(statement)
                else:
                    await opened.execute(statement, ())

    for _ in range(2):
        with pytest.raises((DBAPIError, sqlite3.IntegrityError), match="FOREIGN KEY"):
            await commit_an_orphan()

    await added(things, "after")
    assert await names_in(things) == ["after"]


async def test_pgbouncer_means_nothing_to_sqlite(things: Database) -> None:
    if things.dialect_name == "postgresql":
        pytest.skip("it is PostgreSQL's")
    url = things.engine.url.render_as_string(hide_password=False)
    opened = Database(DatabaseOptions(url=url, pgbouncer=True))

    assert await names_in(opened) == []
    await opened.close()


async def test_whoever_is_cut_off_leaves_no_answer_to_the_next(things: Database) -> None:
    if things.dialect_name == "sqlite":
        pytest.skip("SQLite has no server")
    slow: Select[tuple[str]] = select(column("pg_sleep(5)", is_literal=True))

    async def look() -> None:
        async with things.lean_reading() as connection:
            await connection.select(slow, {})

    for _ in range(3):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await look()

    assert await names_in(things) == []


async def test_a_connection_that_the_server_closed_is_not_handed_out(things: Database) -> None:
    if things.dialect_name == "sqlite":
        pytest.skip("SQLite has no server")
    async with things.lean_reading() as connection:
        [[before]] = await connection.select(BACKEND, {})
        async with things.transaction() as session:
            rival = await session.connection()
            await rival.exec_driver_sql(f"SELECT pg_terminate_backend({before:d})")
        with pytest.raises(Exception, match=r".") as lost:
            await connection.select(BACKEND, {})
        assert classify(lost.value) is Fault.UNAVAILABLE

    async with things.lean_reading() as connection:
        [[after]] = await connection.select(BACKEND, {})

    assert after != before
    assert things.pool_use()["readers"].in_use == 0


async def test_a_connection_that_dies_in_the_pool_is_not_handed_out(things: Database) -> None:
    if things.dialect_name == "sqlite":
        pytest.skip("SQLite has no server")
    async with things.lean_reading() as connection:
        [[before]] = await connection.select(BACKEND, {})
    async with things.transaction() as session:
        rival = await session.connection()
        await rival.exec_driver_sql(f"SELECT pg_terminate_backend({before:d})")
    # The word of it arrives.
    await asyncio.sleep(0.2)

    async with things.lean_reading() as connection:
        [[after]] = await connection.select(BACKEND, {})
    assert after != before
