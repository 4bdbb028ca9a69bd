"""What one process tells Prometheus: the instruments, and the text they are read as.

The only place that knows `prometheus_client`, with `integrations.tallies`. Requests and postings
are counted as they happen; what is so at the time of a scrape is given to `expose` and not kept.
"""

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any, Final

from prometheus_client import (
    CollectorRegistry,
    GCCollector,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.registry import Collector

from core.commands import Attempt, Command, Move, Settled
from core.errors import WalletError
from core.outbox import COUNTED_LIMIT, Standing
from core.payment_attention import PaymentsStanding
from db.faults import Fault
from db.session import PoolUse
from integrations.tallies import Distribution, Labels, Series, Tally

REQUEST_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
WAIT_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
# Under which label dashboards know a movement, where that is not its type.
_MOVES: Final[Mapping[str, str]] = {"withdrawal": "withdraw"}
BATCH_SIZES: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1000)

# A method is whatever the caller writes, and each label value is kept for ever.
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_NO_ROUTE: Final = "none"
_NO_STATUS: Final = "none"
_WORD_START: Final = re.compile(r"(?<!^)(?=[A-Z])")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Snapshot:
    attempts_waiting: int
    pools: Mapping[str, PoolUse]
    outbox: Standing | None
    payments: PaymentsStanding | None
    redis_answers: bool


class Metrics:
    """The instruments of one application; a `core.observation.PostingObserver`."""

    media_type: Final = CONTENT_TYPE_PLAIN_0_0_4

    def __init__(self, version: str):
        self._registry = CollectorRegistry()
        self._moment = _Moment(version)
        self._registry.register(self._moment)
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        GCCollector(registry=self._registry)
        self._make_request_instruments()
        self._make_posting_instruments()

    def observe_request(self, scope: Mapping[str, Any], status: int, seconds: float) -> None:
        """Count a request that is over; `status` 0 means that it was not answered."""
        method = scope["method"] if scope["method"] in _METHODS else "OTHER"
        # The router leaves the endpoint in the scope, and every request to a route the same one.
        key = (scope.get("endpoint"), method, status)
        found = self._of_requests.get(key)
        if found is None:
            labels = (method, _route_template(scope))
            found = self._of_requests[key] = (
                (*labels, str(status) if status else _NO_STATUS),
                self._request_seconds.series(labels),
            )
        self._requests.add(found[0])
        found[1].observe(seconds)

    def submitted(self) -> float:
        """Mark when an attempt begins to wait."""
        return time.perf_counter()

    @contextmanager
    def batch(self, marks: Sequence[float]) -> Iterator[None]:
        """Observe a batch: how many, how long they waited, how long it takes."""
        started = time.perf_counter()
        self._batch_size.observe(len(marks))
        for mark in marks:
            self._wait_seconds.observe(started - mark)
        try:
            yield
        finally:
            self._batch_seconds.observe(time.perf_counter() - started)

    def settled(self, attempts: Sequence[Attempt], results: Sequence[Settled]) -> None:
        """Count attempts by what they wanted and what became of them."""
        for attempt, result in zip(attempts, results, strict=True):
            self._postings.add((_type(attempt.command), _outcome(result)))

    def failed(self, fault: Fault) -> None:
        """Count a try that failed as a whole."""
        self._faults.add((fault.name.lower(),))

    def expose(
        self,
        *,
        attempts_waiting: int,
        pools: Mapping[str, PoolUse],
        outbox: Standing | None,
        payments: PaymentsStanding | None,
        redis_answers: bool,
    ) -> bytes:
        """Return everything in Prometheus' text format.

        `outbox` and `payments` are None when the database does not tell.
        """
        self._moment.snapshot = _Snapshot(
            attempts_waiting=attempts_waiting,
            pools=pools,
            outbox=outbox,
            payments=payments,
            redis_answers=redis_answers,
        )
        return generate_latest(self._registry)

    def _make_request_instruments(self) -> None:
        self._requests = Tally(
            "http_requests",
            "Requests by method, route template and status ('none': left without an answer).",
            labels=("method", "route", "status"),
            registry=self._registry,
        )
        self._request_seconds = Distribution(
            "http_request_duration_seconds",
            "How long requests took, by method and route template.",
            REQUEST_SECONDS,
            labels=("method", "route"),
            registry=self._registry,
        )
        self._of_requests: dict[tuple[Any, str, int], tuple[Labels, Series]] = {}

    def _make_posting_instruments(self) -> None:
        registry = self._registry
        self._postings = Tally(
            "wallet_postings",
            "Attempts by type and outcome: success, replayed, or the code of the refusal.",
            labels=("type", "outcome"),
            registry=registry,
        )
        self._batch_size = Distribution(
            "wallet_posting_batch_size",
            "Attempts in one ledger transaction.",
            BATCH_SIZES,
            registry=registry,
        ).series()
        self._batch_seconds = Distribution(
            "wallet_posting_batch_seconds",
            "How long a batch took, commit and further tries included.",
            WAIT_SECONDS,
            registry=registry,
        ).series()
        self._wait_seconds = Distribution(
            "wallet_posting_wait_seconds",
            "How long attempts waited for their batch to begin.",
            WAIT_SECONDS,
            registry=registry,
        ).series()
        self._faults = Tally(
            "wallet_posting_faults",
            "Tries to settle a batch, or a part of one, that failed as a whole.",
            labels=("fault",),
            registry=registry,
        )
        for fault in Fault:
            self._faults.add((fault.name.lower(),), 0)


