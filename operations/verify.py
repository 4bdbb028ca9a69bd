"""`wallet verify`: proves the rules of money on the live database and shows who breaks them."""

import asyncio
import sys
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from config import Settings
from core.verification import RULES, RuleResult, verify_rules
from operations.database import NOT_READY_EXIT_CODE, DatabaseNotReadyError, open_database

# Nobody waits for a proof as for an answer, and a large ledger takes its time.
RULE_TIMEOUT_SECONDS: Final = 3600


def verify(settings: Settings) -> int:
    """Check every rule and print what was found.

    Returns 0 if all hold, 1 if one is broken, 3 if the database cannot be asked.
    """
    console = Console(highlight=False, emoji=False, markup=False)
    try:
        results = asyncio.run(_check_rules(settings, console))
    except DatabaseNotReadyError as error:
        print(error, file=sys.stderr)
        return NOT_READY_EXIT_CODE
    broken = [result for result in results if not result.holds]
    console.print(_table(results))
    for result in broken:
        _print_offences(result, console)
    if broken:
        console.print(f"\n{len(broken)} of {len(results)} rules are broken.", soft_wrap=True)
        return 1
    console.print(f"All {len(results)} rules hold.")
    return 0


async def _check_rules(settings: Settings, console: Console) -> list[RuleResult]:
    """Check the rules behind a progress bar; where nobody watches, with one line for each."""
    results: list[RuleResult] = []
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    progress = Progress(
        *columns,
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    async with open_database(settings, command_timeout_seconds=RULE_TIMEOUT_SECONDS) as database:
        with progress:
            task = progress.add_task(RULES[0].name, total=len(RULES))
            async for result in verify_rules(database):
                results.append(result)
                following = RULES[len(results) :]
                name = following[0].name if following else "done"
                progress.update(task, advance=1, description=name)
                if not console.is_terminal:
                    console.print(f"{len(results)}/{len(RULES)} {result.rule.name}: checked")
    return results


def _table(results: list[RuleResult]) -> Table:
    table = Table("Rule", "What must hold", "Result")
    for result in results:
        style = None if result.holds else "bold red"
        table.add_row(result.rule.name, result.rule.promise, _verdict(result), style=style)
    return table


def _verdict(result: RuleResult) -> str:
    if result.holds:
        return "holds"
    return f"BROKEN: {'over ' if result.has_more else ''}{len(result.offences)}"


def _print_offences(result: RuleResult, console: Console) -> None:
    """Print the offending rows, one a line whatever the width: they are read by tools as well."""
    console.print(f"\n{result.rule.name}: {result.rule.promise}", soft_wrap=True)
    for row in result.offences:
        values = ", ".join(f"{name}={value}" for name, value in row.items())
        console.print(f"  {values}", soft_wrap=True)
    if result.has_more:
        console.print("  … and more", soft_wrap=True)
