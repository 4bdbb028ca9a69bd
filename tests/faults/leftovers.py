"""What a storm may leave behind in servers and processes: connections, and mail not yet sent."""

import asyncio
import os
import time
from collections.abc import Sequence
from pathlib import Path

import asyncpg
import httpx
import psutil

from db.engines import WRITING_CONNECTIONS
from tests.faults.books import Books
from tests.people import Person
from tests.processes import RealProcess

READING_CONNECTIONS = 10
# SQLAlchemy opens no connection beyond its pools.
POOLS = WRITING_CONNECTIONS + READING_CONNECTIONS
SETTLES_WITHIN_SECONDS = 15
# How long the workers may get nowhere; how long all of it takes is up to the machine.
MAIL_STANDS_STILL_SECONDS = 60

OTHERS = """
SELECT client_port, state FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
"""
RECEIPTS_DUE = """
SELECT entries.transaction_id, user_id FROM entries JOIN wallets ON wallets.id = wallet_id
WHERE user_id IS NOT NULL
"""
RECEIPTS = "SELECT transaction_id, user_id FROM outbox"
OPEN_RECEIPTS = "SELECT id FROM outbox WHERE done_at IS NULL"


async def until_ready(clients: Sequence[httpx.AsyncClient]) -> None:
    """Wait until each process says that it, the database and Redis are well."""
    deadline = time.monotonic() + SETTLES_WITHIN_SECONDS
    for client in clients:
        while True:
            response = await client.get("/readyz")
            if response.status_code == 200 and response.json()["redis"] == "up":
                break
            assert time.monotonic() < deadline, response.text
            await asyncio.sleep(0.1)


async def all_pools_in_use(clients: Sequence[httpx.AsyncClient], person: Person) -> None:
    """Make each process use every connection that it may open: none may be lost for good."""
    asked = [client for client in clients for _ in range(3 * POOLS)]
    reads = [client.get("/users/me", headers=person.headers) for client in asked]
    statuses = {response.status_code for response in await asyncio.gather(*reads)}
    assert statuses == {200}


async def leaked_connections(database_url: str, processes: Sequence[RealProcess]) -> list[str]:
    """Return what is open in PostgreSQL and belongs to no living process, or is not idle.

    Waits a little: PostgreSQL may not yet have noticed that a killed client is gone.
    """
    deadline = time.monotonic() + SETTLES_WITHIN_SECONDS
    connection = await asyncpg.connect(database_url)
    try:
        while wrong := await _look_for_leaks(connection, processes):
            if time.monotonic() > deadline:
                break
            await asyncio.sleep(0.2)
    finally:
        await connection.close()
    return wrong


async def unsent_receipts(books: Books, mail_folder: Path) -> list[str]:
    """Return receipts that are missing, too much, or were not sent once the workers had time.

    A receipt that Redis lost is handed over again when its lease ends; here all leases end now.
    """
    due = sorted(tuple(line.values()) for line in await books.lines(RECEIPTS_DUE))
    there = sorted(tuple(line.values()) for line in await books.lines(RECEIPTS))
    if due != there:
        return [f"{len(due)} receipts are due, {len(there)} are in the outbox"]
    await books.end_leases()
    before, deadline = len(due) + 1, 0.0
    while left := len(await books.lines(OPEN_RECEIPTS)):
        if left < before:
            before, deadline = left, time.monotonic() + MAIL_STANDS_STILL_SECONDS
        if time.monotonic() > deadline:
            return [f"{left} of {len(due)} receipts were not sent"]
        await asyncio.sleep(0.2)
    mails = sum(name.endswith(".eml") for name in os.listdir(mail_folder))  # noqa: PTH208 - few
    return [] if mails == len(due) else [f"{mails} mails for {len(due)} receipts"]


async def _look_for_leaks(
    connection: asyncpg.Connection, processes: Sequence[RealProcess]
) -> list[str]:
    rows = await connection.fetch(OTHERS)
    wrong = [f"{row['client_port']} is {row['state']}" for row in rows if row["state"] != "idle"]
    ports = {row["client_port"] for row in rows}
    owned: set[int] = set()
    for process in processes:
        theirs = ports & _local_ports(process.pid)
        owned |= theirs
        if len(theirs) > POOLS:
            wrong.append(f"{process.log_path.name} holds {len(theirs)} connections")
    wrong += [f"nobody holds {port}" for port in ports - owned]
    return wrong


def _local_ports(pid: int) -> set[int]:
    parent = psutil.Process(pid)
    family = [parent, *parent.children(recursive=True)]
    return {
        item.laddr.port
        for process in family
        for item in process.net_connections("tcp")
        if item.status == psutil.CONN_ESTABLISHED
    }
