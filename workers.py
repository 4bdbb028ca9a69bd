"""The background workers: `dramatiq workers`. Owns the broker and the actors.

What must follow a payment is never enqueued from a request: it is written with the money, and
`operations.relay`, which runs here, hands it over. What stands in Redis may be lost at any time.
"""

from datetime import UTC, datetime
from functools import cache

import dramatiq
import structlog
from dramatiq.brokers.redis import RedisBroker
from dramatiq.middleware import AsyncIO

from config import load_settings_or_exit
from core import outbox, payment_rows
from core.sign_ins import delete_expired
from db.session import Database
from operations.courier import Courier, make_courier
from operations.last_resort import LastResort
from operations.logs import configure_logs
from operations.relay import PaymentsRelay, Relay
from operations.teller import Teller, make_teller

RECEIPTS_QUEUE = "receipts"
PAYMENTS_QUEUE = "payments"
# Few: each costs the provider a call or two, and most payments are heard of before.
PAYMENTS_PER_SECOND = 10
PAYMENTS_PASS_SECONDS = 1
PAYMENTS_IN_A_PASS = 10

log = structlog.get_logger(__name__)

settings = load_settings_or_exit()
configure_logs(level=settings.effective_log_level, as_json=settings.in_production)
broker = RedisBroker(url=settings.redis_url)  # type: ignore[no-untyped-call]  # dramatiq's
broker.add_middleware(AsyncIO())
dramatiq.set_broker(broker)


# Not retried by Dramatiq: the outbox knows how often a receipt was tried, also when Redis forgot.
@dramatiq.actor(queue_name=RECEIPTS_QUEUE, max_retries=0, time_limit=60_000)
async def mail_receipt(receipt_ids: list[int]) -> None:
    """Send receipts of the outbox, those that were not sent yet."""
    await courier().deliver(receipt_ids)


# Not retried by Dramatiq either: what was borrowed is due again when its lease ends. A check waits
# for its turn no longer than its lease lasts, two minutes, and a provider that hangs for each of
# the calls of a check takes a minute.
@dramatiq.actor(queue_name=PAYMENTS_QUEUE, max_retries=0, time_limit=240_000)
async def check_payments(payment_ids: list[int], leased_until: str) -> None:
    """Ask the provider about payments that nobody heard the end of, lent until then."""
    await teller().check(payment_ids, leased_until=datetime.fromisoformat(leased_until))


@dramatiq.actor(max_retries=5, min_backoff=1_000, max_backoff=60_000, time_limit=60_000)
async def delete_expired_tokens() -> None:
    """Delete refresh tokens that nobody can use any more; `./wallet sweep` asks for it."""
    database = Database(settings.database_options)
    try:
        deleted = await delete_expired(database, before=datetime.now(UTC))
    finally:
        await database.close()
    log.info("expired_sign_ins_deleted", count=deleted)


@cache
def courier() -> Courier:
    """Return this process's courier; made on first use, on the loop that runs the actors."""
    return make_courier(settings)


@cache
def teller() -> Teller:
    """Return this process's teller; made on first use, as the courier is."""
    return make_teller(settings)


broker.add_middleware(LastResort())
broker.add_middleware(
    Relay(
        settings.database_options,
        RECEIPTS_QUEUE,
        lambda lease: mail_receipt.message(lease.ids),
        due=outbox,
        rows_per_second=settings.receipts_per_second,
    )
)
if settings.paystack_secret_key.get_secret_value():
    broker.add_middleware(
        PaymentsRelay(
            settings.database_options,
            PAYMENTS_QUEUE,
            lambda lease: check_payments.message(lease.ids, lease.until.isoformat()),
            due=payment_rows,
            rows_per_second=PAYMENTS_PER_SECOND,
            pass_seconds=PAYMENTS_PASS_SECONDS,
            rows_in_a_pass=PAYMENTS_IN_A_PASS,
        )
    )
