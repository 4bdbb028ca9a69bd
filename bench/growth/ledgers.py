"""The ledgers of a comparison: copies of one that was made, and where their bytes are."""

import asyncio
import itertools
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

import asyncpg
from sqlalchemy import text
from sqlalchemy.engine import make_url

from bench.stand import Ledger
from db.session import Database
from db.urls import async_database_url

# These have rows for each movement; the others grow with people.
GROWING: Final = ("transactions", "entries", "idempotency_keys", "outbox")

_POSTGRESQL_BYTES: Final = """
SELECT relname AS table_name, pg_table_size(oid) AS table_bytes, pg_indexes_size(oid) AS index_bytes
FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
"""
_SQLITE_BYTES: Final = """
SELECT tbl_name AS table_name,
    SUM(CASE type WHEN 'table' THEN pgsize ELSE 0 END) AS table_bytes,
    SUM(CASE type WHEN 'index' THEN pgsize ELSE 0 END) AS index_bytes
FROM dbstat JOIN sqlite_master USING (name) GROUP BY tbl_name
"""

_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Size:
    """How many bytes a table takes on disk by itself, and its indexes together."""

    table: int
    indexes: int


@contextmanager
def copied(ledger: Ledger, folder: Path) -> Iterator[Ledger]:
    """Give a copy of a ledger that nobody is connected to; it goes away with the block.

    SQLite's goes into `folder`, PostgreSQL's stays on its server.
    """
    name = f"{ledger.name}-{next(_numbers)}"
    source = ledger.environment["DATABASE_URL"]
    if make_url(source).get_backend_name() == "sqlite":
        url, path = _copy_file(source, folder / f"{name}.db")
        try:
            yield _at(ledger, name, url)
        finally:
            for each in path.parent.glob(f"{path.name}*"):
                each.unlink()
        return
    parts = urlsplit(source)
    server, of = urlunsplit(parts._replace(path="/postgres")), parts.path.removeprefix("/")
    asyncio.run(_order(server, f'CREATE DATABASE "{name}" TEMPLATE "{of}"'))
    try:
        yield _at(ledger, name, urlunsplit(parts._replace(path=f"/{name}")))
    finally:
        asyncio.run(_order(server, f'DROP DATABASE "{name}" WITH (FORCE)'))


async def sizes(database: Database) -> dict[str, Size]:
    """Return what the tables of GROWING take on disk; nothing where SQLite cannot tell."""
    is_sqlite = database.dialect_name == "sqlite"
    async with database.reading() as session:
        connection = await session.connection()
        if is_sqlite and not await _has_dbstat(connection):
            return {}
        rows = await connection.execute(text(_SQLITE_BYTES if is_sqlite else _POSTGRESQL_BYTES))
        found = {row.table_name: Size(row.table_bytes, row.index_bytes) for row in rows}
    return {name: found[name] for name in GROWING}


def bytes_of_a_transfer(found: Mapping[str, Size], entries: int) -> dict[str, dict[str, float]]:
    """Return the same by transfer, of which there is one for two entries."""
    transfers = entries / 2
    return {
        name: {
            "table": round(size.table / transfers, 1),
            "indexes": round(size.indexes / transfers, 1),
        }
        for name, size in found.items()
    }


def _copy_file(source: str, path: Path) -> tuple[str, Path]:
    # Nobody is connected, so there is nothing beside the file that belongs to it.
    shutil.copyfile(str(make_url(source).database), path)
    return f"sqlite+aiosqlite:///{path}", path


def _at(ledger: Ledger, name: str, url: str) -> Ledger:
    """Return the same ledger at another place."""
    return replace(
        ledger,
        name=name,
        options=replace(ledger.options, url=async_database_url(url)),
        environment=ledger.environment | {"DATABASE_URL": url},
    )


async def _order(server_url: str, statement: str) -> None:
    connection = await asyncpg.connect(server_url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


async def _has_dbstat(connection: Any) -> bool:
    statement = text("SELECT 1 FROM pragma_module_list WHERE name = 'dbstat'")
    return (await connection.execute(statement)).first() is not None
