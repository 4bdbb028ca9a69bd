"""How results are held against targets, and what a wrong one does to them."""

import pytest

from bench.samples import Sample, Series, Spread
from bench.targets import TARGETS, judge, latency, seconds, tail, throughput

FASTER = throughput("one against the other", "one", "other", at_least=2)


def rates(*values: float, wrong: str = "") -> Series:
    return Series(tuple(Sample(rate=value, wrong=wrong) for value in values))


def test_the_median_of_the_rounds_ratios_decides() -> None:
    verdict = judge(FASTER, {"one": rates(10, 90, 40), "other": rates(10, 30, 20)})

    # Not the ratio of the medians: what slows both down in one round cancels out there.
    assert verdict.spread == Spread(2, 1, 3)
    assert verdict.word == "met"


def test_a_ratio_below_its_bound_is_missed() -> None:
    assert judge(FASTER, {"one": rates(19), "other": rates(10)}).word == "MISSED"


def test_what_was_not_measured_has_no_verdict() -> None:
    verdict = judge(FASTER, {"one": rates(10)})

    assert (verdict.word, verdict.spread) == ("not measured", None)


def test_a_wrong_run_has_no_ratio() -> None:
    # A wrong sample of the warm-up comes on top of the rounds.
    wrong = rates(10, 20, wrong="It does not add up.")

    verdict = judge(FASTER, {"one": wrong, "other": rates(1)})

    assert (verdict.word, verdict.spread) == ("WRONG", None)


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (tail("the tail", "one", at_most=4), 5),
        (latency("the wait", "one", "other", at_most=2), 2),
        (seconds("the start", "one", at_most=2), 0.02),
    ],
)
def test_latencies_are_compared_by_percentile(target: object, expected: float) -> None:
    results = {
        "one": Series((Sample(latencies_ms={50: 20, 99: 100}),)),
        "other": Series((Sample(latencies_ms={50: 10}),)),
    }

    verdict = judge(target, results)  # type: ignore[arg-type]  # pytest's table has no types

    assert verdict.spread is not None
    assert verdict.spread.median == expected
    assert verdict.word == ("MISSED" if expected == 5 else "met")


def test_every_target_can_be_measured() -> None:
    from bench.catalogue import SCENARIOS

    names = {scenario.name for scenario in SCENARIOS}
    assert len(names) == len(SCENARIOS)
    assert {name for target in TARGETS for name in target.needs} <= names
