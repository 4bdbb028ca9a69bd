"""The charts are well-formed, say what they show, and have room for it."""

from xml.etree import ElementTree

import pytest

from bench.catalogue import SCENARIOS
from bench.charts import Bars, Chart, Lines, decades, draw, round_ticks
from bench.figures import CHARTS, figures
from bench.load import PERCENTILES
from bench.samples import Sample, Series, Spread

SVG = "{http://www.w3.org/2000/svg}"
LINES = Lines(
    title="Lines & more",
    description="What <they> show.",
    x_label="steps",
    y_label="ms",
    steps=["1", "2", "3"],
    lines=[("one", [Spread(1, 1, 2), None, Spread(900, 800, 1000)])],
    logarithmic=True,
)
BARS = Bars(
    title="Bars",
    description="What they show.",
    unit="a second",
    groups=[("first", [Spread(10, 9, 12), None]), ("second", [Spread(3, 3, 3), Spread(1, 1, 1)])],
    series=("one", "other"),
)


def parsed(chart: Chart) -> ElementTree.Element:
    return ElementTree.fromstring(draw(chart))  # noqa: S314 - our own text


@pytest.mark.parametrize("chart", [LINES, BARS])
def test_a_chart_says_what_it_shows_to_who_cannot_see_it(chart: Chart) -> None:
    root = parsed(chart)

    named = root.attrib["aria-labelledby"].split()
    assert root.attrib["role"] == "img"
    assert [root.findtext(f"{SVG}{name}") for name in ("title", "desc")] == [
        chart.title,
        chart.description,
    ]
    assert {element.attrib.get("id") for element in root} >= set(named)


@pytest.mark.parametrize("chart", [LINES, BARS])
def test_a_chart_has_colours_for_light_and_dark(chart: Chart) -> None:
    assert "prefers-color-scheme: dark" in (parsed(chart).findtext(f"{SVG}style") or "")


@pytest.mark.parametrize("chart", [LINES, BARS])
def test_everything_lies_within_the_page(chart: Chart) -> None:
    root = parsed(chart)
    _, _, width, height = (float(number) for number in root.attrib["viewBox"].split())

    for element in root.iter():
        assert 0 <= float(element.attrib.get("x", element.attrib.get("cx", "0"))) <= width
        assert 0 <= float(element.attrib.get("y", element.attrib.get("cy", "0"))) <= height


def test_what_was_not_measured_is_left_out() -> None:
    assert len(parsed(LINES).findall(f"{SVG}circle")) == 2
    bars = [rect for rect in parsed(BARS).findall(f"{SVG}rect") if rect.attrib["class"] != "page"]
    assert len(bars) == 3 + len(BARS.series)


def test_ticks_are_round_and_reach_the_highest() -> None:
    assert round_ticks(3700) == [0, 1000, 2000, 3000, 4000]
    assert round_ticks(9) == [0, 2.5, 5, 7.5, 10]
    assert decades(0.4, 30) == [0.1, 1, 10, 100]
    assert decades(10, 10) == [10, 100]


def test_a_whole_run_has_every_chart() -> None:
    latencies = dict.fromkeys(PERCENTILES, 2.0)
    series = Series((Sample(rate=10, latencies_ms=latencies),))

    charts = figures({scenario.name: series for scenario in SCENARIOS})

    assert list(charts) == [f"{name}.svg" for name in CHARTS]
    for chart in charts.values():
        parsed(chart)


def test_wrong_figures_are_in_no_chart() -> None:
    series = Series((Sample(rate=10, wrong="It does not add up."),))

    assert figures({scenario.name: series for scenario in SCENARIOS}) == {}
