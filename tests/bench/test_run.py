"""`wallet bench` from end to end, in its smallest form: with the real servers and processes."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from operations.children import ROOT

BENCH = [sys.executable, "cli.py", "bench", "--rounds", "1"]
# An application that answers 200 to transfers and moves nothing.
LYING = """if True:
    import sys
    from pathlib import Path
    from bench import run
    from bench.scenarios import Requests, random_transfers
    from bench.traffic import Pattern
    from bench.yardsticks import NO_OP_PATH
    run.SCENARIOS = (
        Requests(
            name="lying",
            title="Answers and moves nothing",
            app="bench.yardsticks.no_op:app",
            make_deck=random_transfers(Pattern.UNIFORM, path=NO_OP_PATH),
            connections=2,
        ),
    )
    sys.exit(run.run(seconds=0.2, rounds=1, only=[], output=Path(sys.argv[1])))
"""


@pytest.fixture
def environment() -> dict[str, str]:
    """What the command runs in: nothing of the tests' own settings, and no terminal."""
    removed = {"FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"}
    kept = {name: value for name, value in os.environ.items() if name not in removed}
    return kept | {"COLUMNS": "100", "PYTHONUNBUFFERED": "1"}


def test_a_small_run_on_both_engines(environment: dict[str, str], tmp_path: Path) -> None:
    options = ["--seconds", "0.3", "--only", "uniform-1", "--output", str(tmp_path)]

    ended = subprocess.run(
        [*BENCH, *options], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )

    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "all rules of money hold (postgresql, sqlite)" in " ".join(ended.stdout.split())
    results = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    assert set(results["scenarios"]) == {"wallet-uniform-1", "wallet-uniform-1-sqlite"}
    for scenario in results["scenarios"].values():
        assert scenario["rate"]["median"] > 0
        assert scenario["latencies_ms"]["50"] > 0
    assert results["broken_rules"] == {"postgresql": [], "sqlite": []}
    assert results["machine"]["PostgreSQL"]
    assert "`wallet-uniform-1-sqlite`" in (tmp_path / "results.md").read_text(encoding="utf-8")


def test_answers_without_transactions_are_wrong(
    environment: dict[str, str], tmp_path: Path
) -> None:
    output = tmp_path / "results"

    ended = subprocess.run(
        [sys.executable, "-c", LYING, str(output)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert ended.returncode == 1, ended.stdout + ended.stderr
    assert "WRONG lying: The database has 0 new transactions" in ended.stdout
    assert not output.exists()


def test_ctrl_c_ends_all_of_it(environment: dict[str, str], tmp_path: Path) -> None:
    options = ["--only", "commit", "--seconds", "60", "--output", str(tmp_path / "results")]
    with subprocess.Popen(
        [*BENCH, *options], cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
    ) as bench:
        assert bench.stdout is not None
        for line in bench.stdout:
            if line.startswith("round 1"):
                break
        family = psutil.Process(bench.pid).children(recursive=True)
        assert {"postgres", "valkey-server"} <= {process.name() for process in family}

        bench.send_signal(signal.SIGINT)

        assert bench.wait(timeout=30) == 130
    assert not psutil.wait_procs(family, timeout=10)[1]
    assert not (tmp_path / "results").exists()


def test_a_scenario_that_does_not_exist(environment: dict[str, str]) -> None:
    ended = subprocess.run(
        [*BENCH, "--only", "nothing-of-that"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert ended.returncode == 2
    assert "wallet-uniform-64" in ended.stderr


def test_settings_of_this_machine_are_refused(environment: dict[str, str]) -> None:
    ended = subprocess.run(
        [*BENCH, "--only", "commit"],
        cwd=ROOT,
        env=environment | {"BREVO_API_KEY": "a-real-one"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert ended.returncode == 2
    assert "Unset BREVO_API_KEY in the environment" in ended.stderr
