"""What Prometheus is told by real API processes, on both engines."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from sqlalchemy import select

from core import outbox, payment_attention, payment_rows
from core.commands import StartPayment
from core.money import Money
from core.payment_rows import new_reference
from core.poster import Poster, PosterLimits
from db.models import Tables
from db.session import Database
from main import create_app
from tests.attempts import attempt
from tests.conftest import create_postgres_database, migrate, settings_for
from tests.people import People
from tests.processes import ApiProcess
from tests.races import api_processes, clients_of
from tests.scraping import Scrape, scrape
from tests.servers import PostgresServer

pytestmark = pytest.mark.promise("metrics")

NO_REDIS = "redis://127.0.0.1:1"


@pytest.fixture(scope="module")
def processes(
    database_url: str, redis_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[ApiProcess]]:
    """Two on one database, the second without Redis."""
    folders = [tmp_path_factory.mktemp("metrics") for _ in range(2)]
    with (
        api_processes(1, database_url, redis_url, folders[0]) as [first],
        api_processes(1, database_url, NO_REDIS, folders[1]) as [second],
    ):
        yield [first, second]


@pytest.fixture
async def pair(processes: list[ApiProcess]) -> AsyncIterator[list[httpx.AsyncClient]]:
    """A client of each."""
    async with clients_of(processes) as clients:
        yield clients


def difference(before: Scrape, after: Scrape, name: str, **labels: str) -> float:
    """Return by how much something grew."""
    return (after.value(name, **labels) or 0) - (before.value(name, **labels) or 0)


async def test_requests_are_counted_by_route_template_method_and_status(
    pair: list[httpx.AsyncClient],
) -> None:
    client = pair[0]
    person = await People(client).sign_up()
    before = await scrape(client)

    await person.get("/wallet")
    for user_id in (person.id, 2**40):
        await person.get(f"/users/{user_id}")
    await client.post("/users/1")
    await client.get("/no/such/page")
    await client.request("PROPFIND", "/wallet")
    await client.get("/assets/swagger-ui.css")
    await client.post("/signup", content=b"x" * 100_000)

    after = await scrape(client)
    expected = {
        ("GET", "/wallet", "404"): 1,
        ("GET", "/users/{user_id}", "200"): 1,
        ("GET", "/users/{user_id}", "404"): 1,
        ("POST", "/users/{user_id}", "405"): 1,
        ("GET", "none", "404"): 1,
        ("OTHER", "/wallet", "405"): 1,
        ("GET", "/assets", "200"): 1,
        # Refused before it came to a route.
        ("POST", "none", "413"): 1,
    }
    for (method, route, status), count in expected.items():
        labels = {"method": method, "route": route}
        grown = difference(before, after, "http_requests_total", **labels, status=status)
        assert grown == count, (labels, status)
    timed = "http_request_duration_seconds_count"
    assert difference(before, after, timed, method="GET", route="/users/{user_id}") == 2
    assert after.labels("http_requests_total", "method") <= {
        *("GET", "POST", "PATCH", "DELETE"),
        "OTHER",
    }
    templates = {route.path for route in create_app(settings_for("sqlite://")).routes}  # type: ignore[attr-defined]  # ours have one
    assert after.labels("http_requests_total", "route") <= templates | {"none"}


async def test_postings_are_counted_by_type_and_outcome(pair: list[httpx.AsyncClient]) -> None:
    # Without Redis the database is asked about every repetition.
    client = pair[1]
    before = await scrape(client)
    person = await People(client).with_wallet(5)
    other = await People(client).with_wallet(0)
    for key in ("one", "one", "two"):
        await person.deposit(1, key=key)
    await person.deposit(2, key="one")
    await person.transfer(other.wallet_id, 3)
    await person.transfer(10**15, 3)
    await person.withdraw(1000)
    assert (await other.send("DELETE", "/wallet")).status_code == 409

    after = await scrape(client)
    expected = {
        ("open_wallet", "success"): 2,
        ("deposit", "success"): 2,
        ("deposit", "replayed"): 1,
        ("deposit", "idempotency_key_reused"): 1,
        ("transfer", "success"): 1,
        ("transfer", "recipient_not_found"): 1,
        ("withdraw", "insufficient_funds"): 1,
        ("close_wallet", "wallet_not_empty"): 1,
    }
    for (kind, outcome), count in expected.items():
        grown = difference(before, after, "wallet_postings_total", type=kind, outcome=outcome)
        assert grown == count, (kind, outcome)
    total = sum(expected.values())
    assert difference(before, after, "wallet_postings_total") == total
    assert difference(before, after, "wallet_posting_batch_size_sum") == total
    assert difference(before, after, "wallet_posting_wait_seconds_count") == total
    faults = after.labels("wallet_posting_faults_total", "fault")
    assert faults == {"conflict", "locked", "unavailable", "defect"}


async def test_batches_and_their_waits_are_measured(pair: list[httpx.AsyncClient]) -> None:
    client = pair[0]
    person = await People(client).with_wallet(1000)
    before = await scrape(client)

    await asyncio.gather(*[person.withdraw(1) for _ in range(40)])

    after = await scrape(client)
    batches = difference(before, after, "wallet_posting_batch_size_count")
    assert difference(before, after, "wallet_posting_batch_size_sum") == 40
    # How many share one depends on how fast they arrive; core/test_batching.py shows that they do.
    assert 1 <= batches <= 40
    assert difference(before, after, "wallet_posting_batch_seconds_count") == batches
    assert difference(before, after, "wallet_posting_batch_seconds_sum") > 0
    assert difference(before, after, "wallet_posting_wait_seconds_count") == 40
    assert after.value("wallet_posting_attempts_waiting") == 0


async def test_each_process_tells_of_itself(pair: list[httpx.AsyncClient]) -> None:
    first, second = [await scrape(client) for client in pair]
    await People(pair[0]).sign_up()

    labels = {"method": "POST", "route": "/signup"}
    name = "http_requests_total"
    assert difference(first, await scrape(pair[0]), name, **labels) == 1
    assert difference(second, await scrape(pair[1]), name, **labels) == 0
    assert second.value("wallet_redis_up") == 0
    # On a busy machine Redis may once not answer in time; then nobody asks it for a second.
    deadline = time.monotonic() + 10
    while (await scrape(pair[0])).value("wallet_redis_up") != 1:
        assert time.monotonic() < deadline, "The first process never reached its Redis."
        await asyncio.sleep(0.2)
    started = [found.value("process_start_time_seconds") for found in (first, second)]
    assert started[0] != started[1]
    for found in (first, second):
        assert found.value("wallet_database_up") == 1
        assert (found.value("process_resident_memory_bytes") or 0) > 1_000_000
        assert (found.value("process_cpu_seconds_total") or 0) > 0


async def test_the_use_of_both_pools_is_told(
    pair: list[httpx.AsyncClient], engine_name: str
) -> None:
    found = await scrape(pair[0])

    limits = {"writers": 1 if engine_name == "sqlite" else 5, "readers": 10}
    for pool, limit in limits.items():
        assert found.value("wallet_database_connections_limit", pool=pool) == limit
        assert found.value("wallet_database_connections_in_use", pool=pool) == 0


async def test_receipts_that_wait_or_were_given_up_are_counted(
    pair: list[httpx.AsyncClient], database: Database
) -> None:
    before = await scrape(pair[0])
    person = await People(pair[0]).with_wallet(5)
    await person.withdraw(1)
    async with database.transaction() as session:
        items = Tables.outbox.c
        connection = await session.connection()
        statement = select(items.id).where(items.user_id == person.id).order_by(items.id)
        refused = (await connection.execute(statement)).scalars().first()
        assert refused is not None
        await outbox.mark_failed(
            session, refused, error="no such address", permanent=True, now=datetime.now(UTC)
        )

    # The other process sees the same outbox.
    after = await scrape(pair[1])
    assert difference(before, after, "wallet_outbox_receipts", state="waiting") == 1
    assert difference(before, after, "wallet_outbox_receipts", state="dead") == 1
    assert (after.value("wallet_outbox_age_seconds") or 0) > 0


async def test_payments_that_are_due_or_need_an_operator_are_counted(
    pair: list[httpx.AsyncClient], database: Database
) -> None:
    before = await scrape(pair[0])
    person = await People(pair[0]).with_wallet(5)
    poster = Poster(database, PosterLimits())
    for _ in range(3):
        reference, money = new_reference("deposit"), Money(100, "NGN")
        begun = StartPayment(kind="deposit", user_id=person.id, reference=reference, money=money)
        await poster.post(attempt(begun))
    await poster.stop()
    async with database.transaction() as session:
        view = await payment_rows.find(session, reference)
        assert view is not None
        await payment_rows.give_back(session, view, now=datetime.now(UTC))
        await payment_attention.note(session, view, "amount_mismatch")

    after = await scrape(pair[1])
    assert difference(before, after, "wallet_payments", state="due") == 1
    assert difference(before, after, "wallet_payments", state="attention") == 1


async def test_it_is_not_part_of_the_documented_api(pair: list[httpx.AsyncClient]) -> None:
    document = (await pair[0].get("/openapi.json")).json()

    assert "/metrics" not in document["paths"]
    refused = await pair[0].post("/metrics")
    assert (refused.status_code, refused.headers["Allow"]) == (405, "GET")


@pytest.mark.faults
async def test_a_database_that_is_away_or_hangs_is_told(redis_url: str, tmp_path: Path) -> None:
    with PostgresServer() as postgres:
        url = await create_postgres_database(postgres.url)
        await migrate(url)
        with api_processes(1, url, redis_url, tmp_path) as [api]:
            async with clients_of([api]) as [client]:
                person = await People(client).with_wallet(5)
                await asyncio.to_thread(postgres.kill)
                assert (await person.withdraw(1)).status_code == 503
                away = await scrape(client)
                await asyncio.to_thread(postgres.start)
                await asyncio.to_thread(postgres.pause)
                began = time.monotonic()
                hanging = await scrape(client)
                took = time.monotonic() - began
                await asyncio.to_thread(postgres.resume)
                back = await scrape(client)

    assert away.value("wallet_database_up") == 0
    assert away.value("wallet_outbox_receipts") is None
    assert away.value("wallet_outbox_age_seconds") is None
    assert away.value("wallet_payments") is None
    assert hanging.value("wallet_database_up") == 0
    assert took < 5
    assert back.value("wallet_database_up") == 1
