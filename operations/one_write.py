"""uvicorn's HTTP protocol, with an answer's head and body in one system call instead of two.

`./wallet run` chooses it; by hand: `uvicorn main:app --http operations.one_write:OneWriteProtocol`.
The service is as correct without it.
"""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class OneWriteProtocol(HttpToolsProtocol):
    """Speaks HTTP as uvicorn does, over a transport that joins writes."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        """Take a new connection."""
        super().connection_made(JoiningTransport(transport, asyncio.get_running_loop()))


class JoiningTransport(asyncio.Transport):
    """Sends what one turn of the event loop wrote at its end, in one piece.

    What was written is on its way, or known to the inner transport, before anything else happens
    to the connection; so back-pressure works as ever, one turn later.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop):
        super().__init__()
        self._transport = transport
        self._loop = loop
        self._parts: list[bytes] = []

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send data at the end of this turn."""
        if not self._parts:
            self._loop.call_soon(self._flush)
        self._parts.append(bytes(data))

    def close(self) -> None:
        """Send what was written, then close."""
        self._flush()
        self._transport.close()

    def is_closing(self) -> bool:
        """Whether it is closed or being closed."""
        return self._transport.is_closing()

    def pause_reading(self) -> None:
        """Take no more from the other side for a while."""
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Take from the other side again."""
        self._transport.resume_reading()

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Hand the connection to another protocol."""
        self._transport.set_protocol(protocol)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Tell about the connection."""
        return self._transport.get_extra_info(name, default)

    def _flush(self) -> None:
        parts, self._parts = self._parts, []
        # The other side may have gone since.
        if parts and not self._transport.is_closing():
            self._transport.write(parts[0] if len(parts) == 1 else b"".join(parts))
