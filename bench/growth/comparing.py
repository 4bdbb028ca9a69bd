"""Measures a grown ledger beside a small one, by turns, each served by a process of its own.

Both are measured in every round, the first of them taking turns, so that what else the machine
does hits both alike. No worker runs: it would take the same from both, and more noise.
"""

import asyncio
import itertools
import random
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Final

import httpx

from bench.growth.ledgers import copied
from bench.growth.questions import MEASURES, Question, ask_all, deck_of
from bench.load import LeanLoad, Load, Sent
from bench.proof import Books, disproof
from bench.run import checkpoint
from bench.samples import Results, Sample, Series
from bench.scenarios import Bench
from bench.stand import Ledger
from bench.traffic import Deck, Pattern, transfers
from db.session import Database
from tests.processes import ApiProcess

SMALL: Final = "small"
GROWN: Final = "grown"
POSTING: Final = "posting"
READING_CONNECTIONS: Final = 1
POSTING_CONNECTIONS: Final = 64
# wrk knows whole seconds only.
READING_SECONDS: Final = 1.0
WARM_UP_SECONDS: Final = 0.5
CHECKED: Final = 20
# Of both sides, by both comparisons.
SAMPLES_A_ROUND: Final = 2 * (len(MEASURES) + 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """The small ledger, which stays as it is, and the one that grows. Neither is served."""

    bench: Bench
    small: Ledger
    grown: Ledger
    rounds: int
    # Called with what is being measured, once for each sample.
    tell: Callable[[str], None] = field(default=lambda _: None)

    def sides(self) -> dict[str, Ledger]:
        """Return both by name."""
        return {SMALL: self.small, GROWN: self.grown}


class Samples:
    """Samples as they are taken, by measure and side."""

    def __init__(self) -> None:
        self._taken: dict[str, list[Sample]] = {}

    def add(self, measure: str, side: str, sample: Sample) -> None:
        """Keep one."""
        self._taken.setdefault(series_name(measure, side), []).append(sample)

    def results(self) -> Results:
        """Return all of them."""
        return {name: Series(tuple(samples)) for name, samples in self._taken.items()}


def series_name(measure: str, side: str) -> str:
    """Return what a side's measurements are called among the results."""
    return f"{measure}.{side}"


def compare_reading(pair: Pair) -> Results:
    """Ask both ledgers everything, over one connection."""
    questions = {side: asyncio.run(_look_up(ledger)) for side, ledger in pair.sides().items()}
    decks = _decks(questions)
    seconds = min(READING_SECONDS, pair.bench.seconds)
    samples = Samples()
    with ExitStack() as stack:
        urls = {
            side: stack.enter_context(pair.bench.stand.api_process(ledger)).url
            for side, ledger in pair.sides().items()
        }
        for (side, url), measure in itertools.product(urls.items(), decks[SMALL]):
            if wrong := asyncio.run(_check(url, questions[side][measure])):
                samples.add(measure, side, Sample(wrong=wrong))
            _ask(LeanLoad(), url, decks[side][measure], min(WARM_UP_SECONDS, seconds))
        for number in range(pair.rounds):
            for measure, side in itertools.product(decks[SMALL], in_turn(number)):
                pair.tell(f"{measure}, {side}")
                sent = _ask(pair.bench.load, urls[side], decks[side][measure], seconds)
                wrong = disproof(sent, written=0, each_writes=False)
                samples.add(measure, side, _sample(sent, wrong))
    return samples.results()


def compare_posting(pair: Pair, *, in_place: bool) -> Results:
    """Let anybody pay anybody in both ledgers, over 64 connections.

    Each round has fresh processes, and fresh copies to post into. With `in_place` it is the grown
    ledger itself that is posted into: one so large that neither a copy is cheap nor the difference
    large.
    """
    samples = Samples()
    warm_up = replace(pair.bench, load=LeanLoad(), seconds=min(WARM_UP_SECONDS, pair.bench.seconds))
    for number in range(pair.rounds):
        with ExitStack() as stack:
            served = {}
            for side, ledger in pair.sides().items():
                target = ledger
                if side == SMALL or not in_place:
                    target = stack.enter_context(copied(ledger, pair.bench.stand.folder))
                process = stack.enter_context(pair.bench.stand.api_process(target))
                served[side] = (target, process)
                warmed = _post(warm_up, *served[side])
                if warmed.wrong:
                    samples.add(POSTING, side, warmed)
            for side in in_turn(number):
                pair.tell(f"{POSTING}, {side}")
                checkpoint(pair.bench.stand)
                samples.add(POSTING, side, _post(pair.bench, *served[side]))
    return samples.results()


def in_turn(number: int) -> Sequence[str]:
    """Return both sides, in the order of a round."""
    return (SMALL, GROWN) if number % 2 == 0 else (GROWN, SMALL)


def _decks(questions: Mapping[str, Mapping[str, list[Question]]]) -> dict[str, dict[str, Deck]]:
    """Return the requests of each side, of the measures that both have something for."""
    names = [
        measure.name
        for measure in MEASURES
        if all(asked[measure.name] for asked in questions.values())
    ]
    return {
        side: {name: deck_of(asked[name]) for name in names} for side, asked in questions.items()
    }


async def _look_up(ledger: Ledger) -> dict[str, list[Question]]:
    database = Database(ledger.options)
    try:
        return await ask_all(database, ledger.people)
    finally:
        await database.close()


async def _check(url: str, asked: Sequence[Question]) -> str:
    """Say what is wrong with the answers, nothing if nothing is: an empty page is a fast one."""
    async with httpx.AsyncClient(base_url=url, timeout=60) as client:
        for question in asked[:CHECKED]:
            bearer = {"Authorization": f"Bearer {question.person.token}"}
            answer = await client.get(question.path, headers=bearer)
            if answer.status_code != 200:
                return f"{question.path} was answered {answer.status_code}: {answer.text}"
            told = answer.json()
            rows = told if isinstance(told, list) else told.get("transactions", ())
            if question.rows is not None and len(rows) != question.rows:
                return f"{question.path} has {len(rows)} rows, not {question.rows}."
    return ""


def _ask(load: Load, url: str, deck: Deck, seconds: float) -> Sent:
    return load.play([url], deck, connections=READING_CONNECTIONS, seconds=seconds)


def _post(bench: Bench, ledger: Ledger, process: ApiProcess) -> Sample:
    """Post for so many seconds, then count what the database has."""
    deck = transfers(ledger.people, Pattern.UNIFORM, random.Random())
    books = Books(ledger.options)
    mark = books.mark()
    sent = bench.load.play(
        [process.url], deck, connections=POSTING_CONNECTIONS, seconds=bench.seconds
    )
    written = books.count_since(mark)
    return _sample(sent, disproof(sent, written=written, each_writes=True))


def _sample(sent: Sent, wrong: str) -> Sample:
    return Sample(rate=sent.rate, latencies_ms=sent.latencies_ms, wrong=wrong)
