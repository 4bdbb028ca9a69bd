"""Cursors: places in a list that the next page goes on from."""

import base64
import binascii
from typing import Final

from core.errors import InvalidCursor

# Which list a cursor is of: one of another list is refused.
TRANSACTIONS: Final = b"t"
ACCOUNTS: Final = b"a"
ENTRIES: Final = b"e"
API_KEYS: Final = b"k"


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
