"""Kills a process at its n-th write, by strace's fault injection: no earlier and no later.

The signal comes when the write begins, and a process that is about to be killed does not finish it:
killed at its n-th write, it has sent what came before and nothing of this.
"""

import re
import shutil
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

WRITES = "write,writev,sendto,sendmsg"
END_SECONDS = 5
CALL = re.compile(r"^(?P<call>\w+)\(\d+<(?P<kind>\w+)")


@dataclass(frozen=True, slots=True)
class Write:
    """The `nth` time (from 1) that the process makes the system call `call`."""

    call: str
    nth: int
    line: str


class Strace:
    """Watches the writes of a running process, and kills it at one of them if told to."""

    def __init__(self, pid: int, output: Path, *, kill_at: Write | None = None) -> None:
        self._output = output
        command = ["strace", "-yy", "-s", "48", "-o", str(output), "-p", str(pid)]
        command += ["-e", f"trace={WRITES}"]
        # The first thread alone, which runs the event loop and so makes all of these writes. With
        # -f strace sometimes waits for ever for the end of another thread.
        if kill_at is not None:
            command += ["-e", f"inject={kill_at.call}:signal=KILL:when={kill_at.nth}"]
        self._strace = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)

    def __enter__(self) -> Self:
        assert self._strace.stderr is not None
        # Its first line says that it is attached, or why it may not be.
        line = self._strace.stderr.readline()
        if "attached" not in line:
            self._end()
            raise PermissionError(line)
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self._end()

    def writes(self) -> list[Write]:
        """Return the writes to sockets, in order; call it when the watch has ended.

        strace counts the calls of each name by themselves, those to other files included.
        """
        counts: Counter[str] = Counter()
        found = []
        for line in self._output.read_text(errors="replace").splitlines():
            match = CALL.match(line)
            if match is None:
                continue
            counts[match["call"]] += 1
            if match["kind"].startswith("TCP"):
                nth = counts[match["call"]]
                found.append(Write(match["call"], nth, line))
        return found

    def _end(self) -> None:
        if self._strace.poll() is None:
            self._strace.terminate()
        try:
            self._strace.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            # The system then lets go of the process for it.
            self._strace.kill()
            self._strace.wait()
        if self._strace.stderr is not None:
            self._strace.stderr.close()


def is_permitted(folder: Path) -> bool:
    """Whether strace is installed and may watch a process of ours."""
    if shutil.which("strace") is None:
        return False
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(5)"]) as sleeper:
        try:
            time.sleep(0.05)
            with Strace(sleeper.pid, folder / "permitted"):
                return True
        except PermissionError:
            return False
        finally:
            sleeper.kill()