class _Moment(Collector):
    """Exposes the snapshot of the scrape under way; what is unknown is left out."""

    def __init__(self, version: str):
        self._version = version
        self.snapshot: _Snapshot | None = None

    def collect(self) -> Iterator[Metric]:
        """Yield what the snapshot holds."""
        yield InfoMetricFamily("wallet", "The version that runs.", {"version": self._version})
        if self.snapshot is None:
            return
        yield GaugeMetricFamily(
            "wallet_posting_attempts_waiting",
            "Attempts that wait for the batch under way to end.",
            self.snapshot.attempts_waiting,
        )
        yield GaugeMetricFamily(
            "wallet_redis_up", "Whether Redis answers.", float(self.snapshot.redis_answers)
        )
        yield GaugeMetricFamily(
            "wallet_database_up",
            "Whether the database answers.",
            float(self.snapshot.outbox is not None),
        )
        yield from _pool_families(self.snapshot.pools)
        if self.snapshot.outbox is not None:
            yield from _outbox_families(self.snapshot.outbox)
        if self.snapshot.payments is not None:
            yield _payments_family(self.snapshot.payments)


def _pool_families(pools: Mapping[str, PoolUse]) -> Iterator[Metric]:
    in_use = GaugeMetricFamily(
        "wallet_database_connections_in_use", "Connections that are at work.", labels=("pool",)
    )
    limit = GaugeMetricFamily(
        "wallet_database_connections_limit", "Connections there can be.", labels=("pool",)
    )
    for name, use in pools.items():
        in_use.add_metric((name,), use.in_use)
        limit.add_metric((name,), use.limit)
    yield in_use
    yield limit


def _outbox_families(outbox: Standing) -> Iterator[Metric]:
    receipts = GaugeMetricFamily(
        "wallet_outbox_receipts",
        f"Receipts that wait or were given up; counted up to {COUNTED_LIMIT}.",
        labels=("state",),
    )
    receipts.add_metric(("waiting",), outbox.waiting)
    receipts.add_metric(("dead",), outbox.dead)
    yield receipts
    age = (datetime.now(UTC) - outbox.oldest).total_seconds() if outbox.oldest else 0
    yield GaugeMetricFamily(
        "wallet_outbox_age_seconds", "How long the oldest receipt waits; 0 if none does.", age
    )


def _payments_family(standing: PaymentsStanding) -> Metric:
    payments = GaugeMetricFamily(
        "wallet_payments",
        "Payments by a provider that are due to be asked about, or that an operator has to look "
        f"into; counted up to {COUNTED_LIMIT}.",
        labels=("state",),
    )
    payments.add_metric(("due",), standing.due)
    payments.add_metric(("attention",), standing.attention)
    return payments


def _outcome(result: Settled) -> str:
    if isinstance(result, WalletError):
        return result.code
    return "replayed" if result.replayed else result.failure_code or "success"


def _type(command: Command) -> str:
    """Word a command as a label: a movement's type, or `open_wallet` for OpenWallet."""
    if isinstance(command, Move):
        return _MOVES.get(command.type, command.type)
    return _word(type(command).__name__)


@cache
def _word(name: str) -> str:
    return _WORD_START.sub("_", name).lower()


def _route_template(scope: Mapping[str, Any]) -> str:
    """Return the path of the route as it is written, so that ids do not become labels."""
    endpoint = scope.get("endpoint")
    if endpoint is None:
        return _NO_ROUTE
    for route in scope["app"].router.routes:
        if endpoint in (getattr(route, "endpoint", None), getattr(route, "app", None)):
            return str(route.path)
    return _NO_ROUTE
