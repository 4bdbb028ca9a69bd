"""Traces, switched on by an OTLP endpoint; this module is what there is while they are off.

The OpenTelemetry SDK is imported only when there is somewhere to send spans to.
"""

from opentelemetry.trace import TracerProvider

from core.observation import UNOBSERVED, BatchObserver, PostingObserver
from db.session import Database


class Traces:
    """No traces: nothing is followed and nothing is sent."""

    # Where the web framework finds its tracer.
    provider: TracerProvider | None = None

    def around_postings(self, observer: PostingObserver) -> PostingObserver:
        """Return an observer that traces the poster's batches and tells `observer` as well."""
        return observer

    def around_sign_in_checks(self) -> BatchObserver:
        """Return an observer that traces the batches of the sign-in check."""
        return UNOBSERVED

    def around_key_checks(self) -> BatchObserver:
        """Return an observer that traces the batches of the check of API keys."""
        return UNOBSERVED

    def follow(self, database: Database) -> None:
        """Trace the statements of a database, where they belong to something that is traced."""

    async def close(self) -> None:
        """Send what has not been sent, within a bounded time."""


def make_traces(endpoint: str, version: str) -> Traces:
    """Return traces sent to an OTLP endpoint, such as `http://localhost:4318`; none if empty."""
    if not endpoint:
        return Traces()
    # Imported here: the SDK costs memory and time to start, and most run without it.
    from integrations.otlp import OtlpTraces  # noqa: PLC0415 - see above

    return OtlpTraces(endpoint, version)
