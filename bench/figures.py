"""The charts of a run: what each of them shows, by the name of its file."""

from collections.abc import Callable
from typing import Final

from bench.catalogue import BATCH_CONNECTIONS, BATCH_LIMITS
from bench.charts import Bars, Chart, Lines
from bench.load import PERCENTILES
from bench.samples import Results, Series, Spread

RATE: Final = "answers a second (bar: median of the rounds; line: lowest to highest)"
NOTHING: Final = Series(())

DESIGNS: Final = {
    "Wallet": "wallet-uniform-64",
    "Wallet, two API processes": "wallet-uniform-64-two-processes",
    "Wallet on SQLite": "wallet-uniform-64-sqlite",
    "FastAPI's authenticated no-op": "no-op-64",
    "pgbench, one statement each": "pgbench-uniform-64",
    "One ORM transaction a request": "per-request-uniform-64",
}
LATENCIES: Final = {
    "Wallet": "wallet-uniform-64",
    "Authenticated no-op": "no-op-64",
    "One ORM transaction a request": "per-request-uniform-64",
}
HOT_AND_UNIFORM: Final = {
    "Wallet": ("wallet-uniform-64", "wallet-hot-64"),
    "Wallet, two API processes": (
        "wallet-uniform-64-two-processes",
        "wallet-hot-64-two-processes",
    ),
    "Wallet on SQLite": ("wallet-uniform-64-sqlite", "wallet-hot-64-sqlite"),
    "pgbench, one statement each": ("pgbench-uniform-64", "pgbench-hot-64"),
    "One ORM transaction a request": ("per-request-uniform-64", "per-request-hot-64"),
}


def figures(results: Results) -> dict[str, Chart]:
    """Return the charts for which something was measured, by the names of their files."""
    charts = {name: make(results) for name, make in CHARTS.items()}
    return {f"{name}.svg": chart for name, chart in charts.items() if chart is not None}


def throughput_by_design(results: Results) -> Chart | None:
    """Compare the designs by how many transfers a second they make."""
    groups = [(label, [_rate(results, name)]) for label, name in DESIGNS.items()]
    measured = [(label, rates) for label, rates in groups if any(rates)]
    if not measured:
        return None
    return Bars(
        title="Transfers a second by design",
        description=_describe(
            "Anybody pays anybody over 64 connections. A second, by design",
            [(label, rates[0]) for label, rates in measured],
        ),
        unit=RATE,
        groups=measured,
    )


def latency_distribution(results: Results) -> Chart | None:
    """Compare how long people wait."""
    lines = [
        (label, [_sound(results, name).latency_ms(percent) for percent in PERCENTILES])
        for label, name in LATENCIES.items()
    ]
    measured = [(label, spreads) for label, spreads in lines if any(spreads)]
    if not measured:
        return None
    medians = [(label, spreads[PERCENTILES.index(50)]) for label, spreads in measured]
    return Lines(
        title="Latency of a transfer, 64 connections",
        description=_describe(
            "How long so many per cent of the requests took at most. Medians in ms", medians
        ),
        x_label="per cent of the requests",
        y_label="answered within, ms (logarithmic)",
        steps=[f"{percent:g}" for percent in PERCENTILES],
        lines=measured,
        logarithmic=True,
    )


def throughput_by_batch(results: Results) -> Chart | None:
    """Show what posting in groups is worth."""
    rates = [_rate(results, f"batch-{limit}") for limit in BATCH_LIMITS]
    if not any(rates):
        return None
    steps = [str(limit) for limit in BATCH_LIMITS]
    return Lines(
        title=f"Transfers a second by size of batch, {BATCH_CONNECTIONS} connections",
        description=_describe(
            "Throughput by the most attempts in one ledger transaction",
            list(zip(steps, rates, strict=True)),
        ),
        x_label="POSTING_BATCH_LIMIT: most attempts in one ledger transaction",
        y_label="transfers a second",
        steps=steps,
        lines=[("", rates)],
    )


def hot_against_uniform(results: Results) -> Chart | None:
    """Show what it costs when all pay into one wallet."""
    groups = [
        (label, [_rate(results, name) for name in names])
        for label, names in HOT_AND_UNIFORM.items()
    ]
    measured = [(label, rates) for label, rates in groups if all(rates)]
    if not measured:
        return None
    return Bars(
        title="When all pay into one wallet",
        description=_describe(
            "Transfers a second when all pay into one wallet, by design",
            [(label, rates[1]) for label, rates in measured],
        ),
        unit=RATE,
        groups=measured,
        series=("anybody pays anybody", "all pay into one wallet"),
    )


def _sound(results: Results, name: str) -> Series:
    """Return a series; an empty one if it was not measured or is wrong."""
    series = results.get(name, NOTHING)
    return NOTHING if series.wrong else series


def _rate(results: Results, name: str) -> Spread | None:
    return _sound(results, name).rate


def _describe(what: str, values: list[tuple[str, Spread | None]]) -> str:
    known = [f"{label}: {spread.median:,.4g}" for label, spread in values if spread]
    return f"{what}: {'; '.join(known)}."


CHARTS: Final[dict[str, Callable[[Results], Chart | None]]] = {
    "throughput": throughput_by_design,
    "latency": latency_distribution,
    "batches": throughput_by_batch,
    "hot": hot_against_uniform,
}
