"""Redis as a thing that may be away: bounded waits and a breaker.

Redis only ever speeds things up here. Whoever uses this client catches RedisUnavailable and goes
on without it.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

import structlog
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.connection import HiredisRespSerializer
from redis.exceptions import RedisError

log = structlog.get_logger(__name__)

Result = TypeVar("Result")

WAIT_SECONDS: Final = 0.05
# Once it failed, nobody asks for a second; then one call finds out whether it is back.
BREAKER_OPEN_SECONDS: Final = 1.0

_PACKER: Final = HiredisRespSerializer()


class RedisUnavailable(Exception):
    """Redis did not answer in time; do without."""


class _PackingInC:
    """Mixed into the client's connections, which pack commands in Python although hiredis is there.

    For a script with thirty names that took a third of the client's time.
    """

    def pack_command(self, *command: Any) -> list[bytes]:
        """Return a command as Redis reads it."""
        packed: list[bytes] = _PACKER.pack(*command)
        return packed


class GuardedRedis:
    """A Redis client that never waits longer than WAIT_SECONDS and soon stops asking."""

    def __init__(self, url: str):
        # Without these the client tries to connect for up to a minute. How long a reply may take is
        # for `guard` to say: a second clock around each costs a seventh of what the reply does.
        self.client: Redis = Redis.from_url(
            url,
            socket_timeout=None,
            socket_connect_timeout=2 * WAIT_SECONDS,
            retry=Retry(NoBackoff(), 0),
        )
        # Whatever kind the URL asks for: TCP, TLS or a socket's file.
        pool = self.client.connection_pool
        pool.connection_class = type("Connection", (_PackingInC, pool.connection_class), {})
        self._open_until = 0.0

    async def execute(self, *command: Any) -> Any:
        """Send one command, such as `"GET", "key"`, and return its reply.

        Raises RedisUnavailable.
        """
        return await self.guard(
            lambda: self.client.execute_command(*command)  # type: ignore[no-untyped-call]  # its own
        )

    async def guard(self, work: Callable[[], Awaitable[Result]]) -> Result:
        """Await `work`, which talks to `client`, for a bounded time. Raises RedisUnavailable."""
        if time.monotonic() < self._open_until:
            raise RedisUnavailable
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                return await work()
        except (RedisError, OSError, TimeoutError) as error:
            self._trip(error)
            raise RedisUnavailable from None

    async def ping(self) -> bool:
        """Ask Redis whether it is there."""
        try:
            await self.execute("PING")
        except RedisUnavailable:
            return False
        return True

    async def close(self) -> None:
        """Close the connections."""
        await self.client.aclose()

    def _trip(self, error: Exception) -> None:
        now = time.monotonic()
        was_closed = now >= self._open_until
        self._open_until = now + BREAKER_OPEN_SECONDS
        if was_closed:
            log.warning("redis_unavailable", error=type(error).__name__)
