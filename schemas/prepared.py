"""Answers whose bytes and headers are ready to be sent."""

from collections.abc import Sequence
from typing import Final

from starlette.responses import Response

Header = tuple[bytes, bytes]

# Tokens and balances are for whoever asked, now: RFC 6749, section 5.1, and good manners.
NO_STORE: Final[Header] = (b"cache-control", b"no-store")
JSON_HEADERS: Final[tuple[Header, ...]] = ((b"content-type", b"application/json"), NO_STORE)


class PreparedResponse(Response):
    """A whole answer. Starlette's own way of making one encodes each header each time."""

    def __init__(self, body: bytes, headers: Sequence[Header], *, status: int):
        # Not Starlette's __init__: these four are all that sending a response needs of it.
        self.status_code = status
        self.background = None
        self.body = body
        self.raw_headers = [(b"content-length", b"%d" % len(body)), *headers]
