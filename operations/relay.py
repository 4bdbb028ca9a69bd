"""Hands what is due to the workers, receipts or payments, in batches and at a bounded pace.

Runs beside the workers, in a thread of its own, never in the API: posting does not wait for Redis,
and what Redis loses is handed over again when its lease ends.
"""

import asyncio
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Protocol

import dramatiq
import structlog
from dramatiq.brokers.redis import RedisBroker
from sqlmodel.ext.asyncio.session import AsyncSession

from core.leases import Lease
from db.session import Database, DatabaseOptions

log = structlog.get_logger(__name__)

# How soon a receipt is found while there are few.
PASS_SECONDS: Final = 0.2
# At once, and then none for as long as the pace says: few large passes cost less than many small.
ROWS_IN_A_PASS: Final = 50
# While so many messages wait in Redis, more would only wait there, and their leases would end.
QUEUED_LIMIT: Final = 50
# On a machine that is shared with the API, mails wait rather than payments.
NICENESS: Final = 19
SESSION_PRIORITY: Final = Path("/proc/self/autogroup")


class Due(Protocol):
    """What knows which rows wait: the modules `core.outbox` and `core.payment_rows`."""

    async def has_due(self, session: AsyncSession, *, now: datetime) -> bool:
        """Whether a row waits."""

    async def lease_due(self, session: AsyncSession, *, now: datetime, limit: int) -> Lease:
        """Take at most `limit` rows, the longest waiting first."""


class Relay(dramatiq.Middleware):
    """A Dramatiq middleware: starts with each worker process and ends before it.

    `due` says what is handed over to the actor of `make_message`; `pass_seconds` is how soon it is
    found, `rows_per_second` the pace, and `rows_in_a_pass` how many a message names at most.
    """

    def __init__(
        self,
        options: DatabaseOptions,
        queue: str,
        make_message: Callable[[Lease], dramatiq.Message[Any]],
        *,
        due: Due,
        rows_per_second: float,
        pass_seconds: float = PASS_SECONDS,
        rows_in_a_pass: int = ROWS_IN_A_PASS,
    ):
        self._options = options
        self._queue = queue
        self._make_message = make_message
        self._due = due
        self._rows_per_second = rows_per_second
        self._pass_seconds = pass_seconds
        self._rows_in_a_pass = rows_in_a_pass
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None

    def after_process_boot(self, _broker: Any) -> None:
        """Let the API go first."""
        os.nice(NICENESS)
        # Linux may weigh sessions against each other, and priorities only within one: sched(7).
        # Of its own session a worker may say that; of one that it shares it may not.
        if os.getsid(0) == os.getppid():
            with suppress(OSError):
                SESSION_PRIORITY.write_text(str(NICENESS), encoding="ascii")

    def after_worker_boot(self, broker: Any, _worker: Any) -> None:
        """Start the thread."""
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._run(broker)), name="relay", daemon=True
        )
        self._thread.start()

    def before_worker_shutdown(self, _broker: Any, _worker: Any) -> None:
        """End the thread."""
        self._ending.set()
        if self._thread is not None:
            self._thread.join(timeout=5)

    async def _run(self, broker: RedisBroker) -> None:
        database = Database(self._options)
        failing = False
        while not self._ending.is_set():
            taken = 0
            try:
                taken = await self._pass(database, broker)
                failing = False
            except Exception as error:  # noqa: BLE001 - whatever is away comes back
                if not failing:
                    log.warning("relay_waits", error=f"{type(error).__name__}: {error}"[:200])
                failing = True
            pause_seconds = max(self._pass_seconds, taken / self._rows_per_second)
            await asyncio.to_thread(self._ending.wait, pause_seconds)
        await database.close()

    async def _pass(self, database: Database, broker: RedisBroker) -> int:
        """Hand over what is due, and return how much that was."""
        now = datetime.now(UTC)
        async with database.reading() as session:
            if not await self._due.has_due(session, now=now):
                return 0
        # Asked before anything is taken: without Redis it all stays due.
        queued: int = broker.client.llen(f"{broker.namespace}:{self._queue}")
        if queued >= QUEUED_LIMIT:
            return 0
        async with database.transaction() as session:
            lease = await self._due.lease_due(session, now=now, limit=self._rows_in_a_pass)
        if lease.ids:
            # In one message: read, sent and marked one by one they cost several times as much.
            broker.enqueue(self._make_message(lease))
        return len(lease.ids)


class PaymentsRelay(Relay):
    """The same for payments: Dramatiq warns of two of one class, as if one were a mistake."""
