"""Pages of lists whose newest row has the highest id: which part is asked for, and what is next.

What is asked for goes along as parameters (`parameters_of`), so that a statement can be made once:
making one takes SQLAlchemy longer than PostgreSQL needs to answer it.
"""

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from sqlalchemy import (
    BigInteger,
    BindParameter,
    ColumnElement,
    Select,
    Subquery,
    bindparam,
    select,
    true,
    union,
    union_all,
)

from core.errors import InvalidCursor
from db.arrays import ids_from
from db.lean import LeanConnection

# Which list a cursor is of: one of another list is refused.
TRANSACTIONS: Final = b"t"
ACCOUNTS: Final = b"a"
ENTRIES: Final = b"e"
API_KEYS: Final = b"k"

# Without a cursor a page is of what comes before this, which is all: ids are far from it.
_HIGHEST_ID: Final = 2**63 - 1
_NOBODY: Final = 0
_OWNERS: Final = "owners"
# SQLite takes 500 lists in one statement, and there may be two of each owner.
_PLACES_LIMIT: Final = 250

# Selects the ids of the rows of an owner.
RowsOf = Callable[[ColumnElement[int]], Select[Any]]

Row = TypeVar("Row", bound=Sequence[Any])


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


def parameters_of(part: Slice, of: bytes) -> dict[str, int]:
    """Return what the statements below take besides their own parameters. Raises InvalidCursor.

    One row more than the page has tells whether there is a next one.
    """
    return {
        "before": _HIGHEST_ID if part.cursor is None else decode_cursor(part.cursor, of),
        "skipped": part.offset,
        "rows": part.limit + 1,
        "needed": part.offset + part.limit + 1,
    }


def newest(statement: Select[Any], ids: ColumnElement[int]) -> Select[Any]:
    """Select one page, newest first, of what comes before the cursor."""
    return _cut_out(statement.where(ids < _number("before")), ids)


def newest_of_all(
    dialect_name: str, places: int, lists: Sequence[RowsOf], ids: ColumnElement[int]
) -> Select[Any]:
    """Select the ids of `newest` out of several lists of each of several owners (`owned_by`).

    Each of these lists has an index of its own. One condition for all of them would sort them
    whole; instead each is read newest first, no further than the page needs, and the short lists
    are merged. What is in two of them counts once.
    """

    def short(rows_of: RowsOf, owner: ColumnElement[int]) -> Select[Any]:
        rows = rows_of(owner).where(ids < _number("before"))
        return rows.order_by(ids.desc()).limit(_number("needed"))

    parts = []
    for rows_of in lists:
        if dialect_name == "postgresql":
            owners = owners_among(dialect_name, places)
            each = short(rows_of, owners.c.id).lateral()
            parts.append(select(*each.c).select_from(owners.join(each, true())))
        else:
            named = [_number(_place(number)) for number in range(places)]
            parts += [select(*short(rows_of, owner).subquery().c) for owner in named]
    merged = union(*parts).subquery()
    (merged_ids,) = merged.c
    return _cut_out(select(merged_ids), merged_ids)


def owned_by(dialect_name: str, owners: Sequence[int]) -> dict[str, Any]:
    """Name the owners, of which there is at least one, as the parameters of `newest_of_all`.

    On PostgreSQL they are one list. On SQLite each has a place in the statement, of which there are
    as many as the next power of two, so that there are few statements; nobody is in those that are
    left over.
    """
    if dialect_name == "postgresql":
        return {_OWNERS: list(owners)}
    count = len(owners)
    places = max(count, min(1 << (count - 1).bit_length(), _PLACES_LIMIT))
    return {_place(n): owners[n] if n < count else _NOBODY for n in range(places)}


def owners_among(dialect_name: str, places: int) -> Subquery:
    """Select the owners that `owned_by` names, as `id`; it may name nobody, who is 0."""
    if dialect_name == "postgresql":
        return select(ids_from(dialect_name, _OWNERS).c.value.label("id")).subquery()
    named = [select(_number(_place(number)).label("id")) for number in range(places)]
    return union_all(*named).subquery()


def cut(rows: Sequence[Row], part: Slice, of: bytes) -> tuple[Sequence[Row], str | None]:
    """Return the rows of the page itself and the cursor of the next page, None at the end.

    The first column is the id.
    """
    shown = rows[: part.limit]
    return shown, encode_cursor(shown[-1][0], of) if len(rows) > part.limit else None


async def read_page(
    connection: LeanConnection,
    statement: Select[Any],
    parameters: Mapping[str, Any],
    part: Slice,
    of: bytes,
) -> tuple[Sequence[Any], str | None]:
    """Return a page of what a statement of this module selects, as `cut` does.

    Raises InvalidCursor.
    """
    rows = await connection.select(statement, {**parameters, **parameters_of(part, of)})
    return cut(rows, part, of)


def _place(number: int) -> str:
    return f"place_{number}"


def _cut_out(statement: Select[Any], ids: ColumnElement[int]) -> Select[Any]:
    return statement.order_by(ids.desc()).limit(_number("rows")).offset(_number("skipped"))


def _number(name: str) -> BindParameter[int]:
    return bindparam(name, type_=BigInteger)
