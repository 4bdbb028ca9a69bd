"""Spans of statements that fail, and what a failing batch says of itself."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from opentelemetry.trace import Tracer
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlmodel.ext.asyncio.session import AsyncSession

from core.observation import UNOBSERVED
from db.faults import Fault
from db.session import Database, DatabaseOptions
from integrations.traces import Traces, make_traces
from tests.collector import Collector, attributes, collecting
from tests.conftest import settings_for

pytestmark = pytest.mark.promise("traces")


@dataclass
class Followed:
    """A database whose statements are traced."""

    traces: Traces
    database: Database
    collector: Collector
    tracer: Tracer

    async def spans(self) -> dict[str, Span]:
        """End it all, and return what was sent, by name."""
        await self.traces.close()
        return {span.name: span for span in self.collector.spans}


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as opened:
        yield opened


@pytest.fixture
async def followed(database_url: str, collector: Collector) -> AsyncIterator[Followed]:
    traces = make_traces(collector.url, "1.2.3")
    assert traces.provider is not None
    database = Database(DatabaseOptions(url=settings_for(database_url).database_url))
    traces.follow(database)
    yield Followed(traces, database, collector, traces.provider.get_tracer("tests"))
    await database.close()


async def run(session: AsyncSession, statement: str, **values: object) -> None:
    await (await session.connection()).execute(text(statement), values)


async def test_a_statement_that_fails_says_so_without_its_values(followed: Followed) -> None:
    with followed.tracer.start_as_current_span("work"):
        async with followed.database.reading() as session:
            with pytest.raises(DBAPIError):
                await run(session, "DELETE FROM nowhere WHERE id = :id", id=123456789)

    failed = (await followed.spans())["DELETE"]
    assert failed.status.code == Status.STATUS_CODE_ERROR
    assert failed.status.message == ""
    assert not failed.events
    said = attributes(failed.attributes)
    assert said["error.type"]
    assert said["db.system.name"] == followed.database.dialect_name
    assert str(said["db.query.text"]).startswith("DELETE FROM nowhere WHERE id = ")
    assert b"123456789" not in followed.collector.raw


async def test_a_statement_that_is_given_up_ends_with_its_connection(
    followed: Followed, engine_name: str
) -> None:
    if engine_name == "sqlite":
        # Its statements do not wait for anything that could be given up.
        return
    # Connected before: that may take longer than the statement is waited for.
    async with followed.database.reading() as session:
        await run(session, "SELECT 1")
    with followed.tracer.start_as_current_span("work"):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05), followed.database.reading() as session:
                await run(session, "SELECT pg_sleep(10)")
        async with followed.database.reading() as session:
            await run(session, "VALUES (1)")

    assert "VALUES" in await followed.spans()


async def test_what_belongs_to_no_trace_is_not_traced(followed: Followed) -> None:
    async with followed.database.transaction() as session:
        await run(session, "SELECT 1")

    assert await followed.spans() == {}


async def test_a_commit_is_a_span_and_nothing_stays_open(followed: Followed) -> None:
    with followed.tracer.start_as_current_span("work"):
        for _ in range(3):
            async with followed.database.transaction() as session:
                await run(session, "SELECT 1")

    await followed.spans()
    names = [span.name for span in followed.collector.spans if span.name != "BEGIN"]
    assert names == ["SELECT", "COMMIT"] * 3 + ["work"]


async def test_a_batch_tells_of_the_tries_that_failed(followed: Followed) -> None:
    observer = followed.traces.around_postings(UNOBSERVED)
    with followed.tracer.start_as_current_span("work"):
        mark = observer.submitted()
    with observer.batch([mark]):
        observer.failed(Fault.CONFLICT)

    [event] = (await followed.spans())["post batch"].events
    assert event.name == "posting_failed"
    assert attributes(event.attributes) == {"fault": "conflict"}


async def test_a_batch_for_nobody_who_is_traced_is_not_traced(followed: Followed) -> None:
    observer = followed.traces.around_postings(UNOBSERVED)
    with observer.batch([observer.submitted(), observer.submitted()]):
        observer.failed(Fault.CONFLICT)

    assert await followed.spans() == {}
