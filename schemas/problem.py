"""RFC 9457 problem details: the one shape in which anything is refused."""

import json
from typing import Annotated

from pydantic import BaseModel, Field
from starlette.responses import Response

from core.errors import WalletError

PROBLEM_MEDIA_TYPE = "application/problem+json"

# Tokens and balances are for whoever asked, now: RFC 6749, section 5.1, and good manners.
NO_STORE = {"Cache-Control": "no-store"}


class ProblemField(BaseModel):
    """One field that could not be accepted."""

    field: str
    message: str


class Problem(BaseModel):
    """Why a request was refused. `code` is stable; `detail` is for people."""

    type: Annotated[str, Field(description="A URI that names the kind of problem.")]
    title: str
    status: int
    detail: str
    code: str
    request_id: str
    errors: list[ProblemField] | None = None


def problem_body(error: WalletError, request_id: str) -> str:
    """Return the JSON text that tells of a refusal."""
    problem = {
        "type": problem_type(error.code),
        "title": error.title,
        "status": error.status,
        "detail": error.detail,
        "code": error.code,
        "request_id": request_id,
    }
    if error.fields:
        problem["errors"] = [
            {"field": field.field, "message": field.message} for field in error.fields
        ]
    return json.dumps(problem, separators=(",", ":"))


def problem_type(code: str) -> str:
    """Return the URI that names the kind of problem."""
    return f"urn:wallet:problem:{code}"


def problem_response(
    error: WalletError, request_id: str, headers: dict[str, str] | None = None
) -> Response:
    """Return the response that tells of a refusal."""
    sent = NO_STORE | (headers or {})
    if error.retry_after_seconds is not None:
        sent["Retry-After"] = str(error.retry_after_seconds)
    if error.status == 401:
        sent["WWW-Authenticate"] = "Bearer"
    return Response(
        problem_body(error, request_id),
        status_code=error.status,
        media_type=PROBLEM_MEDIA_TYPE,
        headers=sent,
    )
