"""How a route's refusals are documented: from the error classes themselves, with examples."""

from typing import Any

from core.errors import FieldError, InvalidRequest, WalletError
from schemas.problem import PROBLEM_MEDIA_TYPE, problem_type

Responses = dict[int | str, dict[str, Any]]

_EXAMPLE_FIELD = FieldError("amount", "must be greater than 0")
_HEADERS: dict[int, str] = {
    401: "WWW-Authenticate",
    409: "Retry-After",
    429: "Retry-After",
    503: "Retry-After",
}


def refusals(*errors: type[WalletError]) -> Responses:
    """Return FastAPI `responses` that document these errors, those of one status together."""
    documented: Responses = {}
    for error in sorted(set(errors), key=lambda item: (item.status, item.code)):
        response = documented.setdefault(
            error.status,
            {
                "description": "",
                "content": {
                    PROBLEM_MEDIA_TYPE: {
                        "schema": {"$ref": "#/components/schemas/Problem"},
                        "examples": {},
                    }
                },
            },
        )
        response["content"][PROBLEM_MEDIA_TYPE]["examples"][error.code] = _example(error)
        titles = [response["description"], f"{error.title} (`{error.code}`)"]
        response["description"] = "; ".join(filter(None, titles))
        if error.status in _HEADERS:
            response["headers"] = {_HEADERS[error.status]: {"schema": {"type": "string"}}}
    return documented


def merged(first: Responses, second: Responses) -> Responses:
    """Return what both document, the problems of one status together."""
    documented = dict(first)
    for status, response in second.items():
        if status not in documented:
            documented[status] = response
            continue
        known = documented[status]
        if PROBLEM_MEDIA_TYPE not in known.get("content", {}):
            # The route answers this status with a shape of its own.
            continue
        examples = [item["content"][PROBLEM_MEDIA_TYPE]["examples"] for item in (known, response)]
        documented[status] = {
            **response,
            "description": f"{known['description']}; {response['description']}",
            "content": {
                PROBLEM_MEDIA_TYPE: {
                    **response["content"][PROBLEM_MEDIA_TYPE],
                    "examples": examples[0] | examples[1],
                }
            },
        }
    return documented


def _example(error: type[WalletError]) -> dict[str, Any]:
    value: dict[str, Any] = {
        "type": problem_type(error.code),
        "title": error.title,
        "status": error.status,
        "detail": error.detail,
        "code": error.code,
        "request_id": "0b6c7d1e9f6f4b0e8a6b1f2f8a9f4c11",
    }
    if error is InvalidRequest:
        value["errors"] = [{"field": _EXAMPLE_FIELD.field, "message": _EXAMPLE_FIELD.message}]
    return {"summary": error.title, "value": value}
