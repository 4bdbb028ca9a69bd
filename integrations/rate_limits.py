"""Where the `limits` library counts in Redis: what is counted at a time goes there in one piece.

The counting is the library's own script. One call for each of those who ask would take a connection
and a wait each, and cost the API more than their requests do otherwise.
"""

import asyncio
import hashlib
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from limits.aio.storage import RedisStorage
from redis.exceptions import NoScriptError, RedisError

from core.batching import Batcher
from integrations.redis import GuardedRedis, RedisUnavailable

COUNTS_IN_A_BATCH: Final = 100
COUNTS_WAITING_LIMIT: Final = 10_000
# Beyond this a Redis that answers, but slowly, is as good as away.
COUNT_SECONDS_LIMIT: Final = 0.5
# Each takes a connection. A crowd that is refused would need more than there are, which would be
# taken for a Redis that is away, and then everybody would be counted anew.
LOOKS_AT_ONCE: Final = 16


class _Count(NamedTuple):
    """To be counted under `current` if that stays within `limit`, of a window of `seconds`."""

    previous: str
    current: str
    limit: int
    seconds: int
    amount: int


class GuardedStorage(RedisStorage):
    """The library's storage for sliding windows; no reply is waited for longer than elsewhere.

    Its methods raise RedisUnavailable, and Unavailable if too many wait or one waits too long.
    """

    def __init__(self, redis: GuardedRedis, url: str, *, key_prefix: str):
        super().__init__(
            f"async+{url}",
            implementation="redispy",
            key_prefix=key_prefix,
            connection_pool=redis.client.connection_pool,  # type: ignore[arg-type]  # documented, missing in its annotation
        )
        self._redis = redis
        self._script = self.bridge.SCRIPT_ACQUIRE_SLIDING_WINDOW
        # What Redis calls it.
        self._name = hashlib.sha1(self._script, usedforsecurity=False).hexdigest()
        self._batcher: Batcher[_Count, bool] = Batcher(
            self._count,
            batch_limit=COUNTS_IN_A_BATCH,
            queue_limit=COUNTS_WAITING_LIMIT,
            deadline_seconds=COUNT_SECONDS_LIMIT,
        )
        self._looks = asyncio.Semaphore(LOOKS_AT_ONCE)

    async def acquire_sliding_window_entry(
        self, key: str, limit: int, expiry: int, amount: int = 1
    ) -> bool:
        """Count, and return whether that was within the limit."""
        windows = (self._previous_window_key(key), self._current_window_key(key))
        previous, current = map(self.bridge.prefixed_key, windows)
        return await self._batcher.submit(_Count(previous, current, limit, expiry, amount))

    async def get_sliding_window(self, key: str, expiry: int) -> tuple[int, float, int, float]:
        """Return both windows' counts, and in how many seconds each ends."""
        ask = super().get_sliding_window
        async with self._looks:
            return await self._redis.guard(lambda: ask(key, expiry))

    async def _count(self, counts: Sequence[_Count]) -> list[bool | BaseException]:
        replies = await self._redis.guard(lambda: self._run(counts))
        return [
            RedisUnavailable() if isinstance(reply, RedisError) else bool(reply)
            for reply in replies
        ]

    async def _run(self, counts: Sequence[_Count]) -> list[Any]:
        """Return what became of each count; an error of one of them stands for it alone."""
        replies = await self._run_script(counts)
        untold = [n for n, reply in enumerate(replies) if isinstance(reply, NoScriptError)]
        if untold:
            # A Redis that was started anew does not know it.
            await self._redis.client.script_load(self._script)
            again = await self._run_script([counts[n] for n in untold])
            for n, reply in zip(untold, again, strict=True):
                replies[n] = reply
        return replies

    async def _run_script(self, counts: Sequence[_Count]) -> list[Any]:
        pipeline = self._redis.client.pipeline(transaction=False)
        for count in counts:
            pipeline.evalsha(self._name, 2, *count)
        return await pipeline.execute(raise_on_error=False)
