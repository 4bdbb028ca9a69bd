"""Ends processes, and removes a folder, when the process that owned them is gone.

A process killed with SIGKILL can clean up nothing. So a small shell waits for the end of a pipe
whose other end only the owner holds: the system closes it however the owner dies. Unlike Linux's
parent-death signal this also works on macOS, with children that run as another user, and for
files.
"""

import subprocess
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import IO, cast

# $1: signal, $2: grace in seconds, $3: folder or nothing. Each line read is the whole list of
# processes to end. A frozen process only receives its signal once it continues. A process that has
# ended may have left others in its group.
SCRIPT = """
while read -r line; do pids=$line; done
for pid in $pids; do kill -s "$1" "$pid"; kill -s CONT "$pid"; done
tries=$(($2 * 5))
while [ "$tries" -gt 0 ] && [ -n "$pids" ]; do
    left=
    for pid in $pids; do
        if kill -s 0 "$pid"; then left="$left $pid"; else kill -s KILL -- "-$pid"; fi
    done
    pids=$left
    tries=$((tries - 1))
    sleep 0.2
done
for pid in $pids; do kill -s KILL -- "-$pid"; kill -s KILL "$pid"; done
[ -z "$3" ] || rm -rf -- "$3"
"""


class Sentinel:
    """Watches over this process's children; see the module.

    Parameters: `signal_name` is sent first (`TERM`, `INT`, …); what is still there after
    `grace_seconds` is killed together with its process group; then `folder` is removed.
    """

    def __init__(
        self, *, signal_name: str = "TERM", grace_seconds: int = 15, folder: Path | None = None
    ) -> None:
        self._pids: set[int] = set()
        arguments = [signal_name, str(grace_seconds), str(folder or "")]
        # A session of its own, so that the Ctrl-C which ends the owner does not end it as well.
        self._shell = subprocess.Popen(
            ["/bin/sh", "-c", SCRIPT, "sentinel", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def watch(self, *pids: int) -> None:
        """Adds processes, each of which should lead its own group."""
        self._tell(self._pids.union(pids))

    def forget(self, *pids: int) -> None:
        """Removes processes that have ended: their numbers may soon belong to others."""
        self._tell(self._pids.difference(pids))

    def close(self) -> None:
        """Ends the watch: whatever is still on the list is ended and the folder removed now."""
        pipe = cast(IO[bytes], self._shell.stdin)
        with suppress(BrokenPipeError):
            pipe.close()
        self._shell.wait()

    def _tell(self, pids: Collection[int]) -> None:
        self._pids = set(pids)
        pipe = cast(IO[bytes], self._shell.stdin)
        # Should the shell itself have been killed, the owner still ends its children in order.
        with suppress(BrokenPipeError):
            pipe.write(" ".join(map(str, sorted(self._pids))).encode() + b"\n")
            pipe.flush()
