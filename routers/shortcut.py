"""Finds the routes of most paths by a look into a table.

The router tries its routes one after another, inside of layers that our routes do not need: they
turn whatever is raised into an answer themselves, and have nothing to close. Whatever is not in the
table goes the ordinary way, through FastAPI's layers to its router.
"""

from typing import NamedTuple

from fastapi import FastAPI
from starlette.convertors import StringConvertor
from starlette.types import ASGIApp, Receive, Scope, Send

from routers.route import WalletRoute


class InnerFastAPI(FastAPI):
    """FastAPI with its own layers behind those that were added, which is where our routes end."""

    def build_middleware_stack(self) -> ASGIApp:
        """Put together what every request passes."""
        added, self.user_middleware = self.user_middleware, []
        app = super().build_middleware_stack()
        self.user_middleware = added
        for middleware in reversed(added):
            app = middleware.cls(app, *middleware.args, **middleware.kwargs)
        return app


class Template(NamedTuple):
    """A path with parameters, each of which is a whole segment: which segments are what."""

    route: WalletRoute
    fixed: tuple[tuple[int, str], ...]
    named: tuple[tuple[int, str], ...]

    @classmethod
    def of(cls, route: WalletRoute) -> "Template | None":
        """Take a route's path to pieces; None if a parameter is not just any text between two /."""
        fixed, named = [], []
        for place, segment in enumerate(route.path.split("/")):
            name = segment[1:-1]
            convertor = route.param_convertors.get(name) if segment == f"{{{name}}}" else None
            if type(convertor) is StringConvertor:
                named.append((place, name))
            elif "{" in segment:
                return None
            else:
                fixed.append((place, segment))
        return cls(route, tuple(fixed), tuple(named))

    def parameters(self, segments: list[str]) -> dict[str, str] | None:
        """Return what stands in the places of the parameters; None for another path."""
        for place, text in self.fixed:
            if segments[place] != text:
                return None
        found = {name: segments[place] for place, name in self.named}
        return found if all(found.values()) else None


class ShortcutMiddleware:
    """The innermost layer. Not to be added while traces are on: the router tells them its route."""

    def __init__(self, app: ASGIApp, api: FastAPI):
        self._app = app
        # This layer is made at the first request, when all routes are there. The first of two
        # routes counts, as it does for the router.
        self._plain: dict[tuple[str, str], WalletRoute] = {}
        self._templates: dict[tuple[str, int], list[Template]] = {}
        for route in api.router.routes:
            if isinstance(route, WalletRoute):
                for method in route.methods or ():
                    self._take(method, route)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        found = self.find(scope["method"], scope["path"]) if scope["type"] == "http" else None
        if found is None:
            await self._app(scope, receive, send)
            return
        route, scope["path_params"] = found
        scope["endpoint"] = route.endpoint
        await route.app(scope, receive, send)

    def find(self, method: str, path: str) -> tuple[WalletRoute, dict[str, str]] | None:
        """Return the route and its parameters; None where the router has to look."""
        plain = self._plain.get((method, path))
        if plain is not None:
            return plain, {}
        # A line break at its end is no part of the path to the router's expressions.
        if path.endswith("\n"):
            return None
        segments = path.split("/")
        for template in self._templates.get((method, len(segments)), ()):
            parameters = template.parameters(segments)
            if parameters is not None:
                return template.route, parameters
        return None

    def _take(self, method: str, route: WalletRoute) -> None:
        if not route.param_convertors:
            self._plain.setdefault((method, route.path), route)
        elif (template := Template.of(route)) is not None:
            key = (method, len(template.fixed) + len(template.named))
            self._templates.setdefault(key, []).append(template)
