"""The OpenAPI document: what FastAPI derives, the problem shape, and how to sign in."""

from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from routers.route import SECURITY_SCHEME
from schemas.problem import Problem

DESCRIPTION: Final = """\
A wallet backend with a double-entry ledger: no request is applied twice, no cent is lost.

**Try it:** `POST /signup`, then **Authorize** with that email and password, `POST /wallet`,
`PATCH /transaction/deposit`. Every movement needs a new `X-Idempotency-Key`, a UUID for each new
intention; sending the same one again gets the first answer again.

Amounts are in major units (`700.5`). Everything that is refused is an
`application/problem+json` with a stable `code`.
"""


def install_openapi(app: FastAPI) -> None:
    """Make `app.openapi()` return the complete document."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _build(app)
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's documented way to extend it


def _build(app: FastAPI) -> dict[str, Any]:
    document = get_openapi(
        title=app.title, version=app.version, description=DESCRIPTION, routes=app.routes
    )
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas |= problem.pop("$defs", {})
    schemas["Problem"] = problem
    components["securitySchemes"] = {
        SECURITY_SCHEME: {
            "type": "oauth2",
            "description": "Your email as the username, and your password.",
            "flows": {
                "password": {"tokenUrl": "/token", "refreshUrl": "/token/refresh", "scopes": {}}
            },
        }
    }
    return document
