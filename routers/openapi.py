"""The OpenAPI document: what FastAPI derives, the problem shape, and how to sign in."""

from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from routers.route import PERSON_SCHEME, SERVICE_SCHEME, TOKEN_SCHEME
from schemas.problem import Problem
from schemas.strict import MAX_ID

_BOUNDS: Final = frozenset({"minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum"})

DESCRIPTION: Final = """\
A wallet backend with a double-entry ledger: no request is applied twice, no cent is lost.

**Try it:** `POST /signup`, then **Authorize** with that email and password, `POST /wallet`,
`PATCH /transaction/deposit`. Whoever signed in with Google puts the `access_token` of its callback
under *token*. Real money comes in by `POST /wallet/deposit`, and out by `POST /wallet/withdraw`.

Send a new `X-Idempotency-Key` with every movement, a UUID for each new intention: the same one
again gets the first answer again. Some calls require it; where it is left out, a request that is
sent twice moves money twice.

Amounts are in major units (`700.5`). Everything that is refused is an
`application/problem+json` with a stable `code`.
"""

# In the order in which a newcomer needs them.
SECTIONS: Final = {
    "People": "Signing up, signing in and out, and looking people up.",
    "Google": "Signing in with Google.",
    "Wallet": "Opening, looking at and closing one's wallet.",
    "Transactions": "Moving money, and what has moved.",
    "Payments": "Money in and out by Paystack.",
    "Accounts": "Further accounts: opening and closing them, their balances and their ledger.",
    "Transfers": "Moving money between accounts, by their numbers.",
    "Keys": "API keys of one's own, for services that act for one.",
    "Credits": "Credits of a closed loop, for services with a key.",
    "Service": "Is it alive, is it ready, and where is its documentation.",
}


def install_openapi(app: FastAPI) -> None:
    """Make `app.openapi()` return the complete document."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _build(app)
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's documented way to extend it


def _build(app: FastAPI) -> dict[str, Any]:
    document = get_openapi(
        title=app.title,
        version=app.version,
        description=DESCRIPTION,
        routes=app.routes,
        tags=[{"name": name, "description": text} for name, text in SECTIONS.items()],
    )
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas |= problem.pop("$defs", {})
    schemas["Problem"] = problem
    components["securitySchemes"] = {
        PERSON_SCHEME: {
            "type": "oauth2",
            "description": "Your email as the username, and your password.",
            "flows": {
                "password": {"tokenUrl": "/token", "refreshUrl": "/token/refresh", "scopes": {}}
            },
        },
        TOKEN_SCHEME: {
            "type": "http",
            "scheme": "bearer",
            "description": "An `access_token` that you have: of a sign-in with Google "
            "(`/auth/google`), or of `POST /token`.",
        },
        SERVICE_SCHEME: {
            "type": "apiKey",
            "in": "header",
            "name": "x-api-key",
            "description": "A service's key with the permission that the call names: for people's "
            "wallets their owners make one (`POST /keys/create`), for credits an operator does "
            "(`./wallet keys create`).",
        },
    }
    _restore_integers(document)
    return document


def _restore_integers(node: Any) -> None:
    """Undo, in place, what FastAPI does to bounds: it keeps them as floats, and 2^63-1 is none."""
    if isinstance(node, list):
        for item in node:
            _restore_integers(item)
    elif isinstance(node, dict):
        for name, value in node.items():
            if name in _BOUNDS and isinstance(value, float) and value.is_integer():
                node[name] = min(int(value), MAX_ID)
            else:
                _restore_integers(value)
