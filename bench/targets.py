"""What the wallet shall reach: ratios between measurements of one run, whatever the machine."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from bench.samples import Results, Sample, Spread

# With fewer a verdict says little.
ROUNDS_NEEDED: Final = 5
START_SECONDS: Final = 2.0
NOT_MEASURED: Final = "not measured"

Round = Mapping[str, Sample]


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One line: `value` of a round must reach `at_least`, or not exceed `at_most`.

    `needs` are the scenarios it is calculated from; `aim` is what we would like to reach.
    """

    promise: str
    needs: tuple[str, ...]
    value: Callable[[Round], float | None]
    at_least: float | None = None
    at_most: float | None = None
    aim: float | None = None
    unit: str = "x"

    @property
    def bound(self) -> str:
        """The bound as people read it."""
        if self.at_least is not None:
            aim = "" if self.aim is None else f" (aim {self.aim:g})"
            return f"≥ {self.at_least:g} {self.unit}{aim}"
        return f"≤ {self.at_most:g} {self.unit}"

    def is_met_by(self, value: float) -> bool:
        """Whether a value is within the bound."""
        if self.at_least is not None:
            return value >= self.at_least
        return self.at_most is not None and value <= self.at_most


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """How a target fared; `spread` is None where it was not measured, or measured wrongly."""

    target: Target
    spread: Spread | None
    wrong: bool = False

    @property
    def word(self) -> str:
        """One word for a table."""
        if self.wrong:
            return "WRONG"
        if self.spread is None:
            return NOT_MEASURED
        return "met" if self.target.is_met_by(self.spread.median) else "MISSED"


def judge(target: Target, results: Results) -> Verdict:
    """Hold a target against the results: by the median of what each round gives."""
    series = [results[name] for name in target.needs if name in results]
    if len(series) < len(target.needs):
        return Verdict(target=target, spread=None)
    if any(each.wrong for each in series):
        return Verdict(target=target, spread=None, wrong=True)
    rounds = zip(*[each.samples for each in series], strict=True)
    values = [target.value(dict(zip(target.needs, samples, strict=True))) for samples in rounds]
    known = [value for value in values if value is not None]
    return Verdict(target=target, spread=Spread.of(known) if known else None)


def throughput(
    promise: str, name: str, than: str, *, at_least: float, aim: float | None = None
) -> Target:
    """Return the target that one scenario has so many times another's throughput."""
    return Target(
        promise=promise,
        needs=(name, than),
        value=lambda samples: _ratio(samples[name].rate, samples[than].rate),
        at_least=at_least,
        aim=aim,
    )


def latency(promise: str, name: str, than: str, *, at_most: float) -> Target:
    """Return the target that one median latency is at most so many times another."""
    return Target(
        promise=promise,
        needs=(name, than),
        value=lambda samples: _ratio(samples[name].latency_ms(50), samples[than].latency_ms(50)),
        at_most=at_most,
    )


def tail(promise: str, name: str, *, at_most: float) -> Target:
    """Return the target that a scenario's 99th percentile is near its median."""
    return Target(
        promise=promise,
        needs=(name,),
        value=lambda samples: _ratio(samples[name].latency_ms(99), samples[name].latency_ms(50)),
        at_most=at_most,
    )


def seconds(promise: str, name: str, *, at_most: float) -> Target:
    """Return the target that a scenario takes at most so many seconds."""
    return Target(
        promise=promise,
        needs=(name,),
        value=lambda samples: _ratio(samples[name].latency_ms(50), 1000),
        at_most=at_most,
        unit="s",
    )


def _ratio(value: float | None, other: float | None) -> float | None:
    return value / other if value is not None and other else None


TARGETS: Final = (
    throughput(
        "Uniform transfers against FastAPI's authenticated no-op",
        "wallet-uniform-64",
        "no-op-64",
        at_least=1.0,
        aim=1.5,
    ),
    throughput(
        "All paying into one wallet against anybody paying anybody",
        "wallet-hot-64",
        "wallet-uniform-64",
        at_least=0.9,
    ),
    throughput(
        "All paying into one wallet against pgbench doing the same with 64 clients",
        "wallet-hot-64",
        "pgbench-hot-64",
        at_least=4,
    ),
    throughput(
        "Uniform transfers against one ORM transaction a request",
        "wallet-uniform-64",
        "per-request-uniform-64",
        at_least=20,
    ),
    throughput(
        "All paying into one wallet against one ORM transaction a request",
        "wallet-hot-64",
        "per-request-hot-64",
        at_least=20,
    ),
    tail("The 99th percentile of the latency against its median", "wallet-uniform-64", at_most=4),
    latency(
        "One connection's median latency against one durable commit",
        "wallet-uniform-1",
        "commit",
        at_most=2,
    ),
    throughput(
        "Two API processes against one, all paying into one wallet",
        "wallet-hot-64-two-processes",
        "wallet-hot-64",
        at_least=0.9,
    ),
    throughput(
        "Top-ups of 200 users' credits against transfers between 200 wallets",
        "credits-top-up-64",
        "wallet-200-people-64",
        at_least=0.8,
    ),
    throughput(
        "SQLite against PostgreSQL",
        "wallet-uniform-64-sqlite",
        "wallet-uniform-64",
        at_least=0.5,
    ),
    throughput(
        "Replays of a known key against the no-op", "wallet-replay-64", "no-op-64", at_least=0.8
    ),
    throughput(
        "Reads of a balance against the no-op", "wallet-balance-64", "no-op-64", at_least=0.6
    ),
    throughput(
        "Transfers with a worker running against without",
        "wallet-uniform-64",
        "wallet-uniform-64-no-worker",
        at_least=0.9,
    ),
    seconds("From starting the API to its first answer", "api-start", at_most=START_SECONDS),
)
