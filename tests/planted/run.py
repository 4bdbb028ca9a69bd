"""Plants one bug at a time into a copy of this tree, and names the test that catches it.

`python -m tests.planted.run [name ...]`: all bugs, or those named. Exits with 0 only if the tests
pass without a bug and every bug is caught. A test that does not end in time, or that fails before
it begins, has caught nothing: it names the wrong test or the bug is none.
"""

import ast
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.planted.bug import Bug, BugMisplaced
from tests.planted.bugs import BUGS
from tests.servers import PostgresServer, ValkeyServer

ROOT: Final = Path(__file__).parent.parent.parent
AT_ONCE: Final = 2
BUG_SECONDS: Final = 120
WITHOUT_BUG_SECONDS: Final = 600
SHOWN_LINES: Final = 25

_FAILED: Final = "FAILED "
_TESTS_FAILED: Final = 1


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run of tests ended; `exit_code` is None if it had to be ended."""

    exit_code: int | None
    failed: list[str]
    output: str
    seconds: float

    @property
    def caught(self) -> bool:
        """Whether a test failed, rather than something around it."""
        return self.exit_code == _TESTS_FAILED and bool(self.failed)


def main(names: Sequence[str]) -> int:
    """Try the bugs with these names, or all; return the exit code."""
    unknown = set(names) - {bug.name for bug in BUGS}
    if unknown:
        print(f"There is no planted bug named {', '.join(sorted(unknown))}.", file=sys.stderr)
        return 2
    bugs = [bug for bug in BUGS if not names or bug.name in names]
    started = time.monotonic()
    with servers() as environment:
        if not passes_without_bug(bugs, environment):
            return 1
        with ThreadPoolExecutor(AT_ONCE) as pool:
            caught = list(pool.map(lambda bug: try_bug(bug, environment), bugs))
    missed = caught.count(False)
    seconds = time.monotonic() - started
    print(f"{len(bugs) - missed} caught, {missed} not caught, in {seconds:.0f} s")
    return 1 if missed else 0


@contextmanager
def servers() -> Iterator[Mapping[str, str]]:
    """Start the servers that all runs share; give the environment that names them.

    What TEST_DATABASE_URL and TEST_REDIS_URL name already is used instead.
    """
    environment = dict(os.environ)
    with ExitStack() as stack:
        if "TEST_DATABASE_URL" not in environment:
            environment["TEST_DATABASE_URL"] = stack.enter_context(PostgresServer()).url
        if "TEST_REDIS_URL" not in environment:
            environment["TEST_REDIS_URL"] = stack.enter_context(ValkeyServer()).url
        yield environment


def passes_without_bug(bugs: Sequence[Bug], environment: Mapping[str, str]) -> bool:
    """Run every test that a bug names, once and without it; a failure there proves nothing."""
    tests = list(dict.fromkeys(test for bug in bugs for test in bug.tests))
    with copied_tree() as folder:
        outcome = run_tests(folder, tests, environment, seconds=WITHOUT_BUG_SECONDS)
    if outcome.exit_code == 0:
        print(f"{len(tests)} tests pass without a bug, in {outcome.seconds:.0f} s", flush=True)
        return True
    print(f"They fail without a bug:\n{tail(outcome)}", flush=True)
    return False


def try_bug(bug: Bug, environment: Mapping[str, str]) -> bool:
    """Plant a bug into a copy, run its tests there, and say what came of it."""
    with copied_tree() as folder:
        mutated = bug.mutated(folder)
        ast.parse(mutated)
        (folder / bug.file).write_text(mutated, encoding="utf-8")
        outcome = run_tests(folder, bug.tests, environment, seconds=BUG_SECONDS, first_only=True)
    if outcome.caught:
        line = f"caught    {bug.name}  by {outcome.failed[0]}  ({outcome.seconds:.0f} s)"
    elif outcome.exit_code == 0:
        line = f"SURVIVED  {bug.name}: {bug.breaks}"
    else:
        line = f"UNCLEAR   {bug.name}: {bug.breaks}\n{tail(outcome)}"
    print(line, flush=True)
    return outcome.caught


@contextmanager
def copied_tree() -> Iterator[Path]:
    """Copy what git knows or would add of this tree, as it is now, to a folder for a while."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],  # noqa: S607 - the developer's own git
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    with tempfile.TemporaryDirectory(prefix="wallet-planted-") as name:
        for file in filter(None, listed.stdout.split("\0")):
            # What is deleted but not yet committed is still listed.
            if (ROOT / file).is_file():
                (Path(name) / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / file, Path(name) / file)
        yield Path(name)


def run_tests(
    folder: Path,
    tests: Sequence[str],
    environment: Mapping[str, str],
    *,
    seconds: float,
    first_only: bool = False,
) -> Outcome:
    """Run tests of a copy with this interpreter, for a bounded time."""
    options = ["-q", "--no-header", "--color=no", "-p", "no:cacheprovider", "--basetemp=.tests"]
    if first_only:
        options.append("--maxfail=1")
    started = time.monotonic()
    try:
        done = subprocess.run(
            [sys.executable, "-m", "pytest", *options, *tests],
            cwd=folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Outcome(None, [], f"It did not end in {seconds:.0f} s.", seconds)
    failed = [
        line.removeprefix(_FAILED).partition(" - ")[0]
        for line in done.stdout.splitlines()
        if line.startswith(_FAILED)
    ]
    return Outcome(done.returncode, failed, done.stdout, time.monotonic() - started)


def tail(outcome: Outcome) -> str:
    """Return the end of what pytest wrote."""
    return "\n".join(f"    {line}" for line in outcome.output.splitlines()[-SHOWN_LINES:])


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except BugMisplaced as error:
        sys.exit(str(error))
