"""The two ways in, a person's token and a service's key, at every route: either, never both."""

from collections.abc import Mapping, Sequence
from datetime import timedelta

import httpx
import pytest
from fastapi.routing import APIRoute
from starlette.routing import Mount

from core import api_keys
from core.api_keys import LIVE, Permission
from core.own_keys import OWN_PERMISSIONS
from db.session import Database
from dependencies.caller import PUBLIC, Admission
from main import create_app
from routers.plan import Plan
from routers.route import WalletRoute
from tests.api_keys import made_key
from tests.conftest import settings_for
from tests.routers.test_access import TABLE, Row, Scene, make_scene, send

pytestmark = pytest.mark.promise("one-way-in", "api-keys")

# Pages and files for everybody; they are given no request's contents.
PAGES = {"/docs", "/redoc", "/openapi.json"}


def admissions() -> dict[str, Admission]:
    """Return whom each route declares to admit, by method and path."""
    app = create_app(settings_for("sqlite:///unused.db"))
    found: dict[str, Admission] = {}
    for route in app.router.routes:
        if isinstance(route, WalletRoute):
            found |= {f"{method} {route.path}": route.admission for method in route.methods or ()}
        else:
            assert not isinstance(route, APIRoute)
            assert isinstance(route, Mount) or route.path in PAGES  # type: ignore[attr-defined]  # routes have one
            path = route.path  # type: ignore[attr-defined]  # routes have one
            found[f"GET {path}"] = PUBLIC
    return found


ADMISSIONS = admissions()
ASKING = [row for row in TABLE if ADMISSIONS[row.route].asks]


@pytest.fixture(scope="module")
async def scene(client: httpx.AsyncClient, database: Database) -> Scene:
    return await make_scene(client, database)


@pytest.fixture(scope="module")
async def key(database: Database) -> str:
    """A valid key with permission `credits`."""
    return (await made_key(database)).text


@pytest.fixture(scope="module")
async def refused_keys(database: Database, key: str) -> Mapping[str, tuple[Sequence[str], str]]:
    """Keys that open nothing, and the code that each is refused with."""
    revoked = await made_key(database)
    await api_keys.revoke(database, revoked.id)
    expired = await made_key(database, lifetime=timedelta())
    return {
        "none of ours": (["garbage"], "api_key_invalid"),
        "empty": ([""], "api_key_invalid"),
        "not ASCII": (["sk_test_1_\xe9"], "api_key_invalid"),
        "of production": ([(await made_key(database, prefix=LIVE)).text], "api_key_invalid"),
        "wrong secret": ([key[:-64] + "0" * 64], "api_key_invalid"),
        "twice": ([key, key], "api_key_invalid"),
        "one right, one wrong": ([key, "garbage"], "api_key_invalid"),
        "two in one": ([f"{key}, {key}"], "api_key_invalid"),
        "with a scheme": ([f"Bearer {key}"], "api_key_invalid"),
        "revoked": ([revoked.text], "api_key_revoked"),
        "expired": ([expired.text], "api_key_expired"),
    }


def test_a_route_that_does_not_say_whom_it_admits_cannot_be_made() -> None:
    async def handler() -> None:
        """Answer anybody, by mistake."""

    with pytest.raises(TypeError, match="/forgotten: say whom this route admits"):
        Plan("/forgotten", handler, [])


def test_what_a_route_declares_is_what_the_table_says() -> None:
    for row in TABLE:
        admission = ADMISSIONS[row.route]
        assert row.permission is admission.permission, row
        if not admission.asks:
            assert row.nobody == row.forged == row.service, row
            continue
        assert row.forged == 401, row
        assert (row.nobody != 401) == admission.nobody, row
        assert row.service == 403, row
        assert row.permission is None or row.permitted != 403, row
        assert (row.owner != 403) == admission.person, row


@pytest.fixture(scope="module")
async def keys(database: Database, scene: Scene, key: str) -> Mapping[Permission, str]:
    """A key with each permission alone: the owner's own, and for credits the house's."""
    own = {
        permission: (await made_key(database, permission=permission, owner_id=scene.owner.id)).text
        for permission in OWN_PERMISSIONS
    }
    return {**own, Permission.CREDITS: key}


@pytest.mark.promise("S3-key-only")
@pytest.mark.parametrize("permission", Permission)
@pytest.mark.parametrize("row", TABLE, ids=str)
async def test_a_key_opens_what_its_permission_says_and_nothing_else(
    row: Row, permission: Permission, scene: Scene, keys: Mapping[Permission, str]
) -> None:
    """Whoever's it is: a person's own key is not the person."""
    response = await send(row, scene, [], [keys[permission]])

    assert response.status_code == row.by_key(permission), response.text
    if response.status_code == 403:
        assert response.json()["code"] == "permission_denied"


@pytest.mark.parametrize("row", ASKING, ids=str)
async def test_keys_that_are_not_valid(
    row: Row, scene: Scene, refused_keys: Mapping[str, tuple[Sequence[str], str]]
) -> None:
    wrong = {}
    for name, (keys, code) in refused_keys.items():
        response = await send(row, scene, [], keys)
        if (response.status_code, response.json().get("code")) != (401, code):
            wrong[name] = f"{response.status_code} {response.text[:200]}"

    assert wrong == {}


@pytest.mark.parametrize("row", ASKING, ids=str)
async def test_both_at_once(row: Row, scene: Scene, key: str) -> None:
    token = scene.owner.headers["Authorization"]
    for tokens, keys in (([token], [key]), (["garbage"], [key]), ([token], ["garbage"])):
        response = await send(row, scene, tokens, keys)

        assert (response.status_code, response.json()["code"]) == (400, "two_credentials")


def test_no_route_stands_in_the_way_of_another() -> None:
    """The first route that fits is asked: none of a plain path may come after one that fits too."""
    routes = create_app(settings_for("sqlite:///unused.db")).router.routes
    plain = [item for item in routes if isinstance(item, WalletRoute) and "{" not in item.path]
    for route in plain:
        for method in route.methods or ():
            first = next(
                item
                for item in routes
                if isinstance(item, WalletRoute)
                and method in (item.methods or ())
                and item.path_regex.match(route.path)
            )
            assert first is route, f"{method} {route.path}"
