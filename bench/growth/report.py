"""What a growing ledger costs: the targets, and how the figures are shown and kept."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from bench.charts import TEMPLATES, Lines, draw
from bench.growth.comparing import GROWN, POSTING, SMALL, series_name
from bench.growth.questions import LONG_PAGE, MEASURES, Measure
from bench.numbers import number, plural, ratio
from bench.results import series_as_json, verdict_as_json
from bench.samples import Results, Spread
from bench.targets import NOT_MEASURED, ROUNDS_NEEDED, Target, Verdict, judge, latency, throughput

READING_AT_MOST: Final = 1.5
POSTING_AT_LEAST: Final = 0.8


def _reading(measure: Measure) -> Target:
    sides = (series_name(measure.name, GROWN), series_name(measure.name, SMALL))
    return latency(measure.title, *sides, at_most=READING_AT_MOST)


TARGETS: Final[Mapping[str, Target]] = {
    **{measure.name: _reading(measure) for measure in MEASURES},
    POSTING: throughput(
        "Transfers a second, anybody to anybody, 64 connections",
        series_name(POSTING, GROWN),
        series_name(POSTING, SMALL),
        at_least=POSTING_AT_LEAST,
    ),
}
STYLES: Final = {
    "met": "green",
    "MISSED": "bold red",
    "WRONG": "bold red",
    NOT_MEASURED: "dim",
}
# A chart tells four lines apart.
CHARTED: Final = {
    "Newest page, ordinary wallet": f"ordinary-{LONG_PAGE}-newest",
    "Half way, hot wallet": f"hot-{LONG_PAGE}-halfway",
    "Both entries": "ledger",
    "A posted transfer": POSTING,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What was found at one size of the ledger.

    `transfer_bytes` is by table and part; `broken_rules` is None if proving took too long.
    """

    entries: int
    results: Results
    transfer_bytes: Mapping[str, Mapping[str, float]]
    broken_rules: Sequence[str] | None
    fill_seconds: float

    def verdict(self, measure: str) -> Verdict:
        """Hold one measure against its target."""
        return judge(TARGETS[measure], self.results)

    def word(self, measure: str) -> str:
        """Say the same in one word."""
        return self.verdict(measure).word


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """All that a run found. Each step is compared with a ledger as large as the first one was."""

    engine: str
    machine: Mapping[str, str]
    rounds: int
    seconds: float
    load: str
    steps: Sequence[Step]

    def wrongs(self) -> Iterator[str]:
        """Say everything that makes this run wrong."""
        for step in self.steps:
            for name, series in step.results.items():
                if series.wrong:
                    yield f"{name} at {step.entries:,} entries: {series.wrong}"
            if step.broken_rules:
                yield f"The ledger of {step.entries:,} entries breaks rules of money: " + ", ".join(
                    step.broken_rules
                )


def summary(step: Step) -> str:
    """Say in a line what was found at one size, while the next is being filled."""
    ratios = {name: ratio(step.verdict(name).spread)[0] for name in TARGETS}
    known = ", ".join(f"{name} {value}" for name, value in ratios.items() if value)
    return f"{step.entries:,} entries, filled in {step.fill_seconds:.0f} s: {known or 'nothing'}"


def show(growth: Growth, console: Console) -> None:
    """Print the tables, and what is wrong last, where it is seen."""
    console.print(_costs_table(growth))
    if growth.steps[-1].transfer_bytes:
        console.print(_bytes_table(growth.steps[-1]))
    if growth.rounds < ROUNDS_NEEDED:
        console.print(f"Verdicts need {ROUNDS_NEEDED} rounds; these are hints.")
    for step in growth.steps:
        if step.broken_rules is None:
            console.print(f"Not proven in time: the rules of money at {step.entries:,} entries.")
    wrongs = list(growth.wrongs())
    for wrong in wrongs:
        console.print(f"[bold red]WRONG[/] {escape(wrong)}", soft_wrap=True)
    if not wrongs:
        proven = [f"{step.entries:,}" for step in growth.steps if step.broken_rules is not None]
        console.print(f"All rules of money hold, at {' and '.join(proven) or 'no'} entries.")


