"""Batches form by themselves, are bounded, and end cleanly."""

import asyncio
from collections.abc import Sequence

import pytest

from core.batching import LEFT_SECONDS, Batcher
from core.errors import Unavailable


class Recorder:
    """A batch function that waits until it may go on, and remembers its batches."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.may_go_on = asyncio.Event()

    async def run(self, items: Sequence[int]) -> list[int | BaseException]:
        self.batches.append(list(items))
        await self.may_go_on.wait()
        return [ValueError("thirteen") if item == 13 else item * 2 for item in items]


async def test_what_waits_while_a_batch_runs_goes_into_the_next() -> None:
    recorder = Recorder()
    batcher = Batcher(recorder.run, batch_limit=3, queue_limit=10)
    first = asyncio.create_task(batcher.submit(1))
    await asyncio.sleep(0.01)
    rest = [asyncio.create_task(batcher.submit(n)) for n in (2, 3, 4, 5)]
    await asyncio.sleep(0.01)
    recorder.may_go_on.set()

    assert await asyncio.gather(first, *rest) == [2, 4, 6, 8, 10]
    assert recorder.batches == [[1], [2, 3, 4], [5]]


async def test_one_failure_is_only_its_own() -> None:
    recorder = Recorder()
    recorder.may_go_on.set()
    batcher = Batcher(recorder.run, batch_limit=10, queue_limit=10)

    one, bad, two = await asyncio.gather(
        *[batcher.submit(n) for n in (1, 13, 2)], return_exceptions=True
    )

    assert (one, two) == (2, 4)
    assert isinstance(bad, ValueError)


async def test_a_full_queue_refuses() -> None:
    recorder = Recorder()
    batcher = Batcher(recorder.run, batch_limit=1, queue_limit=2)
    running = asyncio.create_task(batcher.submit(1))
    await asyncio.sleep(0.01)
    waiting = [asyncio.create_task(batcher.submit(n)) for n in (2, 3)]
    await asyncio.sleep(0.01)

    with pytest.raises(Unavailable):
        await batcher.submit(4)
    recorder.may_go_on.set()
    assert await asyncio.gather(running, *waiting) == [2, 4, 6]


async def test_stopping_finishes_what_was_taken_and_refuses_more() -> None:
    recorder = Recorder()
    batcher = Batcher(recorder.run, batch_limit=1, queue_limit=10)
    taken = [asyncio.create_task(batcher.submit(n)) for n in (1, 2)]
    await asyncio.sleep(0.01)
    stopping = asyncio.create_task(batcher.stop())
    await asyncio.sleep(0.01)

    with pytest.raises(Unavailable):
        await batcher.submit(3)
    recorder.may_go_on.set()
    await stopping
    assert await asyncio.gather(*taken) == [2, 4]


async def test_whoever_gives_up_does_not_stop_the_others() -> None:
    recorder = Recorder()
    batcher = Batcher(recorder.run, batch_limit=10, queue_limit=10)
    impatient, patient = (asyncio.create_task(batcher.submit(n)) for n in (1, 2))
    await asyncio.sleep(0.01)
    impatient.cancel()
    await asyncio.sleep(0.01)
    recorder.may_go_on.set()

    assert await patient == 4
    assert recorder.batches == [[1, 2]], "what was taken is finished"


async def test_each_waits_until_its_own_deadline() -> None:
    recorder = Recorder()
    batcher = Batcher(recorder.run, batch_limit=1, queue_limit=10, deadline_seconds=0.2)
    begun = asyncio.get_running_loop().time()
    ends: dict[int, float] = {}

    async def wait(number: int) -> None:
        with pytest.raises(Unavailable):
            await batcher.submit(number)
        ends[number] = asyncio.get_running_loop().time() - begun

    waiting = [asyncio.create_task(wait(1)), asyncio.create_task(wait(2))]
    await asyncio.sleep(0.1)
    waiting.append(asyncio.create_task(wait(3)))
    async with asyncio.timeout(5):
        await asyncio.gather(*waiting)

    # One was being run and one waited for it.
    assert 0.19 <= ends[1] < 0.29
    assert 0.19 <= ends[2] < 0.29
    assert ends[3] >= 0.29
    recorder.may_go_on.set()
    assert await batcher.submit(4) == 8
    assert recorder.batches == [[1], [2], [3], [4]], "what was taken is finished"


async def test_what_is_left_goes_along_in_its_turn() -> None:
    recorder = Recorder()
    recorder.may_go_on.set()
    batcher = Batcher(recorder.run, batch_limit=10, queue_limit=10)

    batcher.leave(1)
    await asyncio.sleep(0)
    two = await batcher.submit(2)

    assert two == 4
    assert recorder.batches == [[1, 2]]


async def test_what_is_left_for_nobody_runs_soon() -> None:
    recorder = Recorder()
    recorder.may_go_on.set()
    batcher = Batcher(recorder.run, batch_limit=2, queue_limit=10)

    for item in (1, 2, 3):
        batcher.leave(item)
    assert recorder.batches == []
    await asyncio.sleep(20 * LEFT_SECONDS)
    assert recorder.batches == [[1, 2], [3]]

    # Also what is left while a batch runs that nobody follows.
    recorder.may_go_on.clear()
    running = asyncio.create_task(batcher.submit(4))
    await asyncio.sleep(0.01)
    batcher.leave(5)
    recorder.may_go_on.set()
    assert await running == 8
    assert recorder.batches[2:] == [[4]]
    await asyncio.sleep(20 * LEFT_SECONDS)
    assert recorder.batches[2:] == [[4], [5]]


async def test_stopping_runs_what_was_left() -> None:
    recorder = Recorder()
    recorder.may_go_on.set()
    batcher = Batcher(recorder.run, batch_limit=1, queue_limit=10)
    batcher.leave(1)
    batcher.leave(2)

    await batcher.stop()

    assert recorder.batches == [[1], [2]]
    with pytest.raises(Unavailable):
        batcher.leave(3)
