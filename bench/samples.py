"""Measurements, and what is said about several of the same thing."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One measurement. `wrong` says why it does not count, and is empty if it does.

    `rate` is in answers a second; `latencies_ms` is by percentile and `mean_ms` the mean, as
    far as they are known.
    """

    rate: float = 0
    mean_ms: float | None = None
    latencies_ms: Mapping[float, float] = field(default_factory=dict)
    wrong: str = ""

    def latency_ms(self, percent: float) -> float | None:
        """Return a percentile of the latency, None if it is not known."""
        return self.latencies_ms.get(percent)


@dataclass(frozen=True, slots=True)
class Spread:
    """The middle of several values, and their extremes."""

    median: float
    lowest: float
    highest: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        """Summarize these, of which there is at least one."""
        return cls(statistics.median(values), min(values), max(values))


@dataclass(frozen=True, slots=True)
class Series:
    """What one scenario measured, a sample a round."""

    samples: tuple[Sample, ...]

    @property
    def wrong(self) -> str:
        """Why it does not count: the first sentence that says so, or nothing."""
        return next((sample.wrong for sample in self.samples if sample.wrong), "")

    @property
    def rate(self) -> Spread | None:
        """Its throughput; None where there is none."""
        rates = [sample.rate for sample in self.samples]
        return Spread.of(rates) if rates and min(rates) > 0 else None

    def latency_ms(self, percent: float) -> Spread | None:
        """Return a percentile of its latency over the rounds, None if it is not known."""
        values = [sample.latency_ms(percent) for sample in self.samples]
        known = [value for value in values if value is not None]
        return Spread.of(known) if known else None

    def latencies_ms(self) -> dict[float, float]:
        """Return the median of each percentile that is known."""
        percents = sorted({percent for sample in self.samples for percent in sample.latencies_ms})
        spreads = {percent: self.latency_ms(percent) for percent in percents}
        return {percent: spread.median for percent, spread in spreads.items() if spread}


Results = Mapping[str, Series]
