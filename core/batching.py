"""Many concurrent calls, few batches: whatever waits while one batch runs goes into the next.

No timer and no delay for whoever waits: an idle batcher runs a single item at once, and batches
grow by themselves under load. The ledger, the sign-in check and the Redis client all work through
this class.
"""

import asyncio
import contextvars
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, Generic, NamedTuple, TypeVar

from core.errors import Unavailable
from core.observation import UNOBSERVED, BatchObserver

# Whoever waits in vain may wait for so much longer than the deadline.
GIVING_UP_SECONDS: Final = 0.01
# What nobody waits for is worth no batch of its own, for so long: a few of the ledger's batches, at
# whose end there is something to leave.
LEFT_SECONDS: Final = 0.02

Item = TypeVar("Item")
Result = TypeVar("Result")


class Waiting(NamedTuple, Generic[Item, Result]):
    """An item that waits; nobody waits for the result of one without a future.

    `give_up_at` is in the event loop's time; among those with a future it never falls.
    """

    item: Item
    mark: Any
    future: asyncio.Future[Result] | None = None
    give_up_at: float = 0


class Batcher(Generic[Item, Result]):
    """Runs the items handed to `submit` in batches, one batch at a time, in order of arrival.

    `run` takes the items of a batch and returns one result, or exception, for each in the same
    order. If `run` itself raises, everyone in the batch gets that exception. `before` is awaited
    before a batch is formed: whoever comes while it lasts is in it. It must not raise.
    """

    def __init__(
        self,
        run: Callable[[Sequence[Item]], Awaitable[Sequence[Result | BaseException]]],
        *,
        batch_limit: int,
        queue_limit: int,
        deadline_seconds: float | None = None,
        observer: BatchObserver = UNOBSERVED,
        before: Callable[[], Awaitable[None]] | None = None,
    ):
        self._run = run
        self._before = before
        self._batch_limit = batch_limit
        self._queue_limit = queue_limit
        self._deadline_seconds = deadline_seconds
        self._observer = observer
        self._waiting: deque[Waiting[Item, Result]] = deque()
        self._running: Sequence[Waiting[Item, Result]] = ()
        # One for all who wait: a timer for each would cost more than deciding on a posting does.
        self._timer: asyncio.TimerHandle | None = None
        self._worker: asyncio.Task[None] | None = None
        # How many of those who wait are waited for; and when the others run, if nobody comes.
        self._awaited = 0
        self._start_timer: asyncio.TimerHandle | None = None
        self._stopping = False

    @property
    def waiting(self) -> int:
        """How many items wait for the batch that is being run."""
        return len(self._waiting)

    async def submit(self, item: Item) -> Result:
        """Wait for the result of `item`.

        Whoever is cancelled while waiting, or waits beyond the deadline, leaves the item behind:
        what was taken is finished. Raises Unavailable at the deadline, when too many wait or when
        the batcher is stopping, and what `run` gives.
        """
        self._check_open()
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Result] = loop.create_future()
        give_up_at = 0.0
        if self._deadline_seconds is not None:
            give_up_at = loop.time() + self._deadline_seconds
            if self._timer is None:
                self._timer = loop.call_at(give_up_at, self._give_up)
        self._waiting.append(Waiting(item, self._observer.submitted(), future, give_up_at))
        self._awaited += 1
        self._start()
        return await future

    def leave(self, item: Item) -> None:
        """Have `item` run without waiting for its result. Raises Unavailable as `submit` does.

        It goes into the next batch, in its turn; without one, into its own after LEFT_SECONDS.
        """
        self._check_open()
        self._waiting.append(Waiting(item, self._observer.submitted()))
        self._start_later()

    async def stop(self) -> None:
        """Refuse new items and finish those that were taken."""
        self._stopping = True
        self._start()
        if self._worker is not None:
            await self._worker

    def _check_open(self) -> None:
        if self._stopping or len(self._waiting) >= self._queue_limit:
            raise Unavailable

    def _start(self) -> None:
        if self._start_timer is not None:
            self._start_timer.cancel()
            self._start_timer = None
        if self._worker is None:
            # The task starts in the next turn of the loop, so all of this turn's items join. It
            # works for everybody, so it takes nobody's context (the log's request id) along.
            self._worker = asyncio.create_task(self._work(), context=contextvars.Context())

    def _start_later(self) -> None:
        if self._worker is None and self._start_timer is None:
            loop = asyncio.get_running_loop()
            self._start_timer = loop.call_later(LEFT_SECONDS, self._start)

    async def _work(self) -> None:
        try:
            # What was left goes along with whoever started this, or is all there is.
            while self._waiting:
                if self._before is not None:
                    await self._before()
                count = min(len(self._waiting), self._batch_limit)
                await self._run_batch([self._waiting.popleft() for _ in range(count)])
                if not self._awaited and not self._stopping:
                    break
        finally:
            self._worker = None
            if self._waiting:
                self._start_later()

    async def _run_batch(self, batch: list[Waiting[Item, Result]]) -> None:
        results: Sequence[Result | BaseException]
        self._running = batch
        self._awaited -= sum(waiting.future is not None for waiting in batch)
        try:
            with self._observer.batch([waiting.mark for waiting in batch]):
                results = await self._run([waiting.item for waiting in batch])
        except Exception as error:  # noqa: BLE001 - everyone who waits must hear of it
            results = [error] * len(batch)
        for waiting, result in zip(batch, results, strict=True):
            if waiting.future is None or waiting.future.done():
                continue
            if isinstance(result, BaseException):
                waiting.future.set_exception(result)
            else:
                waiting.future.set_result(result)
        # Only now: should anything above fail, those left have their deadline still.
        self._running = ()

    def _give_up(self) -> None:
        """Tell those who waited too long, and come back for the next one."""
        self._timer = None
        loop = asyncio.get_running_loop()
        for waiting in (*self._running, *self._waiting):
            if waiting.future is None or waiting.future.done():
                continue
            if waiting.give_up_at > loop.time():
                # Not for each by itself when many came one after another.
                again_at = max(waiting.give_up_at, loop.time() + GIVING_UP_SECONDS)
                self._timer = loop.call_at(again_at, self._give_up)
                return
            waiting.future.set_exception(Unavailable())
