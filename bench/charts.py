"""Draws charts as SVG: what they show comes from `bench.figures`, how they look from templates.

A chart carries its own light and dark colours and a background, so that it can be read wherever a
page shows it, and says what it shows in its <title> and <desc>.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from bench.numbers import number
from bench.samples import Spread

WIDTH: Final = 760
TOP: Final = 70
BELOW: Final = 55
BAR_HEIGHT: Final = 22
GAP: Final = 14
LABELS_WIDTH: Final = 270
TEXT_WIDTH: Final = 75
LINES_HEIGHT: Final = 420
LEFT: Final = 90
CHARACTER_WIDTH: Final = 6.6
SERIES_LIMIT: Final = 4

TEMPLATES: Final = Environment(
    loader=FileSystemLoader(Path(__file__).with_name("templates")),
    autoescape=select_autoescape(["svg"]),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bars:
    """Lying bars in groups: each group has a label, and in it a bar for each of `series`.

    A bar is as long as its median; `unit` names the axis. Bars that are None were not measured.
    """

    title: str
    description: str
    unit: str
    groups: Sequence[tuple[str, Sequence[Spread | None]]]
    series: Sequence[str] = ("",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lines:
    """Lines over evenly spaced steps; each has a value, or None, for each of `steps`."""

    title: str
    description: str
    x_label: str
    y_label: str
    steps: Sequence[str]
    lines: Sequence[tuple[str, Sequence[Spread | None]]]
    logarithmic: bool = False


Chart = Bars | Lines


def draw(chart: Chart) -> str:
    """Return the chart as the text of an SVG file."""
    name, values = ("bars", _bars(chart)) if isinstance(chart, Bars) else ("lines", _lines(chart))
    return TEMPLATES.get_template(f"{name}.svg").render(chart=chart, width=WIDTH, **values)


def _bars(chart: Bars) -> dict[str, Any]:
    right = WIDTH - TEXT_WIDTH
    found = [spread for _, spreads in chart.groups for spread in spreads if spread]
    ticks = round_ticks(max(spread.highest for spread in found))
    scale = _linear(ticks[-1], LABELS_WIDTH, right)
    bars, labels, y = [], [], float(TOP)
    for label, spreads in chart.groups:
        height = len(spreads) * BAR_HEIGHT
        labels.append({"y": y + height / 2 + 4, "text": label})
        for place, spread in enumerate(spreads):
            if spread:
                bars.append(_bar(spread, place, y + place * BAR_HEIGHT, scale))
        y += height + GAP
    return {
        "height": y + BELOW,
        "left": LABELS_WIDTH,
        "middle": (LABELS_WIDTH + right) / 2,
        "top": TOP,
        "bottom": y,
        "ticks": [{"at": _short(scale(tick)), "text": number(tick)} for tick in ticks],
        "labels": labels,
        "bars": bars,
        "legend": _legend(chart.series),
    }


def _bar(spread: Spread, series: int, y: float, scale: Callable[[float], float]) -> dict[str, Any]:
    return {
        "series": series,
        "y": y + 1,
        "height": BAR_HEIGHT - 2,
        "middle": y + BAR_HEIGHT / 2,
        "width": _short(scale(spread.median) - LABELS_WIDTH),
        "lowest": _short(scale(spread.lowest)),
        "highest": _short(scale(spread.highest)),
        "text_x": _short(max(scale(spread.highest), scale(spread.median)) + 8),
        "text": number(spread.median),
    }


def _lines(chart: Lines) -> dict[str, Any]:
    bottom, right = LINES_HEIGHT - BELOW, WIDTH - 30
    found = [spread for _, spreads in chart.lines for spread in spreads if spread]
    highest = max(spread.highest for spread in found)
    if chart.logarithmic:
        ticks = decades(min(spread.lowest for spread in found), highest)
        scale = _logarithmic(ticks[0], ticks[-1], bottom, TOP)
    else:
        ticks = round_ticks(highest)
        scale = _linear(ticks[-1], bottom, TOP)
    width = (right - LEFT) / len(chart.steps)
    places = [LEFT + width * (place + 0.5) for place in range(len(chart.steps))]
    lines = [
        _line(series, _points(places, spreads, scale))
        for series, (_, spreads) in enumerate(chart.lines)
    ]
    return {
        "height": LINES_HEIGHT,
        "left": LEFT,
        "right": right,
        "middle": (LEFT + right) / 2,
        "top": TOP,
        "bottom": bottom,
        "ticks": [{"at": _short(scale(tick)), "text": number(tick)} for tick in ticks],
        "steps": [
            {"at": _short(place), "text": step}
            for place, step in zip(places, chart.steps, strict=True)
        ],
        "lines": lines,
        "legend": _legend([name for name, _ in chart.lines]),
    }


def _points(
    places: Sequence[float], spreads: Sequence[Spread | None], scale: Callable[[float], float]
) -> list[dict[str, float]]:
    return [
        {
            "x": _short(place),
            "y": _short(scale(spread.median)),
            "lowest": _short(scale(spread.lowest)),
            "highest": _short(scale(spread.highest)),
        }
        for place, spread in zip(places, spreads, strict=True)
        if spread
    ]


def _line(series: int, points: list[dict[str, float]]) -> dict[str, Any]:
    steps = " ".join(f"{point['x']} {point['y']}" for point in points)
    return {"series": series, "points": points, "path": f"M{steps}" if points else "M0 0"}


def _legend(names: Sequence[str]) -> list[dict[str, Any]]:
    """Place the names of the series beside each other; one that has no name needs no legend."""
    if len(names) > SERIES_LIMIT:
        raise ValueError(f"A chart tells at most {SERIES_LIMIT} series apart.")
    entries, x = [], 20.0
    for name in names:
        if name:
            entries.append({"x": _short(x), "name": name})
            x += 18 + len(name) * CHARACTER_WIDTH + 24
    return entries


def round_ticks(highest: float) -> list[float]:
    """Return round numbers from 0 to at least `highest`, some five of them."""
    rough = highest / 4 or 1
    power: float = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough)
    return [step * count for count in range(math.ceil(highest / step - 1e-9) + 1)]


def decades(lowest: float, highest: float) -> list[float]:
    """Return the powers of ten around these, at least two."""
    first = math.floor(math.log10(lowest))
    last = max(math.ceil(math.log10(highest)), first + 1)
    return [10.0**exponent for exponent in range(first, last + 1)]


def _linear(highest: float, start: float, end: float) -> Callable[[float], float]:
    return lambda value: start + (end - start) * value / highest


def _logarithmic(
    lowest: float, highest: float, start: float, end: float
) -> Callable[[float], float]:
    length = math.log10(highest / lowest)
    return lambda value: start + (end - start) * math.log10(value / lowest) / length


def _short(value: float) -> float:
    """Return a coordinate without digits that nobody sees."""
    return round(value, 1)
