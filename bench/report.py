"""What a run found, for people: tables on the console."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from bench.numbers import cells, plural, ratio
from bench.samples import Results
from bench.targets import NOT_MEASURED, ROUNDS_NEEDED, TARGETS, Verdict, judge


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
    shown = [verdict for verdict in report.verdicts if verdict.word != NOT_MEASURED]
    if shown:
        console.print(_targets_table(shown))
    if len(shown) < len(report.verdicts):
        console.print(f"{len(report.verdicts) - len(shown)} targets were not measured.")
    if report.rounds < ROUNDS_NEEDED:
        console.print(f"Verdicts need {ROUNDS_NEEDED} rounds; these are hints.")
    memory = ", ".join(f"{mib:.0f} ({name})" for name, mib in report.resident_mib.items())
    if memory:
        console.print(f"Memory of the API processes afterwards, in MiB: {memory}.", soft_wrap=True)
    wrongs = list(report.wrongs())
    for wrong in wrongs:
        console.print(f"[bold red]WRONG[/] {escape(wrong)}", soft_wrap=True)
    if not wrongs:
        proven = ", ".join(report.broken_rules) or "no ledger"
        console.print(f"Every answer was accounted for; all rules of money hold ({proven}).")


def _results_table(report: Report) -> Table:
    table = Table(title=f"Medians of {plural(report.rounds, 'round')} (lowest to highest)")
    table.add_column("Scenario")
    for column in ("a second", "spread", "median ms", "99 % ms"):
        table.add_column(column, justify="right")
    for name, series in report.results.items():
        title = f"{escape(report.titles[name])}\n[dim]{name}[/]"
        if series.wrong:
            table.add_row(title, "WRONG", style="bold red")
        else:
            table.add_row(title, *cells(series))
    return table


def _targets_table(verdicts: Sequence[Verdict]) -> Table:
    table = Table(title="Targets (median of the rounds' ratios, lowest to highest)")
    table.add_column("What")
    for column in ("measured", "spread", "target", ""):
        table.add_column(column, justify="right")
    styles = {"met": "green", "MISSED": "bold red", "WRONG": "bold red"}
    for verdict in verdicts:
        table.add_row(
            verdict.target.promise,
            *ratio(verdict.spread),
            verdict.target.bound,
            verdict.word,
            style=styles[verdict.word],
        )
    return table
