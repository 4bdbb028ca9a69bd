"""A collector of traces as a local HTTP server: takes OTLP over HTTP and keeps the spans."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span


@dataclass
class Collector:
    """What arrived: spans, and the attributes of whoever sent them."""

    url: str = ""
    spans: list[Span] = field(default_factory=list)
    senders: list[dict[str, object]] = field(default_factory=list)
    # What was sent as it stands, to look for what must not be in it.
    raw: bytes = b""

    def forget(self) -> None:
        """Begin anew."""
        self.spans.clear()
        self.raw = b""

    def named(self, name: str) -> list[Span]:
        """Return the spans of a name."""
        return [span for span in self.spans if span.name == name]

    def below(self, parent: Span) -> list[Span]:
        """Return the spans that name this one as their parent."""
        return [span for span in self.spans if span.parent_span_id == parent.span_id]

    def take(self, body: bytes) -> None:
        """Keep what was sent."""
        self.raw += body
        for sent in ExportTraceServiceRequest.FromString(body).resource_spans:
            self.senders.append(attributes(sent.resource.attributes))
            for scope in sent.scope_spans:
                self.spans.extend(scope.spans)


def attributes(pairs: object) -> dict[str, object]:
    """Return attributes, of a span say, as a dictionary."""
    found: dict[str, object] = {}
    for pair in pairs:  # type: ignore[attr-defined]  # protobuf's own list
        assert isinstance(pair, KeyValue)
        kind = pair.value.WhichOneof("value")
        found[pair.key] = getattr(pair.value, kind) if kind else None
    return found


@contextmanager
def collecting() -> Iterator[Collector]:
    """Run a collector for the length of a block, in threads: whoever waits for the end of a
    process that still sends would otherwise keep it from being heard.
    """
    collector = Collector()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            assert self.path == "/v1/traces"
            assert self.headers["Content-Type"] == "application/x-protobuf"
            collector.take(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        collector.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield collector
        finally:
            server.shutdown()
