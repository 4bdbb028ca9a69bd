"""The background workers: `dramatiq workers`. Owns the broker and the actors.

What must follow a payment is never enqueued from a request: it is written with the money and handed
over from there. What stands here may be lost with Redis and simply be asked for again.
"""

from datetime import UTC, datetime

import dramatiq
import structlog
from dramatiq.brokers.redis import RedisBroker
from dramatiq.middleware import AsyncIO

from config import Settings, load_settings_or_exit
from core.sign_ins import delete_expired
from db.session import Database
from operations.logs import configure_logs

log = structlog.get_logger(__name__)


def make_broker(settings: Settings) -> RedisBroker:
    """Return the broker on the service's Redis, able to run async actors."""
    broker = RedisBroker(url=settings.redis_url)  # type: ignore[no-untyped-call]  # dramatiq's
    broker.add_middleware(AsyncIO())
    return broker


settings = load_settings_or_exit()
configure_logs(level=settings.effective_log_level, as_json=settings.in_production)
dramatiq.set_broker(make_broker(settings))


@dramatiq.actor(max_retries=5, min_backoff=1_000, max_backoff=60_000, time_limit=60_000)
async def delete_expired_tokens() -> None:
    """Delete refresh tokens that nobody can use any more; `./wallet sweep` asks for it."""
    database = Database(settings.database_options)
    try:
        deleted = await delete_expired(database, before=datetime.now(UTC))
    finally:
        await database.close()
    log.info("expired_sign_ins_deleted", count=deleted)
