"""API processes over real HTTP, and one person calling all of them in turn."""

import itertools
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path

import httpx

from tests.people import Person
from tests.processes import SECRET_KEY, ApiProcess

CONNECTIONS = 120


def environment_for(database_url: str, redis_url: str) -> dict[str, str]:
    """Return the settings of a process under test."""
    return {
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        "SECRET_KEY": SECRET_KEY,
        "RATE_LIMIT_ENABLED": "false",
        "PASSWORD_HASH_ROUNDS": "4",
        "LOG_LEVEL": "WARNING",
        "DRAIN_SECONDS": "0",
        "RECEIPTS_PER_SECOND": "1000",
    }


@contextmanager
def api_processes(
    count: int, database_url: str, redis_url: str, folder: Path, **settings: str
) -> Iterator[list[ApiProcess]]:
    """Run `count` API processes on one database and one Redis, with these settings changed."""
    environment = environment_for(database_url, redis_url) | settings
    with ExitStack() as stack:
        yield [
            stack.enter_context(ApiProcess(environment, log_path=folder / f"api{n}.log"))
            for n in range(count)
        ]


@asynccontextmanager
async def clients_of(processes: Sequence[ApiProcess]) -> AsyncIterator[list[httpx.AsyncClient]]:
    """Open a client of each process."""
    limits = httpx.Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS)
    clients = [
        httpx.AsyncClient(base_url=process.url, limits=limits, timeout=30) for process in processes
    ]
    try:
        yield clients
    finally:
        for client in clients:
            await client.aclose()


def in_turn(person: Person, clients: Sequence[httpx.AsyncClient]) -> Iterator[Person]:
    """Return the person as a caller of each process in turn, without end."""
    return itertools.cycle([replace(person, client=client) for client in clients])
