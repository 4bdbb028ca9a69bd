"""How a measuring command ends: with files, with a sentence, or stopped in the middle."""

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Final

from rich.console import Console

from bench.stand import StandError
from bench.wrk import WrkError
from bench.yardsticks.pgbench import PgbenchError
from operations.children import ROOT
from tests.processes import ProcessError

CANNOT_EXIT_CODE: Final = 2
INTERRUPTED_EXIT_CODE: Final = 130
PERFORMANCE: Final = "docs/performance"


@dataclass(frozen=True, slots=True)
class Findings:
    """What a run found: whether it is wrong, and how to write it into a folder."""

    are_wrong: bool
    write_into: Callable[[Path], None]


def attempt(measure: Callable[[], int]) -> int:
    """Return what `measure` returns; say in one sentence why it could not be done here."""
    try:
        return measure()
    except (StandError, ProcessError, WrkError, PgbenchError) as error:
        print(error, file=sys.stderr)
        return CANNOT_EXIT_CODE
    except KeyboardInterrupt:
        print("Stopped; nothing was written.", file=sys.stderr)
        return INTERRUPTED_EXIT_CODE


def keep(findings: Findings, output: Path | None, *, is_whole: bool, console: Console) -> int:
    """Write where it shall go; without a wish, a whole run's where the last one was.

    Returns the command's exit code: 1 for what is wrong, which is never written.
    """
    if findings.are_wrong:
        console.print("Nothing was written: a wrong run has no speed.")
        return 1
    if output is None and not is_whole:
        console.print("Only a whole run replaces the last results; --output keeps this one.")
        return 0
    folder = output or ROOT / PERFORMANCE
    findings.write_into(folder)
    console.print(f"Written to {folder}.", soft_wrap=True)
    return 0


@contextmanager
def ending_on_sigterm() -> Iterator[None]:
    """End as on Ctrl-C when somebody asks this process to end: what it started ends with it."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
