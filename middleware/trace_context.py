"""Names the request in its span, and the trace in the lines of the log: one leads to the other.

Added only while traces are on, within the layer that gives the request its id.
"""

from opentelemetry import trace
from starlette.types import ASGIApp, Receive, Scope, Send

from core import log_context


class TraceContextMiddleware:
    """Writes the request's id into the span that serves it, and has the log tell its `trace_id`."""

    def __init__(self, app: ASGIApp):
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        span = trace.get_current_span()
        if scope["type"] == "http" and span.is_recording():
            span.set_attribute("wallet.request_id", scope["request_id"])
            trace_id = trace.format_trace_id(span.get_span_context().trace_id)
            log_context.add(trace_id=trace_id)
        await self._app(scope, receive, send)
