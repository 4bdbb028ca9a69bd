"""A lean load generator: prepared bytes over kept-open connections, bounded in time."""

import asyncio
import itertools
import time
from collections.abc import Callable
from urllib.parse import urlsplit


async def requests_per_second(
    url: str, make_request: Callable[[int], bytes], *, connections: int, seconds: float
) -> float:
    """Send requests one after another on each connection; every answer must be a 200."""
    numbers = itertools.count()
    target = urlsplit(url)
    ends = time.perf_counter() + seconds
    done = 0

    async def work() -> None:
        nonlocal done
        reader, writer = await asyncio.open_connection(target.hostname, target.port)
        while time.perf_counter() < ends:
            writer.write(make_request(next(numbers)))
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200 "), head
            length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
            await reader.readexactly(length)
            done += 1
        writer.close()
        await writer.wait_closed()

    started = time.perf_counter()
    await asyncio.gather(*[work() for _ in range(connections)])
    return done / (time.perf_counter() - started)
