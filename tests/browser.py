"""A browser: keeps the one cookie it is given, and sends it where it belongs."""

from typing import Any, NamedTuple
from uuid import uuid4

import httpx
from sqlalchemy import func, select

from db.models import Tables
from db.session import Database
from tests.google_provider import Claims, FakeGoogle, Sign

PATH = "/auth/google"
CALLBACK = f"{PATH}/callback"


def somebody(**more: object) -> Claims:
    """Return what Google tells of a person whom nobody knows yet; None leaves a claim out."""
    number = uuid4().int % 10**20
    return {
        "sub": str(number),
        "email": f"jane.{number}@example.com",
        "email_verified": True,
        "given_name": "Jane",
        "family_name": "Doe",
        **more,
    }


class Known(NamedTuple):
    """How many rows there are about somebody."""

    identities: int
    people: int


NOBODY = Known(0, 0)


async def known_of(database: Database, claims: Claims) -> Known:
    """Count the rows about whom these claims are, by `sub` and by email."""
    identities, users = Tables.google_identities, Tables.users
    email = str(claims["email"]).casefold()
    async with database.reading() as session:
        connection = await session.connection()
        counts = [
            await connection.scalar(select(func.count()).where(condition))
            for condition in (identities.c.sub == claims["sub"], users.c.email_folded == email)
        ]
    return Known(*(int(count or 0) for count in counts))


class Browser:
    """One browser, without anything that another one has."""

    def __init__(self, client: httpx.AsyncClient):
        self._client = client
        self.cookies: dict[str, str] = {}
        self.set_cookie = ""

    async def get(self, path: str, **parameters: str) -> httpx.Response:
        """GET, and keep what one is given to keep."""
        return await self.send("GET", path, parameters)

    async def send(self, method: str, path: str, parameters: dict[str, str]) -> httpx.Response:
        """Send a request without a body, and keep what one is given to keep."""
        cookie = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        headers = {"Cookie": cookie} if cookie else {}
        response = await self._client.request(method, path, params=parameters, headers=headers)
        # The client is everybody's.
        self._client.cookies.clear()
        self.set_cookie = response.headers.get("set-cookie", "")
        name, _, rest = self.set_cookie.partition("=")
        if name and path.startswith(PATH):
            value = rest.partition(";")[0]
            self.cookies = {name: value} if value else {}
        return response

    async def leave(self) -> str:
        """Begin a sign-in; return where the browser is sent."""
        response = await self.get(PATH)
        assert response.status_code == 302, response.text
        return str(response.headers["location"])

    async def sign_in(
        self, google: FakeGoogle, claims: Claims, sign: Sign | None = None, method: str = "GET"
    ) -> httpx.Response:
        """Go to Google, say yes there, and come back."""
        back = google.consent(await self.leave(), claims, sign)
        return await self.send(method, CALLBACK, back)


def bearer(response: httpx.Response) -> dict[str, str]:
    """Return the header that the tokens of an answer are used by."""
    tokens: Any = response.json()
    return {"Authorization": f"Bearer {tokens['access_token']}"}
