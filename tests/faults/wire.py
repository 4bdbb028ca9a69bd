"""A lean HTTP client: the machine's time is for the service. An answer cut short is no answer."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class Response:
    """A whole answer; names of headers are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def value(self) -> dict[str, Any]:
        """The body as JSON."""
        value: dict[str, Any] = json.loads(self.body)
        return value

    @property
    def is_replay(self) -> bool:
        """Whether it says that an earlier request earned it."""
        return self.headers.get("idempotency-replayed") == "true"


class Wire:
    """Kept-open connections to one process, as many as are asked through at once."""

    def __init__(self, url: str) -> None:
        self._target = urlsplit(url)
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def ask(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: object = None,
        *,
        timeout_seconds: float,
    ) -> Response:
        """Send a request and return its whole answer.

        Raises OSError or EOFError when the connection fails, TimeoutError when no answer comes in
        time. Whoever is cancelled hangs up.
        """
        content = b"" if body is None else json.dumps(body).encode()
        head = {"Host": self._target.netloc, "Content-Length": str(len(content)), **headers}
        if body is not None:
            head["Content-Type"] = "application/json"
        lines = [f"{method} {path} HTTP/1.1", *[f"{name}: {text}" for name, text in head.items()]]
        async with asyncio.timeout(timeout_seconds):
            reader, writer = self._idle.pop() if self._idle else await self._connect()
            try:
                writer.write("\r\n".join([*lines, "", ""]).encode() + content)
                response = await _read(reader)
            except BaseException:
                writer.close()
                raise
        if response.headers.get("connection") == "close":
            writer.close()
        else:
            self._idle.append((reader, writer))
        return response

    def close(self) -> None:
        """Close all connections that nobody uses now; others are opened when needed."""
        while self._idle:
            self._idle.pop()[1].close()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(self._target.hostname, self._target.port)


async def _read(reader: asyncio.StreamReader) -> Response:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = {
        name.strip().lower(): text.strip()
        for name, _, text in (line.partition(":") for line in head[1:] if line)
    }
    body = await reader.readexactly(int(headers["content-length"]))
    return Response(int(head[0].split(" ")[1]), headers, body)
