"""A request and its answer for each call of the API, made from the OpenAPI document alone.

Values are the examples of the document's schemas. Where a schema shows none, its constant, its
first choice or a value that suits the field's name stands in.
"""

import json
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote

Node = Mapping[str, Any]

_JSON: Final = "application/json"
_FORM: Final = "application/x-www-form-urlencoded"
# How each way in is written, the token and the key left to the shell.
_WAYS_IN: Final[Node] = {
    "person": '-H "Authorization: Bearer $TOKEN"',
    "service": '-H "X-API-Key: $KEY"',
}
_TIME: Final = "2026-01-31T12:00:00.000000Z"

# By the field's name, for schemas that show no example.
_BY_NAME: Final[Node] = {
    "access_token": "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9…",
    "currency": "NGN",
    "expires_in": 1800,
    "failure_code": None,
    "first_name": "Jane",
    "last_name": "Doe",
    "limit": 10,
    "message": "wallet belonging to Jane Doe deleted successfully",
    "next_cursor": None,
    "offset": 0,
    "outbox_age_seconds": None,
    "recipient_wallet_id": 2,
    "refresh_token": "kJ3vTq0cXw…",
    "state": "SUCCESS",
}
# The same for what is sent: a token that is used up is not the one that is answered.
_SENT_BY_NAME: Final[Node] = {
    "refresh_token": "your refresh token",
    "link_token": "your link token",
}
# By the schema of a list's items: what distinguishes the items, where one alone would mislead.
_ITEMS: Final[Mapping[str, tuple[Node, ...]]] = {
    "EntryOut": (
        {"id": 1, "entry_type": "DEBIT", "wallet_id": None, "balance_snapshot": None},
        {"id": 2, "entry_type": "CREDIT"},
    )
}


@dataclass(frozen=True, slots=True)
class Example:
    """One call: `request` is a command for a shell, `answer` the body, None if there is none."""

    anchor: str
    method: str
    path: str
    text: str
    request: str
    status: str
    answer: str | None
    try_out: str


@dataclass(frozen=True, slots=True)
class Section:
    """The calls of one tag."""

    anchor: str
    name: str
    text: str
    examples: tuple[Example, ...]


def read_sections(document: Node) -> list[Section]:
    """Return an example of every operation, by tag, in the order of the document.

    Operations without a tag, or with one that the document does not describe, come last.
    """
    described = {tag["name"]: tag.get("description", "") for tag in document.get("tags", ())}
    examples: dict[str, list[Example]] = {name: [] for name in described}
    maker = _Maker(document)
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            tag = (operation.get("tags") or ["Other"])[0]
            examples.setdefault(tag, []).append(maker.example(tag, method, path, operation))
    return [
        Section(f"calls-{name.lower()}", name, described.get(name, ""), tuple(found))
        for name, found in examples.items()
        if found
    ]


