"""Many concurrent calls, few batches: whatever waits while one batch runs goes into the next.

No timer and no delay: an idle batcher runs a single item at once, and batches grow by themselves
under load. The ledger, the sign-in check and the Redis client all work through this class.
"""

import asyncio
import contextvars
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Generic, TypeVar

from core.errors import Unavailable
from core.observation import UNOBSERVED, BatchObserver

Item = TypeVar("Item")
Result = TypeVar("Result")


class Batcher(Generic[Item, Result]):
    """Runs the items handed to `submit` in batches, one batch at a time, in order of arrival.

    `run` takes the items of a batch and returns one result, or exception, for each in the same
    order. If `run` itself raises, everyone in the batch gets that exception.
    """

    def __init__(
        self,
        run: Callable[[Sequence[Item]], Awaitable[Sequence[Result | BaseException]]],
        *,
        batch_limit: int,
        queue_limit: int,
        observer: BatchObserver = UNOBSERVED,
    ):
        self._run = run
        self._batch_limit = batch_limit
        self._queue_limit = queue_limit
        self._observer = observer
        self._waiting: deque[tuple[Item, asyncio.Future[Result], Any]] = deque()
        self._worker: asyncio.Task[None] | None = None
        self._stopping = False

    @property
    def waiting(self) -> int:
        """How many items wait for the batch that is being run."""
        return len(self._waiting)

    async def submit(self, item: Item) -> Result:
        """Wait for the result of `item`.

        Whoever is cancelled while waiting leaves the item behind: what was taken is finished.
        Raises Unavailable when too many wait or the batcher is stopping, and what `run` gives.
        """
        if self._stopping or len(self._waiting) >= self._queue_limit:
            raise Unavailable
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future, self._observer.submitted()))
        if self._worker is None:
            # The task starts in the next turn of the loop, so all of this turn's items join. It
            # works for everybody, so it takes nobody's context (the log's request id) along.
            self._worker = asyncio.create_task(self._work(), context=contextvars.Context())
        return await future

    async def stop(self) -> None:
        """Refuse new items and finish those that were taken."""
        self._stopping = True
        if self._worker is not None:
            await self._worker

    async def _work(self) -> None:
        try:
            while self._waiting:
                count = min(len(self._waiting), self._batch_limit)
                await self._run_batch([self._waiting.popleft() for _ in range(count)])
        finally:
            self._worker = None

    async def _run_batch(self, batch: list[tuple[Item, asyncio.Future[Result], Any]]) -> None:
        results: Sequence[Result | BaseException]
        try:
            with self._observer.batch([mark for _, _, mark in batch]):
                results = await self._run([item for item, _, _ in batch])
        except Exception as error:  # noqa: BLE001 - everyone who waits must hear of it
            results = [error] * len(batch)
        for (_, future, _), result in zip(batch, results, strict=True):
            if future.done():
                continue
            if isinstance(result, BaseException):
                future.set_exception(result)
            else:
                future.set_result(result)
