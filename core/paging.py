"""Pages of lists whose newest row has the highest id: which part is asked for, and what is next."""

import base64
import binascii
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from sqlalchemy import ColumnElement, Select, Subquery, select, union
from sqlmodel.ext.asyncio.session import AsyncSession

from core.errors import InvalidCursor

# Which list a cursor is of: one of another list is refused.
TRANSACTIONS: Final = b"t"
ACCOUNTS: Final = b"a"
ENTRIES: Final = b"e"
API_KEYS: Final = b"k"

Row = TypeVar("Row", bound=Any)


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """Which part of a list: at most `limit` after skipping `offset`, beyond `cursor`."""

    limit: int
    offset: int
    cursor: str | None = None


def encode_cursor(row_id: int, of: bytes = TRANSACTIONS) -> str:
    """Name a place in a list in a way that promises nothing about its contents."""
    return base64.urlsafe_b64encode(of + row_id.to_bytes(8, "big")).decode().rstrip("=")


def decode_cursor(cursor: str, of: bytes = TRANSACTIONS) -> int:
    """Return the place a cursor names. Raises InvalidCursor for what `encode_cursor` never made."""
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars="-_", validate=True)
    except (binascii.Error, ValueError):
        raise InvalidCursor from None
    row_id = int.from_bytes(raw[1:9], "big", signed=True)
    if row_id < 1 or encode_cursor(row_id, of) != cursor:
        raise InvalidCursor
    return row_id


def beyond(ids: ColumnElement[int], part: Slice, of: bytes) -> list[ColumnElement[bool]]:
    """Return the conditions that leave out what is before the cursor. Raises InvalidCursor."""
    return [] if part.cursor is None else [ids < decode_cursor(part.cursor, of)]


def newest(statement: Select[Any], ids: ColumnElement[int], part: Slice) -> Select[Any]:
    """Select one page, newest first, and one row more to tell whether there is a next."""
    return statement.order_by(ids.desc()).limit(part.limit + 1).offset(part.offset)


def newest_of_all(
    lists: Iterable[Select[Any]], ids: ColumnElement[int], part: Slice
) -> Select[Any]:
    """Select the ids of `newest` out of several lists, each of which has an index of its own.

    One condition for all of them would sort them whole. Instead each is read newest first, no
    further than the page needs, and the short lists are merged.
    """
    needed = part.offset + part.limit + 1
    short = [each.order_by(ids.desc()).limit(needed).subquery() for each in lists]
    merged: Subquery = union(*[select(*each.c) for each in short]).subquery()
    (merged_ids,) = merged.c
    return newest(select(merged_ids), merged_ids, part)


def cut(rows: Sequence[Row], part: Slice, of: bytes) -> tuple[Sequence[Row], str | None]:
    """Return the rows of the page itself and the cursor of the next page, None at the end."""
    shown = rows[: part.limit]
    return shown, encode_cursor(shown[-1].id, of) if len(rows) > part.limit else None


async def read_page(
    session: AsyncSession, statement: Select[Any], ids: ColumnElement[int], part: Slice, of: bytes
) -> tuple[Sequence[Any], str | None]:
    """Return a page of what `statement` selects, as `cut` does. Raises InvalidCursor."""
    connection = await session.connection()
    chosen = newest(statement.where(*beyond(ids, part, of)), ids, part)
    return cut((await connection.execute(chosen)).all(), part, of)
