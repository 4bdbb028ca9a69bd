"""The shortcut finds what the router would find, and nothing else."""

import pytest
from fastapi import FastAPI
from starlette.routing import Match
from starlette.types import Scope

from main import create_app
from routers.route import WalletRoute
from routers.shortcut import ShortcutMiddleware
from tests.conftest import settings_for

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")
# In the place of a parameter; the last are none.
TEXTS = ("5", "me", "history", "a b", "é", "%2F", "{user_id}", "5\n", "")
AROUND = ("{}", "{}/", "/{}", "{}\n", "{}/more")


@pytest.fixture(scope="module")
def app() -> FastAPI:
    return create_app(settings_for("sqlite+aiosqlite:///nowhere.db"))


def by_router(app: FastAPI, method: str, path: str) -> tuple[WalletRoute, dict[str, str]] | None:
    scope: Scope = {
        "type": "http",
        "method": method,
        "path": path,
        "root_path": "",
        "headers": [],
        "path_params": {},
    }
    for route in app.router.routes:
        match, found = route.matches(dict(scope))
        if match is Match.FULL:
            return (route, found["path_params"]) if isinstance(route, WalletRoute) else None
    return None


def test_it_finds_what_the_router_finds(app: FastAPI) -> None:
    shortcut = ShortcutMiddleware(app, app)
    routes = [route for route in app.router.routes if isinstance(route, WalletRoute)]
    paths = {
        around.format(route.path.format(**dict.fromkeys(route.param_convertors, text)))
        for route in routes
        for text in TEXTS
        for around in AROUND
    }
    found = 0
    for path in sorted(paths):
        for method in METHODS:
            shortly = shortcut.find(method, path)
            if shortly is not None:
                found += 1
                assert shortly == by_router(app, method, path), f"{method} {path!r}"
    assert found > len(routes)


def test_it_finds_every_route_that_it_may(app: FastAPI) -> None:
    shortcut = ShortcutMiddleware(app, app)
    for route in app.router.routes:
        if isinstance(route, WalletRoute):
            path = route.path.format(**dict.fromkeys(route.param_convertors, "5"))
            assert route.methods
            for method in route.methods:
                assert shortcut.find(method, path) is not None, path
