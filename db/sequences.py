"""Ids taken in advance, so that rows which refer to each other can be written in one go."""

from sqlalchemy import Table, text
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
    statement = text("SELECT seq FROM sqlite_sequence WHERE name = :name")
    last: int = (await connection.execute(statement, {"name": table.name})).scalar() or 0
    return list(range(last + 1, last + 1 + count))
