"""Our instruments tell Prometheus exactly what the client library's own would."""

import random

import pytest
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

from integrations.metrics import BATCH_SIZES, WAIT_SECONDS
from integrations.tallies import Distribution, Tally

pytestmark = pytest.mark.promise("metrics")


def told(registry: CollectorRegistry) -> list[str]:
    """Return the lines of a scrape but for those on when a series was begun, which we leave out."""
    lines = generate_latest(registry).decode().splitlines()
    return sorted(line for line in lines if "_created" not in line)


def test_a_tally_counts_as_a_counter_does() -> None:
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    tally = Tally("answers", "What was said.", labels=("who", "what"), registry=ours)
    counter = Counter("answers", "What was said.", ("who", "what"), registry=theirs)
    for who, what, count in (("a", "yes", 1), ("b", '"no"\n', 3), ("a", "yes", 2), ("c", "-", 0)):
        tally.add((who, what), count)
        counter.labels(who, what).inc(count)

    assert told(ours) == told(theirs)


@pytest.mark.parametrize("bounds", [WAIT_SECONDS, BATCH_SIZES])
def test_a_distribution_is_a_histogram(bounds: tuple[float, ...]) -> None:
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    distribution = Distribution("size", "How large.", bounds, labels=("of",), registry=ours)
    histogram = Histogram("size", "How large.", ("of",), buckets=bounds, registry=theirs)
    draw = random.Random(1)
    # On a bound, just beyond it, below all and above all.
    numbers = [*bounds, *(bound * 1.001 for bound in bounds), 0, max(bounds) * 10]
    for number in draw.sample(numbers, len(numbers)):
        of = draw.choice(("one", "other"))
        distribution.series((of,)).observe(number)
        histogram.labels(of).observe(number)

    assert told(ours) == told(theirs)


def test_what_has_no_labels_is_there_from_the_start() -> None:
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    Distribution("size", "How large.", (1, 2), registry=ours).series()
    Histogram("size", "How large.", buckets=(1, 2), registry=theirs)

    assert told(ours) == told(theirs)


def test_a_value_too_few_is_refused_and_so_is_a_name_that_is_taken() -> None:
    registry = CollectorRegistry()
    tally = Tally("said", "What was said.", labels=("who", "what"), registry=registry)
    distribution = Distribution("size", "How large.", (1, 2), labels=("of",), registry=registry)

    with pytest.raises(ValueError, match="values of"):
        tally.add(("a",))
    with pytest.raises(ValueError, match="values of"):
        distribution.series()
    with pytest.raises(ValueError, match="Duplicated"):
        Tally("said", "Once more.", labels=(), registry=registry)
    with pytest.raises(ValueError, match="Duplicated"):
        Distribution("size", "Once more.", (1, 2), registry=registry)
