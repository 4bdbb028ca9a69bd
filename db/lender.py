"""Connections without a session, taken out of a pool; those for batches once, and lent many times.

A turn through SQLAlchemy's pool costs the API as much CPU as a short query does, and every batch
would take one.
"""

import time
from dataclasses import dataclass
from typing import Any, Final

import aiosqlite
import asyncpg
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import PoolProxiedConnection

# Then it goes back, and the pool sees to it that it does not grow too old.
KEPT_SECONDS: Final = 60


@dataclass(frozen=True, slots=True)
class Lent:
    """A connection of the driver's, its place in the pool, and until when it is lent again."""

    driver: "aiosqlite.Connection | asyncpg.Connection[asyncpg.Record]"
    pooled: PoolProxiedConnection
    until: float

    def may_go_on(self) -> bool:
        """Whether it is there and need not go through the pool yet."""
        return not self.is_closed() and time.monotonic() < self.until

    def is_closed(self) -> bool:
        """Whether the server, or whoever ended it from another side, has closed it."""
        # Nobody but the pool closes a connection to a file.
        return not isinstance(self.driver, aiosqlite.Connection) and self.driver.is_closed()

    def is_in_transaction(self) -> bool:
        """Whether what is said next belongs to something that was begun."""
        if isinstance(self.driver, aiosqlite.Connection):
            return self.driver.in_transaction
        return self.driver.is_in_transaction()


class Lender:
    """Lends connections of an engine and keeps up to `keep` of those that come back.

    None is kept from whoever waits in the pool while the batches have more than these.
    """

    def __init__(self, engine: AsyncEngine, keep: int):
        self._engine = engine
        self._keep = keep
        self._kept: list[Lent] = []
        self._lent = 0
        # Batches that wait in the pool: only what is put back there reaches them.
        self._asking = 0

    @property
    def kept(self) -> int:
        """How many are with nobody, although the pool believes them to be in use."""
        return len(self._kept)

    async def take(self) -> Lent:
        """Lend a connection that the server has not closed; whoever takes it gives it back."""
        lent = self._take_kept()
        while lent is None:
            self._asking += 1
            try:
                pooled = await self._engine.raw_connection()
            finally:
                self._asking -= 1
            driver: Any = pooled.driver_connection
            lent = _if_alive(Lent(driver, pooled, time.monotonic() + KEPT_SECONDS))
        self._lent += 1
        return lent

    def give_back(self, lent: Lent, *, fit: bool) -> None:
        """Take a connection back; what is not fit, is closed or busy is thrown away."""
        self._lent -= 1
        fit = fit and not lent.is_closed() and not lent.is_in_transaction()
        if fit and not self._asking and self._lent + len(self._kept) < self._keep:
            self._kept.append(lent)
        else:
            _put_back(lent, fit=fit)

    def close(self) -> None:
        """Put back what is with nobody, and keep nothing from now on."""
        self._keep = 0
        while self._kept:
            _put_back(self._kept.pop(), fit=True)

    def _take_kept(self) -> Lent | None:
        while self._kept:
            lent = self._kept.pop()
            if lent.may_go_on():
                return lent
            _put_back(lent, fit=not lent.is_closed())
        return None


def _if_alive(lent: Lent) -> Lent | None:
    """Return what may be lent; throw away what the server has closed while it was in the pool."""
    if not lent.is_closed():
        return lent
    _put_back(lent, fit=False)
    return None


def _put_back(lent: Lent, *, fit: bool) -> None:
    if not fit:
        lent.pooled.invalidate()
    lent.pooled.close()