class _Maker:
    """Makes examples of one document's operations."""

    def __init__(self, document: Node):
        self._schemas: Node = document.get("components", {}).get("schemas", {})
        self._by_name = {**_BY_NAME, "name": document["info"]["title"]}

    def example(self, tag: str, method: str, path: str, operation: Node) -> Example:
        status = min(code for code in operation["responses"] if code < "400")
        sent = self._body(operation.get("requestBody", {}))
        return Example(
            anchor=operation["operationId"],
            method=method.upper(),
            path=path,
            text=operation.get("description") or operation["summary"],
            request=self._command(method.upper(), path, operation, sent),
            status=f"{status} {HTTPStatus(int(status)).phrase}",
            answer=self._answer(operation["responses"][status], sent),
            try_out=f"/docs#/{quote(tag)}/{quote(operation['operationId'])}",
        )

    def _command(self, method: str, path: str, operation: Node, sent: Any) -> str:
        """Write the call for curl; `$API`, `$TOKEN` and `$KEY` are left to the shell."""
        content = operation.get("requestBody", {}).get("content", {})
        # curl's own choice is GET, and POST where there is data.
        chosen = "POST" if content else "GET"
        start = "curl" if method == chosen else f"curl -X {method}"
        parts = [f'{start} "$API{self._address(path, operation)}"']
        ways = [name for way in operation.get("security", ()) for name in way]
        parts += [_WAYS_IN[name] for name in ways[:1]]
        for parameter in self._shown(operation, "header"):
            header = f"{parameter['name']}: {self._parameter(parameter)}"
            parts.append(f"-H {shlex.quote(header)}")
        if _FORM in content:
            parts += [
                f"--data-urlencode {shlex.quote(f'{name}={value}')}" for name, value in sent.items()
            ]
        elif content:
            parts += [f"-H 'Content-Type: {next(iter(content))}'", f"-d {shlex.quote(_text(sent))}"]
        return " \\\n  ".join(parts)

    def _address(self, path: str, operation: Node) -> str:
        for parameter in self._shown(operation, "path"):
            value = quote(str(self._parameter(parameter)), safe="")
            path = path.replace(f"{{{parameter['name']}}}", value)
        query = [
            f"{quote(parameter['name'])}={quote(str(self._parameter(parameter)), safe='')}"
            for parameter in self._shown(operation, "query")
        ]
        return f"{path}?{'&'.join(query)}" if query else path

    def _shown(self, operation: Node, place: str) -> Iterator[Node]:
        """Yield the parameters in `place` that a caller must send, or that have an example."""
        for parameter in operation.get("parameters", ()):
            has_example = "example" in parameter or "examples" in parameter.get("schema", {})
            if parameter["in"] == place and (parameter.get("required") or has_example):
                yield parameter

    def _parameter(self, parameter: Node) -> Any:
        if "example" in parameter:
            return parameter["example"]
        return self._value(parameter["schema"], parameter["name"])

    def _body(self, body: Node) -> Any:
        """Return what is sent: the fields that are required, and those that have an example."""
        for content in body.get("content", {}).values():
            if "example" in content:
                return content["example"]
            schema = self._resolve(content["schema"])
            required = schema.get("required", ())
            return {
                name: _SENT_BY_NAME.get(name) or self._value(field, name)
                for name, field in schema.get("properties", {}).items()
                if name in required or "examples" in field
            }
        return None

    def _answer(self, response: Node, sent: Any) -> str | None:
        """Return what is answered; a field that was sent comes back with the value it had."""
        contents = response.get("content", {})
        if not contents:
            return None
        media_type = _JSON if _JSON in contents else next(iter(contents))
        content = contents[media_type]
        shown = content.get("example")
        if shown is None:
            shown = self._value(content.get("schema", {}), "")
        if isinstance(shown, dict) and isinstance(sent, dict):
            same = sent.keys() & shown.keys() - _SENT_BY_NAME.keys()
            shown |= {name: sent[name] for name in same}
        return shown if isinstance(shown, str) else _text(shown, indent=2)

    def _value(self, schema: Node, name: str) -> Any:
        schema = self._resolve(schema)
        if "examples" in schema:
            return schema["examples"][0]
        if name in self._by_name and "properties" not in schema:
            return self._by_name[name]
        for choice in ("const", "default"):
            if choice in schema:
                return schema[choice]
        if "enum" in schema:
            return schema["enum"][0]
        for choices in ("anyOf", "oneOf", "allOf"):
            if choices in schema:
                return self._value(schema[choices][0], name)
        return self._of_type(schema)

    def _of_type(self, schema: Node) -> Any:
        if schema.get("type") == "object" or "properties" in schema:
            fields = schema.get("properties", {})
            return {name: self._value(field, name) for name, field in fields.items()}
        if schema.get("type") == "array":
            return self._items(schema.get("items", {}))
        if schema.get("format") == "date-time":
            return _TIME
        plain = {"integer": 1, "number": 1, "boolean": True, "null": None}
        return plain.get(schema.get("type", ""), "…")

    def _items(self, schema: Node) -> list[Any]:
        item = self._value(schema, "")
        differences = _ITEMS.get(schema.get("$ref", "").rpartition("/")[2], ({},))
        return [item | different if different else item for different in differences]

    def _resolve(self, schema: Node) -> Node:
        """Follow a reference within the document."""
        while "$ref" in schema:
            schema = self._schemas[schema["$ref"].rpartition("/")[2]]
        return schema


def _text(value: Any, indent: int | None = None) -> str:
    return json.dumps(value, ensure_ascii=False, indent=indent)
