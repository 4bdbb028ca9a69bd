"""Child processes of the supervisor: started in their own groups, their output marked by name."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import IO, cast

from operations.sentinel import Sentinel

ROOT = Path(__file__).resolve().parent.parent
GRACE_SECONDS = 15
NAME_WIDTH = 6


class Child:
    """One running child.

    Parameters: `name` marks its lines; `environment` is its whole environment; `descriptors` are
    the open files it inherits; `sentinel` ends it should this process be killed.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        environment: Mapping[str, str],
        sentinel: Sentinel,
        descriptors: Collection[int] = (),
    ) -> None:
        self.name = name
        # A session of its own: Ctrl-C reaches only the supervisor, which ends them in order.
        self._process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=descriptors,
            start_new_session=True,
        )
        self._sentinel = sentinel
        sentinel.watch(self.pid)
        # A daemon, so that a grandchild which keeps the pipe open cannot keep us from leaving.
        self._reader = threading.Thread(target=self._print_output, daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        """Its process id, which is its group's id too."""
        return self._process.pid

    def exit_code(self) -> int | None:
        """How it ended, negative for a signal; None while it runs."""
        return self._process.poll()

    def stop(self, *, grace_seconds: float = GRACE_SECONDS) -> int:
        """Asks it to end, kills it if it does not, and returns its exit code."""
        if self._process.poll() is None:
            self._process.terminate()
        try:
            self._process.wait(grace_seconds)
        except subprocess.TimeoutExpired:
            print(f"{self.name} did not end when asked; killing it.", flush=True)
        # What it started and left behind is in its group; normally the group is empty by now.
        self.kill()
        code = self._process.wait()
        self._sentinel.forget(self.pid)
        self._reader.join(timeout=1)
        return code

    def kill(self) -> None:
        """Ends it and all it started at once."""
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            # Nobody is left; macOS says "not permitted" when only a zombie is.
            return

    def _print_output(self) -> None:
        with cast(IO[bytes], self._process.stdout) as output:
            for line in output:
                text = line.decode(errors="replace").rstrip()
                sys.stdout.write(f"{self.name:<{NAME_WIDTH}} | {text}\n")
                sys.stdout.flush()
