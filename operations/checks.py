"""`wallet test`: everything that must hold before a change is accepted."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from operations.children import ROOT

STATIC_CHECKS = {
    "format": ["ruff", "format", "--check", "."],
    "lint": ["ruff", "check", "."],
    "types": ["mypy", "."],
}
# Lower than the tests', some of which measure time.
STATIC_NICENESS = 10
# Several at a time, each with servers of its own, since many wait; then, by themselves, those that
# measure time or take the whole machine.
BY_FILE = ["--dist", "loadfile"]
PARTS = (
    ["-m", "not (faults or alone)", "--numprocesses", "3", *BY_FILE],
    ["-m", "faults and not alone", "--numprocesses", "2", *BY_FILE],
    ["-m", "alone"],
)
# What pytest says when tests ran, whether or not they passed.
RAN = {0, 1}
COUNTED = re.compile(r"(\d+) (passed|failed|errors?|xpassed)")
COLOURS = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True)
class Result:
    """How one check ended."""

    name: str
    exit_code: int
    output: str


class StaticCheck:
    """A check that runs beside the tests, its output kept until they are done."""

    def __init__(self, name: str, command: Sequence[str]) -> None:
        self.name = name
        self._process = subprocess.Popen(
            [sys.executable, "-m", *command],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        os.setpriority(os.PRIO_PROCESS, self._process.pid, STATIC_NICENESS)

    def result(self) -> Result:
        """Waits for its end."""
        output, _ = self._process.communicate()
        return Result(self.name, self._process.returncode, output)


def run(pytest_arguments: Sequence[str]) -> int:
    """Runs all checks and prints what they found. Returns 0 only if every one succeeded.

    The last line counts the tests and the static checks: `N passed, M failed`.
    """
    # Ctrl-C reaches the tests too, and they say how far they came; this only waits for that.
    signal.signal(signal.SIGINT, lambda *_: None)
    running = [StaticCheck(name, command) for name, command in STATIC_CHECKS.items()]
    exit_code, passed, failed = run_tests(pytest_arguments)
    results = [check.result() for check in running]
    for result in results:
        if result.exit_code != 0:
            print(f"\n--- {result.name} ---\n{result.output.rstrip()}")
    print()
    for result in results:
        print(f"{result.name:<8} {'passed' if result.exit_code == 0 else 'FAILED'}")
    print(f"{'tests':<8} {'passed' if exit_code == 0 else f'FAILED (exit code {exit_code})'}")
    # A run that was interrupted or collected nothing has failed even though no test has.
    failed = max(failed, 1) if exit_code != 0 else failed
    static_failures = sum(result.exit_code != 0 for result in results)
    failed += static_failures
    print(f"{passed + len(results) - static_failures} passed, {failed} failed", flush=True)
    return 1 if failed else 0


def run_tests(arguments: Sequence[str]) -> tuple[int, int, int]:
    """Runs the tests that are asked for, or all of them, part by part.

    Returns pytest's exit code, and how many passed and failed.
    """
    passed = failed = exit_code = 0
    for part in [arguments] if arguments else PARTS:
        ended_with, closing_line = run_pytest(part)
        counts = count(closing_line)
        passed, failed = passed + counts[0], failed + counts[1]
        exit_code = exit_code or ended_with
        if ended_with not in RAN:
            break
    return exit_code, passed, failed


def run_pytest(arguments: Sequence[str]) -> tuple[int, str]:
    """Runs the tests, showing their output as it comes. Returns exit code and closing line."""
    colour = "yes" if sys.stdout.isatty() else "auto"
    # Some machines forbid it: each of the hundreds of processes that the tests start would compile
    # the whole project again.
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    with subprocess.Popen(
        [sys.executable, "-m", "pytest", f"--color={colour}", *arguments],
        cwd=ROOT,
        env={**kept, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
    ) as pytest:
        assert pytest.stdout is not None  # noqa: S101 - asked for above
        last_line = b""
        # Dots arrive without a line's end, so bytes are passed on as they come.
        while chunk := os.read(pytest.stdout.fileno(), 65536):
            sys.stdout.buffer.write(chunk)
            sys.stdout.buffer.flush()
            last_line = (last_line + chunk).rstrip(b"\n").rpartition(b"\n")[2]
    return pytest.returncode, COLOURS.sub("", last_line.decode(errors="replace"))


def count(closing_line: str) -> tuple[int, int]:
    """How many tests passed and failed, by pytest's closing line."""
    counts = {word: int(number) for number, word in COUNTED.findall(closing_line)}
    failed = sum(number for word, number in counts.items() if word != "passed")
    return counts.get("passed", 0), failed
