"""Brevo as a local HTTP server: takes mails, keeps what arrived, and fails when told to."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any


@dataclass
class FakeBrevo:
    """Delivers a mail once for each key, however often it is sent, as the real one does."""

    url: str = ""
    # Statuses to answer with, one for each request to come; then 201 again.
    failures: list[int] = field(default_factory=list)
    slow_seconds: float = 0
    requests: list[dict[str, Any]] = field(default_factory=list)
    api_keys: set[str] = field(default_factory=set)
    delivered: dict[str, dict[str, Any]] = field(default_factory=dict)

    def forget(self) -> None:
        """Begin anew."""
        self.failures.clear()
        self.requests.clear()
        self.delivered.clear()
        self.slow_seconds = 0

    def delivered_to(self, address: str) -> list[dict[str, Any]]:
        """Return the mails that arrived at an address."""
        return [mail for mail in self.delivered.values() if mail["to"][0]["email"] == address]

    def count(self) -> Counter[str]:
        """Count the mails that arrived, by address."""
        return Counter(mail["to"][0]["email"] for mail in self.delivered.values())

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection."""
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                fields = _headers(head)
                body = await reader.readexactly(int(fields.get("content-length", "0")))
                status = await self._take(head, fields, body)
                answer = b'{"messageId":"<1@fake>"}' if status == 201 else b'{"code":"failure"}'
                writer.write(
                    f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\n"
                    f"Content-Length: {len(answer)}\r\n\r\n".encode()
                    + answer
                )
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _take(self, head: bytes, fields: dict[str, str], body: bytes) -> int:
        assert head.startswith(b"POST /v3/smtp/email "), head
        mail: dict[str, Any] = json.loads(body)
        self.requests.append(mail)
        self.api_keys.add(fields["api-key"])
        if self.slow_seconds:
            await asyncio.sleep(self.slow_seconds)
        if self.failures:
            return self.failures.pop(0)
        self.delivered.setdefault(mail["headers"]["idempotencyKey"], mail)
        return 201


def _headers(head: bytes) -> dict[str, str]:
    lines = head.decode("latin-1").split("\r\n")[1:]
    pairs = (line.partition(":") for line in lines if line)
    return {name.lower(): value.strip() for name, _, value in pairs}


@asynccontextmanager
async def fake_brevo() -> AsyncIterator[FakeBrevo]:
    """Run a fake Brevo for the length of a block."""
    brevo = FakeBrevo()
    server = await asyncio.start_server(brevo.serve, "127.0.0.1", 0)
    brevo.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v3"
    try:
        yield brevo
    finally:
        server.close()
