"""What an observer of batches and postings is told, and when."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest

from core.batching import Batcher
from core.commands import Answer, Attempt, Settled, withdraw
from core.errors import InternalError, Unavailable, WalletError
from core.money import Money
from core.poster import Poster, PosterLimits
from db.faults import Fault
from db.session import Database
from tests.attempts import attempt
from tests.people import People

LIMITS = PosterLimits()


class Witness:
    """Remembers everything it is told."""

    def __init__(self) -> None:
        self.count = 0
        self.begun: list[list[int]] = []
        self.ended = 0
        self.results: list[tuple[Attempt, Settled]] = []
        self.faults: list[Fault] = []

    def submitted(self) -> int:
        self.count += 1
        return self.count

    @contextmanager
    def batch(self, marks: Sequence[int]) -> Iterator[None]:
        self.begun.append(list(marks))
        try:
            yield
        finally:
            self.ended += 1

    def settled(self, attempts: Sequence[Attempt], results: Sequence[Settled]) -> None:
        self.results += zip(attempts, results, strict=True)

    def failed(self, fault: Fault) -> None:
        self.faults.append(fault)


async def test_each_item_comes_back_with_its_batch() -> None:
    witness = Witness()

    async def run(items: Sequence[str]) -> list[str | BaseException]:
        assert len(witness.begun) == witness.ended + 1, "within the batch's context"
        await asyncio.sleep(0.01)
        if "bad" in items:
            raise ValueError
        return list(items)

    batcher = Batcher(run, batch_limit=2, queue_limit=10, observer=witness)
    waiting = [asyncio.create_task(batcher.submit(item)) for item in ("a", "b", "bad")]
    await asyncio.sleep(0.005)

    assert batcher.waiting == 1
    await asyncio.gather(*waiting, return_exceptions=True)
    assert witness.begun == [[1, 2], [3]]
    assert witness.ended == 2
    assert batcher.waiting == 0


async def test_what_became_of_attempts_is_told_once_it_is_durable(
    people: People, database: Database
) -> None:
    person = await people.with_wallet(10)
    witness = Witness()
    poster = Poster(database, LIMITS, witness)
    good, greedy = (
        attempt(withdraw(user_id=person.id, money=Money(minor, "NGN"))) for minor in (100, 10**9)
    )
    for one in (good, greedy, greedy):
        await poster.post(one)

    assert [one for one, _ in witness.results] == [good, greedy, greedy]
    answers = [result for _, result in witness.results if isinstance(result, Answer)]
    assert [(answer.replayed, answer.failure_code) for answer in answers] == [
        (False, None),
        (False, "insufficient_funds"),
        (True, None),
    ]
    assert witness.faults == []


@pytest.mark.parametrize(
    ("error", "fault", "told", "times"),
    [
        (ConnectionResetError("lost"), Fault.UNAVAILABLE, Unavailable, 3),
        (RuntimeError("ours"), Fault.DEFECT, InternalError, 1),
    ],
)
async def test_every_try_that_failed_is_told(
    people: People,
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    fault: Fault,
    told: type[WalletError],
    times: int,
) -> None:
    person = await people.with_wallet(10)
    witness = Witness()
    poster = Poster(database, LIMITS, witness)

    async def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr("core.ledger.post", fail)
    with pytest.raises(told):
        await poster.post(attempt(withdraw(user_id=person.id, money=Money(100, "NGN"))))

    assert witness.faults == [fault] * times
    [(_, result)] = witness.results
    assert isinstance(result, told)
