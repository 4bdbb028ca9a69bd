"""The stand: the servers, ledgers, people and processes of a benchmark, as a service has them.

Everything is started when it is first needed, kept for the whole run, and ended with the stand,
also when the benchmark is killed. Nothing of it is shared with a service on the same machine.
"""

import asyncio
import os
import secrets
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Final, Self, TypeVar, cast
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import psutil
from alembic import command
from dotenv import dotenv_values

from bench.people import TOKEN_MINUTES, Person, make_people
from config import Settings
from db.schema import alembic_config
from db.session import Database, DatabaseOptions
from db.urls import async_database_url
from operations.children import ROOT
from operations.sentinel import Sentinel
from tests.processes import ApiProcess, RealProcess, WorkerProcess
from tests.servers import PostgresServer, ValkeyServer

PEOPLE: Final = 1000
Made = TypeVar("Made")

# Setting up and proving take longer than an answer may.
COMMAND_SECONDS: Final = 600
SETTLE_SECONDS: Final = 0.2

# What every measured process is told. The limit is there and counts, and nobody reaches it.
SETTINGS: Final = {
    "LOG_LEVEL": "WARNING",
    "RATE_LIMIT_TRANSACTIONS_PER_USER": "1200/minute",
    "RATE_LIMIT_TRANSACTIONS_PER_KEY": "1000000000/minute",
    "ACCESS_TOKEN_EXPIRE_MINUTES": str(TOKEN_MINUTES),
    "DRAIN_SECONDS": "0",
}


class WorkerState(Enum):
    """What a ledger's worker does while something is measured.

    Otherwise all workers are frozen: one that runs would send its backlog while something else is
    measured. Where its absence is measured it has to be gone, since a frozen one may hold a
    transaction open.
    """

    RUNNING = "running"
    FROZEN = "frozen"
    ABSENT = "absent"


