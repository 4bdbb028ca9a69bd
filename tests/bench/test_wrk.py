"""What wrk reports, and what becomes of it."""

from pathlib import Path

import pytest

from bench.load import LeanLoad
from bench.wrk import Wrk, WrkError, choose_load, combine, parse

OUTPUT = """Running 1s test @ http://127.0.0.1:1
{"requests": 100, "microseconds": 2000000, "status": 3, "connect": 0, "read": 1, "write": 0, \
"timeout": 0, "latencies_ms": {"50": 2.5, "99.9": 7.0}}
"""


def test_refusals_are_not_answers() -> None:
    sent = parse(OUTPUT)

    assert (sent.answered, sent.seconds, sent.rate) == (97, 2.0, 48.5)
    assert sent.failures == {"status": 3, "read": 1}
    assert sent.latencies_ms == {50.0: 2.5, 99.9: 7.0}


def test_what_ran_at_once_is_added_up() -> None:
    sent = combine([parse(OUTPUT), parse(OUTPUT.replace("2.5", "3.5"))], unheard=64)

    assert (sent.answered, sent.rate, sent.unheard) == (194, 97, 64)
    assert sent.failures == {"status": 6, "read": 2}
    assert sent.latencies_ms[50.0] == 3.5


def test_a_program_that_reports_nothing() -> None:
    with pytest.raises(WrkError, match="unable to connect"):
        parse("unable to connect to 127.0.0.1:1 Connection refused")


def test_fractions_of_a_second_are_not_for_wrk(tmp_path: Path) -> None:
    assert isinstance(choose_load(0.5, tmp_path), LeanLoad)


def test_whole_seconds_are_where_it_is_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert isinstance(choose_load(2.0, tmp_path), LeanLoad)

    program = tmp_path / "wrk"
    program.write_text("#!/bin/sh\n", encoding="ascii")
    program.chmod(0o755)

    assert isinstance(choose_load(2.0, tmp_path), Wrk)
