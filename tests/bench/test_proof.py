"""What makes a measurement wrong."""

import pytest

from bench.load import Sent
from bench.proof import disproof


def sent(answered: int, *, unheard: int = 0, **failures: int) -> Sent:
    return Sent(answered=answered, failures=failures, seconds=1, latencies_ms={}, unheard=unheard)


@pytest.mark.parametrize(
    ("report", "written"), [(sent(10), 10), (sent(10, unheard=4), 10), (sent(10, unheard=4), 14)]
)
def test_movements_that_add_up(report: Sent, written: int) -> None:
    assert disproof(report, written=written, each_writes=True) == ""


@pytest.mark.parametrize(
    ("report", "written"), [(sent(10), 9), (sent(10), 11), (sent(10, unheard=4), 15)]
)
def test_movements_that_do_not(report: Sent, written: int) -> None:
    said = disproof(report, written=written, each_writes=True)

    assert said.startswith(f"The database has {written} new transactions")


def test_reading_writes_nothing() -> None:
    assert disproof(sent(10, unheard=4), written=0, each_writes=False) == ""
    assert disproof(sent(10, unheard=4), written=1, each_writes=False) != ""


def test_whatever_is_not_a_200_makes_a_run_wrong() -> None:
    report = Sent(
        answered=10, failures={"timeout": 1, "503": 2}, seconds=1, latencies_ms={}, unheard=4
    )

    said = disproof(report, written=10, each_writes=True)

    assert said == "Not every answer was a success: 2 503, 1 timeout."


def test_a_run_without_answers_is_wrong() -> None:
    assert disproof(sent(0), written=0, each_writes=False) == "There was no answer at all."
