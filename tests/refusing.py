"""Sends bad requests byte by byte and judges the refusals; knows which rows are a person's."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import httpx
from sqlalchemy import func, insert, select

from db.models import Tables
from db.session import Database
from tests.bad_input import MARKER, Bad, Body, Header
from tests.people import Person

# Told to the service, so that a request id cannot look like something that was sent.
REQUEST_ID = b"bad-input"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An endpoint with a JSON body, and a body that it accepts."""

    method: str
    path: str
    body: Body
    optional: tuple[str, ...] = ()
    needs_key: bool = False

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


def build(
    person: Person,
    endpoint: Endpoint,
    case: Bad,
    more: Iterable[Header] = (),
    *,
    with_key: bool = True,
) -> httpx.Request:
    """Return the request of a case, byte by byte as it says."""
    headers = [(b"x-request-id", REQUEST_ID), *case.headers, *more]
    headers.append((b"authorization", person.headers["Authorization"].encode()))
    if with_key and endpoint.needs_key:
        headers.append((b"x-idempotency-key", uuid4().hex.encode()))
    return person.client.build_request(
        endpoint.method, endpoint.path, content=case.content, headers=headers
    )


async def send(
    person: Person, endpoint: Endpoint, case: Bad, *, with_key: bool = True
) -> httpx.Response:
    """Send a case to an endpoint."""
    return await person.client.send(build(person, endpoint, case, with_key=with_key))


async def get(person: Person, url: str) -> httpx.Response:
    """GET an address as it is written."""
    headers = {**person.headers, "X-Request-ID": REQUEST_ID.decode()}
    return await person.client.get(url, headers=headers)


class Chunks(httpx.AsyncByteStream):
    """A body that comes in pieces, its length unknown."""

    def __init__(self, chunks: Iterable[bytes]):
        self._chunks = chunks

    async def __aiter__(self) -> Any:
        for chunk in self._chunks:
            yield chunk


async def refuses_all(
    database: Database,
    person: Person,
    cases: Iterable[Bad],
    send_case: Callable[[Bad], Any],
) -> None:
    """Assert that every case is refused as it should be and that no row of the person changes."""
    before = await rows_of(database, person)
    wrong = []
    for case in cases:
        response = await send_case(case)
        if complaint := find_fault(case, response):
            wrong.append(f"{case.name[:60]}: {complaint}")
    assert wrong == []
    assert await rows_of(database, person) == before


def find_fault(case: Bad, response: httpx.Response) -> str | None:
    """Say what is wrong with the answer to a bad request, None if nothing is."""
    shown = f"{response.status_code} {response.text[:300]}"
    if response.headers.get("content-type") != "application/problem+json":
        return f"no problem: {shown}"
    problem = response.json()
    if (response.status_code, problem["code"]) != (case.status, case.code):
        return f"not {case.status} {case.code}: {shown}"
    if problem["status"] != case.status or problem["type"] != f"urn:wallet:problem:{case.code}":
        return f"status or type differ: {shown}"
    if (case.code == "invalid_request") != ("errors" in problem):
        return f"errors: {shown}"
    if problem["request_id"] != REQUEST_ID.decode():
        return f"request id: {shown}"
    answer = (response.text + str(response.headers.raw)).lower()
    leaks = [text for text in (MARKER, "traceback", "pydantic", ".py") if text in answer]
    return f"leaks {leaks}: {shown}" if leaks else None


async def rows_of(database: Database, person: Person) -> dict[str, Any]:
    """Return what the database knows of a person, and how many people have a marked address."""
    wallets, transactions, entries = Tables.wallets, Tables.transactions, Tables.entries
    keys, users, sign_ins = Tables.idempotency_keys, Tables.users, Tables.sign_ins
    mine = select(wallets.c.id).where(wallets.c.user_id == person.id)
    signed_in = select(sign_ins.c.id).where(sign_ins.c.user_id == person.id)
    counts = {
        "transactions": transactions.c.wallet_id.in_(mine),
        "entries": entries.c.wallet_id.in_(mine),
        "keys": keys.c.principal_id == person.id,
        "api_keys": Tables.api_keys.c.user_id == person.id,
        "sign_ins": sign_ins.c.user_id == person.id,
        "tokens": Tables.refresh_tokens.c.sign_in_id.in_(signed_in),
        "used": Tables.refresh_tokens.c.sign_in_id.in_(signed_in)
        & Tables.refresh_tokens.c.used_at.is_not(None),
        "people": users.c.email_folded.contains(MARKER),
    }
    async with database.reading() as session:
        connection = await session.connection()
        found: dict[str, Any] = {
            name: await connection.scalar(select(func.count()).where(condition))
            for name, condition in counts.items()
        }
        rows = await connection.execute(select(wallets).where(wallets.c.user_id == person.id))
        found["wallets"] = [tuple(row) for row in rows]
    return found


async def house_wallet(database: Database) -> int:
    """Return an account of the house's, which nobody may pay into; open it if there is none."""
    now = datetime.now(UTC)
    wallets = Tables.wallets
    row = {
        "system_role": "treasury",
        "is_primary": False,
        "wallet_number": uuid4().hex[:12],
        "currency": "NGN",
        "balance_minor": 0,
        "may_go_negative": True,
        "created_at": now,
        "updated_at": now,
    }
    async with database.transaction() as session:
        connection = await session.connection()
        is_house = wallets.c.system_role.is_not(None) & (wallets.c.currency == "NGN")
        found: Any = await connection.scalar(select(wallets.c.id).where(is_house))
        if found is None:
            opened = await connection.execute(insert(wallets).values(row).returning(wallets.c.id))
            found = opened.scalar_one()
    return int(found)
