"""People as tests know them: signed up and signed in over HTTP, with a wallet when wanted."""

import itertools
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx

PASSWORD = "correct horse battery"
_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Person:
    """A person who is signed in; calls the API as themselves."""

    client: httpx.AsyncClient
    id: int
    email: str
    access_token: str
    refresh_token: str
    wallet_id: int = 0

    @property
    def headers(self) -> dict[str, str]:
        """What authenticates this person."""
        return {"Authorization": f"Bearer {self.access_token}"}

    async def get(self, path: str, **parameters: Any) -> httpx.Response:
        """GET as this person."""
        return await self.client.get(path, params=parameters, headers=self.headers)

    async def send(
        self, method: str, path: str, body: object = None, *, key: str | None = None
    ) -> httpx.Response:
        """Send a JSON body as this person, under a key if one is given."""
        headers = dict(self.headers)
        if key is not None:
            headers["X-Idempotency-Key"] = key
        return await self.client.request(method, path, json=body, headers=headers)

    async def deposit(
        self, amount: object, currency: str = "NGN", *, key: str | None = None
    ) -> httpx.Response:
        """Deposit, under a new key unless one is given."""
        return await self._move("deposit", {"amount": amount, "currency": currency}, key)

    async def withdraw(
        self, amount: object, currency: str = "NGN", *, key: str | None = None
    ) -> httpx.Response:
        """Withdraw, under a new key unless one is given."""
        return await self._move("withdraw", {"amount": amount, "currency": currency}, key)

    async def transfer(
        self, to_wallet_id: int, amount: object, currency: str = "NGN", *, key: str | None = None
    ) -> httpx.Response:
        """Transfer, under a new key unless one is given."""
        body = {"to_account_id": to_wallet_id, "amount": amount, "currency": currency}
        return await self._move("transfer", body, key)

    async def open_account(self, currency: str = "NGN", name: str | None = None) -> str:
        """Open an account beside the wallet; return its number."""
        named = {} if name is None else {"name": name}
        response = await self.send("POST", "/accounts", {"currency": currency, **named})
        assert response.status_code == 201, response.text
        return str(response.json()["account_number"])

    async def wallet_number(self) -> str:
        """Read the number of one's primary wallet."""
        return str((await self.get("/wallet")).json()["wallet_number"])

    async def send_money(
        self,
        from_account: str,
        to_account: str,
        amount: object,
        currency: str = "NGN",
        *,
        key: str | None = None,
        **more: object,
    ) -> httpx.Response:
        """Transfer between accounts by number, under a new key unless one is given."""
        body = {"from_account": from_account, "to_account": to_account, "amount": amount}
        body |= {"currency": currency, **more}
        return await self.send("POST", "/transfers", body, key=key or str(uuid4()))

    async def balance(self) -> float:
        """Read one's balance."""
        return float((await self.get("/wallet")).json()["balance"])

    async def history(self, **parameters: Any) -> list[dict[str, Any]]:
        """Read one's transactions, newest first."""
        response = await self.get("/transaction/history", **({"limit": 100} | parameters))
        assert response.status_code == 200, response.text
        transactions: list[dict[str, Any]] = response.json()["transactions"]
        return transactions

    async def _move(self, what: str, body: object, key: str | None) -> httpx.Response:
        return await self.send("PATCH", f"/transaction/{what}", body, key=key or str(uuid4()))


class People:
    """Makes people by signing them up, on whatever application `client` talks to."""

    def __init__(self, client: httpx.AsyncClient):
        self.client = client

    async def sign_up(self, first_name: str = "Jane", last_name: str = "Doe") -> Person:
        """Return a new person, signed in, without a wallet."""
        email = f"person{next(_numbers)}.{uuid4().hex[:8]}@example.com"
        response = await self.client.post(
            "/signup",
            json={
                "first_name": first_name,
                "last_name": last_name,
                "email": email,
                "password": PASSWORD,
            },
        )
        assert response.status_code == 201, response.text
        tokens = await sign_in(self.client, email)
        return Person(
            client=self.client,
            id=response.json()["id"],
            email=email,
            access_token=tokens["access_token"],
            refresh_token=tokens["refresh_token"],
        )

    async def with_wallet(
        self,
        balance: object = 0,
        currency: str = "NGN",
        first_name: str = "Jane",
        last_name: str = "Doe",
    ) -> Person:
        """Return a new person with an open wallet of this balance."""
        person = await self.sign_up(first_name, last_name)
        response = await person.send("POST", "/wallet", {"balance": balance, "currency": currency})
        assert response.status_code == 201, response.text
        return Person(
            client=self.client,
            id=person.id,
            email=person.email,
            access_token=person.access_token,
            refresh_token=person.refresh_token,
            wallet_id=response.json()["id"],
        )


async def sign_in(client: httpx.AsyncClient, email: str, password: str = PASSWORD) -> Any:
    """Sign in and return the tokens."""
    response = await client.post("/token", data={"username": email, "password": password})
    assert response.status_code == 200, response.text
    return response.json()
