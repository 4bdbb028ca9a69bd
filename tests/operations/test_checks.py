"""How `wallet test` counts."""

import pytest

from operations import checks


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("==== 12 passed in 3.04s ====", (12, 0)),
        ("==== 2 failed, 10 passed, 1 skipped, 3 errors in 61.20s (0:01:01) ====", (10, 5)),
        ("1 error in 0.20s", (0, 1)),
        ("no tests ran in 0.01s", (0, 0)),
    ],
)
def test_the_closing_line_is_counted(line: str, expected: tuple[int, int]) -> None:
    assert checks.count(line) == expected


@pytest.mark.parametrize(
    ("exit_code", "closing_line", "failing_check", "last_line"),
    [
        (0, "5 passed in 1s", False, "6 passed, 0 failed"),
        (0, "5 passed in 1s", True, "5 passed, 1 failed"),
        (1, "1 failed, 4 passed in 1s", False, "5 passed, 1 failed"),
        (2, "!!! KeyboardInterrupt !!!", False, "1 passed, 1 failed"),
        (5, "no tests ran in 0.01s", False, "1 passed, 1 failed"),
    ],
)
def test_the_last_line_and_the_exit_code_say_whether_all_is_well(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    exit_code: int,
    closing_line: str,
    failing_check: bool,
    last_line: str,
) -> None:
    module = "no_such_module" if failing_check else "this"
    monkeypatch.setattr(checks, "STATIC_CHECKS", {"lint": [module]})
    monkeypatch.setattr(checks, "run_pytest", lambda _arguments: (exit_code, closing_line))

    assert checks.run(["tests/some.py"]) == (0 if last_line.endswith("0 failed") else 1)

    output = capsys.readouterr().out.splitlines()
    assert output[-1] == last_line
    assert any("no_such_module" in line for line in output) is failing_check


@pytest.mark.parametrize(
    ("exit_codes", "last_line"),
    [
        ((0, 0, 0), "10 passed, 0 failed"),
        ((1, 0, 0), "10 passed, 1 failed"),
        ((0, 0, 1), "10 passed, 1 failed"),
        ((0, 2, 0), "7 passed, 1 failed"),
        ((2, 0, 0), "4 passed, 1 failed"),
    ],
)
def test_all_parts_count_until_one_is_stopped(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    exit_codes: tuple[int, ...],
    last_line: str,
) -> None:
    ends = iter(exit_codes)
    run: list[list[str]] = []

    def run_pytest(arguments: list[str]) -> tuple[int, str]:
        run.append(arguments)
        return next(ends), "3 passed in 1s"

    monkeypatch.setattr(checks, "STATIC_CHECKS", {"lint": ["this"]})
    monkeypatch.setattr(checks, "run_pytest", run_pytest)

    assert checks.run([]) == (0 if last_line.endswith("0 failed") else 1)
    assert capsys.readouterr().out.splitlines()[-1] == last_line
    assert run == list(checks.PARTS[: len(run)])
