"""No secret is in a log, an answer, a document or the database, whatever is done with it.

But for the one answer in which a key or a token is shown to whom it belongs to.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlmodel import SQLModel

from core import api_keys
from db.session import Database
from tests.api_keys import create_key, made_key, revoke
from tests.people import PASSWORD, People, Person
from tests.processes import SECRET_KEY
from tests.races import api_processes, clients_of
from tests.services import Service, path_of, somebody

pytestmark = pytest.mark.promise("api-keys", "S3-key-secret", "S3-secret")

# Nobody answers there, so that whatever is sent fails on its way.
NOWHERE = "http://127.0.0.1:9"
SETTINGS = {
    "PAYSTACK_SECRET_KEY": "sk_test_paystack_secret_that_is_never_told",
    "PAYSTACK_WEBHOOK_SECRET": "webhook-secret-that-is-never-told",
    "GOOGLE_CLIENT_SECRET": "google-client-secret-that-is-never-told",
    "BREVO_API_KEY": "brevo-api-key-that-is-never-told",
}
PROVIDERS = {
    "PAYSTACK_BASE_URL": NOWHERE,
    "GOOGLE_ISSUER": NOWHERE,
    "GOOGLE_CLIENT_ID": "wallet-test-client",
    "GOOGLE_REDIRECT_URI": "http://127.0.0.1/auth/google/callback",
    "BREVO_BASE_URL": NOWHERE,
}


class Told:
    """A process with secrets, and everything it tells."""

    def __init__(self, client: httpx.AsyncClient):
        self.client = client
        self.answers: list[httpx.Response] = []
        self.log = ""

    def all_of(self, *answers: httpx.Response) -> list[int]:
        """Keep answers that must not tell a secret; return their statuses."""
        self.answers += answers
        return [answer.status_code for answer in answers]

    def text(self) -> str:
        """Return all that was told."""
        told = [f"{answer.headers} {answer.text}" for answer in self.answers]
        return "\n".join([self.log, *told])


@asynccontextmanager
async def telling(database_url: str, redis_url: str, folder: Path) -> AsyncIterator[Told]:
    """Run a process whose log is read when it has ended."""
    settings = {**SETTINGS, **PROVIDERS, "LOG_LEVEL": "DEBUG"}
    with api_processes(1, database_url, redis_url, folder, **settings) as [process]:
        async with clients_of([process]) as [client]:
            told = Told(client)
            yield told
    told.log = process.log()


async def test_no_secret_is_repeated(
    database: Database, database_url: str, redis_url: str, tmp_path: Path
) -> None:
    house, user = await made_key(database), somebody()
    async with telling(database_url, redis_url, tmp_path) as told:
        person = await People(told.client).with_wallet(10)
        made = await create_key(person, "read", "deposit", "transfer")
        assert (made.status_code, made.headers["cache-control"]) == (201, "no-store")
        own = made.json()
        statuses = [
            *told.all_of(*await use_of_house(told.client, house.text, user)),
            *told.all_of(*await use_of_person(person, own)),
        ]
        await api_keys.revoke(database, house.id)
        statuses += told.all_of(
            await Service(told.client, house.text).get("/api/v1/assets"),
            await revoke(person, own["id"]),
            await Service(told.client, own["api_key"]).get("/wallet/balance"),
            await person.get("/keys/list"),
            *[await told.client.get(path) for path in ("/openapi.json", "/metrics", "/readyz")],
        )

    assert statuses == [
        *(201, 422, 403, 401, 400, 404),
        *(200, 422, 503, 403, 403, 401, 400, 503, 401, 401),
        *(401, 200, 401, 200, 200, 200, 200),
    ]
    assert "/top-up" in told.log
    assert "/wallet/transfer" in told.log
    everything = told.text() + await dump(database)
    secrets = {
        "the house's key": house.text.rpartition("_")[2],
        "a person's key": own["api_key"].rpartition("_")[2],
        "the access token": person.access_token,
        "its signature": person.access_token.rpartition(".")[2],
        "the refresh token": person.refresh_token,
        "the password": PASSWORD,
        "SECRET_KEY": SECRET_KEY,
        **SETTINGS,
    }
    assert [name for name, secret in secrets.items() if secret in everything] == []
    # What is looked through is what it is taken for.
    assert f"sk_test_{own['id']}" in told.text()
    assert person.email in await dump(database)


async def use_of_house(client: httpx.AsyncClient, key: str, user: str) -> list[httpx.Response]:
    """Use a key of the house's rightly and wrongly."""
    service = Service(client, key)
    person = await People(client).sign_up()
    both = {**person.headers, "X-API-Key": key}
    return [
        await service.move("top-up", user, 1),
        await service.move("top-up", user, 0),
        await service.get("/wallet"),
        await Service(client, f"{key}0").get(path_of(user, "balance"), asset_type_id=1),
        await client.get("/wallet", headers=both),
        await service.move("top-up", user, 1, 4711),
    ]


async def use_of_person(person: Person, made: dict[str, Any]) -> list[httpx.Response]:
    """Use a person's key, and all else that has a secret, rightly and wrongly."""
    client, key = person.client, made["api_key"]
    service = Service(client, key)
    wrong = {"username": person.email, "password": f"{PASSWORD}!"}
    new = {"name": "x", "permissions": ["read"], "expiry": "1H"}
    return [
        await service.get("/wallet/balance"),
        await service.post("/wallet/transfer", {"wallet_number": key, "amount": 1}),
        await service.post("/wallet/deposit", {"amount": 1}),
        await service.post("/keys/create", new),
        await service.get("/keys/list"),
        await Service(client, key[:-1]).get("/wallet/balance"),
        await client.get("/keys/list", headers={**person.headers, "X-API-Key": key}),
        await client.get("/auth/google"),
        await client.post("/token", data=wrong),
        await client.post("/wallet/paystack/webhook", json={"event": "charge.success"}),
    ]


async def dump(database: Database) -> str:
    """Return all rows of all tables as text, what is binary in hexadecimal."""
    lines: list[str] = []
    async with database.snapshot() as session:
        connection = await session.connection()
        for table in SQLModel.metadata.sorted_tables:
            rows = await connection.execute(table.select())
            lines += [f"{table.name} {[_shown(value) for value in row]}" for row in rows]
    return "\n".join(lines)


def _shown(value: Any) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)
