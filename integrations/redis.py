"""Redis as a thing that may be away: bounded waits, a breaker, and commands sent together.

Redis only ever speeds things up here. Whoever uses this client catches RedisUnavailable and goes
on without it.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, TypeVar

import structlog
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from core.batching import Batcher
from core.errors import Unavailable

log = structlog.get_logger(__name__)

Result = TypeVar("Result")
Command = tuple[Any, ...]

WAIT_SECONDS: Final = 0.05
# Once it failed, nobody asks for a second; then one call finds out whether it is back.
BREAKER_OPEN_SECONDS: Final = 1.0
UNITS_IN_A_PIPELINE: Final = 500
UNITS_WAITING_LIMIT: Final = 10_000


class RedisUnavailable(Exception):
    """Redis did not answer in time; do without."""


class GuardedRedis:
    """A Redis client that never waits longer than WAIT_SECONDS and soon stops asking."""

    def __init__(self, url: str):
        # Without these the client waits for up to a minute on a server that hangs.
        self.client: Redis = Redis.from_url(
            url,
            socket_timeout=2 * WAIT_SECONDS,
            socket_connect_timeout=2 * WAIT_SECONDS,
            retry=Retry(NoBackoff(), 0),
        )
        self._open_until = 0.0
        self._batcher: Batcher[Sequence[Command], list[Any]] = Batcher(
            self._pipeline, batch_limit=UNITS_IN_A_PIPELINE, queue_limit=UNITS_WAITING_LIMIT
        )

    async def run(self, *commands: Command) -> list[Any]:
        """Send commands, together with those of everyone who asks now; return their replies.

        A command is a tuple such as `("GET", "key")`. Raises RedisUnavailable.
        """
        return await self.guard(lambda: self._batcher.submit(commands))

    async def guard(self, work: Callable[[], Awaitable[Result]]) -> Result:
        """Await `work`, which talks to `client`, for a bounded time. Raises RedisUnavailable."""
        if time.monotonic() < self._open_until:
            raise RedisUnavailable
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                return await work()
        except (RedisError, OSError, TimeoutError, Unavailable) as error:
            self._trip(error)
            raise RedisUnavailable from None

    async def ping(self) -> bool:
        """Ask Redis whether it is there."""
        try:
            await self.run(("PING",))
        except RedisUnavailable:
            return False
        return True

    async def close(self) -> None:
        """Finish what is under way and close the connections."""
        await self._batcher.stop()
        await self.client.aclose()

    def _trip(self, error: Exception) -> None:
        now = time.monotonic()
        if now >= self._open_until:
            log.warning("redis_unavailable", error=type(error).__name__)
        self._open_until = now + BREAKER_OPEN_SECONDS

    async def _pipeline(self, units: Sequence[Sequence[Command]]) -> list[list[Any]]:
        async with asyncio.timeout(WAIT_SECONDS):
            async with self.client.pipeline(transaction=False) as pipeline:
                for unit in units:
                    for command in unit:
                        pipeline.execute_command(*command)
                replies = iter(await pipeline.execute())
        return [[next(replies) for _ in unit] for unit in units]
