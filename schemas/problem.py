"""RFC 9457 problem details: the one shape in which anything is refused."""

import json
from collections.abc import Sequence
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, Field
from starlette.responses import Response

from core.errors import WalletError
from schemas.prepared import NO_STORE, Header, PreparedResponse

PROBLEM_MEDIA_TYPE = "application/problem+json"

PROBLEM_HEADERS = ((b"content-type", PROBLEM_MEDIA_TYPE.encode()), NO_STORE)


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
    transfer_id: Annotated[
        UUID | None, Field(description="Of a transfer that was recorded as FAILED.")
    ] = None
    link_token: Annotated[
        str | None, Field(description="What `POST /auth/google/link` takes, for ten minutes.")
    ] = None


def problem_body(error: WalletError, request_id: str, *, transfer_id: UUID | None = None) -> str:
    """Return the JSON text that tells of a refusal, of that transfer if one was recorded."""
    problem: dict[str, object] = {
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
    if transfer_id is not None:
        problem["transfer_id"] = str(transfer_id)
    return json.dumps(problem | dict(error.members), separators=(",", ":"))


def problem_type(code: str) -> str:
    """Return the URI that names the kind of problem."""
    return f"urn:wallet:problem:{code}"


def problem_response(
    error: WalletError, request_id: str, headers: Sequence[Header] = ()
) -> Response:
    """Return the response that tells of a refusal."""
    sent = [*PROBLEM_HEADERS, *headers]
    if error.retry_after_seconds is not None:
        sent.append((b"retry-after", b"%d" % error.retry_after_seconds))
    if error.status == 401:
        sent.append((b"www-authenticate", b"Bearer"))
    return PreparedResponse(problem_body(error, request_id).encode(), sent, status=error.status)
