"""Ids as callers see them: UUIDs of version 7, made of a row's id and the time it was made.

No column holds them. A UUIDv7 (RFC 9562) is laid out here as

    48 bits   milliseconds since 1970            created_at
     4 bits   0111, the version
    12 bits   rand_a: microseconds within them   created_at
     2 bits   10, the variant
     2 bits   rand_b: what kind of row it is     KIND
    60 bits   rand_b: the row's id

Whoever reads one looks for the row by its id and compares the time: an id that was not handed out
names nothing.
"""

from datetime import UTC, datetime, timedelta
from enum import IntEnum
from typing import Final
from uuid import UUID

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_ID_BITS: Final = 60
_ID_MASK: Final = (1 << _ID_BITS) - 1
_VERSION: Final = 7
_VARIANT: Final = 0b10


class Kind(IntEnum):
    """What a public id is of. Part of every id: never changed."""

    ACCOUNT = 0
    TRANSFER = 1
    ENTRY = 2


def make_public_id(kind: Kind, row_id: int, created_at: datetime) -> UUID:
    """Return the id under which callers know a row. Raises ValueError beyond 60 bits or 1970."""
    milliseconds, rest = divmod(created_at - _EPOCH, timedelta(milliseconds=1))
    if not 0 < row_id <= _ID_MASK or not 0 <= milliseconds < 1 << 48:
        raise ValueError("No public id can name this row.")
    number = milliseconds << 80 | _VERSION << 76 | rest.microseconds << 64
    return UUID(int=number | _VARIANT << 62 | kind << _ID_BITS | row_id)


def read_public_id(kind: Kind, public_id: UUID) -> tuple[int, datetime] | None:
    """Return the row's id and the time it must have been made; None for what is of no such row."""
    number = public_id.int
    microseconds, found_kind = number >> 64 & 0xFFF, number >> _ID_BITS & 0b11
    is_ours = number >> 76 & 0xF == _VERSION and number >> 62 & 0b11 == _VARIANT
    row_id = number & _ID_MASK
    if not is_ours or found_kind != kind or microseconds > 999 or row_id == 0:
        return None
    try:
        made = timedelta(milliseconds=number >> 80, microseconds=microseconds)
        return row_id, _EPOCH + made
    except OverflowError:
        return None
