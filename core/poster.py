"""Group posting: many waiting requests become one ledger transaction.

A request submits its attempt and waits. Whatever arrived while the previous batch was committing
goes into the next (see `core.batching`). Nobody is answered before the commit is known.
"""

import asyncio
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from core import ledger
from core.batching import Batcher
from core.commands import Answer, Attempt, Settled
from core.errors import InternalError, Unavailable
from core.observation import UNOBSERVED, PostingObserver
from db.faults import Fault, classify
from db.session import Database

log = structlog.get_logger(__name__)

TRIES = 3
BACKOFF_SECONDS = 0.02
HELD_WALLET_TIMEOUT_MS = 50
# Longer than a look takes by itself, shorter than a batch of another process.
IN_THE_WAY_SECONDS = 0.002
STAY_IN_LINE = 16
# As long as PostgreSQL lets a frozen process hold what it holds.
ASIDE_SECONDS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class PosterLimits:
    """How much the poster takes on: attempts in a batch, attempts waiting, seconds of waiting."""

    batch: int = 256
    queue: int = 5000
    deadline_seconds: float = 10


class Poster:
    """The one door through which money moves, in every process."""

    def __init__(
        self,
        database: Database,
        limits: PosterLimits,
        observer: PostingObserver = UNOBSERVED,
    ):
        self._database = database
        self._observer = observer
        self._batcher: Batcher[Attempt, Answer] = Batcher(
            self._settle,
            batch_limit=limits.batch,
            queue_limit=limits.queue,
            deadline_seconds=limits.deadline_seconds,
            observer=observer,
            before=self._stand_in_line,
        )
        # For so many more batches this stands in line; and not again before this time.
        self._in_line, self._aside_until = 0, 0.0

    @property
    def waiting(self) -> int:
        """How many attempts wait for the batch that is being settled."""
        return self._batcher.waiting

    async def post(self, attempt: Attempt) -> Answer:
        """Settle one attempt and return its answer once it is durable.

        Raises IdempotencyKeyReused; why what ends a payment cannot be booked, since that alone is
        not an answer that is kept; Unavailable when the queue is full, the database is away or
        the deadline passes (the same key then tells what became of it); InternalError for a
        defect of ours.
        """
        return await self._batcher.submit(attempt)

    async def stop(self) -> None:
        """Finish what was taken and refuse the rest."""
        await self._batcher.stop()

    def _somebody_waits(self) -> bool:
        """Whether another batch follows this one at once.

        One leaves the queue only into a batch, and nothing is left in it that nobody waits for.
        """
        return self._batcher.waiting > 0

    async def _stand_in_line(self) -> None:
        """Wait for this process's turn, if batches of others were in the way of late.

        A batch that waits for a wallet is as large as it was when it began to look. One that is
        formed when its turn has come takes along whoever came meanwhile. See decision 25.
        """
        if self._in_line == 0:
            return
        self._in_line -= 1
        try:
            await self._database.stand_in_line()
        except Exception as error:  # noqa: BLE001 - a batch does as well without
            log.warning("line_left", fault=classify(error).name, error=type(error).__name__)
            self._step_aside()

    def _looked(self, seconds: float) -> None:
        """Stand in line if a look took long.

        Only a look tells, of a batch that did not: in line one waits for everybody.
        """
        if seconds > IN_THE_WAY_SECONDS and time.monotonic() >= self._aside_until:
            self._in_line = STAY_IN_LINE

    def _step_aside(self) -> None:
        """Stand in no line for a while: somebody holds it, or a wallet, and does not let go."""
        self._in_line, self._aside_until = 0, time.monotonic() + ASIDE_SECONDS

    async def _settle(self, attempts: Sequence[Attempt]) -> Sequence[Settled]:
        """Settle a batch in one transaction; try again, then in halves, when it fails as a whole.

        Trying again is safe even when a COMMIT lost its connection and may have happened: the
        second try locks the same wallets, so it waits for the first to end, and then finds its
        keys, or not, and the keys' unique constraint rules out both.
        """
        results = await self._settle_patiently(attempts, lock_timeout_ms=None)
        self._observer.settled(attempts, results)
        return results

    async def _settle_patiently(
        self, attempts: Sequence[Attempt], *, lock_timeout_ms: int | None
    ) -> Sequence[Settled]:
        in_doubt: Sequence[Settled] = ()
        for tries_left in reversed(range(TRIES)):
            try:
                transaction = self._database.lean_transaction(
                    lock_timeout_ms=lock_timeout_ms, another=self._somebody_waits
                )
                async with transaction as connection:
                    answers = await ledger.post(connection, attempts, self._looked)
                    settled = _firsts(answers, in_doubt)
                    # Whether that is what happened, the commit has yet to say.
                    in_doubt = settled
                    return settled
            except Exception as error:  # noqa: BLE001 - classified below; everybody gets an answer
                fault = classify(error)
                if fault is Fault.LOCKED:
                    self._step_aside()
                self._observer.failed(fault)
                level = "error" if fault is Fault.DEFECT else "warning"
                getattr(log, level)(
                    "posting_failed", attempts=len(attempts), fault=fault.name, exc_info=error
                )
                if fault is Fault.UNAVAILABLE and not tries_left:
                    return [Unavailable() for _ in attempts]
                if fault in {Fault.DEFECT, Fault.LOCKED} or not tries_left:
                    return await self._settle_in_halves(attempts, fault)
            await asyncio.sleep(BACKOFF_SECONDS * (1 + random.random()))  # noqa: S311 - jitter
        raise AssertionError("The last try returns.")

    async def _settle_in_halves(
        self, attempts: Sequence[Attempt], fault: Fault
    ) -> Sequence[Settled]:
        """Separate the attempt that spoils the batch from its neighbours."""
        if len(attempts) == 1:
            return [InternalError() if fault is Fault.DEFECT else Unavailable()]
        # Who waited in vain for a held wallet once, with all the others, does not do so at each
        # halving again.
        timeout_ms = HELD_WALLET_TIMEOUT_MS if fault is Fault.LOCKED else None
        middle = len(attempts) // 2
        return [
            settled
            for half in (attempts[:middle], attempts[middle:])
            for settled in await self._settle_patiently(half, lock_timeout_ms=timeout_ms)
        ]


def _firsts(settled: Sequence[Settled], before: Sequence[Settled]) -> Sequence[Settled]:
    """Return what was settled; what only repeats a try whose COMMIT was in doubt, as it was then.

    Whoever asked for the first time is told so, although the ledger was asked twice.
    """

    def repeated(first: Answer) -> Answer:
        return first._replace(replayed=True, failure_code=None)

    if not before:
        return settled
    return [
        first if isinstance(first, Answer) and again == repeated(first) else again
        for first, again in zip(before, settled, strict=True)
    ]
