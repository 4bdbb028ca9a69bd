"""Services as tests know them: callers with an API key, who give and take credits over HTTP."""

from dataclasses import dataclass, replace
from typing import Any
from uuid import uuid4

import httpx

from db.session import Database
from tests.api_keys import made_key

GOLD, DIAMONDS, POINTS = 1, 2, 3


def somebody() -> str:
    """Return a name that nobody has had credits under."""
    return f"user_{uuid4().hex}"


@dataclass(frozen=True, slots=True)
class Service:
    """A service with a valid key; calls the API with it."""

    client: httpx.AsyncClient
    key: str

    def on(self, client: httpx.AsyncClient) -> "Service":
        """Return the same service as a caller of another process."""
        return replace(self, client=client)

    async def get(self, path: str, **parameters: Any) -> httpx.Response:
        """GET with this key."""
        return await self.client.get(path, params=parameters, headers={"X-API-Key": self.key})

    async def post(
        self, path: str, body: object, *, header_key: str | None = None
    ) -> httpx.Response:
        """POST a JSON body with this key, under an idempotency key if one is given."""
        headers = {"X-API-Key": self.key}
        if header_key is not None:
            headers["X-Idempotency-Key"] = header_key
        return await self.client.post(path, json=body, headers=headers)

    async def move(
        self,
        what: str,
        user: str,
        amount: object,
        asset: object = GOLD,
        *,
        key: str | None = None,
        header_key: str | None = None,
    ) -> httpx.Response:
        """Call `top-up`, `bonus` or `spend`; `key` is sent in the body."""
        body = {"amount": amount, "asset_type_id": asset}
        if key is not None:
            body["idempotency_key"] = key
        return await self.post(path_of(user, what), body, header_key=header_key)

    async def balance(self, user: str, asset: int = GOLD) -> Any:
        """Return what somebody holds."""
        response = await self.get(path_of(user, "balance"), asset_type_id=asset)
        assert response.status_code == 200, response.text
        return response.json()["balance"]

    async def transactions(self, user: str, **parameters: Any) -> list[dict[str, Any]]:
        """Return somebody's transactions, newest first."""
        return await self._list(user, "transactions", parameters)

    async def ledger(self, user: str, **parameters: Any) -> list[dict[str, Any]]:
        """Return the entries on somebody's accounts, newest first."""
        return await self._list(user, "ledger", parameters, name="entries")

    async def _list(
        self, user: str, what: str, parameters: dict[str, Any], name: str = ""
    ) -> list[dict[str, Any]]:
        response = await self.get(path_of(user, what), **({"limit": 100} | parameters))
        assert response.status_code == 200, response.text
        found: list[dict[str, Any]] = response.json()[name or what]
        return found


def path_of(user: str, what: str) -> str:
    """Return the address of a call about somebody."""
    return f"/api/v1/wallets/users/{user}/{what}"


async def open_service(client: httpx.AsyncClient, database: Database) -> Service:
    """Return a service of the house's with a new key."""
    return Service(client, (await made_key(database)).text)
