"""The API is killed, or loses a connection, at each of its socket writes during one movement.

The same key is sent again, and exactly one effect is found, whatever had happened before.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import pytest

from core.batching import LEFT_SECONDS
from tests.conftest import create_postgres_database, migrate
from tests.faults.chaos import start_again
from tests.faults.conftest import Summary
from tests.faults.cutting import Cut, Scissors, proxy_of
from tests.faults.leftovers import until_ready
from tests.faults.movement import KINDS, Kind, Movement, numbered
from tests.faults.reckoning import broken_rules
from tests.faults.strace import Strace, Write, is_permitted
from tests.faults.wire import Response, Wire
from tests.people import People, Person
from tests.processes import ApiProcess
from tests.races import clients_of, environment_for
from tests.servers import PostgresServer, ValkeyServer

pytestmark = pytest.mark.faults

# Fewer writes than this and the sweep did not see what it should.
FEWEST_WRITES = 6
MOST_WRITES = 200
SHORT_POINTS = 5


@dataclass(frozen=True, slots=True)
class Scene:
    """An API process between proxies, and two people with wallets."""

    database_url: str
    connection: asyncpg.Connection
    api: ApiProcess
    wire: Wire
    scissors: Scissors
    sender: Person
    receiver: Person

    async def warm_up(self, name: str) -> None:
        """Wait until all is well, and let it open the connections that a movement needs."""
        async with clients_of([self.api]) as clients:
            await until_ready(clients)
        for kind in KINDS:
            movement = Movement(
                kind=kind,
                sender=self.sender,
                receiver=self.receiver,
                key=f"warm-{name}-{kind}",
                amount_minor=100,
            )
            answer = await movement.send(self.wire)
            assert answer is not None
            assert answer.status == 200, answer

    async def restart(self) -> None:
        """Start the API again; what is left of the old one is ended."""
        self.wire.close()
        await asyncio.to_thread(self.api.kill)
        await asyncio.to_thread(start_again, self.api)


@pytest.fixture(scope="module")
async def scene(
    fragile_postgres: PostgresServer,
    fragile_valkey: ValkeyServer,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[Scene]:
    database_url = await create_postgres_database(fragile_postgres.url)
    await migrate(database_url)
    scissors = Scissors()
    async with AsyncExitStack() as stack:

        async def through_proxy(url: str, name: str) -> str:
            proxy = proxy_of(lambda: url, scissors, name, api_is_target=False)
            return await stack.enter_async_context(proxy)

        environment = environment_for(
            await through_proxy(database_url, "PostgreSQL"),
            await through_proxy(fragile_valkey.url, "Redis"),
        )
        api = ApiProcess(environment, log_path=tmp_path_factory.mktemp("api") / "api.log")
        # In threads: the proxies, which it needs, live on this loop.
        stack.push_async_callback(asyncio.to_thread, api.close)
        await asyncio.to_thread(api.start)
        front = proxy_of(lambda: api.url, scissors, "caller", api_is_target=True)
        wire = Wire(await stack.enter_async_context(front))
        stack.callback(wire.close)
        connection = await asyncpg.connect(database_url)
        stack.push_async_callback(connection.close)
        async with clients_of([api]) as [client]:
            people = People(client)
            sender, receiver = await people.with_wallet(100_000), await people.with_wallet(0)
        yield Scene(database_url, connection, api, wire, scissors, sender, receiver)


# Cold: the first request of a process, which opens its connections and prepares its statements.
@pytest.mark.parametrize(
    ("kind", "start"), [*[(kind, "warm") for kind in KINDS], ("transfer", "cold")]
)
async def test_killed_at_a_write(
    kind: Kind, start: str, scene: Scene, is_full: bool, tmp_path: Path, summary: Summary
) -> None:
    if not is_permitted(tmp_path):
        pytest.skip("strace is not installed or may not watch; the proxies cut instead")
    if not is_full and (kind, start) != ("transfer", "warm"):
        pytest.skip("only with --faults")
    template = Movement(
        kind=kind,
        sender=scene.sender,
        receiver=scene.receiver,
        key=f"{start}-killed-{kind}",
        amount_minor=0,
    )
    is_warm = start == "warm"
    writes = await _count_writes(scene, numbered(template, 0), tmp_path, is_warm=is_warm)
    assert FEWEST_WRITES <= len(writes) <= MOST_WRITES
    # In short, those where it matters most: COMMIT, and the answer's head and body.
    points = writes if is_full else writes[-4:-1]
    wrong = []
    for number, write in enumerate(points, start=1):
        movement = numbered(template, number)
        wrong += await _kill_at(scene, movement, write, tmp_path, is_warm=is_warm)
    wrong += await broken_rules(scene.database_url)
    summary.add(
        f"{kind}, {start}: killed (strace) at {len(points)} of {len(writes)} writes, "
        f"{len(wrong)} violations"
    )
    assert not wrong, "\n".join(wrong)


async def _count_writes(
    scene: Scene, movement: Movement, folder: Path, *, is_warm: bool
) -> list[Write]:
    await _prepare(scene, movement, is_warm=is_warm)
    with Strace(scene.api.pid, folder / "count") as watch:
        answer = await movement.send(scene.wire)
        # Redis is told after the caller.
        await asyncio.sleep(0.2)
    assert answer is not None
    assert answer.status == 200
    return watch.writes()


async def _kill_at(
    scene: Scene, movement: Movement, write: Write, folder: Path, *, is_warm: bool
) -> list[str]:
    """Return what is wrong after a kill at `write`."""
    await _prepare(scene, movement, is_warm=is_warm)
    before = await movement.balances(scene.connection)
    with Strace(scene.api.pid, folder / movement.key, kill_at=write):
        first = await movement.send(scene.wire)
        # Watched until it is dead: the last of its writes, to Redis, comes after the answer.
        died = await asyncio.to_thread(_is_dead_soon, scene.api)
    await scene.restart()
    wrong = await movement.offences(scene.wire, scene.connection, before=before, first=first)
    if not died:
        wrong.append(f"{movement.key} was not killed at {write.line}")
    return [f"{text} ({write.line})" for text in wrong]


async def _prepare(scene: Scene, movement: Movement, *, is_warm: bool) -> None:
    if is_warm:
        await scene.warm_up(movement.key)
        # Its own last write, to Redis, must not be taken for the first of what is counted.
        await asyncio.sleep(20 * LEFT_SECONDS)
    else:
        await scene.restart()


def _is_dead_soon(api: ApiProcess) -> bool:
    for _ in range(500):
        if not api.is_running:
            return True
        time.sleep(0.01)
    return False


@pytest.mark.parametrize("how", ["kill", "lose chunk", "lose answer"])
@pytest.mark.parametrize("kind", KINDS)
async def test_cut_at_a_chunk(
    kind: Kind, how: Cut, scene: Scene, is_full: bool, summary: Summary
) -> None:
    if not is_full and (how == "kill" or kind != "transfer"):
        pytest.skip("only with --faults")
    template = Movement(
        kind=kind,
        sender=scene.sender,
        receiver=scene.receiver,
        key=f"{how.replace(' ', '-')}-{kind}",
        amount_minor=0,
    )
    wrong: list[str] = []
    firsts: list[Response | None] = []
    total = await _count_chunks(scene, numbered(template, 0))
    # Until nothing is cut any more: two writes may travel in one chunk, or not.
    early = 1 if is_full else max(total - SHORT_POINTS - 2, 1)
    for number in range(early, MOST_WRITES):
        movement = numbered(template, number)
        await scene.warm_up(movement.key)
        before = await movement.balances(scene.connection)
        scene.scissors.arm(how, at=number, pid=scene.api.pid)
        first = await movement.send(scene.wire)
        scene.scissors.disarm()
        if how == "kill" and scene.scissors.has_cut:
            await scene.restart()
        wrong += await movement.offences(scene.wire, scene.connection, before=before, first=first)
        if not scene.scissors.has_cut:
            break
        firsts.append(first)
    wrong += await broken_rules(scene.database_url)
    told = [first.status if first else None for first in firsts]
    summary.add(
        f"{kind}: {how} at {len(firsts)} of {total} chunks, first told "
        f"{told.count(200)} × 200, {told.count(503)} × 503, {told.count(None)} × nothing, "
        f"{len(wrong)} violations"
    )
    assert total >= FEWEST_WRITES
    assert len(firsts) >= SHORT_POINTS
    assert not wrong, "\n".join(wrong)


async def _count_chunks(scene: Scene, movement: Movement) -> int:
    await scene.warm_up(movement.key)
    scene.scissors.arm("kill", at=MOST_WRITES, pid=scene.api.pid)
    answer = await movement.send(scene.wire)
    scene.scissors.disarm()
    assert answer is not None
    assert answer.status == 200
    return len(scene.scissors.seen)
