"""`GET /metrics`: how this process is doing, for Prometheus.

Not part of the API, and so not in its documentation. Nobody is asked who they are: a proxy keeps
the address from the public.
"""

import asyncio
from typing import Final

import structlog
from fastapi import APIRouter, Depends
from starlette.responses import Response

from core import outbox
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
    text = services.metrics.expose(
        attempts_waiting=services.poster.waiting,
        # Before the outbox is asked, which takes a connection itself.
        pools=services.database.pool_use(),
        outbox=await _ask_outbox(services),
        redis_answers=await services.redis.ping(),
    )
    return Response(text, media_type=services.metrics.media_type)


async def _ask_outbox(services: Services) -> outbox.Standing | None:
    """Return how receipts stand, None if the database does not tell in time."""
    try:
        async with asyncio.timeout(DATABASE_SECONDS):
            async with services.database.reading() as session:
                return await outbox.standing(session)
    except Exception as error:  # noqa: BLE001 - that it does not answer is the news
        log.warning("metrics_without_database", error=type(error).__name__)
        return None
