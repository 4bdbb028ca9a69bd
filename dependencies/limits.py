"""Counts requests against the limits of `core.limiter`: shared through Redis, else in process.

The `limits` library does the counting. It is slowapi's own engine, used directly because slowapi
calls Redis from the event loop synchronously (see docs/decisions).

Whoever asks often is counted several requests at a time: the process takes a share of the limit
from Redis and hands it out itself. Whoever asks seldom is counted one by one.
"""

import hashlib
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from limits import RateLimitItem
from limits.aio.storage import MemoryStorage, RedisStorage
from limits.aio.strategies import RateLimiter as Strategy
from limits.aio.strategies import SlidingWindowCounterRateLimiter

from core.errors import RateLimited
from core.limiter import RateLimits
from integrations.redis import GuardedRedis, RedisUnavailable

# A share is at most this part of the limit: so much may be lost for a while in each process, and
# nobody is refused for more than that before the limit.
LARGEST_SHARE: Final = 1 / 50
# How long a share should last: it grows or shrinks to what was used in this time.
SHARE_SECONDS: Final = 1.0
SHARES_LIMIT: Final = 10_000


@dataclass(slots=True)
class Share:
    """Requests that were counted in advance, and since when."""

    size: int
    left: int
    taken_at: float


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
        self._shares: dict[tuple[str, str], Share] = {}
        self._taking: set[tuple[str, str]] = set()
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

    async def count_transaction_by_key(self, key_id: int) -> None:
        """Count a movement made under an API key. Raises RateLimited."""
        if self._limits is not None:
            await self._count(self._limits.transactions_per_key, "transaction-by-key", str(key_id))

    async def _count(self, items: Sequence[RateLimitItem], action: str, whose: str) -> None:
        name = (action, whose)
        share = self._shares.get(name)
        if share is not None and share.left > 0 and not _is_over(share, items):
            share.left -= 1
            return
        # Hashed: an email or an address is nobody's business who looks into Redis.
        identifiers = (action, hashlib.sha256(whose.encode()).hexdigest())
        size = _next_size(share, items)
        # One of those who ask at once takes a share; a share for each would be lost to the others.
        if (
            size > 1
            and identifiers not in self._taking
            and await self._take(items, identifiers, size)
        ):
            self._keep(name, Share(size, size - 1, time.monotonic()))
            return
        wait_seconds = await self._hit(items, identifiers, 1)
        if wait_seconds is not None:
            raise RateLimited(retry_after_seconds=wait_seconds)
        if size == 1 and self._shares.get(name) is share:
            self._keep(name, Share(1, 0, time.monotonic()))

    async def _take(
        self, items: Sequence[RateLimitItem], identifiers: tuple[str, str], size: int
    ) -> bool:
        """Count a share; return whether that much was to be had."""
        self._taking.add(identifiers)
        try:
            return await self._hit(items, identifiers, size) is None
        finally:
            self._taking.discard(identifiers)

    async def _hit(
        self, items: Sequence[RateLimitItem], identifiers: Sequence[str], cost: int
    ) -> int | None:
        try:
            return await self._redis.guard(lambda: _hit(self._shared, items, identifiers, cost))
        except RedisUnavailable:
            return await _hit(self._local, items, identifiers, cost)

    def _keep(self, name: tuple[str, str], share: Share) -> None:
        if len(self._shares) >= SHARES_LIMIT:
            # What they still held is lost, and they are counted one by one again.
            self._shares.clear()
        self._shares[name] = share


def _is_over(share: Share, items: Sequence[RateLimitItem]) -> bool:
    """Whether a share is older than the shortest window: what it counted is forgotten by then."""
    return time.monotonic() - share.taken_at >= min(item.get_expiry() for item in items)


def _next_size(share: Share | None, items: Sequence[RateLimitItem]) -> int:
    """Return how many requests to count at once, after those of `share`."""
    if share is None:
        return 1
    largest = int(min(item.amount for item in items) * LARGEST_SHARE)
    # A clock that has not moved yet counts as the shortest time that it could tell.
    lasted = max(time.monotonic() - share.taken_at, 1e-9)
    return max(1, min(2 * share.size, int(share.size * SHARE_SECONDS / lasted), largest))


async def _hit(
    strategy: Strategy, items: Sequence[RateLimitItem], identifiers: Sequence[str], cost: int
) -> int | None:
    """Count in every window; return the seconds to wait if one of them is full."""
    for item in items:
        if not await strategy.hit(item, *identifiers, cost=cost):
            window = await strategy.get_window_stats(item, *identifiers)
            return max(1, math.ceil(window.reset_time - time.time()))
    return None
