"""The scenarios of the benchmark, in the order in which they are shown."""

import itertools
from typing import Final

from bench.credits import USERS, make_top_ups, make_transfers
from bench.known import HISTORY_PATH, known
from bench.scenarios import (
    ApiStart,
    Bench,
    DurableCommit,
    MakeDeck,
    PgbenchTransfers,
    Requests,
    Scenario,
    random_transfers,
)
from bench.stand import Ledger, WorkerState
from bench.traffic import Deck, Pattern, reading
from bench.yardsticks import NO_OP_PATH

BATCH_LIMITS: Final = (1, 4, 16, 64, 256)
# More than the largest batch, so that the limit is what limits.
BATCH_CONNECTIONS: Final = 256
WHO_PAYS_WHOM: Final = {
    Pattern.UNIFORM: "anybody pays anybody",
    Pattern.HOT: "all pay into one wallet",
    Pattern.ZIPF: "many pay to few (Zipf)",
}


def transfers() -> list[Scenario]:
    """Return the transfers: by who pays whom, connections, processes, engine, and worker."""
    return [
        *[_transfer(pattern, connections=64) for pattern in Pattern],
        *[_transfer(pattern, connections=8) for pattern in (Pattern.UNIFORM, Pattern.HOT)],
        _transfer(Pattern.UNIFORM, connections=1),
        *[
            _transfer(pattern, connections=64, processes=2)
            for pattern in (Pattern.UNIFORM, Pattern.HOT)
        ],
        _transfer(Pattern.UNIFORM, connections=64, worker=WorkerState.ABSENT),
        *[
            _transfer(pattern, connections=connections, ledger="sqlite")
            for connections, pattern in (
                (64, Pattern.UNIFORM),
                (64, Pattern.HOT),
                (1, Pattern.UNIFORM),
            )
        ],
    ]


def batches() -> list[Scenario]:
    """Return uniform transfers by the largest batch that is allowed."""
    return [
        Requests(
            name=f"batch-{limit}",
            title=f"Batches of at most {limit}, {BATCH_CONNECTIONS} connections",
            make_deck=random_transfers(Pattern.UNIFORM),
            connections=BATCH_CONNECTIONS,
            settings={"POSTING_BATCH_LIMIT": str(limit)},
        )
        for limit in BATCH_LIMITS
    ]


def readings() -> list[Scenario]:
    """Return what is asked again, and what is only looked at."""
    decks: dict[str, tuple[str, MakeDeck]] = {
        "replay": ("Known keys again", lambda bench, ledger: known(bench.stand, ledger).replays),
        "balance": ("Reading one's balance", _everybody_reads("/wallet")),
        "history": ("First page of a history, 50 rows", _everybody_reads(HISTORY_PATH)),
        "deep-history": (
            "A page of 50 far down a history, by cursor",
            lambda bench, ledger: known(bench.stand, ledger).deep_history,
        ),
        "ledger": (
            "Both entries of a transaction",
            lambda bench, ledger: known(bench.stand, ledger).ledger_pages,
        ),
    }
    return [
        Requests(name=f"wallet-{name}-64", title=title, make_deck=make_deck, moves=False)
        for name, (title, make_deck) in decks.items()
    ]


def credit_movements() -> list[Scenario]:
    """Return credits given to many by one service, and as many people who pay each other."""
    return [
        Requests(
            name="credits-top-up-64",
            title=f"Top-ups of {USERS} users' credits by one service",
            make_deck=make_top_ups,
        ),
        Requests(
            name=f"wallet-{USERS}-people-64",
            title=f"Transfers between {USERS} wallets",
            make_deck=make_transfers,
        ),
    ]


def yardsticks() -> list[Scenario]:
    """Return what the wallet is measured against."""
    patterns = (Pattern.UNIFORM, Pattern.HOT)
    return [
        Requests(
            name="no-op-64",
            title="FastAPI's authenticated no-op",
            app="bench.yardsticks.no_op:app",
            make_deck=random_transfers(Pattern.UNIFORM, path=NO_OP_PATH),
            worker=WorkerState.FROZEN,
            moves=False,
        ),
        *[
            Requests(
                name=f"per-request-{pattern}-64",
                title=f"One ORM transaction a request: {WHO_PAYS_WHOM[pattern]}",
                app="bench.yardsticks.per_request:app",
                ledger="per-request",
                make_deck=random_transfers(pattern),
                worker=WorkerState.FROZEN,
            )
            for pattern in patterns
        ],
        *[
            PgbenchTransfers(
                name=f"pgbench-{pattern}-{clients}",
                title=f"pgbench, {clients} clients: {WHO_PAYS_WHOM[pattern]}",
                pattern=pattern,
                clients=clients,
            )
            for pattern, clients in itertools.product(patterns, (8, 64))
        ],
        DurableCommit(name="commit", title="One durable commit after another"),
        ApiStart(name="api-start", title="Start of the API to its first answer"),
    ]


def _transfer(
    pattern: Pattern,
    *,
    connections: int,
    processes: int = 1,
    ledger: str = "postgresql",
    worker: WorkerState = WorkerState.RUNNING,
) -> Requests:
    """Return one scenario of transfers, named by what is not as usual."""
    name, title = f"wallet-{pattern}-{connections}", f"Transfers, {WHO_PAYS_WHOM[pattern]}"
    title += f", {connections} connection{'s' if connections > 1 else ''}"
    if processes > 1:
        name, title = f"{name}-two-processes", f"{title}, two API processes"
    if ledger == "sqlite":
        name, title = f"{name}-sqlite", f"{title}, SQLite"
    if worker is WorkerState.ABSENT:
        name, title = f"{name}-no-worker", f"{title}, no worker"
    return Requests(
        name=name,
        title=title,
        make_deck=random_transfers(pattern),
        connections=connections,
        processes=processes,
        ledger=ledger,
        worker=worker,
    )


def _everybody_reads(path: str) -> MakeDeck:
    def make(_bench: Bench, ledger: Ledger) -> Deck:
        return Deck(tuple(reading(person, path) for person in ledger.people))

    return make


SCENARIOS: Final[tuple[Scenario, ...]] = (
    *transfers(),
    *credit_movements(),
    *readings(),
    *batches(),
    *yardsticks(),
)
