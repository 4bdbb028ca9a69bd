"""Where the `limits` library counts in Redis: what is counted at a time goes there in one piece.

The counting is the library's own script. One call for each of those who ask would take a connection
and a wait each, and cost the API more than their requests do otherwise.
"""

import asyncio
from collections.abc import Sequence
from itertools import chain
from typing import Final, NamedTuple

from limits.aio.storage import RedisStorage

from core.batching import Batcher
from integrations.redis import GuardedRedis, RedisUnavailable

COUNTS_IN_A_BATCH: Final = 100
COUNTS_WAITING_LIMIT: Final = 10_000
# Beyond this a Redis that answers, but slowly, is as good as away.
COUNT_SECONDS_LIMIT: Final = 0.5
# Each takes a connection. A crowd that is refused would need more than there are, which would be
# taken for a Redis that is away, and then everybody would be counted anew.
LOOKS_AT_ONCE: Final = 16

# Runs the library's script, which counts for one, for all that are counted at a time. What fails
# for one, fails for that one alone.
_SCRIPT: Final = """
local function count(KEYS, ARGV)
{script}
end
local replies = {{}}
for n = 1, #KEYS / 2 do
  local names = {{KEYS[2 * n - 1], KEYS[2 * n]}}
  local ok, within = pcall(count, names, {{ARGV[3 * n - 2], ARGV[3 * n - 1], ARGV[3 * n]}})
  replies[n] = not ok and {failed} or within and {within} or {beyond}
end
return replies
"""
_FAILED: Final = -1
_WITHIN: Final = 1
_BEYOND: Final = 0


class _Count(NamedTuple):
    """To be counted in the current of two windows, if limit, seconds and amount allow that."""

    windows: tuple[str, str]
    values: tuple[int, int, int]


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
        self._script = _SCRIPT.format(
            script=self.bridge.SCRIPT_ACQUIRE_SLIDING_WINDOW.decode(),
            failed=_FAILED,
            within=_WITHIN,
            beyond=_BEYOND,
        )
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
        previous, current = self._previous_window_key(key), self._current_window_key(key)
        windows = (self.bridge.prefixed_key(previous), self.bridge.prefixed_key(current))
        return await self._batcher.submit(_Count(windows, (limit, expiry, amount)))

    async def get_sliding_window(self, key: str, expiry: int) -> tuple[int, float, int, float]:
        """Return both windows' counts, and in how many seconds each ends."""
        ask = super().get_sliding_window
        async with self._looks:
            return await self._redis.guard(lambda: ask(key, expiry))

    async def _count(self, counts: Sequence[_Count]) -> list[bool | BaseException]:
        replies: list[int] = await self._redis.execute(
            "EVAL",
            self._script,
            2 * len(counts),
            *chain.from_iterable(count.windows for count in counts),
            *chain.from_iterable(count.values for count in counts),
        )
        return [RedisUnavailable() if reply == _FAILED else reply == _WITHIN for reply in replies]