def write(growth: Growth, folder: Path) -> None:
    """Write growth.json, growth.md and growth.svg into a folder, made if it is not there."""
    found, drawn = as_json(growth), chart(growth)
    files = {
        "growth.json": json.dumps(found, indent=2, ensure_ascii=False) + "\n",
        "growth.md": as_markdown(found, drawn),
        "growth.svg": draw(drawn),
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")


def as_markdown(growth: Mapping[str, Any], drawn: Lines) -> str:
    """Return what `as_json` says as a page that shows this chart, which lies beside it."""
    return TEMPLATES.get_template("growth.md").render(
        growth=growth,
        chart=drawn,
        bounds={name: target.bound for name, target in TARGETS.items()},
        figure=_figure,
        plural=plural,
        rounds_needed=ROUNDS_NEEDED,
    )


def as_json(growth: Growth) -> dict[str, Any]:
    """Return it as JSON shows it: latencies in ms, rates a second, bytes by transfer."""
    return {
        "machine": dict(growth.machine),
        "settings": {
            "engine": growth.engine,
            "rounds": growth.rounds,
            "seconds": growth.seconds,
            "load": growth.load,
            "small_entries": growth.steps[0].entries,
        },
        "steps": [
            {
                "entries": step.entries,
                "fill_seconds": round(step.fill_seconds, 1),
                "broken_rules": step.broken_rules,
                "bytes_of_a_transfer": step.transfer_bytes,
                "targets": {
                    name: verdict_as_json(step.verdict(name)) | {"verdict": step.word(name)}
                    for name in TARGETS
                },
                "results": {
                    name: series_as_json(name, series) for name, series in step.results.items()
                },
            }
            for step in growth.steps
        ],
    }


def chart(growth: Growth) -> Lines:
    """Return the chart of what things cost by the ledger's size."""
    lines = [
        (label, [_cost(step, name) for step in growth.steps]) for label, name in CHARTED.items()
    ]
    last = [f"{label}: {found[-1].median:.2f}" for label, found in lines if found[-1]]
    small, large = growth.steps[0].entries, growth.steps[-1].entries
    return Lines(
        title="Cost against the size of the ledger",
        description=f"Times the cost at {small:,} entries, at {large:,}: {'; '.join(last)}.",
        x_label="entries in the ledger (logarithmic)",
        y_label=f"times the cost at {small:,} entries",
        steps=[f"{step.entries:,}" for step in growth.steps],
        lines=lines,
    )


def _cost(step: Step, name: str) -> Spread | None:
    """Return how many times more it costs than in the small ledger."""
    spread = step.verdict(name).spread
    if spread is None or name != POSTING:
        return spread
    return Spread(1 / spread.median, 1 / spread.highest, 1 / spread.lowest)


def _costs_table(growth: Growth) -> Table:
    small, last = growth.steps[0].entries, growth.steps[-1]
    table = Table(
        title=f"A ledger of so many entries against one of {small:,} beside it (ratios; "
        f"{growth.engine}, medians of {growth.rounds} rounds)"
    )
    table.add_column("What")
    table.add_column(f"{small:,}", justify="right")
    for step in growth.steps:
        table.add_column(f"{step.entries:,}", justify="right")
    for column in ("spread", "target", ""):
        table.add_column(column, justify="right")
    for name, target in TARGETS.items():
        verdict = last.verdict(name)
        table.add_row(
            target.promise,
            _absolute(last.results, name),
            *[ratio(step.verdict(name).spread)[0] for step in growth.steps],
            ratio(verdict.spread)[1],
            target.bound,
            last.word(name),
            style=STYLES[last.word(name)],
        )
    return table


def _figure(measured: Mapping[str, float] | None, which: str) -> str:
    return f"{measured[which]:.2f}" if measured else ""


def _absolute(results: Results, name: str) -> str:
    """Return what the small ledger took, or managed."""
    series = results.get(series_name(name, SMALL))
    if series is None:
        return ""
    if name == POSTING:
        return f"{number(series.rate.median)}/s" if series.rate else ""
    median = series.latency_ms(50)
    return f"{number(median.median)} ms" if median else ""


def _bytes_table(step: Step) -> Table:
    table = Table(title=f"Bytes of a transfer on disk, at {step.entries:,} entries")
    table.add_column("Table")
    for column in ("rows", "indexes", "together"):
        table.add_column(column, justify="right")
    sums = {
        part: sum(parts[part] for parts in step.transfer_bytes.values())
        for part in ("table", "indexes")
    }
    for name, parts in {**step.transfer_bytes, "all": sums}.items():
        together = parts["table"] + parts["indexes"]
        cells = (parts["table"], parts["indexes"], together)
        table.add_row(name, *[f"{value:,.0f}" for value in cells])
    return table
