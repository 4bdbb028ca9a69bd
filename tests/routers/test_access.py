"""Who may do what: one table of every route and every kind of caller.

The requests are generated from it, and a route without a row fails the tests.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import httpx
import pytest
from fastapi.routing import APIRoute
from starlette.routing import Mount, Route

from core.api_keys import Permission
from db.session import Database
from main import create_app
from routers import credits as credits_routes
from routers.landing import static_files
from tests.api_keys import own_key
from tests.conftest import settings_for
from tests.people import PASSWORD, People, Person, sign_in
from tests.services import open_service, somebody
from tests.tokens import claims_of, forged_headers, signed

pytestmark = pytest.mark.promise("errors-status")


@dataclass(frozen=True, slots=True)
class Scene:
    """An owner with a wallet and a transaction, and another person who has a part in neither.

    `user` is the name of somebody with credits.
    """

    owner: Person
    another: Person
    transaction_id: int
    # An account of the owner's beside their wallet, and a transfer into it.
    account_number: str
    transfer_id: str
    user: str
    another_number: str
    # A key of the owner's.
    key_id: int


Details = Callable[[Scene], Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Row:
    """A route, what is sent to it, and the status each caller gets.

    `forged` is for whoever sends a token that is not (any longer) valid: 401 wherever a token is
    looked at. `service` is for whoever sends a valid key of the owner's, or of the house's, without
    the permission that the route is for; with that `permission` they get `permitted`. `details`
    are more arguments of the request.
    """

    route: str
    nobody: int
    forged: int
    owner: int
    another: int
    service: int
    path: str = ""
    details: Details = field(default=lambda _scene: {})
    permission: Permission | None = None
    permitted: int = 403

    def by_key(self, permission: Permission) -> int:
        """The status for whoever sends a key with this permission alone."""
        return self.permitted if permission is self.permission else self.service

    def __str__(self) -> str:
        return self.route


def _money(**more: Any) -> Details:
    def details(scene: Scene) -> Mapping[str, Any]:
        body = {"amount": 1, "currency": "NGN", **more}
        if "to_account_id" in body:
            # Somebody else's wallet than either caller's would do as well; this one is at hand.
            body["to_account_id"] = scene.another.wallet_id
        return {"json": body, "headers": {"X-Idempotency-Key": str(uuid4())}}

    return details


def _transfer(scene: Scene) -> Mapping[str, Any]:
    body = {"amount": 1, "currency": "NGN", "from_account": scene.account_number}
    body["to_account"] = scene.account_number
    return {"json": body, "headers": {"X-Idempotency-Key": str(uuid4())}}


def _signing_up(_scene: Scene) -> Mapping[str, Any]:
    email = f"{uuid4().hex}@example.com"
    names = {"first_name": "Jane", "last_name": "Doe"}
    return {"json": {**names, "email": email, "password": PASSWORD}}


def _signing_in(scene: Scene) -> Mapping[str, Any]:
    return {"data": {"username": scene.owner.email, "password": PASSWORD}}


def _private(route: str, owner: int, another: int, details: Details | None = None) -> Row:
    """A route that asks which person calls."""
    return Row(route, 401, 401, owner, another, 403, details=details or (lambda _scene: {}))


def _to_another(scene: Scene) -> Mapping[str, Any]:
    return {"json": {"amount": 1, "wallet_number": scene.another_number}}


def _rolling_over(scene: Scene) -> Mapping[str, Any]:
    return {"json": {"expired_key_id": scene.key_id, "expiry": "1H"}}


def _for_services(route: str, status: int, details: Details | None = None) -> Row:
    """A route that asks for a key."""
    sent = details or (lambda _scene: {})
    return Row(
        *(route, 401, 401, 403, 403, 403),
        details=sent,
        permission=Permission.CREDITS,
        permitted=status,
    )


def _credits(_scene: Scene) -> Mapping[str, Any]:
    return {"json": {"amount": 1, "asset_type_id": 1}}


def _of_gold(_scene: Scene) -> Mapping[str, Any]:
    return {"params": {"asset_type_id": 1}}


def _for_both(
    route: str,
    permission: Permission,
    status: int,
    details: Details | None = None,
    *,
    another: int | None = None,
) -> Row:
    """A route for a person, or a service that acts for one."""
    return Row(
        *(route, 401, 401, status, status if another is None else another, 403),
        details=details or (lambda _scene: {}),
        permission=permission,
        permitted=status,
    )


def _open(route: str, status: int, details: Details | None = None, path: str = "") -> Row:
    """A route that looks at neither token nor key, so that a wrong one does no harm."""
    sent = details or (lambda _scene: {})
    return Row(route, status, status, status, status, status, path=path, details=sent)


READ, DEPOSIT, TRANSFER = Permission.READ, Permission.DEPOSIT, Permission.TRANSFER
NEW_KEY = {"name": "shop", "permissions": ["read"], "expiry": "1H"}
BANK = {"bank_code": "058", "account_number": "0123456789"}
OF_USER = f"/api/v1{credits_routes.OF_USER}"

TABLE = (
    # Movements: each caller moves their own money.
    _private("PATCH /transaction/deposit", 200, 200, _money()),
    _private("PATCH /transaction/withdraw", 200, 200, _money()),
    # To the wallet of `another`: for them that is their own.
    _private("PATCH /transaction/transfer", 200, 422, _money(to_account_id=0)),
    _private("GET /transaction/history", 200, 200),
    _private("GET /transaction/{transaction_id}/ledger", 200, 404),
    # Both have a wallet, with money in it.
    _private("POST /wallet", 409, 409, lambda _scene: {"json": {"currency": "NGN"}}),
    _private("GET /wallet", 200, 200),
    _private("DELETE /wallet", 409, 409),
    _private("POST /accounts", 201, 201, lambda _scene: {"json": {"currency": "NGN"}}),
    _private("GET /accounts", 200, 200),
    # Another's account is none to whoever asks; there is money in this one.
    _private("GET /accounts/{account_number}", 200, 404),
    _private("DELETE /accounts/{account_number}", 409, 404),
    _private("GET /accounts/{account_number}/balance", 200, 404),
    _private("GET /accounts/{account_number}/ledger", 200, 404),
    # From the owner's account to itself.
    _private("POST /transfers", 422, 404, _transfer),
    _private("GET /transfers/{transfer_id}", 200, 404),
    _private("GET /users/me", 200, 200),
    # Needs no token, but one that is sent must be right.
    Row("GET /users/{user_id}", nobody=200, forged=401, owner=200, another=200, service=403),
    _open("POST /signup", 201, _signing_up),
    _open("POST /token", 200, _signing_in),
    # A refresh token speaks for itself; this one is nobody's.
    _open("POST /token/refresh", 401, lambda _scene: {"json": {"refresh_token": "unknown"}}),
    _private("POST /logout", 204, 204),
    # No provider is set up here, which whoever may not ask is not told.
    _for_both("POST /wallet/deposit", DEPOSIT, 503, lambda _scene: {"json": {"amount": 1}}),
    _for_both("GET /wallet/deposit/{reference}/status", DEPOSIT, 503),
    _for_both(
        "POST /wallet/withdraw", TRANSFER, 503, lambda _scene: {"json": {"amount": 1} | BANK}
    ),
    _for_both("GET /wallet/withdraw/{reference}/status", TRANSFER, 503),
    _for_both("GET /banks", TRANSFER, 503),
    _for_both("GET /banks/resolve", TRANSFER, 503, lambda _scene: {"params": BANK}),
    _for_both("GET /wallet/balance", READ, 200),
    _for_both("GET /wallet/transactions", READ, 200),
    # To the wallet of `another`: for them that is their own.
    _for_both("POST /wallet/transfer", TRANSFER, 200, _to_another, another=422),
    _private("POST /keys/create", 201, 201, lambda _scene: {"json": NEW_KEY}),
    _private("GET /keys/list", 200, 200),
    # A key of the owner's that has not expired; to `another` there is none.
    _private("POST /keys/rollover", 409, 404, _rolling_over),
    _private("POST /keys/revoke/{key_id}", 200, 404),
    _open("POST /wallet/paystack/webhook", 503, lambda _scene: {"json": {}}),
    _for_services("GET /api/v1/assets", 200),
    _for_services(f"GET {OF_USER}/balance", 200, _of_gold),
    _for_services(f"POST {OF_USER}/top-up", 201, _credits),
    _for_services(f"POST {OF_USER}/bonus", 201, _credits),
    _for_services(f"POST {OF_USER}/spend", 201, _credits),
    _for_services(f"GET {OF_USER}/transactions", 200),
    _for_services(f"GET {OF_USER}/ledger", 200),
    # The demo person's: there is no provider here.
    _open("GET /auth/google", 302),
    _open("GET /auth/google/callback", 200, lambda _scene: {"params": {"code": "test"}}),
    _open("POST /auth/google/callback", 200, lambda _scene: {"params": {"code": "test"}}),
    # A link token is one person's; this one is nobody's.
    _private("POST /auth/google/link", 422, 422, lambda _scene: {"json": {"link_token": "x"}}),
    _open("GET /", 200),
    _open("GET /livez", 200),
    _open("GET /readyz", 200),
    _open("GET /metrics", 200),
    _open("GET /docs", 200),
    _open("GET /redoc", 200),
    _open("GET /openapi.json", 200),
    _open("GET /assets", 200, path="/assets/swagger-ui.css"),
    _open("GET /static", 200, path=f"/static/{static_files.address('landing.css')}"),
)


def test_every_route_has_a_row() -> None:
    app = create_app(settings_for("sqlite:///unused.db"))
    routes = set()
    for route in app.router.routes:
        if isinstance(route, Mount):
            routes.add(f"GET {route.path}")
        else:
            assert isinstance(route, (APIRoute, Route)), f"{route!r}: is it in the table?"
            routes |= {f"{method} {route.path}" for method in (route.methods or set()) - {"HEAD"}}
    documented = {
        f"{method.upper()} {path}"
        for path, operations in app.openapi()["paths"].items()
        for method in operations
    }

    assert routes == {row.route for row in TABLE}
    assert documented <= routes


@pytest.fixture(scope="module")
async def scene(client: httpx.AsyncClient, database: Database) -> Scene:
    return await make_scene(client, database)


@pytest.mark.parametrize("row", TABLE, ids=str)
async def test_nobody(row: Row, scene: Scene) -> None:
    response = await send(row, scene, [])

    assert response.status_code == row.nobody, response.text


@pytest.mark.parametrize("who", ["owner", "another"])
@pytest.mark.parametrize("row", TABLE, ids=str)
async def test_people(row: Row, scene: Scene, who: str) -> None:
    person: Person = getattr(scene, who)
    # Signed in anew: one of the routes ends the sign-in.
    token = (await sign_in(person.client, person.email))["access_token"]
    response = await send(row, scene, [f"Bearer {token}"])

    assert response.status_code == getattr(row, who), response.text


@pytest.fixture(scope="module")
async def forged(scene: Scene) -> Mapping[str, list[str]]:
    return await forged_headers(scene.owner)


@pytest.mark.parametrize("row", TABLE, ids=str)
async def test_tokens_that_are_not_valid(
    row: Row, scene: Scene, forged: Mapping[str, list[str]]
) -> None:
    wrong = {}
    for name, headers in forged.items():
        response = await send(row, scene, headers)
        if response.status_code != row.forged:
            wrong[name] = f"{response.status_code} {response.text[:200]}"
        elif row.forged == 401 and row.nobody != 401:
            assert response.json()["code"] == "unauthenticated"

    assert wrong == {}


async def test_the_forged_tokens_differ_from_a_valid_one_only_where_they_say(scene: Scene) -> None:
    token = signed(await claims_of(scene.owner))
    response = await scene.owner.client.get(
        "/users/me", headers={"Authorization": f"bearer {token}"}
    )

    assert response.status_code == 200


async def test_what_is_refused_to_nobody_says_how_to_sign_in(scene: Scene) -> None:
    response = await scene.owner.client.get("/wallet")

    assert response.headers["WWW-Authenticate"] == "Bearer"
    assert response.json()["code"] == "unauthenticated"


@pytest.mark.promise("ledger")
async def test_a_transaction_is_shown_to_its_parties_alone(people: People) -> None:
    sender = await people.with_wallet(100)
    receiver = await people.with_wallet(7)
    stranger = await people.with_wallet(100)
    sent = (await sender.transfer(receiver.wallet_id, 40)).json()
    failed = await sender.transfer(receiver.wallet_id, 1000)
    assert failed.status_code == 402
    attempt = (await sender.history())[0]
    assert attempt["state"] == "FAILED"

    path = f"/transaction/{sent['transaction_id']}/ledger"
    snapshots = {
        name: [entry["balance_snapshot"] for entry in (await person.get(path)).json()]
        for name, person in {"sender": sender, "receiver": receiver}.items()
    }
    assert snapshots == {"sender": [60, None], "receiver": [None, 47]}
    refused = await stranger.get(path)
    unknown = await stranger.get(f"/transaction/{2**62}/ledger")
    assert refused.status_code == unknown.status_code == 404
    same = {"request_id": None}
    assert refused.json() | same == unknown.json() | same
    # Nor does the receiver learn of what the sender could not afford.
    hidden = await receiver.get(f"/transaction/{attempt['id']}/ledger")
    assert hidden.status_code == 404
    assert attempt["id"] not in [item["id"] for item in await receiver.history()]
    assert await stranger.history(type="transfer") == []


@pytest.mark.promise("users-other")
async def test_an_email_is_shown_in_full_to_its_owner_alone(scene: Scene) -> None:
    owner, path = scene.owner, f"/users/{scene.owner.id}"
    masked = f"{owner.email[0]}***@example.com"

    assert (await owner.get(path)).json()["email"] == owner.email
    assert (await scene.another.get(path)).json()["email"] == masked
    assert (await owner.client.get(path)).json()["email"] == masked


async def make_scene(client: httpx.AsyncClient, database: Database) -> Scene:
    """Make those whom the table is about."""
    people, user = People(client), somebody()
    owner, another = await people.with_wallet(1000), await people.with_wallet(1000)
    deposit = await owner.deposit(10)
    number = (await owner.send("POST", "/accounts", {"currency": "NGN"})).json()["account_number"]
    body = {
        "from_account": (await owner.get("/wallet")).json()["wallet_number"],
        "to_account": number,
        "amount": 1,
        "currency": "NGN",
    }
    transfer = await owner.send("POST", "/transfers", body, key=str(uuid4()))
    assert transfer.status_code == 201, transfer.text
    given = await (await open_service(client, database)).move("top-up", user, 10)
    assert given.status_code == 201, given.text
    transaction_id = deposit.json()["transaction_id"]
    return Scene(
        owner=owner,
        another=another,
        transaction_id=transaction_id,
        account_number=number,
        transfer_id=transfer.json()["id"],
        user=user,
        another_number=await another.wallet_number(),
        key_id=(await own_key(owner, "read"))["id"],
    )


async def send(
    row: Row, scene: Scene, authorizations: Sequence[str], keys: Sequence[str] = ()
) -> httpx.Response:
    """Send a row's request with these Authorization headers and API keys."""
    method, _, template = row.route.partition(" ")
    path = (row.path or template).format(
        transaction_id=scene.transaction_id,
        user_id=scene.owner.id,
        account_number=scene.account_number,
        transfer_id=scene.transfer_id,
        external_user_id=scene.user,
        reference=f"dep-{'0' * 32}",
        key_id=scene.key_id,
    )
    details = dict(row.details(scene))
    # Latin-1, as HTTP has it: one of the forged tokens is not ASCII.
    headers = [(b"authorization", value.encode("latin-1")) for value in authorizations]
    headers += [(b"x-api-key", value.encode("latin-1")) for value in keys]
    headers += [
        (name.encode(), value.encode()) for name, value in details.pop("headers", {}).items()
    ]
    return await scene.owner.client.request(method, path, headers=headers, **details)
