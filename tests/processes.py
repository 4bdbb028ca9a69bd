"""Real processes for tests: started, asked to end, killed, frozen and thawed.

None outlives the test run, even when that is killed: see operations/sentinel.py.
"""

import os
import signal
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self

import psutil

from operations.children import ROOT
from operations.listening import listen, port_of
from operations.run import WORKER_COMMAND, api_command, is_alive
from operations.sentinel import Sentinel

SECRET_KEY = "a-secret-for-tests-of-at-least-32-bytes"

START_SECONDS = 30
STOP_SECONDS = 30


class ProcessError(Exception):
    """A process did not start; the text shows the end of its log."""


class RealProcess(ABC):
    """One process and all it starts, which the test may treat badly. A context manager: `with` it.

    Parameters: `log_path` receives its output, appended; `user_id`, when not None, is whom it runs
    as; `stop_signal` asks it to end; `folder` is removed by `close`, or when the test run dies.
    """

    def __init__(
        self,
        *,
        log_path: Path,
        user_id: int | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
        folder: Path | None = None,
    ) -> None:
        self.log_path = log_path
        self._user_id = user_id
        self._stop_signal = stop_signal
        self._process: subprocess.Popen[bytes] | None = None
        self._frozen: list[int] = []
        self._sentinel = Sentinel(
            signal_name=stop_signal.name.removeprefix("SIG"), grace_seconds=8, folder=folder
        )

    @abstractmethod
    def start(self) -> Self:
        """Starts it, as it was before if it ran before; returns when it answers.

        Raises ProcessError when it does not in START_SECONDS.
        """

    @property
    def pid(self) -> int:
        """Its process id; ProcessError when it does not run."""
        if self._process is None:
            raise ProcessError(f"{type(self).__name__} is not running")
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._process is not None and self._process.poll() is None

    def stop(self) -> int:
        """Asks it to end and returns its exit code, which for uvicorn is -SIGTERM.

        Raises ProcessError, having killed it, when it takes longer than STOP_SECONDS.
        """
        if self._process is None:
            return 0
        self.resume()
        self._process.send_signal(self._stop_signal)
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            raise ProcessError(
                f"{type(self).__name__} did not end:\n{self.log()[-4000:]}"
            ) from None
        return self._reap()

    def kill(self) -> None:
        """SIGKILL to it and to all it started, which have no chance to finish anything."""
        if self._process is None:
            return
        self._signal_family(signal.SIGKILL)
        self._reap()

    def pause(self) -> None:
        """Freezes it and all it started: connections stay open and nothing answers (SIGSTOP)."""
        self._frozen = self._signal_family(signal.SIGSTOP)
        # A frozen child cannot notice that its parent is gone, so it has to be ended by itself.
        self._sentinel.watch(*self._frozen)

    def resume(self) -> None:
        """Thaws what `pause` froze (SIGCONT); nothing if it does not run."""
        if self._process is None:
            return
        self._signal_family(signal.SIGCONT)
        self._sentinel.forget(*set(self._frozen) - {self.pid})
        self._frozen = []

    def restart(self) -> None:
        """Ends it, if it runs, and starts it as it was: same port, same data."""
        self.stop()
        self.start()

    def close(self) -> None:
        """Ends it for good and removes its folder."""
        try:
            self.stop()
        finally:
            self._sentinel.close()

    def log(self) -> str:
        """All it has printed so far."""
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.close()
            raise

    def __exit__(self, *_: object) -> None:
        self.close()

    def _spawn(
        self,
        command: Sequence[str],
        is_ready: Callable[[], bool],
        *,
        environment: Mapping[str, str] | None = None,
        descriptors: Collection[int] = (),
    ) -> None:
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                cwd=ROOT if self._user_id is None else "/",
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=descriptors,
                start_new_session=True,
                user=self._user_id,
                group=self._user_id,
                extra_groups=None if self._user_id is None else [],
            )
        self._sentinel.watch(self.pid)
        deadline = time.monotonic() + START_SECONDS
        while not is_ready():
            if not self.is_running or time.monotonic() > deadline:
                self.kill()
                raise ProcessError(f"{type(self).__name__} did not start:\n{self.log()[-4000:]}")
            time.sleep(0.02)

    def _signal_family(self, number: signal.Signals) -> list[int]:
        """It first, so that it cannot start or mourn a child while the others get their signal."""
        try:
            parent = psutil.Process(self.pid)
            family = [parent, *parent.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []
        for process in family:
            # One that ended between being listed and being signalled needs no signal.
            with suppress(psutil.NoSuchProcess):
                process.send_signal(number)
        return [process.pid for process in family]

    def _reap(self) -> int:
        assert self._process is not None
        code = self._process.wait()
        self._sentinel.forget(self._process.pid, *self._frozen)
        self._process, self._frozen = None, []
        return code


class ApiProcess(RealProcess):
    """The API in a process of its own, on a port of its own that it keeps over a restart.

    Parameters: `environment` is added to this process's; `log_path` receives the output;
    `app` is what uvicorn serves.
    """

    def __init__(
        self, environment: Mapping[str, str], *, log_path: Path, app: str = "main:app"
    ) -> None:
        super().__init__(log_path=log_path)
        self._environment = {**os.environ, **environment}
        self._app = app
        self._port = 0

    @property
    def url(self) -> str:
        """Where it answers, without a slash at the end."""
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> Self:
        """Starts it; returns when /livez answers."""
        with listen("127.0.0.1", self._port) as listener:
            self._port = port_of(listener)
            self._spawn(
                [sys.executable, *api_command(listener.fileno(), self._app)],
                lambda: is_alive("127.0.0.1", self._port),
                environment=self._environment,
                descriptors=[listener.fileno()],
            )
        return self


class WorkerProcess(RealProcess):
    """The Dramatiq worker in a process of its own; parameters as ApiProcess."""

    READY_LINE = "Worker process is ready for action."

    def __init__(self, environment: Mapping[str, str], *, log_path: Path) -> None:
        super().__init__(log_path=log_path)
        self._environment = {**os.environ, "PYTHONUNBUFFERED": "1", **environment}

    def start(self) -> Self:
        """Starts it; returns when it takes jobs."""
        seen_before = self.log().count(self.READY_LINE)
        self._spawn(
            [sys.executable, *WORKER_COMMAND],
            lambda: self.log().count(self.READY_LINE) > seen_before,
            environment=self._environment,
        )
        return self
