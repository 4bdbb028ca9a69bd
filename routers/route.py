"""The one route class: checks a request in the right order and calls an ordinary handler.

A handler is written, and documented by FastAPI, as usual: typed parameters, `Depends`, a response
model. This class replaces only how the parameters get their values, because FastAPI's way parses
JSON loosely, echoes input in its errors, and costs more time than a posting does.
"""

from collections.abc import Callable
from typing import Any, Final
from uuid import NAMESPACE_URL, uuid5

import structlog
from fastapi.routing import APIRoute
from pydantic import TypeAdapter
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from core.errors import InternalError, Unavailable, WalletError
from db.faults import Fault, classify
from dependencies.attempts import required_key
from dependencies.caller import Admission
from middleware.idempotency import IdempotencyMiddleware
from routers.plan import Plan
from routers.refusals import Responses, merged, refusals
from schemas.prepared import JSON_HEADERS, PreparedResponse
from schemas.problem import problem_response

log = structlog.get_logger(__name__)

PERSON_SCHEME: Final = "person"
TOKEN_SCHEME: Final = "token"  # noqa: S105 - what the document calls it
SERVICE_SCHEME: Final = "service"

_KEY_HEADER: Final[dict[str, Any]] = {
    "name": "X-Idempotency-Key",
    "in": "header",
    "description": "A new UUID for each new intention; the same one to repeat a request.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
}


class WalletRoute(APIRoute):
    """A route whose requests are read strictly and whose refusals are all documented."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any):
        self._plan = Plan(path, endpoint, options.get("dependencies") or ())
        responses: Responses = options.get("responses") or {}
        options["responses"] = merged(responses, refusals(*self._plan.errors()))
        options["openapi_extra"] = _openapi_extra(self._plan, f"{options.get('methods')} {path}")
        super().__init__(path, endpoint, **options)
        self._adapter: TypeAdapter[Any] = TypeAdapter(self.response_model)
        self._success_status = self.status_code or 200
        self._inner_app: ASGIApp = self._answer
        if self._plan.is_cached:
            self._inner_app = IdempotencyMiddleware(self._answer)
        self.app = self._serve

    @property
    def admission(self) -> Admission:
        """Whom the route is for."""
        return self._plan.admission

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Admit the request, let it act, and turn whatever is raised into a problem."""
        # Looked up once: the application's state is an object that takes its time, and a request's
        # steps ask for it again and again.
        scope["services"] = scope["app"].state.services
        try:
            scope["arguments"] = await self._plan.admit(Request(scope, receive))
            await self._inner_app(scope, receive, send)
        except WalletError as error:
            refusal = error
        except ClientDisconnect:
            # While its body was awaited: nothing was begun, and nobody is left to be answered.
            return
        except Exception as error:  # noqa: BLE001 - a stack trace is for the log alone
            refusal = _unexpected(error)
        else:
            return
        await problem_response(refusal, scope["request_id"])(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        result = await self.endpoint(**scope["arguments"])
        if not isinstance(result, Response):
            body = self._adapter.dump_json(result, by_alias=True)
            result = PreparedResponse(body, JSON_HEADERS, status=self._success_status)
        await result(scope, receive, send)


def _unexpected(error: Exception) -> WalletError:
    if classify(error) is Fault.DEFECT:
        log.error("unexpected_error", exc_info=error)
        return InternalError()
    log.warning("database_unavailable", exc_info=error)
    return Unavailable()


def _openapi_extra(plan: Plan, route: str) -> dict[str, Any]:
    """Document what FastAPI cannot see in the signature: the token and the key.

    Each route shows another key: whoever tries them out one after another would otherwise be told
    that the key was used for another request.
    """
    extra: dict[str, Any] = {}
    if plan.admission.asks:
        extra["security"] = _security(plan.admission)
    if plan.key:
        header = {**_KEY_HEADER, "required": plan.key is required_key}
        if header["required"]:
            header["example"] = str(uuid5(NAMESPACE_URL, route))
        extra["parameters"] = [header]
    return extra


def _security(admission: Admission) -> list[dict[str, list[str]]]:
    """Say which of the ways in a route takes; a key's permission stands where scopes would."""
    ways: list[dict[str, list[str]]] = [{}] if admission.nobody else []
    if admission.person:
        ways += [{PERSON_SCHEME: []}, {TOKEN_SCHEME: []}]
    if admission.permission is not None:
        ways.append({SERVICE_SCHEME: [admission.permission]})
    return ways
