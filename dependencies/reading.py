"""Reads what a request carries, strictly: the one JSON reader, the form, the query, the path.

Raises InvalidJson, InvalidForm, UnsupportedMediaType or InvalidRequest; none of them repeats what
was sent.
"""

import json
from collections.abc import Sequence
from typing import Any, Final, TypeVar
from urllib.parse import parse_qsl

from pydantic import TypeAdapter, ValidationError
from starlette.requests import ClientDisconnect, Request

from core.errors import (
    FieldError,
    InvalidForm,
    InvalidJson,
    InvalidRequest,
    UnsupportedMediaType,
)
from schemas.strict import MAX_ID, JsonNumber

Value = TypeVar("Value")

# Python's int() would spend quadratic time on thousands of digits; nothing here needs so many.
_INT_CHARACTERS_LIMIT: Final = 20
_FORM_FIELDS_LIMIT: Final = 20


def _read_int(text: str) -> int | JsonNumber:
    # -0 stays as it was written: as an int it would lose its sign, which no amount has.
    if len(text) > _INT_CHARACTERS_LIMIT or text == "-0":
        return JsonNumber(text)
    return int(text)


def _refuse_constant(_name: str) -> None:
    raise ValueError("NaN and Infinity are not JSON.")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("A key stands twice.")
    return found


_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_unique,
    parse_float=JsonNumber,
    parse_int=_read_int,
    parse_constant=_refuse_constant,
)


async def read_json(request: Request, adapter: TypeAdapter[Value]) -> Value:
    """Return the JSON body as what `adapter` validates."""
    _check_media_type(request, b"application/json")
    raw = await read_body(request)
    try:
        document = _DECODER.decode(raw.decode("utf-8"))
        if b"\\u" in raw:
            # An escape may stand for half a character or for NUL; no database takes either.
            _check_storable(document)
    except (ValueError, RecursionError):
        raise InvalidJson from None
    return _validate(adapter, document)


async def read_form(request: Request, adapter: TypeAdapter[Value]) -> Value:
    """Return the form body as what `adapter` validates."""
    _check_media_type(request, b"application/x-www-form-urlencoded")
    try:
        pairs = parse_qsl(
            (await read_body(request)).decode("ascii"),
            keep_blank_values=True,
            strict_parsing=True,
            errors="strict",
            max_num_fields=_FORM_FIELDS_LIMIT,
        )
        # An empty field is an absent one, as Swagger UI and OAuth 2.0 (RFC 6749, 3.2) mean it.
        fields = _unique([(name, value) for name, value in pairs if value])
        _check_storable(fields)
    except ValueError:
        raise InvalidForm from None
    return _validate(adapter, fields)


def read_query(request: Request, adapter: TypeAdapter[Value]) -> Value:
    """Return the query string as what `adapter` validates; no parameter may stand twice."""
    raw: bytes = request.scope["query_string"]
    try:
        pairs = parse_qsl(
            raw.decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=_FORM_FIELDS_LIMIT,
        )
        fields = _unique(pairs)
        _check_storable(fields)
    except ValueError:
        problem = FieldError("query", "must be well-formed, each parameter once")
        raise InvalidRequest([problem]) from None
    return _validate(adapter, fields)


def read_path_id(request: Request, name: str) -> int:
    """Return an id from the path: plain digits without a leading zero, at most 2^63-1."""
    text: str = request.scope["path_params"][name]
    plain = text.isascii() and text.isdigit() and text[0] != "0"
    if not plain or len(text) > _INT_CHARACTERS_LIMIT or int(text) > MAX_ID:
        raise InvalidRequest([FieldError(name, "must be a positive whole number")])
    return int(text)


def read_path(request: Request, name: str, adapter: TypeAdapter[Value]) -> Value:
    """Return what stands in the path under `name`, as what `adapter` validates."""
    text: str = request.scope["path_params"][name]
    try:
        return adapter.validate_python(text)
    except ValidationError as error:
        [problem, *_] = _field_errors(error)
        raise InvalidRequest([FieldError(name, problem.message)]) from None


async def read_body(request: Request) -> bytes:
    """Return the whole body. Raises ClientDisconnect if the client goes away meanwhile."""
    chunks = []
    while True:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        chunks.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(chunks)


def _check_media_type(request: Request, expected: bytes) -> None:
    """Accept `expected`, in UTF-8, not compressed."""
    types, encodings = [], []
    for name, value in request.scope["headers"]:
        if name == b"content-type":
            types.append(value)
        elif name == b"content-encoding":
            encodings.append(value)
    if types == [expected] and not encodings:
        return
    essence, _, parameters = (types[0] if len(types) == 1 else b"").partition(b";")
    if essence.strip().lower() != expected or (encodings and encodings != [b"identity"]):
        raise UnsupportedMediaType
    charset = parameters.strip().lower().replace(b'"', b"")
    if charset not in {b"", b"charset=utf-8", b"charset=utf8"}:
        raise UnsupportedMediaType


def _check_storable(value: Any) -> None:
    """Raise ValueError for text that cannot be encoded or stored; the walk is bounded by size."""
    if isinstance(value, str):
        value.encode("utf-8")
        if "\0" in value:
            raise ValueError("NUL cannot be stored.")
    elif isinstance(value, dict):
        for key, item in value.items():
            _check_storable(key)
            _check_storable(item)
    elif isinstance(value, list):
        for item in value:
            _check_storable(item)


def _validate(adapter: TypeAdapter[Value], document: Any) -> Value:
    try:
        return adapter.validate_python(document)
    except ValidationError as error:
        raise InvalidRequest(_field_errors(error)) from None


def _field_errors(error: ValidationError) -> Sequence[FieldError]:
    """Say what is wrong with each field without its value or an unknown field's name."""
    found = error.errors(include_url=False, include_input=False, include_context=False)
    return [_field_error(item["type"], item["loc"], item["msg"]) for item in found[:20]]


def _field_error(kind: str, location: tuple[int | str, ...], message: str) -> FieldError:
    if kind == "extra_forbidden":
        return FieldError("(unknown)", "is not a field of this request; see /docs")
    words = message[:1].lower() + message[1:]
    return FieldError(".".join(str(part) for part in location) or "body", words)
