"""20 clients, 2 API processes and a worker, while everything is killed, frozen and emptied.

Short in the ordinary run; 10,000 operations and 36 faults, five times and the last of them on
SQLite, with `--faults`.
"""

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
import pytest

from tests.conftest import create_postgres_database, migrate, sqlite_url
from tests.faults.books import Books
from tests.faults.chaos import Chaos, flush, in_words
from tests.faults.conftest import Summary
from tests.faults.leftovers import (
    all_pools_in_use,
    leaked_connections,
    unsent_receipts,
    until_ready,
)
from tests.faults.reckoning import (
    compare_with_ledger,
    replay_everything,
    settle_the_abandoned,
    wrong_balances,
)
from tests.faults.storm import Size, Storm
from tests.faults.wire import Wire
from tests.people import People, Person
from tests.processes import ApiProcess, RealProcess, WorkerProcess
from tests.races import api_processes, clients_of, environment_for
from tests.servers import PostgresServer, ValkeyServer

# By itself: it makes callers wait as long as they would on a busy machine.
pytestmark = [pytest.mark.faults, pytest.mark.alone]

SHORT = Size(operations=600, clients=20, faults=5)
FULL = Size(operations=10_000, clients=20, faults=36)
CROWDED = replace(FULL, clients=120)
LARGEST_BATCH = "1000"

CROWD = "largest batches, a crowd"
SQLITE = "sqlite"
VARIANTS = ("postgresql", "another seed", "a third seed", CROWD, SQLITE)
SHORT_ONES = {"postgresql", SQLITE}


@dataclass(frozen=True, slots=True)
class Scene:
    """All that takes part in a storm."""

    database_url: str
    # None on SQLite, which has no server that could suffer.
    postgres: PostgresServer | None
    valkey: ValkeyServer
    processes: list[ApiProcess]
    worker: WorkerProcess
    clients: list[httpx.AsyncClient]
    mail: Path


@asynccontextmanager
async def scene_of(
    postgres: PostgresServer | None, valkey: ValkeyServer, folder: Path, **settings: str
) -> AsyncIterator[Scene]:
    """Run two API processes and a worker on a database of their own."""
    url = await create_postgres_database(postgres.url) if postgres else sqlite_url(folder)
    await migrate(url)
    settings |= {"MAIL_FOLDER": str(folder / "mail"), "BREVO_API_KEY": ""}
    # The worker says in its log when it is ready.
    environment = environment_for(url, valkey.url) | settings | {"LOG_LEVEL": "INFO"}
    async with AsyncExitStack() as stack:
        processes = stack.enter_context(api_processes(2, url, valkey.url, folder, **settings))
        worker = WorkerProcess(environment, log_path=folder / "worker.log")
        stack.enter_context(worker)
        clients = await stack.enter_async_context(clients_of(processes))
        yield Scene(url, postgres, valkey, processes, worker, clients, folder / "mail")


@pytest.mark.parametrize("variant", VARIANTS)
async def test_a_storm(
    variant: str,
    is_full: bool,
    first_seed: int,
    fragile_valkey: ValkeyServer,
    tmp_path: Path,
    summary: Summary,
    request: pytest.FixtureRequest,
) -> None:
    if not is_full and variant not in SHORT_ONES:
        pytest.skip("only with --faults")
    postgres = None if variant == SQLITE else request.getfixturevalue("fragile_postgres")
    settings = {"POSTING_BATCH_LIMIT": LARGEST_BATCH} if variant == CROWD else {}
    async with scene_of(postgres, fragile_valkey, tmp_path, **settings) as scene:
        full = CROWDED if variant == CROWD else FULL
        size = full if is_full else SHORT
        await _weather(scene, size, first_seed + VARIANTS.index(variant), summary)


async def _weather(scene: Scene, size: Size, seed: int, summary: Summary) -> None:
    summary.add(f"storm on {'PostgreSQL' if scene.postgres else 'SQLite'}, seed {seed}")
    people = [await People(scene.clients[0]).sign_up() for _ in range(size.people)]
    victims: dict[str, RealProcess] = {
        "api 1": scene.processes[0],
        "api 2": scene.processes[1],
        "redis": scene.valkey,
        "worker": scene.worker,
    }
    if scene.postgres is not None:
        victims["postgres"] = scene.postgres
    chaos = Chaos(victims, seed=seed)
    wires = [Wire(process.url) for process in scene.processes]
    books = Books(scene.database_url)
    service_key = await books.add_service()
    await books.close()
    storm = Storm(
        size=size, seed=seed, people=people, service_key=service_key, wires=wires, chaos=chaos
    )
    try:
        await storm.run()
        await until_ready(scene.clients)
        for wire in wires:
            # Some lead to processes that are no more.
            wire.close()
        wrong = await _reckon(scene, storm, people)
    finally:
        for wire in wires:
            wire.close()
        # Or somebody is started again behind the back of whoever tidies up.
        await chaos.calm_down()
    for line in (f"  faults: {in_words(chaos.inflicted)}", *_in_words(storm, size)):
        summary.add(line)
    assert not wrong, "\n".join([f"seed {seed}", *wrong[:40]])


async def _reckon(scene: Scene, storm: Storm, people: Sequence[Person]) -> list[str]:
    """Return all that is wrong after a storm."""
    started = time.perf_counter()
    books = Books(scene.database_url)
    try:
        await settle_the_abandoned(storm, books)
        # What Redis forgot, the database remembers; and what it is told then, Redis does.
        await flush(scene.valkey)
        await replay_everything(storm)
        found = await replay_everything(storm)
        wrong = [
            *storm.journal.wrong,
            *([] if found["HIT"] > 9 * found["DB"] else [f"Redis was not asked: {found}"]),
            *await compare_with_ledger(storm.journal, people, books),
            *await books.broken_rules(),
            *await wrong_balances(people, scene.clients[0], books),
            *await unsent_receipts(books, scene.mail),
        ]
    finally:
        await books.close()
    await all_pools_in_use(scene.clients, people[0])
    if scene.postgres is not None:
        wrong += await leaked_connections(scene.database_url, [*scene.processes, scene.worker])
    storm.journal.counts["seconds of reckoning"] = round(time.perf_counter() - started)
    return wrong


def _in_words(storm: Storm, size: Size) -> list[str]:
    counts = storm.journal.counts
    outcomes = storm.journal.told.values()
    return [
        f"  {size.operations} operations by {size.clients} clients in {storm.seconds:.0f} s: "
        f"{len(storm.journal.sent)} keys, {sum(told.status < 300 for told in outcomes)} successes, "
        f"{sum(told.status >= 400 for told in outcomes)} refusals",
        "  " + ", ".join(f"{name} {count}" for name, count in sorted(counts.items())),
    ]
