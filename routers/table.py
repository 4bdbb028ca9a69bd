"""The table of routes: which there are, and what answers where none does or one breaks."""

import structlog
from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from core.errors import InternalError, MethodNotAllowed, NotFound
from routers import (
    accounts,
    credits,  # noqa: A004 - what they are called; the built-in is only for interactive sessions
    google,
    keys,
    landing,
    metrics,
    payments,
    people,
    service,
    transactions,
    transfers,
    wallets,
)
from routers.openapi import install_openapi
from schemas.problem import problem_response

log = structlog.get_logger(__name__)

# Asked one after another, so what is asked most is first.
_MODULES = (
    transactions,
    wallets,
    payments,
    accounts,
    transfers,
    people,
    google,
    keys,
    credits,
    service,
    landing,
    metrics,
)


def add_routes(app: FastAPI) -> None:
    """Add every route.

    Not by `include_router`: it matches each request twice and replaces the application of our
    route class, which is all that `WalletRoute` is for.
    """
    for module in _MODULES:
        app.router.routes.extend(module.router.routes)
    app.mount(service.ASSETS_PATH, service.documentation_assets())
    app.mount(landing.STATIC_PATH, landing.static_files)
    app.add_route("/docs", service.read_swagger_ui, include_in_schema=False)
    app.add_route("/redoc", service.read_redoc, include_in_schema=False)
    app.add_route("/openapi.json", service.read_openapi, include_in_schema=False)
    install_openapi(app)


def add_error_handlers(app: FastAPI) -> None:
    """Turn what is raised outside our routes into problems as well."""

    async def handle_http(request: Request, error: Exception) -> Response:
        request_id = request.scope["request_id"]
        if isinstance(error, HTTPException) and error.status_code == MethodNotAllowed.status:
            allowed = ", ".join(_methods_at(app, request.scope["path"]))
            allow = (b"allow", allowed.encode())
            return problem_response(MethodNotAllowed(), request_id, [allow])
        return problem_response(NotFound(), request_id)

    async def handle_defect(request: Request, error: Exception) -> Response:
        log.error("unexpected_error", exc_info=error)
        return problem_response(InternalError(), request.scope["request_id"])

    app.add_exception_handler(HTTPException, handle_http)
    app.add_exception_handler(Exception, handle_defect)


def _methods_at(app: FastAPI, path: str) -> list[str]:
    """Return the methods of all routes at a path; the router knows only the first route's."""
    methods: set[str] = set()
    for route in app.router.routes:
        if isinstance(route, Route) and route.path_regex.match(path):
            methods |= route.methods or set()
    # What is mounted are files, to be read only.
    return sorted(methods or {"GET", "HEAD"})
