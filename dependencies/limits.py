"""Counts requests against the limits of `core.limiter`: shared through Redis, else in process.

The `limits` library does the counting. It is slowapi's own engine, used directly because slowapi
calls Redis from the event loop synchronously (see docs/decisions).

Requests are counted several at a time, in advance: the process takes a share of the limit from
Redis and hands it out itself. Near the limit they are counted one by one.
"""

import hashlib
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from limits import RateLimitItem
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import RateLimiter as Strategy
from limits.aio.strategies import SlidingWindowCounterRateLimiter

from core.errors import RateLimited, Unavailable
from core.limiter import RateLimits
from integrations.rate_limits import GuardedStorage
from integrations.redis import GuardedRedis, RedisUnavailable

# A share is this part of what the limit allows while the share lasts: so much may be lost in each
# process, and nobody is refused for more than that before the limit.
SHARE: Final = 1 / 50
SHARE_SECONDS_LIMIT: Final = 60
SHARES_LIMIT: Final = 10_000

# Which limit, and whose.
Name = tuple[str, str]


@dataclass(slots=True)
class Share:
    """Requests that were counted in advance, and how many to count next, before `ends_at`."""

    left: int
    next_size: int
    ends_at: float


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
        self._shares: dict[Name, Share] = {}
        self._taking: set[Name] = set()
        self._local = SlidingWindowCounterRateLimiter(MemoryStorage())
        self._shared = SlidingWindowCounterRateLimiter(
            GuardedStorage(redis, redis_url, key_prefix=f"wallet:{installation_id}:limit")
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
        if share is not None and time.monotonic() >= share.ends_at:
            share = None
        if share is not None and share.left > 0:
            share.left -= 1
            return
        size = _share_of(items) if share is None else share.next_size
        # One of those who ask at once takes a share; a share for each would be lost to the others.
        if size > 1 and name not in self._taking and await self._take(items, name, size):
            return
        wait_seconds = await self._hit(items, name, 1)
        if wait_seconds is not None:
            raise RateLimited(retry_after_seconds=wait_seconds)

    async def _take(self, items: Sequence[RateLimitItem], name: Name, size: int) -> bool:
        """Count a share and use one of it, if that much is to be had; return whether it was."""
        self._taking.add(name)
        try:
            taken = await self._hit(items, name, size) is None
        finally:
            self._taking.discard(name)
        ends_at = time.monotonic() + _share_seconds(items)
        # Whoever is near the limit is counted one by one from now on.
        self._keep(name, Share(size - 1, size, ends_at) if taken else Share(0, 1, ends_at))
        return taken

    async def _hit(self, items: Sequence[RateLimitItem], name: Name, cost: int) -> int | None:
        # Hashed: an email or an address is nobody's business who looks into Redis.
        action, whose = name
        identifiers = (action, hashlib.sha256(whose.encode()).hexdigest())
        try:
            return await _hit(self._shared, items, identifiers, cost)
        except (RedisUnavailable, Unavailable):
            return await _hit(self._local, items, identifiers, cost)

    def _keep(self, name: Name, share: Share) -> None:
        if len(self._shares) >= SHARES_LIMIT:
            # What they still held is lost.
            self._shares.clear()
        self._shares[name] = share


def _share_of(items: Sequence[RateLimitItem]) -> int:
    """Return how many requests to count at once; small limits are counted exactly."""
    seconds = _share_seconds(items)
    allowed = min(item.amount * seconds / item.get_expiry() for item in items)
    return max(1, int(allowed * SHARE))


def _share_seconds(items: Sequence[RateLimitItem]) -> int:
    """Return how long a share lasts: not beyond the shortest window, which forgets it then."""
    return min(SHARE_SECONDS_LIMIT, *(item.get_expiry() for item in items))


async def _hit(
    strategy: Strategy, items: Sequence[RateLimitItem], identifiers: Sequence[str], cost: int
) -> int | None:
    """Count in every window; return the seconds to wait if one of them is full."""
    for item in items:
        if not await strategy.hit(item, *identifiers, cost=cost):
            window = await strategy.get_window_stats(item, *identifiers)
            return max(1, math.ceil(window.reset_time - time.time()))
    return None
