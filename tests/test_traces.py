"""Traces as a collector gets them: real API processes, and a local server that takes OTLP."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from operations.children import ROOT
from operations.listening import listen, port_of
from tests.collector import Collector, attributes, collecting
from tests.people import PASSWORD, People
from tests.processes import ApiProcess
from tests.races import api_processes, clients_of

pytestmark = pytest.mark.promise("traces")

TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
PARENT_ID = "b7ad6b7169203331"


@dataclass
class Traced:
    """An API process that is traced, and where its spans arrive."""

    api: ApiProcess
    client: httpx.AsyncClient
    collector: Collector

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait until the spans are there; they are sent a little later than the answers."""
        for _ in range(200):
            if condition():
                return
            await asyncio.sleep(0.05)
        names = [span.name for span in self.collector.spans]
        raise AssertionError(f"The spans did not arrive; these did: {names}")


@pytest.fixture(scope="module")
def traced_process(
    database_url: str, redis_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[ApiProcess, Collector]]:
    with collecting() as collector:
        settings = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
            "OTEL_BSP_SCHEDULE_DELAY": "50",
            "LOG_LEVEL": "INFO",
        }
        folder = tmp_path_factory.mktemp("traces")
        with api_processes(1, database_url, redis_url, folder, **settings) as [api]:
            yield api, collector


@pytest.fixture
async def traced(traced_process: tuple[ApiProcess, Collector]) -> AsyncIterator[Traced]:
    """The process, with a collector that has forgotten what came before."""
    api, collector = traced_process
    async with clients_of([api]) as [client]:
        traced = Traced(api, client, collector)
        await client.get("/redoc")
        await traced.until(lambda: collector.named("GET /redoc"))
        collector.forget()
        yield traced


async def test_a_request_its_batch_and_its_statements_are_one_trace(traced: Traced) -> None:
    person = await People(traced.client).with_wallet(10)
    await traced.until(lambda: traced.collector.named("POST /wallet"))

    moved = await traced.client.patch(
        "/transaction/deposit",
        json={"amount": 1, "currency": "NGN"},
        headers={
            **person.headers,
            "X-Idempotency-Key": "a-key-of-mine",
            "traceparent": f"00-{TRACE_ID}-{PARENT_ID}-01",
        },
    )

    assert moved.status_code == 200
    await traced.until(lambda: traced.collector.named("PATCH /transaction/deposit"))
    [request] = traced.collector.named("PATCH /transaction/deposit")
    assert (request.trace_id.hex(), request.parent_span_id.hex()) == (TRACE_ID, PARENT_ID)
    said = attributes(request.attributes)
    assert said["http.route"] == "/transaction/deposit"
    assert said["http.response.status_code"] == 200
    assert said["wallet.request_id"] == moved.headers["X-Request-ID"]

    await traced.until(lambda: len(traced.collector.below(request)) == 2)
    batches = {span.name: span for span in traced.collector.below(request)}
    assert set(batches) == {"post batch", "check sign-ins"}
    posting = batches["post batch"]
    assert [link.span_id for link in posting.links] == [request.span_id]
    assert posting.trace_id == request.trace_id
    operations = [span.name for span in traced.collector.below(posting)]
    assert {"SELECT", "INSERT", "COMMIT"} <= set(operations)
    assert operations[-1] == "COMMIT"
    assert "SELECT" in [span.name for span in traced.collector.below(batches["check sign-ins"])]
    # The log leads to the trace.
    [line] = [line for line in traced.api.log().splitlines() if TRACE_ID in line]
    assert moved.headers["X-Request-ID"] in line
    [sender, *_] = traced.collector.senders
    assert sender["service.name"] == "wallet"


async def test_a_batch_is_linked_with_every_request_it_serves(traced: Traced) -> None:
    person = await People(traced.client).with_wallet(1000)
    count = 60

    answers = await asyncio.gather(*[person.withdraw(1) for _ in range(count)])

    assert {answer.status_code for answer in answers} == {200}
    name = "PATCH /transaction/withdraw"
    await traced.until(lambda: len(traced.collector.named(name)) == count)
    requests = {span.span_id: span for span in traced.collector.named(name)}

    def batches() -> list[Span]:
        spans = traced.collector.named("post batch")
        return [span for span in spans if {link.span_id for link in span.links} & set(requests)]

    await traced.until(lambda: sum(len(span.links) for span in batches()) == count)
    assert len(batches()) < count, "Some were served together."
    for batch in batches():
        assert attributes(batch.attributes)["wallet.batch.size"] == len(batch.links)
        assert batch.parent_span_id == batch.links[0].span_id
        for link in batch.links[1:]:
            back = [there.span_id for there in requests[link.span_id].links]
            assert batch.span_id in back


async def test_nothing_that_people_sent_is_in_a_span(traced: Traced) -> None:
    person = await People(traced.client).with_wallet(10, last_name="Unmistakable")
    await person.get("/transaction/history", type="deposit", cursor="hidden-from-spans")
    await person.transfer(10**15, 5, key="a-key-that-stays-here")
    await traced.client.get("/nowhere")

    await traced.until(lambda: traced.collector.named("PATCH /transaction/transfer"))
    await traced.until(lambda: traced.collector.named("GET"))
    [history] = traced.collector.named("GET /transaction/history")
    assert attributes(history.attributes)["url.query"] == "***"
    sent = (PASSWORD, person.email, person.access_token, "Unmistakable", "hidden-from-spans")
    for text in (*sent, "a-key-that-stays-here"):
        assert text.encode() not in traced.collector.raw


async def test_probes_are_not_traced(traced: Traced) -> None:
    for path in ("/livez", "/readyz", "/metrics"):
        assert (await traced.client.get(path)).status_code == 200
    await traced.client.get("/docs")

    await traced.until(lambda: traced.collector.named("GET /docs"))
    assert [span.name for span in traced.collector.spans] == ["GET /docs"]


@pytest.mark.faults
async def test_a_collector_that_hangs_delays_nobody(
    database_url: str, redis_url: str, tmp_path: Path
) -> None:
    # It takes connections and never says a word.
    with listen("127.0.0.1", 0) as silent:
        url = f"http://127.0.0.1:{port_of(silent)}"
        settings = {"OTEL_EXPORTER_OTLP_ENDPOINT": url, "OTEL_BSP_SCHEDULE_DELAY": "50"}
        with api_processes(1, database_url, redis_url, tmp_path, **settings) as [api]:
            async with clients_of([api]) as [client]:
                person = await People(client).with_wallet(10)
                async with asyncio.timeout(2):
                    assert (await person.withdraw(1)).status_code == 200
            began = time.monotonic()
            await asyncio.to_thread(api.stop)
            assert time.monotonic() - began < 5


def test_off_is_free(tmp_path: Path) -> None:
    # Redis' client imports the SDK's metrics wherever they are installed, and does not use them.
    parts = ("opentelemetry.sdk.trace", "opentelemetry.exporter")
    code = f"import main, sys; print([name for name in sys.modules if name.startswith({parts})])"
    for endpoint, is_off in (("", True), ("http://127.0.0.1:9", False)):
        result = subprocess.run(
            [sys.executable, "-c", code],
            cwd=tmp_path,
            env={
                **os.environ,
                "PYTHONPATH": str(ROOT),
                "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
            },
            capture_output=True,
            text=True,
            check=True,
        )
        assert (result.stdout == "[]\n") is is_off
