"""What a run found, for people: tables on the console."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from bench.samples import Results, Series, Spread
from bench.targets import ROUNDS_NEEDED, TARGETS, Verdict, judge


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """All that a run found: by scenario, the rules of money by ledger, memory by process."""

    titles: dict[str, str]
    results: Results
    broken_rules: dict[str, list[str]]
    resident_mib: dict[str, float]
    rounds: int
    seconds: float
    load: str
    machine: Mapping[str, str] = field(default_factory=dict)

    @property
    def verdicts(self) -> list[Verdict]:
        """The targets, in their order."""
        return [judge(target, self.results) for target in TARGETS]

    def wrongs(self) -> Iterator[str]:
        """Say everything that makes this run wrong."""
        for name, series in self.results.items():
            if series.wrong:
                yield f"{name}: {series.wrong}"
        for ledger, rules in self.broken_rules.items():
            if rules:
                yield f"The ledger {ledger} breaks rules of money: {', '.join(rules)}."


def show(report: Report, console: Console) -> None:
    """Print the tables, and what is wrong last, where it is seen."""
    console.print(_results_table(report))
    console.print(_targets_table(report.verdicts))
    if report.rounds < ROUNDS_NEEDED:
        console.print(f"Verdicts need {ROUNDS_NEEDED} rounds; these are hints.")
    for name, mib in report.resident_mib.items():
        console.print(f"Memory of {name} after the run: {mib:.0f} MiB.")
    wrongs = list(report.wrongs())
    for wrong in wrongs:
        console.print(f"[bold red]WRONG[/] {escape(wrong)}", soft_wrap=True)
    if not wrongs:
        proven = ", ".join(report.broken_rules) or "no ledger"
        console.print(f"Every answer was accounted for; all rules of money hold ({proven}).")


def _results_table(report: Report) -> Table:
    table = Table(title=f"Medians of {report.rounds} rounds (lowest to highest)")
    table.add_column("Scenario")
    for column in ("a second", "spread", "median ms", "99 % ms"):
        table.add_column(column, justify="right")
    for name, series in report.results.items():
        title = f"{escape(report.titles[name])}\n[dim]{name}[/]"
        if series.wrong:
            table.add_row(title, "WRONG", style="bold red")
        else:
            table.add_row(title, *_cells(series))
    return table


def _cells(series: Series) -> Sequence[str]:
    rate, median, tail = series.rate, series.latency_ms(50), series.latency_ms(99)
    return (
        number(rate.median) if rate else "",
        f"{number(rate.lowest)} to {number(rate.highest)}" if rate else "",
        number(median.median) if median else "",
        number(tail.median) if tail else "",
    )


def _targets_table(verdicts: Sequence[Verdict]) -> Table:
    table = Table(title="Targets (median of the rounds' ratios, lowest to highest)")
    table.add_column("What")
    for column in ("measured", "spread", "target", ""):
        table.add_column(column, justify="right")
    styles = {"met": "green", "MISSED": "bold red", "WRONG": "bold red", "not measured": "dim"}
    for verdict in verdicts:
        table.add_row(
            verdict.target.promise,
            *measured(verdict.spread),
            verdict.target.bound,
            verdict.word,
            style=styles[verdict.word],
        )
    return table


def measured(spread: Spread | None) -> tuple[str, str]:
    """Return a ratio and its spread as people read them."""
    if spread is None:
        return "", ""
    return f"{spread.median:.2f}", f"{spread.lowest:.2f} to {spread.highest:.2f}"


def number(value: float) -> str:
    """Return a number with about three digits that mean something."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
