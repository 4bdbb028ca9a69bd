"""What is measured: each scenario has a name, a sentence, and a way to take one sample of it."""

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

from bench.load import Load
from bench.proof import Books, disproof
from bench.samples import Sample
from bench.stand import Ledger, Stand, WorkerState
from bench.traffic import TRANSFER_PATH, Deck, Pattern, transfers
from bench.yardsticks.commit import Committer
from bench.yardsticks.pgbench import Pgbench
from tests.servers import find_postgres

POSTGRESQL: Final = "postgresql"
# Of a process that answered wrongly: the end of what it said about it.
LOG_CHARACTERS: Final = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """What scenarios measure with: the stand, the load generator, and how long."""

    stand: Stand
    load: Load
    seconds: float


class Scenario(Protocol):
    """One thing that is measured, once in each round."""

    @property
    def name(self) -> str:
        """What `--only`, the targets and the charts call it."""

    @property
    def title(self) -> str:
        """What people read."""

    def measure(self, bench: Bench) -> Sample:
        """Take one sample."""


MakeDeck = Callable[[Bench, Ledger], Deck]


def random_transfers(pattern: Pattern, *, path: str = TRANSFER_PATH) -> MakeDeck:
    """Return how to draw a deck of transfers, anew for each sample."""

    def make(_bench: Bench, ledger: Ledger) -> Deck:
        return transfers(ledger.people, pattern, random.Random(), path=path)

    return make


@dataclass(frozen=True, slots=True, kw_only=True)
class Requests:
    """Requests to one process or more that serve `app` on the ledger of this name.

    With `moves` each request that is answered stands for one new transaction, else for none.
    """

    name: str
    title: str
    make_deck: MakeDeck
    ledger: str = POSTGRESQL
    app: str = "main:app"
    connections: int = 64
    processes: int = 1
    worker: WorkerState = WorkerState.RUNNING
    moves: bool = True
    settings: Mapping[str, str] = field(default_factory=dict)

    def measure(self, bench: Bench) -> Sample:
        """Send for so many seconds, then count what the database has."""
        stand = bench.stand
        ledger = stand.ledger(self.ledger)
        processes = [
            stand.api(ledger, number, app=self.app, **self.settings)
            for number in range(1, self.processes + 1)
        ]
        urls = [process.url for process in processes]
        deck = self.make_deck(bench, ledger)
        books = Books(ledger.options)
        mark = books.mark()
        with stand.worker_state(ledger, self.worker):
            sent = bench.load.play(urls, deck, connections=self.connections, seconds=bench.seconds)
            # While the worker still runs: one that is frozen may hold SQLite's only write lock,
            # and what was left in flight could not end.
            written = books.count_since(mark)
        wrong = disproof(sent, written=written, each_writes=self.moves)
        if wrong:
            # The logs go away with the stand.
            wrong = "\n".join([wrong, *[process.log()[-LOG_CHARACTERS:] for process in processes]])
        return Sample(rate=sent.rate, latencies_ms=sent.latencies_ms, wrong=wrong)


@dataclass(frozen=True, slots=True, kw_only=True)
class PgbenchTransfers:
    """Transfers by pgbench, in a database of its own on the same server."""

    name: str
    title: str
    pattern: Pattern
    clients: int

    def measure(self, bench: Bench) -> Sample:
        """Run it for so many seconds, then count what the database has."""
        stand = bench.stand
        pgbench = stand.once(("pgbench",), lambda: _make_pgbench(stand))
        before = pgbench.count()
        played = pgbench.play(self.pattern, clients=self.clients, seconds=bench.seconds)
        return Sample(
            rate=played.rate,
            mean_ms=played.mean_ms,
            wrong=pgbench.disproof(played, before=before),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class DurableCommit:
    """One commit after another, in a database of its own on the same server."""

    name: str
    title: str

    def measure(self, bench: Bench) -> Sample:
        """Commit for so many seconds."""
        stand = bench.stand
        committer = stand.once(("commit",), lambda: Committer(stand.postgres_database("commit")))
        return committer.play(seconds=bench.seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiStart:
    """From starting an API process to its first answer, a 200 to GET /livez."""

    name: str
    title: str

    def measure(self, bench: Bench) -> Sample:
        """Start one and end it."""
        process = bench.stand.api_process(bench.stand.ledger(POSTGRESQL))
        started = time.perf_counter()
        with process:
            taken_ms = (time.perf_counter() - started) * 1000
        return Sample(latencies_ms={50: taken_ms}, mean_ms=taken_ms)


def _make_pgbench(stand: Stand) -> Pgbench:
    program = find_postgres() / "bin" / "pgbench"
    url = stand.postgres_database("pgbench")
    return Pgbench(program, url, stand.folder, wallets=stand.people)
