"""The API is killed at its writes while it hears that a deposit was paid, and while it pays out.

Whatever it was about to say, to PostgreSQL, Redis, Paystack or the caller: the same is sent again,
and the money is in exactly one place, before that and after.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import asyncpg
import httpx
import pytest

from core import payment_rows
from db.session import Database
from devtools.paystack.app import LocalPaystack
from operations.teller import make_teller
from tests.conftest import create_postgres_database, migrate, settings_for
from tests.faults.chaos import start_again
from tests.faults.conftest import Summary
from tests.faults.cutting import Scissors, proxy_of
from tests.faults.leftovers import until_ready
from tests.faults.reckoning import broken_rules
from tests.paystack import SECRET, deliver, event, serving_paystack
from tests.people import People, Person
from tests.processes import ApiProcess
from tests.races import clients_of, environment_for
from tests.servers import PostgresServer, ValkeyServer

pytestmark = [pytest.mark.faults, pytest.mark.promise("S3-once", "S3-healed")]

AMOUNT_MINOR = 700
FEWEST_CHUNKS = 8
MOST_CHUNKS = 200
# In short, the last ones: COMMIT, the answer, and for a payout what is said to Paystack before.
SHORT_POINTS = 4

HELD = "SELECT balance_minor FROM wallets WHERE id = $1"
IN_TRANSIT = """
SELECT COALESCE(SUM(amount_minor), 0)::bigint FROM provider_payments
WHERE wallet_id = $1 AND kind = 'payout' AND state = 'PROCESSING'
"""
# As if the lease of the dead had ended.
DUE = "UPDATE provider_payments SET due_at = now() WHERE wallet_id = $1 AND state = 'PROCESSING'"


@dataclass(frozen=True, slots=True)
class Scene:
    """An API process between proxies, a local Paystack, and a person with a wallet."""

    database_url: str
    connection: asyncpg.Connection
    api: ApiProcess
    scissors: Scissors
    provider: LocalPaystack
    client: httpx.AsyncClient
    person: Person

    async def held(self) -> int:
        """What the wallet holds, in minor units, by the database."""
        return int(await self.connection.fetchval(HELD, self.person.wallet_id))

    async def in_transit(self) -> int:
        """What has left the wallet and not ended."""
        return int(await self.connection.fetchval(IN_TRANSIT, self.person.wallet_id))

    async def restart(self) -> None:
        """Start the API again, and let the dead one's leases end."""
        await asyncio.to_thread(self.api.kill)
        await asyncio.to_thread(start_again, self.api)
        await self.connection.execute(DUE, self.person.wallet_id)

    async def let_the_worker_look(self) -> None:
        """Do what a worker does, once."""
        settings = settings_for(
            self.database_url,
            paystack_secret_key=SECRET,
            paystack_base_url=self.provider.base_url,
        )
        database, teller = Database(settings.database_options), make_teller(settings)
        await self.connection.execute(DUE, self.person.wallet_id)
        async with database.transaction() as session:
            lease = await payment_rows.lease_due(session, now=datetime.now(UTC), limit=100)
        await teller.check(lease.ids, leased_until=lease.until)
        await teller.close()
        await database.close()

    async def warm_up(self) -> None:
        """Let it open the connections that a payment needs."""
        async with clients_of([self.api]) as clients:
            await until_ready(clients)
        await self.hear(await self.paid_deposit())
        response = await self.pay_out(f"warm-{len(self.provider.books.calls)}")
        assert response.status_code == 201, response.text
        await self.end_payout(response.json()["reference"], "success")

    async def paid_deposit(self) -> str:
        """Begin a deposit and pay it, of which Paystack tells nobody yet; return its reference."""
        response = await self.person.send("POST", "/wallet/deposit", {"amount": 7})
        assert response.status_code == 201, response.text
        reference = str(response.json()["reference"])
        self.provider.pay(reference, copies=0)
        return reference

    async def hear(self, reference: str) -> httpx.Response:
        """Have Paystack tell that a deposit was paid."""
        told = self.provider.books.charges[reference].shown()
        return await deliver(self.client, event("charge.success", told))

    async def pay_out(self, key: str) -> httpx.Response:
        body = {"amount": 7, "bank_code": "058", "account_number": "0123456789"}
        return await self.person.send("POST", "/wallet/withdraw", body, key=key)

    async def end_payout(self, reference: str, status: str) -> None:
        """Have a payout end, and Paystack tell so."""
        self.provider.end(reference, status, copies=0)
        told = self.provider.books.transfers[reference].shown()
        assert (await deliver(self.client, event(f"transfer.{status}", told))).status_code == 200


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
        provider = await stack.enter_async_context(serving_paystack())

        async def through_proxy(url: str, name: str) -> str:
            proxy = proxy_of(lambda: url, scissors, name, api_is_target=False)
            return await stack.enter_async_context(proxy)

        environment = environment_for(
            await through_proxy(database_url, "PostgreSQL"),
            await through_proxy(fragile_valkey.url, "Redis"),
        ) | {
            "PAYSTACK_SECRET_KEY": SECRET,
            "PAYSTACK_BASE_URL": await through_proxy(provider.base_url, "Paystack"),
        }
        api = ApiProcess(environment, log_path=tmp_path_factory.mktemp("api") / "api.log")
        stack.push_async_callback(asyncio.to_thread, api.close)
        await asyncio.to_thread(api.start)
        front = proxy_of(lambda: api.url, scissors, "caller", api_is_target=True)
        base_url = await stack.enter_async_context(front)
        client = await stack.enter_async_context(httpx.AsyncClient(base_url=base_url, timeout=10))
        connection = await asyncpg.connect(database_url)
        stack.push_async_callback(connection.close)
        person = await People(client).with_wallet(1000)
        yield Scene(database_url, connection, api, scissors, provider, client, person)


