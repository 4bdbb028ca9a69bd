"""How figures are written for people."""

from bench.samples import Series, Spread


def number(value: float) -> str:
    """Return a number with about three digits that mean something."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def plural(count: int, what: str) -> str:
    """Return so many of something in words that fit the number."""
    return f"{count} {what}{'' if count == 1 else 's'}"


def ratio(spread: Spread | None) -> tuple[str, str]:
    """Return a ratio and its spread; nothing if it was not measured."""
    if spread is None:
        return "", ""
    return f"{spread.median:.2f}", f"{spread.lowest:.2f} to {spread.highest:.2f}"


def cells(series: Series) -> tuple[str, str, str, str]:
    """Return a scenario's throughput and its spread, its median latency and its 99th percentile."""
    rate, median, tail = series.rate, series.latency_ms(50), series.latency_ms(99)
    return (
        number(rate.median) if rate else "",
        f"{number(rate.lowest)} to {number(rate.highest)}" if rate else "",
        number(median.median) if median else "",
        number(tail.median) if tail else "",
    )
