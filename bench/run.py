"""`wallet bench`: takes turns over the scenarios, round by round, and reports what was found.

Within a round each scenario is measured once, so that whatever else the machine does meanwhile
hits all of them alike; each round begins with another one.
"""

import asyncio
import math
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import asyncpg
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from bench.catalogue import SCENARIOS
from bench.load import LeanLoad
from bench.machine import describe
from bench.numbers import plural
from bench.outcome import CANNOT_EXIT_CODE, Findings, attempt, ending_on_sigterm, keep
from bench.proof import Books
from bench.report import Report, show
from bench.results import write
from bench.samples import Sample, Series
from bench.scenarios import Bench, Scenario
from bench.stand import Stand
from bench.targets import ROUNDS_NEEDED
from bench.wrk import choose_load

# Long enough for everybody's token to be verified once in each process.
WARM_UP_SECONDS: Final = 1.0
# What goes on around each sample: drawing requests, waking the worker, counting.
AROUND_SECONDS: Final = 1.5
# Servers, people, and the first start of each process.
SET_UP_SECONDS: Final = 15
START_SECONDS: Final = 1.5


def run(*, seconds: float, rounds: int, only: Sequence[str], output: Path | None) -> int:
    """Measure and report. Returns 0, 1 if a measurement was wrong, 2 if it cannot be done here."""
    scenarios = chosen(only)
    if not scenarios:
        names = ", ".join(scenario.name for scenario in SCENARIOS)
        print(f"No scenario has such a name; there are: {names}.", file=sys.stderr)
        return CANNOT_EXIT_CODE
    console = Console(highlight=False, emoji=False)

    def measure() -> int:
        with ending_on_sigterm(), Stand() as stand:
            load = choose_load(seconds, stand.folder)
            bench = Bench(stand=stand, load=load, seconds=seconds)
            announce(bench, len(scenarios), rounds, console)
            machine = describe(stand)
            report = replace(take_rounds(bench, scenarios, rounds, console), machine=machine)
        show(report, console)
        is_whole = not only and rounds >= ROUNDS_NEEDED
        kept = Findings(any(report.wrongs()), lambda folder: write(report, folder))
        return keep(kept, output, is_whole=is_whole, console=console)

    return attempt(measure)


def chosen(only: Sequence[str]) -> list[Scenario]:
    """Return the scenarios whose names contain one of these; all of them for none."""
    return [
        scenario
        for scenario in SCENARIOS
        if not only or any(part in scenario.name for part in only)
    ]


def announce(bench: Bench, scenarios: int, rounds: int, console: Console) -> None:
    """Say what is about to happen and how long it takes."""
    each = rounds * (bench.seconds + AROUND_SECONDS) + WARM_UP_SECONDS + START_SECONDS
    minutes = (SET_UP_SECONDS + scenarios * each) / 60
    console.print(
        f"{plural(scenarios, 'scenario')}, {plural(rounds, 'round')} of {bench.seconds:g} s each: "
        f"about {plural(math.ceil(minutes), 'minute')}. Ctrl-C stops it.",
        f"Load comes from {bench.load.name}.",
        "Every API process runs with LOG_LEVEL=WARNING and without an access log; the limit of "
        "requests is on, and nobody reaches it.",
        sep="\n",
        soft_wrap=True,
    )


def take_rounds(
    bench: Bench, scenarios: Sequence[Scenario], rounds: int, console: Console
) -> Report:
    """Measure everything, then hold every ledger against the rules of money."""
    samples: dict[str, list[Sample]] = {scenario.name: [] for scenario in scenarios}
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    progress = Progress(
        *columns, TimeElapsedColumn(), console=console, disable=not console.is_terminal
    )
    with progress:
        task = progress.add_task("", total=len(scenarios) * (rounds + 1))
        # The first pass starts what is needed and warms it up; it does not count.
        for number in range(rounds + 1):
            warm_up = number == 0
            shown = "warming up" if warm_up else f"round {number} of {rounds}"
            if not console.is_terminal:
                console.print(f"{shown} …")
            checkpoint(bench.stand)
            used = warming(bench) if warm_up else bench
            for scenario in in_turn(scenarios, number):
                progress.update(task, description=f"{shown}: {scenario.name}")
                sample = scenario.measure(used)
                if not warm_up or sample.wrong:
                    samples[scenario.name].append(sample)
                progress.advance(task)
        progress.update(task, description="proving the rules of money")
        broken = {each.name: Books(each.options).broken_rules() for each in bench.stand.ledgers()}
    return Report(
        titles={scenario.name: scenario.title for scenario in scenarios},
        results={name: Series(tuple(taken)) for name, taken in samples.items()},
        broken_rules=broken,
        resident_mib=bench.stand.resident_mib(),
        rounds=rounds,
        seconds=bench.seconds,
        load=bench.load.name,
    )


def warming(bench: Bench) -> Bench:
    """Return how to warm up: briefly, by a generator that waits for every answer."""
    return replace(bench, load=LeanLoad(), seconds=min(WARM_UP_SECONDS, bench.seconds))


def in_turn(scenarios: Sequence[Scenario], number: int) -> list[Scenario]:
    """Return the scenarios in the order of a round: each round begins with another one."""
    first = number * 7 % len(scenarios)
    return [*scenarios[first:], *scenarios[:first]]


def checkpoint(stand: Stand) -> None:
    """Let PostgreSQL write what it owes to its files: no round pays for the one before."""

    async def write() -> None:
        connection = await asyncpg.connect(stand.postgres.url)
        try:
            await connection.execute("CHECKPOINT")
        finally:
            await connection.close()

    asyncio.run(write())
