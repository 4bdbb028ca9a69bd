"""A lean load generator: prepared bytes over kept-open connections, bounded in time.

Each connection sends its next request when it has the answer to the last one. Also owns what any
generator reports, `Sent`.
"""

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol
from urllib.parse import urlsplit

import uvloop

from bench.traffic import Deck

_SUCCESSES: Final = ("200", "201")
PERCENTILES: Final = (1.0, 5.0, 10.0, 25.0, 50.0, 75.0, 90.0, 95.0, 99.0, 99.9)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """What was sent and came back.

    `answered` counts the successes and `failures` the rest, by what they were; `latencies_ms` holds
    PERCENTILES; so many as `unheard` may have been acted on without anybody waiting for it.
    """

    answered: int
    failures: Mapping[str, int]
    seconds: float
    latencies_ms: Mapping[float, float]
    unheard: int = 0

    @property
    def rate(self) -> float:
        """How many successes a second."""
        return self.answered / self.seconds


class Load(Protocol):
    """A load generator."""

    @property
    def name(self) -> str:
        """What it is, for the report."""

    def play(self, urls: Sequence[str], deck: Deck, *, connections: int, seconds: float) -> Sent:
        """Send the requests of a deck, round and round, over connections spread over `urls`."""


class LeanLoad:
    """This generator; shares the machine's cores with what it measures, and takes more of them."""

    name = "the generator of bench/load.py"

    def play(self, urls: Sequence[str], deck: Deck, *, connections: int, seconds: float) -> Sent:
        """Send the requests of a deck, round and round, over connections spread over `urls`."""
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(drive(urls, deck.player(), connections=connections, seconds=seconds))


async def drive(
    urls: Sequence[str],
    make_request: Callable[[int], bytes],
    *,
    connections: int,
    seconds: float,
) -> Sent:
    """Send requests for so many seconds and wait for the last answers."""
    sender = _Sender(make_request, until=time.perf_counter() + seconds)
    started = time.perf_counter()
    await asyncio.gather(*[sender.work(urls[n % len(urls)]) for n in range(connections)])
    return Sent(
        answered=len(sender.latencies_ms),
        failures=sender.failures,
        seconds=time.perf_counter() - started,
        latencies_ms=percentiles(sender.latencies_ms),
    )


class _Sender:
    """What the connections share: the numbers of the requests, and what came back."""

    def __init__(self, make_request: Callable[[int], bytes], *, until: float):
        self.latencies_ms: list[float] = []
        self.failures: Counter[str] = Counter()
        self._make_request = make_request
        self._until = until
        self._numbers = itertools.count()

    async def work(self, url: str) -> None:
        """Send one request after another over one connection."""
        target = urlsplit(url)
        try:
            reader, writer = await asyncio.open_connection(target.hostname, target.port)
            try:
                await self._work(reader, writer)
            finally:
                writer.close()
        except (OSError, EOFError) as error:
            self.failures[type(error).__name__] += 1

    async def _work(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while (sent := time.perf_counter()) < self._until:
            writer.write(self._make_request(next(self._numbers)))
            status = await _read_status(reader)
            if status in _SUCCESSES:
                self.latencies_ms.append((time.perf_counter() - sent) * 1000)
            else:
                self.failures[status] += 1


def percentiles(latencies_ms: Sequence[float]) -> dict[float, float]:
    """Return PERCENTILES of these, each the latency that so many per cent do not exceed."""
    if not latencies_ms:
        return {}
    ordered = sorted(latencies_ms)
    last = len(ordered) - 1
    return {percent: ordered[round(last * percent / 100)] for percent in PERCENTILES}


async def _read_status(reader: asyncio.StreamReader) -> str:
    """Read one answer to its end; return its status."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
    await reader.readexactly(length)
    return head[9:12].decode()
