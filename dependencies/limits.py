"""Counts requests against the limits of `core.limiter`: shared through Redis, else in process.

The `limits` library does the counting. It is slowapi's own engine, used directly because slowapi
calls Redis from the event loop synchronously (see docs/decisions).
"""

import hashlib
import math
import time
from collections.abc import Sequence

from limits import RateLimitItem
from limits.aio.storage import MemoryStorage, RedisStorage
from limits.aio.strategies import RateLimiter as Strategy
from limits.aio.strategies import SlidingWindowCounterRateLimiter

from core.errors import RateLimited
from core.limiter import RateLimits
from integrations.redis import GuardedRedis, RedisUnavailable


class RateLimiter:
    """Counts; with `limits` None everything is allowed."""

    def __init__(
        self,
        limits: RateLimits | None,
        redis: GuardedRedis,
        *,
        redis_url: str,
        installation_id: str,
    ):
        self._limits = limits
        self._redis = redis
        self._local = SlidingWindowCounterRateLimiter(MemoryStorage())
        self._shared = SlidingWindowCounterRateLimiter(
            RedisStorage(
                f"async+{redis_url}",
                implementation="redispy",
                key_prefix=f"wallet:{installation_id}:limit",
                connection_pool=redis.client.connection_pool,  # type: ignore[arg-type]  # documented, missing in its annotation
            )
        )

    async def count_signup(self, address: str) -> None:
        """Count a sign-up from a network address. Raises RateLimited."""
        if self._limits is not None:
            await self._count(self._limits.signup_per_ip, "signup", address)

    async def count_sign_in_from(self, address: str) -> None:
        """Count a sign-in from a network address. Raises RateLimited."""
        if self._limits is not None:
            await self._count(self._limits.sign_in_per_ip, "sign-in-from", address)

    async def count_sign_in_to(self, account: str) -> None:
        """Count a sign-in to an account, existing or not. Raises RateLimited."""
        if self._limits is not None:
            await self._count(self._limits.sign_in_per_account, "sign-in-to", account.casefold())

    async def count_transaction(self, user_id: int) -> None:
        """Count a movement of money of a person. Raises RateLimited."""
        if self._limits is not None:
            await self._count(self._limits.transactions_per_user, "transaction", str(user_id))

    async def _count(self, items: Sequence[RateLimitItem], action: str, whose: str) -> None:
        # Hashed: an email or an address is nobody's business who looks into Redis.
        identifiers = (action, hashlib.sha256(whose.encode()).hexdigest())
        try:
            wait_seconds = await self._redis.guard(lambda: _hit(self._shared, items, identifiers))
        except RedisUnavailable:
            wait_seconds = await _hit(self._local, items, identifiers)
        if wait_seconds is not None:
            raise RateLimited(retry_after_seconds=wait_seconds)


async def _hit(
    strategy: Strategy, items: Sequence[RateLimitItem], identifiers: Sequence[str]
) -> int | None:
    """Count in every window; return the seconds to wait if one of them is full."""
    for item in items:
        if not await strategy.hit(item, *identifiers):
            window = await strategy.get_window_stats(item, *identifiers)
            return max(1, math.ceil(window.reset_time - time.time()))
    return None
