"""Rows that are lent: whoever takes them puts their `due_at` off, and nobody takes them before.

Receipts and payments are lent so. What is not given back is due again when its lease ends, wherever
whoever had it got lost.
"""

from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Table, select, update
from sqlmodel.ext.asyncio.session import AsyncSession


class Lease(NamedTuple):
    """The ids of rows that were lent, and until when: their `due_at` from then on."""

    ids: list[int]
    until: datetime


async def lease_due(
    session: AsyncSession,
    table: Table,
    is_open: Any,
    *,
    now: datetime,
    duration: timedelta,
    limit: int,
) -> Lease:
    """Lend at most `limit` rows of `table` that are open and due, the longest waiting first.

    Each is lent to one caller at a time; PostgreSQL skips rows that another is just taking, and
    SQLite has one writer.
    """
    rows, until = table.c, now + duration
    # Found once, and then changed: as a part of the condition, PostgreSQL may look for them again
    # for each row that it changes, and each time skip those it has locked already.
    due = (
        select(rows.id)
        .where(is_open, rows.due_at <= now)
        .order_by(rows.due_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
        .cte("due")
        .prefix_with("MATERIALIZED")
    )
    connection = await session.connection()
    taken = await connection.execute(
        update(table).where(rows.id == due.c.id).values(due_at=until).returning(rows.id)
    )
    return Lease(sorted(row.id for row in taken), until)
