"""Proxies around an API process that see its writes go by, and break off at the n-th of them.

One stands before the API and one before each of its servers. A chunk is what one of the API's
writes, or several at once, put on the wire.
"""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urlsplit, urlunsplit

# At the n-th chunk: the API is killed and the chunk is lost; the connection is closed and the chunk
# is lost; the chunk arrives and the connection is closed before it can be answered.
Cut = Literal["kill", "lose chunk", "lose answer"]


@dataclass
class Scissors:
    """Counts chunks of all proxies together; cuts once, at chunk `at` after `arm`."""

    how: Cut = "kill"
    at: int = 0
    pid: int = 0
    seen: list[str] = field(default_factory=list)
    has_cut: bool = False

    def arm(self, how: Cut, *, at: int, pid: int) -> None:
        """Begin to count."""
        self.how, self.at, self.pid = how, at, pid
        self.seen, self.has_cut = [], False

    def disarm(self) -> None:
        """Let everything pass."""
        self.at = 0

    def take(self, where: str, chunk: bytes) -> Cut | None:
        """Look at a chunk; say how to cut if it is the one."""
        if not self.at:
            return None
        self.seen.append(f"{where}: {chunk[:32]!r}")
        if self.has_cut or len(self.seen) != self.at:
            return None
        self.has_cut = True
        if self.how == "kill":
            os.kill(self.pid, signal.SIGKILL)
        return self.how


@asynccontextmanager
async def proxy_of(
    target: Callable[[], str], scissors: Scissors, name: str, *, api_is_target: bool
) -> AsyncIterator[str]:
    """Forward to the host and port of the URL `target()`; yield that URL with the proxy's own.

    `api_is_target` tells which side's chunks are the API's.
    """

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there = urlsplit(target())
        try:
            far_reader, far_writer = await asyncio.open_connection(there.hostname, there.port)
        except OSError:
            writer.close()
            return
        to_target = _Pump(reader, far_writer, None if api_is_target else (scissors, name))
        to_caller = _Pump(far_reader, writer, (scissors, name) if api_is_target else None)
        pumps = [asyncio.create_task(pump.run()) for pump in (to_target, to_caller)]
        # Whoever closes first closes both.
        await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        for end in (writer, far_writer):
            end.close()
        await asyncio.wait(pumps)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    there = urlsplit(target())
    user = f"{there.username}@" if there.username else ""
    try:
        yield urlunsplit(there._replace(netloc=f"{user}{host}:{port}"))
    finally:
        server.close()


@dataclass
class _Pump:
    """Carries bytes one way; `watch` is given for the API's own."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    watch: tuple[Scissors, str] | None

    async def run(self) -> None:
        with suppress(OSError):
            while chunk := await self.reader.read(65536):
                cut = self.watch[0].take(self.watch[1], chunk) if self.watch else None
                if cut in {"kill", "lose chunk"}:
                    return
                self.writer.write(chunk)
                await self.writer.drain()
                if cut == "lose answer":
                    return
