"""`GET /metrics`: how this process is doing, for Prometheus.

Not part of the API, and so not in its documentation. Nobody is asked who they are: a proxy keeps
the address from the public.
"""

import asyncio
from datetime import UTC, datetime
from typing import Final

import structlog
from fastapi import APIRouter, Depends
from starlette.responses import Response

from core import outbox, payment_attention
from core.payment_attention import PaymentsStanding
from dependencies.caller import PUBLIC
from dependencies.services import Services, ServicesDep
from routers.route import WalletRoute

log = structlog.get_logger(__name__)

router = APIRouter(route_class=WalletRoute, dependencies=[Depends(PUBLIC)])

# A scrape gives up after ten seconds, and should tell of a database that hangs before that.
DATABASE_SECONDS: Final = 2


@router.get("/metrics", include_in_schema=False)
async def read_metrics(services: ServicesDep) -> Response:
    """Return the metrics of this process in Prometheus' text format."""
    # Before the database is asked, which takes a connection itself.
    pools = services.database.pool_use()
    receipts, payments = await _ask_database(services)
    text = services.metrics.expose(
        attempts_waiting=services.poster.waiting,
        pools=pools,
        outbox=receipts,
        payments=payments,
        redis_answers=await services.redis.ping(),
    )
    return Response(text, media_type=services.metrics.media_type)


async def _ask_database(
    services: Services,
) -> tuple[outbox.Standing, PaymentsStanding] | tuple[None, None]:
    """Return how receipts and payments stand, nothing if the database does not tell in time."""
    try:
        async with asyncio.timeout(DATABASE_SECONDS):
            async with services.database.reading() as session:
                payments = await payment_attention.standing(session, now=datetime.now(UTC))
                return await outbox.standing(session), payments
    except Exception as error:  # noqa: BLE001 - that it does not answer is the news
        log.warning("metrics_without_database", error=type(error).__name__)
        return None, None
