"""What a worker does with a receipt: word it, send it, and write down how that went."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import structlog

from config import Settings
from core.batching import Batcher
from core.outbox import Receipt, mark_done, mark_failed, read_receipts
from db.schema import read_installation_id
from db.session import Database
from integrations.brevo import BrevoMailer
from integrations.mail import FolderMailer, Mailer, MailRefused, MailUnavailable, Sender
from integrations.receipts import word_receipt

log = structlog.get_logger(__name__)

RECEIPTS_IN_A_BATCH = 100
RECEIPTS_WAITING_LIMIT = 1000
# Few enough for a provider; enough that what a worker holds is through before its message's time
# limit, even when each mail takes as long as it may.
MAILS_AT_ONCE = 50
# A provider that answers slowly, bit by bit, is as good as away.
MAIL_SECONDS = 12


class Courier:
    """Delivers receipts; many workers may, and each receipt may be given to them repeatedly."""

    def __init__(self, database: Database, mailer: Mailer, *, app_name: str):
        self._database = database
        self._mailer = mailer
        self._app_name = app_name
        self._installation_id: str | None = None
        self._sending = asyncio.Semaphore(MAILS_AT_ONCE)
        # What many deliveries read and write at a time goes in one query and one transaction.
        self._reading: Batcher[int, Receipt | None] = Batcher(
            self._read, batch_limit=RECEIPTS_IN_A_BATCH, queue_limit=RECEIPTS_WAITING_LIMIT
        )
        self._finishing: Batcher[int, None] = Batcher(
            self._finish, batch_limit=RECEIPTS_IN_A_BATCH, queue_limit=RECEIPTS_WAITING_LIMIT
        )

    async def deliver(self, receipt_ids: Sequence[int]) -> None:
        """Send receipts, except those that were sent before, and mark each done only then.

        Raises what the database raises, after all were tried: what was not marked stays open, is
        handed over again, and the mail's key keeps it from arriving twice.
        """
        deliveries = [self._deliver(receipt_id) for receipt_id in receipt_ids]
        for result in await asyncio.gather(*deliveries, return_exceptions=True):
            if isinstance(result, BaseException):
                raise result

    async def close(self) -> None:
        """Let go of the mailer and the database."""
        await self._mailer.close()
        await self._database.close()

    async def _deliver(self, receipt_id: int) -> None:
        receipt = await self._reading.submit(receipt_id)
        if receipt is None:
            return
        mail = word_receipt(
            receipt, installation_id=await self._installation(), app_name=self._app_name
        )
        try:
            async with self._sending, asyncio.timeout(MAIL_SECONDS):
                await self._mailer.send(mail)
        except (MailRefused, MailUnavailable) as error:
            await self._put_off(receipt_id, error)
            return
        except TimeoutError:
            late = MailUnavailable(f"Not taken within {MAIL_SECONDS} s")
            await self._put_off(receipt_id, late)
            return
        await self._finishing.submit(receipt_id)
        log.info("receipt_sent", receipt_id=receipt_id, transaction_id=receipt.transaction_id)

    async def _put_off(self, receipt_id: int, error: Exception) -> None:
        async with self._database.transaction() as session:
            given_up = await mark_failed(
                session,
                receipt_id,
                error=str(error),
                permanent=isinstance(error, MailRefused),
                now=datetime.now(UTC),
            )
        event = "receipt_given_up" if given_up else "receipt_put_off"
        log.warning(event, receipt_id=receipt_id, error=str(error))

    async def _installation(self) -> str:
        if self._installation_id is None:
            self._installation_id = await read_installation_id(self._database)
        return self._installation_id

    async def _read(self, ids: Sequence[int]) -> list[Receipt | None]:
        async with self._database.reading() as session:
            found = await read_receipts(session, ids)
        return [found.get(receipt_id) for receipt_id in ids]

    async def _finish(self, ids: Sequence[int]) -> list[None]:
        async with self._database.transaction() as session:
            await mark_done(session, ids, now=datetime.now(UTC))
        return [None] * len(ids)


def make_courier(settings: Settings) -> Courier:
    """Return a courier for these settings; without a Brevo key it fills a folder, and says so."""
    sender = Sender(settings.sender_mail, settings.sender_name)
    api_key = settings.brevo_api_key.get_secret_value()
    mailer: Mailer
    if api_key:
        mailer = BrevoMailer(api_key=api_key, base_url=settings.brevo_base_url, sender=sender)
    else:
        mailer = FolderMailer(Path(settings.mail_folder), sender)
        log.warning("mail_goes_to_a_folder", folder=settings.mail_folder, cure="set BREVO_API_KEY")
    return Courier(Database(settings.database_options), mailer, app_name=settings.app_name)
