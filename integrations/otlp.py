"""Traces by OpenTelemetry: what a batch and its statements add to the spans of the requests.

FastAPI itself traces each request. Of what people sent only the path is put into a span: statements
have no parameters there, and addresses no query.
"""

import asyncio
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import Span, SpanLimits, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Link, SpanKind, StatusCode, Tracer
from sqlalchemy import Connection, ExceptionContext, event

from core.commands import Attempt, Settled
from core.observation import UNOBSERVED, BatchObserver, PostingObserver
from db.faults import Fault
from db.session import Database
from integrations.traces import Traces

# As many as there may be attempts in a batch.
LINKS_LIMIT: Final = 1000
STATEMENT_CHARACTERS_LIMIT: Final = 2000
# The end of a process does not wait longer for a collector that does not answer.
CLOSE_SECONDS: Final = 2

_SPAN: Final = "wallet.span"

Mark = tuple[Any, trace.Span]


class OtlpTraces(Traces):
    """Sends spans in batches from a thread of its own; what does not fit its queue is dropped.

    The SDK reads the other variables of OpenTelemetry, such as OTEL_TRACES_SAMPLER, by itself.
    """

    def __init__(self, endpoint: str, version: str):
        self._sdk = TracerProvider(
            resource=_resource(version),
            span_limits=SpanLimits(max_links=LINKS_LIMIT),
            shutdown_on_exit=False,
        )
        exporter = OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces")
        self._sdk.add_span_processor(_WithoutQuery())
        self._sdk.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._sdk.get_tracer("wallet", version)
        self.provider = self._sdk

    def around_postings(self, observer: PostingObserver) -> PostingObserver:
        """Trace the poster's batches."""
        return _TracedPostings(self._tracer, "post batch", observer)

    def around_sign_in_checks(self) -> BatchObserver:
        """Trace the batches of the sign-in check."""
        return _TracedBatches(self._tracer, "check sign-ins", UNOBSERVED)

    def around_key_checks(self) -> BatchObserver:
        """Trace the batches of the check of API keys."""
        return _TracedBatches(self._tracer, "check API keys", UNOBSERVED)

    def follow(self, database: Database) -> None:
        """Trace the statements and commits of both engines, and those that no engine tells of."""
        database.around_lean = _Statements(self._tracer, database.dialect_name).around
        for engine in database.engines.values():
            statements = _Statements(self._tracer, database.dialect_name)
            target = engine.sync_engine
            event.listen(target, "before_cursor_execute", statements.begin)
            event.listen(target, "after_cursor_execute", statements.end)
            event.listen(target, "handle_error", statements.fail)
            event.listen(target, "commit", statements.begin_commit)
            event.listen(target, "checkin", statements.give_back)

    async def close(self) -> None:
        """Send what waits, for at most CLOSE_SECONDS."""
        # Not a worker thread of the event loop's: the process would wait for its end.
        thread = threading.Thread(target=self._sdk.shutdown, daemon=True)
        thread.start()
        await asyncio.to_thread(thread.join, CLOSE_SECONDS)


class _TracedBatches:
    """A span for each batch: a child of the first request it serves, linked with all of them."""

    def __init__(self, tracer: Tracer, name: str, inner: BatchObserver):
        self._tracer = tracer
        self._name = name
        self._inner = inner

    def submitted(self) -> Mark:
        return self._inner.submitted(), trace.get_current_span()

    @contextmanager
    def batch(self, marks: Sequence[Mark]) -> Iterator[None]:
        served = [span for _, span in marks if span.get_span_context().trace_flags.sampled]
        with self._inner.batch([mark for mark, _ in marks]):
            if not served:
                yield
                return
            with self._tracer.start_as_current_span(
                self._name,
                context=trace.set_span_in_context(served[0], Context()),
                links=[Link(span.get_span_context()) for span in served],
                attributes={"wallet.batch.size": len(marks)},
                record_exception=False,
            ) as batch:
                # Whoever looks at another of the requests finds the batch as well.
                for span in served[1:]:
                    span.add_link(batch.get_span_context())
                yield


class _TracedPostings(_TracedBatches):
    def __init__(self, tracer: Tracer, name: str, inner: PostingObserver):
        super().__init__(tracer, name, inner)
        self._postings = inner

    def settled(self, attempts: Sequence[Attempt], results: Sequence[Settled]) -> None:
        self._postings.settled(attempts, results)

    def failed(self, fault: Fault) -> None:
        trace.get_current_span().add_event("posting_failed", {"fault": fault.name.lower()})
        self._postings.failed(fault)


class _Statements:
    """Spans of statements, which a connection runs one at a time: an engine's are kept with it."""

    def __init__(self, tracer: Tracer, dialect_name: str):
        self._tracer = tracer
        self._dialect_name = dialect_name

    @contextmanager
    def around(self, statement: str) -> Iterator[None]:
        """Trace a statement that no engine tells of."""
        if not trace.get_current_span().is_recording():
            yield
            return
        span = self._start(_operation(statement), statement)
        try:
            yield
        except BaseException as error:
            _finish(span, error=error)
            raise
        _finish(span)

    def begin(
        self, connection: Connection, _cursor: object, statement: str, *_parameters: object
    ) -> None:
        self._begin(connection, _operation(statement), statement)

    def begin_commit(self, connection: Connection) -> None:
        self._begin(connection, "COMMIT", "COMMIT")

    def end(self, connection: Connection, *_details: object) -> None:
        _end(connection.info)

    def fail(self, context: ExceptionContext) -> None:
        if context.connection is not None and not context.connection.invalidated:
            _end(context.connection.info, error=context.original_exception)

    def give_back(self, _connection: object, record: Any) -> None:
        """End what is still open when the connection goes back: a COMMIT, or what was cancelled."""
        _end(record.info)

    def _begin(self, connection: Connection, operation: str, statement: str) -> None:
        # What belongs to no traced request, such as a probe, is not traced either.
        if not trace.get_current_span().is_recording():
            return
        connection.info[_SPAN] = self._start(operation, statement)

    def _start(self, operation: str, statement: str) -> trace.Span:
        return self._tracer.start_span(
            operation,
            kind=SpanKind.CLIENT,
            attributes={
                "db.system.name": self._dialect_name,
                "db.operation.name": operation,
                "db.query.text": statement[:STATEMENT_CHARACTERS_LIMIT],
            },
        )


def _operation(statement: str) -> str:
    """Return what a statement does; one that begins with WITH is named after what it writes."""
    first = statement.split(maxsplit=1)[0].upper().rstrip(";")
    if first != "WITH":
        return first
    return next((verb for verb in ("INSERT", "UPDATE") if f"({verb} " in statement), "SELECT")


class _WithoutQuery(SpanProcessor):
    """Hides the query of an address, which may hold what somebody else was not to see."""

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:  # noqa: ARG002
        if span.attributes and "url.query" in span.attributes:
            span.set_attribute("url.query", "***")


def _end(info: dict[Any, Any], *, error: BaseException | None = None) -> None:
    span: trace.Span | None = info.pop(_SPAN, None)
    if span is not None:
        _finish(span, error=error)


def _finish(span: trace.Span, *, error: BaseException | None = None) -> None:
    if error is not None:
        # Not its text: a database's messages quote values.
        span.set_attribute("error.type", type(error).__qualname__)
        span.set_status(StatusCode.ERROR)
    span.end()


def _resource(version: str) -> Resource:
    """Say who sends; what the environment says (OTEL_SERVICE_NAME, …) is the last word."""
    ours = Resource.create({"service.name": "wallet", "service.version": version})
    return ours.merge(OTELResourceDetector().detect())
