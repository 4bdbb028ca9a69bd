"""Pages of a list that is read off its ids, newest first."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlmodel.ext.asyncio.session import AsyncSession

from core.cursors import decode_cursor, encode_cursor


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """Which part of a list: at most `limit` after skipping `offset`, beyond `cursor`."""

    limit: int
    offset: int
    cursor: str | None = None


async def read_slice(
    session: AsyncSession, statement: Any, id_column: Any, part: Slice, cursors: bytes
) -> tuple[Sequence[Any], str | None]:
    """Return a page of rows, the highest id first, and the cursor of the next, None at the end.

    `cursors` tells the cursors of this list from those of others. Raises InvalidCursor.
    """
    if part.cursor is not None:
        statement = statement.where(id_column < decode_cursor(part.cursor, cursors))
    connection = await session.connection()
    found = await connection.execute(
        statement.order_by(id_column.desc()).limit(part.limit + 1).offset(part.offset)
    )
    rows = found.all()
    shown = rows[: part.limit]
    return shown, encode_cursor(shown[-1].id, cursors) if len(rows) > part.limit else None
