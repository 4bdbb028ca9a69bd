"""Ids taken in advance, so that rows which refer to each other can be written in one go."""

from sqlalchemy import Table, func, select, text
from sqlalchemy.ext.asyncio import AsyncConnection


async def reserve_ids(connection: AsyncConnection, table: Table, count: int) -> list[int]:
    """Take `count` ids of `table`, growing, never given to anyone else.

    PostgreSQL's sequence leaves gaps after a rollback. SQLite's counter is read under the write
    lock that the transaction holds, and moves on when rows with these ids are inserted.
    """
    if count == 0:
        return []
    if connection.dialect.name == "postgresql":
        # The name is a table of ours, never input.
        statement = text("SELECT nextval(:name) FROM generate_series(1, :count)")
        rows = await connection.execute(statement, {"name": f"{table.name}_id_seq", "count": count})
        return sorted(row[0] for row in rows)
    # The counter or the last row, whichever is ahead: making a table anew resets its counter.
    counter = "SELECT COALESCE(MAX(seq), 0) FROM sqlite_sequence WHERE name = :name"
    newest = select(func.coalesce(func.max(table.c.id), 0))
    last = max(
        (await connection.execute(text(counter), {"name": table.name})).scalar_one(),
        (await connection.execute(newest)).scalar_one(),
    )
    return list(range(last + 1, last + 1 + count))
