"""Ids taken in advance, so that rows which refer to each other can be written in one go."""

from functools import cache
from typing import Any

from sqlalchemy import CTE, Select, Table, column, func, literal, select, table

from db.arrays import ids_from
from db.lean import LeanConnection

_SQLITE_COUNTERS = table("sqlite_sequence", column("name"), column("seq"))


async def reserve_ids(connection: LeanConnection, of: Table, count: int) -> list[int]:
    """Take `count` ids of a table, growing, never given to anyone else."""
    if count == 0:
        return []
    statement = _ids_statement(connection.dialect_name, of)
    rows = await connection.select(statement, {"places": list(range(1, count + 1))})
    return sorted(row[0] for row in rows)


def new_ids(dialect_name: str, of: Table, *, after: CTE | None = None) -> Select[Any]:
    """Select as many new ids of a table as the list bound to `places`, 1, 2, 3 …, is long.

    PostgreSQL's sequence leaves gaps after a rollback. SQLite's counter is read under the write
    lock that the transaction holds, and moves on when rows with these ids are inserted. None is
    taken before `after` was read to its end.
    """
    places = ids_from(dialect_name, "places")
    if dialect_name == "postgresql":
        taken = select(func.nextval(f"{of.name}_id_seq").label("id")).select_from(places)
        if after is not None:
            taken = taken.where(select(func.count() >= 0).select_from(after).scalar_subquery())
        return taken
    # The counter or the last row, whichever is ahead: making a table anew resets its counter.
    counters = _SQLITE_COUNTERS.c
    counter = select(counters.seq).where(counters.name == of.name).scalar_subquery()
    newest = select(func.max(of.c.id)).scalar_subquery()
    last = func.max(func.coalesce(counter, literal(0)), func.coalesce(newest, literal(0)))
    return select((last + places.c.value).label("id"))


@cache
def _ids_statement(dialect_name: str, of: Table) -> Select[Any]:
    return new_ids(dialect_name, of)
