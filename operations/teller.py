"""What a worker does with payments that nobody heard the end of: ask how they stand."""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Final

import structlog

from config import Settings
from core.payments import Payments
from core.poster import Poster, PosterLimits
from db.session import Database
from integrations.paystack import Paystack

log = structlog.get_logger(__name__)

# What waits for its turn meanwhile may be lent to somebody else, and is then left to them.
CHECKS_AT_ONCE: Final = 20


class Teller:
    """Looks after payments; many workers may, and each payment is lent to one of them at a time."""

    def __init__(self, database: Database, poster: Poster, payments: Payments):
        self._database = database
        self._poster = poster
        self._payments = payments
        self._checking = asyncio.Semaphore(CHECKS_AT_ONCE)

    async def check(self, payment_ids: Sequence[int], *, leased_until: datetime) -> None:
        """Ask about payments that were lent until then, and end them or put them off.

        Raises what the first of them raised, after all were tried: what was not put off is due
        again when its lease ends.
        """
        checks = [self._check(payment_id, leased_until) for payment_id in payment_ids]
        for result in await asyncio.gather(*checks, return_exceptions=True):
            if isinstance(result, BaseException):
                raise result
        log.info("payments_checked", count=len(payment_ids))

    async def close(self) -> None:
        """Finish what was begun, and let go of the provider and the database."""
        await self._poster.stop()
        await self._payments.close()
        await self._database.close()

    async def _check(self, payment_id: int, leased_until: datetime) -> None:
        async with self._checking:
            await self._payments.check(payment_id, leased_until=leased_until)


def make_teller(settings: Settings) -> Teller:
    """Return a teller for these settings."""
    database = Database(settings.database_options)
    poster = Poster(database, PosterLimits())
    provider = Paystack(
        secret_key=settings.paystack_secret_key.get_secret_value(),
        base_url=settings.paystack_base_url,
    )
    return Teller(database, poster, Payments(database, poster, provider))
