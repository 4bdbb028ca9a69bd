"""Medians, extremes and percentiles."""

from bench.load import PERCENTILES, percentiles
from bench.numbers import number
from bench.samples import Sample, Series, Spread


def test_a_spread_is_the_median_and_the_extremes() -> None:
    assert Spread.of([5, 1, 9, 2]) == Spread(3.5, 1, 9)


def test_percentiles_of_a_hundred_and_one_values_are_the_values() -> None:
    found = percentiles([float(value) for value in reversed(range(101))])

    assert found == {percent: float(round(percent)) for percent in PERCENTILES}


def test_nothing_has_no_percentiles() -> None:
    assert percentiles([]) == {}


def test_a_series_tells_what_is_known_and_no_more() -> None:
    series = Series((Sample(latencies_ms={50: 2}), Sample(latencies_ms={50: 4})))

    assert series.rate is None
    assert series.latency_ms(50) == Spread(3, 2, 4)
    assert series.latency_ms(99) is None
    assert series.latencies_ms() == {50: 3}
    assert Series(()).rate is None


def test_one_wrong_sample_makes_a_series_wrong() -> None:
    series = Series((Sample(rate=1), Sample(rate=1, wrong="It does not add up.")))

    assert series.wrong == "It does not add up."


def test_numbers_have_three_digits_that_mean_something() -> None:
    assert [number(value) for value in (12345.6, 100, 12.345, 0.01234)] == [
        "12,346",
        "100",
        "12.3",
        "0.0123",
    ]
