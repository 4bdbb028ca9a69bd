"""Instruments for what happens with every posting: a counter and a histogram.

Those of the client library lock and look up each time, since any thread may use them. These belong
to the thread of the event loop, where requests are served and scrapes answered.
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import accumulate

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

Labels = tuple[str, ...]


class Tally(Collector):
    """How often something happened, by the values of its labels."""

    def __init__(
        self, name: str, about: str, *, labels: Labels, registry: CollectorRegistry
    ) -> None:
        self._name, self._about, self._labels = name, about, labels
        self._counts: dict[Labels, int] = {}
        registry.register(self)

    def add(self, values: Labels, count: int = 1) -> None:
        """Count; with 0 the series is there from now on, so that its first increase is seen.

        Raises ValueError unless there is a value for each label.
        """
        if values not in self._counts:
            _check(self._labels, values)
            self._counts[values] = 0
        self._counts[values] += count

    def describe(self) -> Iterator[Metric]:
        """Tell the name, so that no second instrument can have it."""
        yield CounterMetricFamily(self._name, self._about, labels=self._labels)

    def collect(self) -> Iterator[Metric]:
        """Yield all series."""
        family = CounterMetricFamily(self._name, self._about, labels=self._labels)
        for values, count in self._counts.items():
            family.add_metric(values, count)
        yield family


class Series:
    """Observed numbers of one kind: how many in each bucket, and their sum."""

    __slots__ = ("_bounds", "_counts", "sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def observe(self, number: float) -> None:
        """Count `number` in the first bucket whose bound it does not exceed."""
        self._counts[bisect_left(self._bounds, number)] += 1
        self.sum += number

    def buckets(self) -> list[tuple[str, float]]:
        """Return each bound as Prometheus writes it, and how many numbers do not exceed it."""
        bounds = [*(repr(float(bound)) for bound in self._bounds), "+Inf"]
        return list(zip(bounds, accumulate(self._counts), strict=True))


class Distribution(Collector):
    """How large something was, by the values of its labels; `bounds` ascend."""

    def __init__(
        self,
        name: str,
        about: str,
        bounds: Sequence[float],
        *,
        labels: Labels = (),
        registry: CollectorRegistry,
    ) -> None:
        self._name, self._about, self._bounds, self._labels = name, about, bounds, labels
        self._series: dict[Labels, Series] = {}
        registry.register(self)

    def series(self, values: Labels = ()) -> Series:
        """Return the series with these values, to be kept by whoever observes.

        Raises ValueError unless there is a value for each label.
        """
        _check(self._labels, values)
        return self._series.setdefault(values, Series(self._bounds))

    def describe(self) -> Iterator[Metric]:
        """Tell the name, so that no second instrument can have it."""
        yield HistogramMetricFamily(self._name, self._about, labels=self._labels)

    def collect(self) -> Iterator[Metric]:
        """Yield all series."""
        family = HistogramMetricFamily(self._name, self._about, labels=self._labels)
        for values, series in self._series.items():
            family.add_metric(values, series.buckets(), series.sum)
        yield family


def _check(labels: Labels, values: Labels) -> None:
    if len(values) != len(labels):
        raise ValueError(f"{values!r} are not the values of {labels!r}.")
