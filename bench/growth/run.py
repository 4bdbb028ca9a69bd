"""`wallet bench grow`: fills a ledger step by step and measures it beside a small one at each."""

import asyncio
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)

from bench.growth.comparing import SAMPLES_A_ROUND, Pair, compare_posting, compare_reading
from bench.growth.filling import Filling, settle
from bench.growth.ledgers import Size, bytes_of_a_transfer, copied, sizes
from bench.growth.report import Growth, Step, show, summary, write
from bench.machine import describe
from bench.numbers import plural
from bench.outcome import Findings, attempt, ending_on_sigterm, keep
from bench.scenarios import Bench
from bench.stand import PEOPLE, Ledger, Stand, StandError
from bench.targets import ROUNDS_NEEDED
from bench.wrk import choose_load
from core.verification import verify_rules
from db.session import Database, DatabaseOptions

SMALLEST: Final = 10_000
WHOLE: Final = 10_000_000
# Beside the ordinary ones there is a hot wallet.
WALLETS: Final = PEOPLE + 1
# So large a ledger is posted into itself: it is costly to copy, and grows by a few per cent.
COPIED_UP_TO: Final = 1_000_000
# Proving may take as long as it needs while the ledger is small, and then this long.
PROVING_SECONDS: Final = 180
PATIENT_SECONDS: Final = 1800
# What a run needs on disk, copies and the server's own log of changes included.
DISK_BYTES_OF_AN_ENTRY: Final = 1_500
DISK_BYTES_AT_LEAST: Final = 2 * 2**30
# For saying how long it takes.
FILLED_A_SECOND: Final = 15_000
AROUND_POSTING_SECONDS: Final = 5
SET_UP_SECONDS: Final = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is measured: at which sizes, on what, and how often."""

    entries: int
    engine: str = "postgresql"
    rounds: int = ROUNDS_NEEDED
    seconds: float = 4
    smallest: int = SMALLEST
    wallets: int = WALLETS

    def steps(self) -> list[int]:
        """Return the sizes: each ten times the one before, up to the last."""
        steps = [self.smallest]
        while steps[-1] * 10 < self.entries:
            steps.append(steps[-1] * 10)
        return steps if self.entries <= self.smallest else [*steps, self.entries]


def grow(plan: Plan, output: Path | None) -> int:
    """Measure and report. Returns 0, 1 if a measurement was wrong, 2 if it cannot be done here."""
    console = Console(highlight=False, emoji=False)

    def measure() -> int:
        with ending_on_sigterm(), Stand(people=plan.wallets) as stand:
            _refuse_small_disk(plan, stand.folder)
            _announce(plan, console)
            columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn())
            remaining = TimeRemainingColumn()
            hidden = not console.is_terminal
            with Progress(*columns, remaining, console=console, disable=hidden) as progress:
                growth = _Run(plan, stand, progress).take()
        show(growth, console)
        is_whole = plan == Plan(entries=WHOLE, rounds=plan.rounds) and plan.rounds >= ROUNDS_NEEDED
        kept = Findings(any(growth.wrongs()), lambda folder: write(growth, folder))
        return keep(kept, output, is_whole=is_whole, console=console)

    return attempt(measure)


def _announce(plan: Plan, console: Console) -> None:
    """Say what is about to happen and how long it takes."""
    sizes_said = ", ".join(f"{entries:,}" for entries in plan.steps())
    reading = SAMPLES_A_ROUND * min(plan.seconds, 1)
    posting = 2 * (plan.seconds + AROUND_POSTING_SECONDS)
    measuring = len(plan.steps()) * plan.rounds * (reading + posting)
    minutes = (measuring + plan.entries / FILLED_A_SECOND + SET_UP_SECONDS) / 60
    console.print(
        f"Measuring at {sizes_said} entries, {plural(plan.rounds, 'round')} each: about "
        f"{minutes:.0f} minutes on two cores. Ctrl-C stops it.",
        soft_wrap=True,
    )


class _Run:
    """One run: what is measured, on which stand, and where its progress is shown."""

    def __init__(self, plan: Plan, stand: Stand, progress: Progress):
        self._plan = plan
        self._stand = stand
        self._progress = progress
        self._bench = Bench(
            stand=stand, load=choose_load(plan.seconds, stand.folder), seconds=plan.seconds
        )

    def take(self) -> Growth:
        """Fill and measure, size by size."""
        plan = self._plan
        machine = describe(self._stand)
        small = self._stand.ledger(plan.engine)
        filling = asyncio.run(_begin(small.options))
        fill_seconds = self._fill(filling, small, plan.smallest)
        steps = []
        with copied(small, self._stand.folder) as grown:
            for entries in plan.steps():
                if entries > plan.smallest:
                    fill_seconds = self._fill(filling, grown, entries)
                steps.append(self._measure(small, grown, entries, fill_seconds))
                self._progress.console.print(summary(steps[-1]), soft_wrap=True)
        return Growth(
            engine=plan.engine,
            machine=machine,
            rounds=plan.rounds,
            seconds=plan.seconds,
            load=self._bench.load.name,
            steps=steps,
        )

    def _fill(self, filling: Filling, ledger: Ledger, entries: int) -> float:
        """Fill a ledger up to so many entries; return how many seconds that took."""
        task = self._task(f"filling up to {entries:,} entries", entries, filling.entries)
        started = time.perf_counter()
        advance = partial(self._progress.advance, task)
        asyncio.run(_fill(filling, ledger.options, entries, advance))
        return time.perf_counter() - started

    def _measure(self, small: Ledger, grown: Ledger, entries: int, fill_seconds: float) -> Step:
        """Compare both ledgers, then prove the grown one right."""
        plan = self._plan
        at = f"at {entries:,}"
        task = self._task(f"measuring {at}", plan.rounds * SAMPLES_A_ROUND)

        def tell(what: str) -> None:
            self._progress.update(task, advance=1, description=f"{at}: {what}")

        pair = Pair(bench=self._bench, small=small, grown=grown, rounds=plan.rounds, tell=tell)
        reading = compare_reading(pair)
        found = asyncio.run(_sizes(grown.options))
        posting = compare_posting(pair, in_place=entries > COPIED_UP_TO)
        tell("proving the rules of money")
        patience = PATIENT_SECONDS if entries <= COPIED_UP_TO else PROVING_SECONDS
        return Step(
            entries=entries,
            results={**reading, **posting},
            transfer_bytes=bytes_of_a_transfer(found, entries),
            broken_rules=asyncio.run(_prove(grown.options, patience)),
            fill_seconds=fill_seconds,
        )

    def _task(self, description: str, total: int, completed: int = 0) -> TaskID:
        if self._progress.disable:
            self._progress.console.print(f"{description} …")
        return self._progress.add_task(description, total=total, completed=completed)


async def _begin(options: DatabaseOptions) -> Filling:
    database = Database(options)
    try:
        return await Filling.of(database)
    finally:
        await database.close()


async def _fill(
    filling: Filling, options: DatabaseOptions, entries: int, advance: Callable[[int], None]
) -> None:
    database = Database(options)
    try:
        await filling.fill_to(entries, database, advance)
        await settle(database)
    finally:
        await database.close()


async def _sizes(options: DatabaseOptions) -> dict[str, Size]:
    database = Database(options)
    try:
        return await sizes(database)
    finally:
        await database.close()


async def _prove(options: DatabaseOptions, seconds: float) -> list[str] | None:
    """Return the rules of money that do not hold, None if finding out takes too long."""
    database = Database(options)
    try:
        async with asyncio.timeout(seconds):
            return [result.rule.name async for result in verify_rules(database) if not result.holds]
    except TimeoutError:
        return None
    finally:
        await database.close()


def _refuse_small_disk(plan: Plan, folder: Path) -> None:
    needed = max(plan.entries * DISK_BYTES_OF_AN_ENTRY, DISK_BYTES_AT_LEAST)
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise StandError(
            f"{plan.entries:,} entries need {needed / 2**30:.0f} GiB in {folder.parent} and "
            f"{free / 2**30:.0f} GiB are free; free some, or ask for fewer with --entries."
        )
