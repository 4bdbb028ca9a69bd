"""The supervisor, with small commands standing in for the service's parts."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import psutil
import pytest

from operations.children import ROOT, Child
from operations.listening import listen, port_of
from operations.run import StoppedError, Supervisor, is_set, run, url_of

SLEEP = ["-c", "import time; time.sleep(60)"]
# It prints once it ignores SIGTERM, so that a test does not stop it before.
STUBBORN = [
    "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True);"
    "time.sleep(60)",
]
# A supervisor in a process of its own, with two children, of which the second has a child.
SERVICE = r"""if True:
    import os, signal, sys, time
    from operations.run import POLL_SECONDS, StoppedError, Supervisor
    # Whoever runs the tests under nohup hands down that this is ignored.
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    supervisor = Supervisor()
    supervisor.handle_signals()
    try:
        sleep = ["-c", "import time; time.sleep(60)"]
        # One write each: an unbuffered print writes the end of its line by itself.
        say_id = r"import os, time; os.fork(); os.write(1, b'%d\n' % os.getpid())"
        fork = ["-c", f"{say_id}; time.sleep(60)"]
        supervisor.start("first", sleep, os.environ)
        supervisor.start("second", fork, os.environ)
        while True:
            supervisor.check()
            time.sleep(POLL_SECONDS)
    except StoppedError as stopped:
        sys.exit(stopped.exit_code)
    finally:
        supervisor.stop_all()
"""


@pytest.fixture
def supervisor() -> Iterator[Supervisor]:
    supervisor = Supervisor()
    yield supervisor
    supervisor.stop_all()


@pytest.fixture
def service() -> Iterator["Service"]:
    with subprocess.Popen(
        [sys.executable, "-c", SERVICE], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as process:
        yield Service(process)
        process.kill()


class Service:
    """A running supervisor and all the processes under it."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process
        assert process.stdout is not None
        self.lines = [process.stdout.readline(), process.stdout.readline()]
        # The sentinel is the one that has to outlive it, if only for a moment.
        self.family = [
            child
            for child in psutil.Process(process.pid).children(recursive=True)
            if "sentinel" not in child.cmdline()
        ]

    def is_gone(self) -> bool:
        """Whether nothing of it runs any more."""
        return not any(map(runs, self.family))


def runs(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def eventually(condition: Callable[[], bool], *, seconds: float = 10) -> bool:
    deadline = time.monotonic() + seconds
    while not (holds := condition()) and time.monotonic() < deadline:
        time.sleep(0.02)
    return holds


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_all_it_started(service: Service, number: signal.Signals) -> None:
    assert len(service.family) == 3

    service.process.send_signal(number)

    assert service.process.wait(10) == 0
    assert eventually(service.is_gone)


def test_nothing_survives_a_killed_supervisor(service: Service) -> None:
    service.process.kill()

    # As long as the grace: where nobody reaps orphans, a dead one cannot be told from a live one.
    assert eventually(service.is_gone, seconds=20)


def test_the_end_of_one_child_ends_the_others(service: Service) -> None:
    service.family[0].kill()

    assert service.process.wait(10) == 1
    assert eventually(service.is_gone)


def test_output_is_marked_with_the_name_of_the_child(service: Service) -> None:
    for line in service.lines:
        assert re.fullmatch(r"second \| \d+\n", line)


def test_it_says_which_child_ended_and_how(supervisor: Supervisor) -> None:
    child = supervisor.start("worker", ["-c", "raise SystemExit(3)"], os.environ)
    assert eventually(lambda: child.exit_code() is not None)

    with pytest.raises(StoppedError, match="worker ended by itself with exit code 3") as stopped:
        supervisor.check()

    assert stopped.value.exit_code == 1


def test_a_step_that_finishes_is_no_reason_to_stop(supervisor: Supervisor) -> None:
    supervisor.finish(supervisor.start("schema", ["-c", ""], os.environ))

    supervisor.check()


def test_a_step_that_fails_is(supervisor: Supervisor) -> None:
    child = supervisor.start("schema", ["-c", "raise SystemExit(1)"], os.environ)

    with pytest.raises(StoppedError, match="schema ended by itself with exit code 1"):
        supervisor.finish(child)


def test_a_child_that_does_not_listen_is_killed(
    supervisor: Supervisor, capfd: pytest.CaptureFixture[str]
) -> None:
    child = supervisor.start("deaf", STUBBORN, os.environ)
    assert eventually(lambda: "deaf   | deaf" in capfd.readouterr().out)

    assert child.stop(grace_seconds=0.2) == -signal.SIGKILL


def test_children_are_ended_in_reverse_order(
    supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended: list[str] = []

    def note(child: Child, *, grace_seconds: float = 1) -> int:
        ended.append(child.name)
        return stop(child, grace_seconds=grace_seconds)

    stop = Child.stop
    monkeypatch.setattr(Child, "stop", note)
    for name in ("redis", "worker", "api"):
        supervisor.start(name, SLEEP, os.environ)

    supervisor.stop_all()

    assert ended == ["api", "worker", "redis"]


def test_an_explicit_port_that_is_taken_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    with listen("127.0.0.1", 0) as taken:
        assert run(host="127.0.0.1", port=port_of(taken), with_worker=False) == 1

    assert capsys.readouterr().err.endswith("on 127.0.0.1 is already in use.\n")


def test_an_address_for_all_is_shown_as_one_that_can_be_opened() -> None:
    with listen("0.0.0.0", 0) as listener:  # noqa: S104 - closed again at once
        assert url_of(listener) == f"http://127.0.0.1:{port_of(listener)}"


@pytest.mark.parametrize(("value", "configured"), [("redis://elsewhere", True), ("", False)])
def test_redis_counts_as_configured_only_with_a_value(
    monkeypatch: pytest.MonkeyPatch, value: str, configured: bool
) -> None:
    monkeypatch.setattr("operations.run.dotenv_values", lambda _path: {})
    monkeypatch.setenv("REDIS_URL", value)

    assert is_set("REDIS_URL") is configured


def test_redis_may_be_configured_in_the_env_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("operations.run.dotenv_values", lambda _path: {"REDIS_URL": "redis://x"})
    monkeypatch.delenv("REDIS_URL", raising=False)

    assert is_set("REDIS_URL")


def test_children_are_ended_even_if_the_sentinel_was_killed() -> None:
    before = psutil.Process().children()
    supervisor = Supervisor()
    [sentinel] = set(psutil.Process().children()) - set(before)
    child = supervisor.start("api", SLEEP, os.environ)
    sentinel.kill()

    supervisor.stop_all()

    assert child.exit_code() == -signal.SIGTERM
