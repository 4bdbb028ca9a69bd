"""Fixtures every test may use: real servers, migrated databases, the application on both engines.

Nothing is cleaned between tests (the ledger is append-only, and so are its tests): each test makes
people of its own, and never counts what others may have written.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import asyncpg
import httpx
import pytest
from alembic import command

from config import Settings
from db.schema import alembic_config
from db.session import Database, DatabaseOptions
from devtools.paystack.app import LocalPaystack
from main import create_app
from tests.paystack import Trouble, serving_paystack
from tests.people import People
from tests.processes import SECRET_KEY
from tests.races import api_processes, clients_of
from tests.servers import PostgresServer, ValkeyServer

ENGINES = ("sqlite", "postgresql")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let the fault tests be asked for in full; their short forms are part of every run."""
    group = parser.getgroup("wallet")
    group.addoption("--faults", action="store_true", help="only the fault tests, in full")
    group.addoption("--faults-seed", type=int, help="repeat the storm of this seed")


def pytest_configure(config: pytest.Config) -> None:
    """Leave the other tests out of a full run, which takes long enough."""
    if config.getoption("--faults") and not config.option.markexpr:
        config.option.markexpr = "faults"


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """The URL of a real PostgreSQL server, ours unless TEST_DATABASE_URL names another."""
    if given := os.environ.get("TEST_DATABASE_URL"):
        yield given
        return
    with PostgresServer() as server:
        yield server.url


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """The URL of a real Valkey server, ours unless TEST_REDIS_URL names another."""
    if given := os.environ.get("TEST_REDIS_URL"):
        yield given
        return
    with ValkeyServer() as server:
        yield server.url


@pytest.fixture(scope="session", params=ENGINES)
def engine_name(request: pytest.FixtureRequest) -> str:
    """The engine that a test runs on: every test that asks for it runs on both."""
    return str(request.param)


@pytest.fixture(scope="session")
async def database_url(
    engine_name: str, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> str:
    """The URL of a migrated database of this test run."""
    if engine_name == "sqlite":
        url = sqlite_url(tmp_path_factory.mktemp("database"))
    else:
        url = await create_postgres_database(request.getfixturevalue("postgres_url"))
    await migrate(url)
    return url


@pytest.fixture(scope="session")
async def database(database_url: str) -> AsyncIterator[Database]:
    """The same database, opened as the application opens it."""
    opened = Database(DatabaseOptions(url=settings_for(database_url).database_url))
    yield opened
    await opened.close()


@pytest.fixture(scope="session")
async def client(database_url: str, redis_url: str) -> AsyncIterator[httpx.AsyncClient]:
    """The application in this process, limits off, behind HTTP's own types."""
    async with serving(settings_for(database_url, redis_url=redis_url)) as opened:
        yield opened


@pytest.fixture
def people(client: httpx.AsyncClient) -> People:
    """People to sign up, with wallets when wanted."""
    return People(client)


@pytest.fixture(scope="module", params=[1, 2], ids=["1-process", "2-processes"])
async def clients(
    request: pytest.FixtureRequest,
    database_url: str,
    redis_url: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[list[httpx.AsyncClient]]:
    """A client of each of some API processes: of one, and then of two."""
    folder = tmp_path_factory.mktemp("api")
    with api_processes(request.param, database_url, redis_url, folder) as processes:
        async with clients_of(processes) as opened:
            yield opened


@pytest.fixture(scope="module")
async def provider() -> AsyncIterator[LocalPaystack]:
    """A local Paystack of this module alone; it sends no messages by itself."""
    async with serving_paystack() as served:
        yield served


@pytest.fixture
async def trouble(provider: LocalPaystack) -> AsyncIterator[Trouble]:
    """What goes wrong there during one test."""
    provider.trouble = made = Trouble()
    yield made
    provider.trouble = None


def settings_for(database_url: str, **changes: object) -> Settings:
    """Return settings for a test: cheap hashes, limits off, nothing of this machine's `.env`."""
    values: dict[str, object] = {
        "secret_key": SECRET_KEY,
        "database_url": database_url,
        "password_hash_rounds": 4,
        "rate_limit_enabled": False,
        "log_level": "ERROR",
    }
    return Settings(_env_file=None, **(values | changes))  # type: ignore[arg-type]  # checked by it


class serving:  # noqa: N801 - used like a function
    """The application with these settings, started; gives a client of it."""

    def __init__(self, settings: Settings):
        self._app = create_app(settings)
        self._lifespan = self._app.router.lifespan_context(self._app)
        transport = httpx.ASGITransport(app=self._app, client=("192.0.2.1", 50_000))
        self._client = httpx.AsyncClient(transport=transport, base_url="http://wallet.test")

    async def __aenter__(self) -> httpx.AsyncClient:
        await self._lifespan.__aenter__()
        return self._client

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()
        await self._lifespan.__aexit__(None, None, None)


def sqlite_url(folder: Path) -> str:
    """Return the URL of a database file in `folder`."""
    return f"sqlite+aiosqlite:///{folder / 'wallet.db'}"


async def create_postgres_database(server_url: str) -> str:
    """Create an empty database on the server; return its URL."""
    name = f"wallet_{uuid4().hex}"
    connection = await asyncpg.connect(server_url)
    try:
        await connection.execute(f"CREATE DATABASE {name}")
    finally:
        await connection.close()
    return urlunsplit(urlsplit(server_url)._replace(path=f"/{name}"))


async def migrate(url: str, revision: str = "head") -> None:
    """Bring a database to a revision, with the migrations that users run."""
    config = alembic_config()
    config.attributes["database_url"] = url
    # In a thread: the migrations run an event loop of their own.
    await asyncio.to_thread(command.upgrade, config, revision)
