"""Finds the routes of plain paths by one look into a table.

The router tries its routes one after another, inside of layers that our routes do not need: they
turn whatever is raised into an answer themselves, and have nothing to close. Whatever is not in the
table goes the ordinary way, through FastAPI's layers to its router.
"""

from fastapi import FastAPI
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


class ShortcutMiddleware:
    """The innermost layer. Not to be added while traces are on: the router tells them its route."""

    def __init__(self, app: ASGIApp, api: FastAPI):
        self._app = app
        # This layer is made at the first request, when all routes are there. The first of two
        # routes counts, as it does for the router.
        self._routes: dict[tuple[str, str], WalletRoute] = {}
        for route in api.router.routes:
            if isinstance(route, WalletRoute) and not route.param_convertors:
                for method in route.methods or ():
                    self._routes.setdefault((method, route.path), route)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        route = None
        if scope["type"] == "http":
            route = self._routes.get((scope["method"], scope["path"]))
        if route is None:
            await self._app(scope, receive, send)
            return
        scope["endpoint"] = route.endpoint
        scope["path_params"] = {}
        await route.app(scope, receive, send)
