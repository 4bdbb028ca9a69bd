"""`wallet run`: starts what the service needs, shows what it says, and ends all of it together."""

import http.client
import os
import secrets
import signal
import socket
import sys
import time
from collections.abc import Mapping, Sequence
from types import FrameType

from dotenv import dotenv_values

from operations import redis_server
from operations.children import ROOT, Child
from operations.listening import PortTakenError, listen, listen_from, port_of
from operations.redis_server import RedisServerError
from operations.sentinel import Sentinel

DEFAULT_PORT = 8000
PAYSTACK_PORT = 8100
WEBHOOK_PATH = "/wallet/paystack/webhook"
READY_SECONDS = 60
POLL_SECONDS = 0.1
ONE_WRITE = "operations.one_write:OneWriteProtocol"
WORKER_COMMAND = ["-m", "dramatiq", "workers", "--processes", "1", "--threads", "8"]
LOOPBACK = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared with, not bound to


class StoppedError(Exception):
    """The service must end now. `exit_code` is what the supervisor answers."""

    def __init__(self, message: str, *, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class Supervisor:
    """Starts children and ends them in reverse of the order in which they depend on each other."""

    def __init__(self) -> None:
        self.sentinel = Sentinel()
        self._children: list[Child] = []
        self._stop_requested = False

    def handle_signals(self) -> None:
        """Makes Ctrl-C, SIGTERM and SIGHUP end the service; asked twice, at once."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            # Under nohup the service is meant to survive its terminal.
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, self._on_signal)

    def add(self, child: Child) -> None:
        """Takes charge of a child: from now on its end is the end of the service."""
        self._children.append(child)

    def start(
        self,
        name: str,
        command: Sequence[str],
        environment: Mapping[str, str],
        *,
        descriptors: Sequence[int] = (),
    ) -> Child:
        """Starts a command of this interpreter's (`-m …`) and takes charge of it."""
        child = Child(
            name,
            [sys.executable, *command],
            environment=environment,
            sentinel=self.sentinel,
            descriptors=descriptors,
        )
        self.add(child)
        return child

    def finish(self, child: Child) -> None:
        """Waits for a child that does its work and ends; StoppedError when it fails."""
        while child.exit_code() is None:
            self.check(besides=child)
            time.sleep(POLL_SECONDS)
        if child.exit_code() == 0:
            child.stop()
            self._children.remove(child)
        self.check()

    def check(self, *, besides: Child | None = None) -> None:
        """Raises StoppedError when the operator or the end of a child asks for it."""
        if self._stop_requested:
            raise StoppedError("Stopping …", exit_code=0)
        for child in self._children:
            code = child.exit_code()
            if code is not None and child is not besides:
                how = f"ended by itself with exit code {code}; stopping the others."
                raise StoppedError(f"{child.name} {how}", exit_code=1)

    def stop_all(self) -> None:
        """Ends the children, the last started first, each before the next is asked."""
        self._stop_requested = True
        while self._children:
            self._children[-1].stop()
            self._children.pop()
        self.sentinel.close()

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        if self._stop_requested:
            for child in self._children:
                child.kill()
        self._stop_requested = True


def run(*, host: str, port: int | None, with_worker: bool) -> int:
    """Runs the service until it is asked to stop or a part of it ends. Returns the exit code."""
    try:
        listener = listen(host, port) if port is not None else listen_from(host, DEFAULT_PORT)
    except PortTakenError as error:
        print(error, file=sys.stderr)
        return 1
    except OSError as error:
        print(f"Cannot listen on {host}: {error.strerror}.", file=sys.stderr)
        return 1
    if port is None and port_of(listener) != DEFAULT_PORT:
        print(f"Port {DEFAULT_PORT} is in use, so this is port {port_of(listener)}.", flush=True)
    supervisor = Supervisor()
    supervisor.handle_signals()
    try:
        with listener:
            serve(supervisor, listener, with_worker=with_worker)
        while True:
            supervisor.check()
            time.sleep(POLL_SECONDS)
    except StoppedError as stopped:
        print(stopped, flush=True)
        return stopped.exit_code
    except RedisServerError as error:
        print(error, file=sys.stderr)
        return 1
    finally:
        supervisor.stop_all()


def serve(supervisor: Supervisor, listener: socket.socket, *, with_worker: bool) -> None:
    """Starts all parts in the order in which they need each other and waits until they answer."""
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    if not is_set("REDIS_URL"):
        server, url = redis_server.start(environment=environment, sentinel=supervisor.sentinel)
        supervisor.add(server)
        environment["REDIS_URL"] = url
        print(f"REDIS_URL is not set, so a local server runs at {url}.", flush=True)
    if not is_set("PAYSTACK_SECRET_KEY") and not is_in_production():
        environment |= start_local_paystack(supervisor, environment, url_of(listener))
    supervisor.finish(supervisor.start("schema", ["-m", "alembic", "upgrade", "head"], environment))
    # The API is started last and so ends first: what it has promised is then finished by the rest.
    if with_worker:
        supervisor.start("worker", WORKER_COMMAND, environment)
    descriptor = listener.fileno()
    supervisor.start("api", api_command(descriptor), environment, descriptors=[descriptor])
    url = url_of(listener)
    wait_until_ready(supervisor, listener)
    print(f"\nThe wallet is ready at {url}", flush=True)
    print(f"  try it out   {url}/docs\n  reference    {url}/redoc", flush=True)
    print("  stop it      Ctrl-C\n", flush=True)


def api_command(descriptor: int, app: str = "main:app") -> list[str]:
    """The web server on an inherited listening socket.

    It keeps idle connections for longer than clients and load balancers do: whoever closes first
    risks cutting off a request that is just being sent on a kept connection.
    """
    quiet = ["--no-access-log", "--no-server-header"]
    times = ["--timeout-graceful-shutdown", "10", "--timeout-keep-alive", "75"]
    # What others are measured by runs as uvicorn comes.
    http = ["--http", ONE_WRITE] if app == "main:app" else []
    return ["-m", "uvicorn", app, "--fd", str(descriptor), *quiet, *times, *http]


def start_local_paystack(
    supervisor: Supervisor, environment: Mapping[str, str], url: str
) -> dict[str, str]:
    """Starts the stand-in for Paystack; returns the settings that make the wallet use it."""
    settings = {"PAYSTACK_SECRET_KEY": f"sk_test_local_{secrets.token_hex(16)}"}
    with listen_from("127.0.0.1", PAYSTACK_PORT) as listener:
        settings["PAYSTACK_BASE_URL"] = url_of(listener)
        descriptor = listener.fileno()
        command = ["-m", "devtools.paystack", "--fd", str(descriptor)]
        supervisor.start(
            "paystack",
            [*command, "--webhook-url", f"{url}{WEBHOOK_PATH}"],
            {**environment, **settings},
            descriptors=[descriptor],
        )
    base_url = settings["PAYSTACK_BASE_URL"]
    print(f"PAYSTACK_SECRET_KEY is not set, so a stand-in runs at {base_url}.", flush=True)
    return settings


def is_set(name: str) -> bool:
    """Whether a setting has a value in the environment or in .env; its default does not count."""
    return bool(os.environ.get(name) or dotenv_values(ROOT / ".env").get(name))


def is_in_production() -> bool:
    """Whether real people's money is at stake."""
    name = "ENVIRONMENT"
    return (os.environ.get(name) or dotenv_values(ROOT / ".env").get(name)) == "production"


def url_of(listener: socket.socket) -> str:
    """Where a person on this machine reaches the service."""
    host = host_of(listener)
    return f"http://{f'[{host}]' if ':' in host else host}:{port_of(listener)}"


def host_of(listener: socket.socket) -> str:
    """The address to reach it at from this machine, which "all addresses" is not."""
    host: str = listener.getsockname()[0]
    return LOOPBACK.get(host, host)


def wait_until_ready(supervisor: Supervisor, listener: socket.socket) -> None:
    """Returns once /livez answers; StoppedError when it does not in READY_SECONDS."""
    host = host_of(listener)
    deadline = time.monotonic() + READY_SECONDS
    while not is_alive(host, port_of(listener)):
        supervisor.check()
        if time.monotonic() > deadline:
            raise StoppedError(f"No answer within {READY_SECONDS} s; stopping.", exit_code=1)
        time.sleep(POLL_SECONDS)


def is_alive(host: str, port: int) -> bool:
    """Whether GET /livez answers 200 now."""
    connection = http.client.HTTPConnection(host, port, timeout=1)
    try:
        connection.request("GET", "/livez")
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