class StandError(Exception):
    """The stand cannot be set up here. Its text is a sentence for whoever measures."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ledger:
    """A migrated database with people, and the settings of whoever serves it."""

    name: str
    options: DatabaseOptions
    environment: dict[str, str]
    mail_folder: Path
    people: Sequence[Person]


def postgres_settings() -> dict[str, str]:
    """Return what PostgreSQL is told here, as whoever tends one tells it; durability is untouched.

    A quarter of the memory, which its manual begins with (19.4.1), and so much log that it is time
    that brings a checkpoint. It comes with 128 MB and 1 GB, for the smallest of machines.
    """
    quarter_mib = psutil.virtual_memory().total // 4 // 2**20
    return {"shared_buffers": f"{quarter_mib}MB", "max_wal_size": "8GB"}


class Stand:
    """A context manager; `with` it. `people` is how many each ledger gets."""

    def __init__(self, *, people: int = PEOPLE):
        self.folder = Path(tempfile.mkdtemp(prefix="wallet-bench-"))
        self.postgres = PostgresServer(postgres_settings())
        # The database decides everything: what Redis has need not survive it.
        self.valkey = ValkeyServer(keeps_data=False)
        self.people = people
        self._secret_key = secrets.token_hex(32)
        self._made: dict[tuple[str, ...], Any] = {}
        self._watched: set[int] = set()
        self._stack = ExitStack()
        self._sentinel = Sentinel(folder=self.folder)

    def __enter__(self) -> Self:
        self._stack.callback(self._sentinel.close)
        try:
            refuse_other_settings()
            self._stack.enter_context(self.postgres)
            self._stack.enter_context(self.valkey)
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        # From here on they are ended in order, and their numbers may become somebody else's.
        self._sentinel.forget(*self._watched)
        self._stack.close()

    def once(self, name: tuple[str, ...], make: Callable[[], Made]) -> Made:
        """Make something at the first call with this name; return the same at the next."""
        if name not in self._made:
            self._made[name] = make()
        return cast(Made, self._made[name])

    def ledger(self, name: str) -> Ledger:
        """Return the ledger of this name, on SQLite if that is its name, else on PostgreSQL."""
        return self.once(("ledger", name), lambda: self._make_ledger(name))

    def ledgers(self) -> list[Ledger]:
        """Return those that were made."""
        return [made for made in self._made.values() if isinstance(made, Ledger)]

    def api(
        self, ledger: Ledger, number: int = 1, *, app: str = "main:app", **settings: str
    ) -> ApiProcess:
        """Return a running process that serves `app` on a ledger, with these settings changed.

        `number` tells those apart that are otherwise the same.
        """
        changed = [f"{setting}={value}" for setting, value in sorted(settings.items())]
        name = " ".join([ledger.name, app, *changed, *([f"#{number}"] if number > 1 else [])])

        def start() -> ApiProcess:
            process = self.api_process(ledger, app=app, **settings)
            self._stack.enter_context(process)
            self._keep_folder_for(process)
            return process

        return self.once(("api", name), start)

    def api_process(self, ledger: Ledger, *, app: str = "main:app", **settings: str) -> ApiProcess:
        """Return a process like that, not started; the caller ends it."""
        log_path = self.folder / f"api-{len(self._made)}.log"
        return ApiProcess(ledger.environment | settings, log_path=log_path, app=app)

    @contextmanager
    def worker_state(self, ledger: Ledger, state: WorkerState) -> Iterator[None]:
        """Put the ledger's worker into a state; afterwards, and between, no worker runs."""
        if state is WorkerState.RUNNING:
            self._wake_worker(ledger)
        elif state is WorkerState.ABSENT:
            self._end_worker(ledger)
        time.sleep(SETTLE_SECONDS)
        try:
            yield
        finally:
            if state is WorkerState.RUNNING:
                self._worker(ledger).pause()
                for mail in ledger.mail_folder.glob("*.eml"):
                    mail.unlink()

    def resident_mib(self) -> dict[str, float]:
        """Return how much memory each API process holds: by ledger, application and settings."""
        return {
            name[1]: psutil.Process(process.pid).memory_info().rss / 2**20
            for name, process in self._made.items()
            if isinstance(process, ApiProcess) and process.is_running
        }

    def postgres_database(self, name: str) -> str:
        """Create an empty database on the server; return its URL."""

        async def create() -> None:
            connection = await asyncpg.connect(self.postgres.url)
            try:
                await connection.execute(f'CREATE DATABASE "{name}"')
            finally:
                await connection.close()

        asyncio.run(create())
        return urlunsplit(urlsplit(self.postgres.url)._replace(path=f"/{name}"))

    def _worker(self, ledger: Ledger) -> WorkerProcess:
        def start() -> WorkerProcess:
            log_path = self.folder / f"worker-{ledger.name}.log"
            # At this level it says when it is ready.
            environment = ledger.environment | {"LOG_LEVEL": "INFO"}
            worker = WorkerProcess(environment, log_path=log_path)
            # In the end nobody waits for what it has in hand; it is asked only where that matters.
            self._stack.enter_context(worker)
            self._stack.callback(worker.kill)
            self._keep_folder_for(worker)
            return worker

        return self.once(("worker", ledger.name), start)

    def _wake_worker(self, ledger: Ledger) -> None:
        worker = self._worker(ledger)
        if worker.is_running:
            worker.resume()
        else:
            self._keep_folder_for(worker.start())

    def _keep_folder_for(self, process: RealProcess) -> None:
        """Remove the folder only when this one has ended: it would make parts of it anew."""
        self._watched.add(process.pid)
        self._sentinel.watch(process.pid)

    def _end_worker(self, ledger: Ledger) -> None:
        worker = self._worker(ledger)
        if worker.is_running:
            self._sentinel.forget(worker.pid)
            self._watched.discard(worker.pid)
            worker.stop()

    def _make_ledger(self, name: str) -> Ledger:
        if name == "sqlite":
            url = f"sqlite+aiosqlite:///{self.folder / 'wallet.db'}"
        else:
            url = self.postgres_database(name)
        # A Redis database for each: the workers' queue knows no installations.
        redis_url = f"{self.valkey.url.removesuffix('0')}{len(self.ledgers())}"
        mail_folder = self.folder / f"mail-{name}"
        mail_folder.mkdir()
        migrate(url)
        options = DatabaseOptions(
            url=async_database_url(url), command_timeout_seconds=COMMAND_SECONDS
        )
        return Ledger(
            name=name,
            options=options,
            environment=SETTINGS
            | {
                "DATABASE_URL": url,
                "REDIS_URL": redis_url,
                "SECRET_KEY": self._secret_key,
                "MAIL_FOLDER": str(mail_folder),
            },
            mail_folder=mail_folder,
            people=asyncio.run(self._make_people(options)),
        )

    async def _make_people(self, options: DatabaseOptions) -> list[Person]:
        database = Database(options)
        try:
            return await make_people(database, count=self.people, secret_key=self._secret_key)
        finally:
            await database.close()


def migrate(url: str) -> None:
    """Bring a database up to date, with the migrations that users run."""
    config = alembic_config()
    config.attributes["database_url"] = url
    command.upgrade(config, "head")


def refuse_other_settings() -> None:
    """Raise StandError if this machine has settings of its own that would reach the processes.

    Some would change what is measured; BREVO_API_KEY would send a mail for each transfer.
    """
    ours = {*SETTINGS, "DATABASE_URL", "REDIS_URL", "SECRET_KEY", "MAIL_FOLDER"}
    known = {name.upper() for name in Settings.model_fields} - ours
    places: dict[str, Mapping[str, str | None]] = {
        "the environment": os.environ,
        ".env": dotenv_values(ROOT / ".env"),
    }
    for place, values in places.items():
        found = sorted(name for name in known if values.get(name))
        if found:
            raise StandError(
                f"Unset {', '.join(found)} in {place} and run this again: a benchmark measures "
                "the default settings."
            )
