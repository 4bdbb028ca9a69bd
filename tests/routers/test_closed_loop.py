"""Credits never leave the loop: no call, whoever sends it and whatever account it names, moves them
to another user, into a currency or out of the house.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import and_, func, or_, select

from db.models import Tables
from db.session import Database
from main import create_app
from tests.conftest import settings_for
from tests.people import People, Person
from tests.services import DIAMONDS, GOLD, Service, open_service, path_of, somebody
from tests.test_openapi import example_body

pytestmark = pytest.mark.promise("S4-closed")

Values = Mapping[str, Any]

# These are what credits move by; they are tried with everybody but those whose credits are watched.
MOVING = ("top-up", "bonus", "spend")


@dataclass(frozen=True, slots=True)
class Scene:
    """Two people whose credits are watched, and who tries to get at them."""

    service: Service
    person: Person
    users: tuple[str, str]
    names: Sequence[Any]


@pytest.fixture
async def scene(shop: httpx.AsyncClient, database: Database) -> Scene:
    service, person = await open_service(shop, database), await People(shop).with_wallet(1000)
    users = (somebody(), somebody())
    for user in users:
        for asset in (GOLD, DIAMONDS):
            assert (await service.move("top-up", user, 100, asset)).status_code == 201
    accounts = await accounts_of(database, users)
    names = [
        *[value for account in accounts for value in (account.id, account.wallet_number)],
        *users,
        *(str(accounts[0].id), GOLD, "GOLD", "treasury"),
    ]
    return Scene(service, person, users, names)


async def accounts_of(database: Database, users: Sequence[str]) -> Sequence[Any]:
    """Return the accounts of these users, and the house's own."""
    wallets, holders = Tables.wallets.c, Tables.credit_holders.c
    theirs = select(holders.id).where(holders.external_user_id.in_(users))
    async with database.reading() as session:
        rows = await (await session.connection()).execute(
            select(wallets.id, wallets.wallet_number, wallets.balance_minor)
            .where(or_(wallets.holder_id.in_(theirs), wallets.system_role.is_not(None)))
            .order_by(wallets.holder_id.is_(None), wallets.id)
        )
    return rows.all()


async def holdings(database: Database, users: Sequence[str]) -> dict[int, tuple[int, int]]:
    """Return each user's accounts with their balance and how many entries they have."""
    wallets, holders, entries = Tables.wallets.c, Tables.credit_holders.c, Tables.entries.c
    count = select(func.count()).where(entries.wallet_id == wallets.id).scalar_subquery()
    async with database.reading() as session:
        rows = await (await session.connection()).execute(
            select(wallets.id, wallets.balance_minor, count)
            .join(Tables.credit_holders, holders.id == wallets.holder_id)
            .where(holders.external_user_id.in_(users))
        )
    return {row[0]: (row[1], row[2]) for row in rows}


async def strays(database: Database) -> int:
    """Count entries of credits anywhere but with users and the house, and of money with those."""
    entries, wallets, assets = Tables.entries.c, Tables.wallets.c, Tables.assets.c
    outside = or_(entries.wallet_id.is_(None), wallets.user_id.is_not(None))
    async with database.reading() as session:
        found = await (await session.connection()).execute(
            select(func.count())
            .select_from(Tables.entries)
            .join(Tables.assets, assets.code == entries.currency)
            .join(Tables.wallets, wallets.id == entries.wallet_id, isouter=True)
            .where(
                or_(
                    and_(assets.kind == "credit", outside),
                    and_(
                        assets.kind == "currency",
                        or_(wallets.holder_id.is_not(None), wallets.system_role == "treasury"),
                    ),
                )
            )
        )
        return int(found.scalar_one())


def calls() -> list[tuple[str, str, Mapping[str, Any], Values]]:
    """Return every call of the API: method, path, operation, and a body that it accepts."""
    document = create_app(settings_for("sqlite:///unused.db")).openapi()
    return [
        (method.upper(), path, operation, body_of(document, operation))
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        # It has no parameters, and would end the sign-in that all others use.
        if path != "/logout"
    ]


def body_of(document: Mapping[str, Any], operation: Mapping[str, Any]) -> Values:
    return example_body(dict(document), dict(operation)) if "requestBody" in operation else {}


def attempts(
    path: str, operation: Mapping[str, Any], body: Values, names: Sequence[Any]
) -> Iterator[tuple[str, Values, Values]]:
    """Yield path, query and body with a watched account named in each place there is for a name."""
    parameters = operation.get("parameters", [])
    in_path = [item["name"] for item in parameters if item["in"] == "path"]
    in_query = [item["name"] for item in parameters if item["in"] == "query"]
    for value in names:
        named = path
        for name in in_path:
            named = named.replace(f"{{{name}}}", str(value))
        yield named, {}, body
        for name in in_query:
            yield named, {name: str(value)}, body
        for name in body:
            yield named, {}, {**body, name: value}
        # Everything that can name one does.
        everything = {name: item if name == "amount" else value for name, item in body.items()}
        yield named, {}, everything
        if "currency" in body:
            for name in body:
                yield named, {}, {**body, "currency": "GOLD", name: value, "amount": 1}


@pytest.mark.parametrize(
    ("method", "path", "operation", "body"),
    [pytest.param(*call, id=f"{call[0]} {call[1]}") for call in calls()],
)
async def test_no_call_gets_at_them(
    method: str,
    path: str,
    operation: Mapping[str, Any],
    body: Values,
    scene: Scene,
    database: Database,
) -> None:
    before = await holdings(database, scene.users)
    content = operation.get("requestBody", {}).get("content", {})
    known: list[dict[str, str]] = [scene.person.headers, {"X-API-Key": scene.service.key}]
    sent = 0
    for where, query, fields in attempts(path, operation, body, scene.names):
        if where in [path_of(user, call) for user in scene.users for call in MOVING]:
            continue
        # A call that asks who somebody is refuses nobody in particular before it looks at names.
        for headers in known if sent and operation.get("security") else [*known, {}]:
            sending: dict[str, Any] = {
                "data" if "application/json" not in content else "json": fields
            }
            response = await scene.person.client.request(
                method,
                where,
                params=query,
                headers={**headers, "X-Idempotency-Key": uuid4().hex},
                **(sending if content else {}),
            )
            assert response.status_code < 500, response.text
            sent += 1

    assert sent >= len(scene.names)
    assert await holdings(database, scene.users) == before
    assert await strays(database) == 0


async def test_one_users_movements_leave_all_others_alone(scene: Scene, database: Database) -> None:
    one, other = scene.users
    before = await holdings(database, [other])

    for call in MOVING:
        assert (await scene.service.move(call, one, 5)).status_code == 201

    assert await holdings(database, [other]) == before
    assert await strays(database) == 0
    assert await scene.service.balance(one) == 105