async def test_killed_while_it_hears_of_a_deposit(
    scene: Scene, is_full: bool, summary: Summary
) -> None:
    async def hear_of_one() -> list[str]:
        reference = await scene.paid_deposit()
        before = await scene.held()
        await cut(scene, lambda: scene.hear(reference))
        between = await scene.held()
        # Paystack tells again until it is answered, and once more for good measure.
        for _ in range(2):
            assert (await scene.hear(reference)).status_code == 200
        after = await scene.held()
        right = between in {before, before + AMOUNT_MINOR} and after == before + AMOUNT_MINOR
        return [] if right else [f"{before}, {between} after the kill, {after} in the end"]

    await sweep(scene, hear_of_one, "a deposit is heard of", is_full=is_full, summary=summary)


@pytest.mark.parametrize("end", ["success", "failed"])
async def test_killed_while_it_pays_out(
    end: str, scene: Scene, is_full: bool, summary: Summary
) -> None:
    if not is_full and end == "success":
        pytest.skip("only with --faults")

    async def pay_one_out() -> list[str]:
        before, sent = await scene.held(), len(scene.provider.books.transfers)
        key = f"killed-{end}-{len(scene.provider.books.calls)}"
        await cut(scene, lambda: scene.pay_out(key))
        between, in_transit = await scene.held(), await scene.in_transit()
        response = await scene.pay_out(key)
        assert response.status_code == 201, response.text
        reference = str(response.json()["reference"])
        # Whoever asks again does not ask Paystack what may have been asked before: the worker does.
        if reference not in scene.provider.books.transfers:
            await scene.let_the_worker_look()
        await scene.end_payout(reference, end)
        after, left = await scene.held(), await scene.in_transit()
        expected = before - (AMOUNT_MINOR if end == "success" else 0)
        right = (between + in_transit, after, left) == (before, expected, 0) and len(
            scene.provider.books.transfers
        ) == sent + 1
        told = f"{between} and {in_transit} in transit after the kill, {after} in the end"
        return [] if right else [f"{before}, {told}"]

    await sweep(scene, pay_one_out, f"a payout that is a {end}", is_full=is_full, summary=summary)


async def sweep(
    scene: Scene,
    attempt: Callable[[], Awaitable[list[str]]],
    what: str,
    *,
    is_full: bool,
    summary: Summary,
) -> None:
    """Attempt it once for each chunk that the API writes meanwhile, and kill it there."""
    await scene.warm_up()
    scene.scissors.arm("kill", at=MOST_CHUNKS, pid=scene.api.pid)
    assert await attempt() == []
    total = len(scene.scissors.seen)
    wrong: list[str] = []
    killed = 0
    points = range(1 if is_full else total - SHORT_POINTS + 1, total + 1)
    for number in points:
        await scene.warm_up()
        scene.scissors.at = number
        wrong += [f"{text} (killed at chunk {number})" for text in await attempt()]
        killed += scene.scissors.has_cut
    wrong += await broken_rules(scene.database_url)
    summary.add(f"{what}: killed at {killed} of {total} chunks, {len(wrong)} violations")
    assert total >= FEWEST_CHUNKS
    # Two writes may travel in one chunk, or not.
    assert killed >= len(points) - 1
    assert not wrong, "\n".join(wrong)


async def cut(scene: Scene, send: Callable[[], Awaitable[Any]]) -> None:
    """Send, while the API is killed at the chunk that `scissors.at` says; start it again."""
    scene.scissors.arm("kill", at=scene.scissors.at, pid=scene.api.pid)
    try:
        await send()
    except httpx.HTTPError:
        pass
    finally:
        scene.scissors.disarm()
    if scene.scissors.has_cut:
        await scene.restart()
