"""Fixtures of the fault tests: servers of their own, which form runs, the summary at the end."""

import random
from collections.abc import Iterator

import pytest

from tests.servers import PostgresServer, ValkeyServer

LINES = pytest.StashKey[list[str]]()


@pytest.fixture(scope="session")
def is_full(request: pytest.FixtureRequest) -> bool:
    """Whether the full form was asked for (`--faults`)."""
    return bool(request.config.getoption("--faults"))


@pytest.fixture(scope="session")
def first_seed(request: pytest.FixtureRequest) -> int:
    """The seed that was asked for (`--faults-seed`), else a new one."""
    given: int | None = request.config.getoption("--faults-seed")
    seed = random.randrange(10**6) if given is None else given
    lines = request.config.stash.setdefault(LINES, [])
    lines.append(f"drawn from seed {seed}; the same again: --faults-seed {seed}")
    return seed


@pytest.fixture(scope="module")
def fragile_postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL of one module's own, to be treated badly."""
    with PostgresServer() as server:
        yield server


@pytest.fixture(scope="module")
def fragile_valkey() -> Iterator[ValkeyServer]:
    """A Redis of one module's own, to be treated badly."""
    with ValkeyServer() as server:
        yield server


class Summary:
    """What the fault tests say at the end of the run, whether they succeed or not."""

    def __init__(self, lines: list[str]) -> None:
        self._lines = lines

    def add(self, text: str) -> None:
        """Say something; it is also printed at once, for the report of a failure."""
        self._lines.append(text)
        print(text)  # noqa: T201 - shown by pytest where a test fails


@pytest.fixture
def summary(request: pytest.FixtureRequest) -> Summary:
    """What to say at the end."""
    return Summary(request.config.stash.setdefault(LINES, []))


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Print what was said."""
    if lines := config.stash.get(LINES, []):
        terminalreporter.section("faults")
        for line in lines:
            terminalreporter.write_line(line)
