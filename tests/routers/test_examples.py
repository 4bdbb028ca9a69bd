"""The examples on the page at `/`: made from the OpenAPI document, and true of the service."""

import json
import shlex
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from pydantic import TypeAdapter

from core.identities import LINK_AUDIENCE
from core.security import Signer
from db.session import Database, DatabaseOptions
from main import create_app
from routers import credits as credits_routes
from routers.examples import Example, read_sections
from routers.openapi import SECTIONS
from tests.api_keys import made_key
from tests.conftest import migrate, serving, settings_for, sqlite_url
from tests.people import People
from tests.processes import SECRET_KEY

pytestmark = pytest.mark.promise("landing-examples")

OF_USER: Final = f"/api/v1{credits_routes.OF_USER}"

# The order in which each works for somebody who has just signed up.
RUN_ORDER: Final = (
    "GET /",
    "GET /livez",
    # Before there is a receipt that waits.
    "GET /readyz",
    "POST /signup",
    "POST /token",
    "POST /token/refresh",
    "GET /users/me",
    "GET /users/{user_id}",
    "POST /wallet",
    "PATCH /transaction/deposit",
    "PATCH /transaction/transfer",
    "PATCH /transaction/withdraw",
    "GET /wallet",
    "GET /wallet/balance",
    "GET /wallet/transactions",
    "POST /keys/create",
    "GET /keys/list",
    "POST /keys/revoke/{key_id}",
    "GET /transaction/history",
    "GET /transaction/{transaction_id}/ledger",
    "DELETE /wallet",
    "POST /auth/google/link",
    "POST /logout",
    "GET /api/v1/assets",
    f"POST {OF_USER}/top-up",
    f"POST {OF_USER}/bonus",
    f"POST {OF_USER}/spend",
    f"GET {OF_USER}/balance",
    f"GET {OF_USER}/transactions",
    f"GET {OF_USER}/ledger",
    "GET /auth/google",
    "GET /auth/google/callback",
    "POST /auth/google/callback",
)


@pytest.fixture(scope="module")
def app() -> FastAPI:
    return create_app(settings_for("sqlite:///unused.db"))


@pytest.fixture(scope="module")
def examples(app: FastAPI) -> dict[str, Example]:
    """The examples by method and path, such as `GET /wallet`."""
    sections = read_sections(app.openapi())
    return {f"{item.method} {item.path}": item for section in sections for item in section.examples}


def test_they_come_in_the_order_of_the_document(app: FastAPI) -> None:
    sections = read_sections(app.openapi())

    assert [section.name for section in sections] == [
        name for name in SECTIONS if name in {section.name for section in sections}
    ]
    assert all(section.text for section in sections)


def test_answers_are_what_the_routes_answer(app: FastAPI, examples: dict[str, Example]) -> None:
    for route in app.router.routes:
        if not isinstance(route, APIRoute) or route.response_model is None:
            continue
        for method in route.methods or ():
            answer = examples[f"{method} {route.path}"].answer
            assert answer is not None
            TypeAdapter(route.response_model).validate_json(answer)


async def test_the_requests_run_and_are_answered_like_that(
    examples: dict[str, Example], tmp_path: Path
) -> None:
    """In an empty database, where the ids are those of the examples."""
    url = sqlite_url(tmp_path)
    await migrate(url)
    variables = {"$API": "http://wallet.test", "$TOKEN": "", "your refresh token": ""}
    links = Signer(secret=SECRET_KEY, algorithm="HS256", audience=LINK_AUDIENCE)
    claims = {"issuer": "https://accounts.google.com", "sub": "1", "user_id": "1"}
    variables["your link token"] = links.sign(claims, lifetime_seconds=60)
    async with serving(settings_for(url)) as client:
        for name in RUN_ORDER:
            example = examples[name]
            if name == "GET /api/v1/assets":
                variables["$KEY"] = await service_key(url)
            if name == "PATCH /transaction/transfer":
                await People(client).with_wallet(0)
            if name == "DELETE /wallet":
                await empty_the_wallet(client, variables["$TOKEN"])
            answer = await client.send(request_of(example.request, variables))
            assert f"{answer.status_code} {answer.reason_phrase}" == example.status, answer.text
            if example.answer is None:
                assert answer.content == b""
                continue
            shown = json.loads(example.answer)
            assert shape(answer.json(), shown) == shape(shown, shown), name
            if "access_token" in answer.json():
                variables["$TOKEN"] = answer.json()["access_token"]
                variables["your refresh token"] = answer.json()["refresh_token"]


async def service_key(url: str) -> str:
    database = Database(DatabaseOptions(url=url))
    try:
        return (await made_key(database)).text
    finally:
        await database.close()


async def empty_the_wallet(client: httpx.AsyncClient, token: str) -> None:
    headers = {"Authorization": f"Bearer {token}", "X-Idempotency-Key": "the-rest"}
    wallet = (await client.get("/wallet", headers=headers)).json()
    rest = {"amount": wallet["balance"], "currency": wallet["currency"]}
    moved = await client.patch("/transaction/withdraw", json=rest, headers=headers)
    assert moved.json()["current_balance"] == 0


def request_of(command: str, variables: dict[str, str]) -> httpx.Request:
    """Read a command of curl as a shell and curl would."""
    for name, value in variables.items():
        command = command.replace(name, value)
    # What joins lines to a shell is a character to shlex.
    program, *words = shlex.split(command.replace("\\\n", " "))
    assert program == "curl"
    method, url, headers, form, body = "", "", httpx.Headers(), [], ""
    while words:
        word = words.pop(0)
        if word == "-X":
            method = words.pop(0)
        elif word == "-H":
            header, _, value = words.pop(0).partition(": ")
            headers[header] = value
        elif word == "--data-urlencode":
            name, _, value = words.pop(0).partition("=")
            form.append((name, value))
        elif word == "-d":
            body = words.pop(0)
        else:
            assert not url
            url = word
    if form:
        headers["Content-Type"] = "application/x-www-form-urlencoded"
        body = urlencode(form)
    method = method or ("POST" if body else "GET")
    return httpx.Request(method, url, headers=headers, content=body)


def shape(value: Any, like: Any) -> Any:
    """Return what is left of a JSON value without its values: names, kinds, and nulls.

    A list is cut to the length of what it should be like: an example shows the first of many.
    """
    if isinstance(value, dict) and isinstance(like, dict):
        return {name: shape(item, like.get(name)) for name, item in value.items()}
    if isinstance(value, list) and isinstance(like, list):
        return [shape(item, other) for item, other in zip(value, like, strict=False)]
    if isinstance(value, int | float) and not isinstance(value, bool):
        return "number"
    return value if value is None else type(value).__name__


def made_of(operation: dict[str, Any], schemas: dict[str, Any] | None = None) -> Example:
    """Return the example of an operation in a document of its own."""
    document = {
        "info": {"title": "Test"},
        "paths": {"/things/{id}": {"put": {"operationId": "put", "summary": "Put"} | operation}},
        "components": {"schemas": schemas or {}},
    }
    ((example,),) = [section.examples for section in read_sections(document)]
    return example


def test_what_a_shell_would_read_otherwise_is_quoted() -> None:
    example = made_of(
        {
            "parameters": [
                {"name": "id", "in": "path", "required": True, "example": "a/b c\"$'`"},
                {"name": "X-Odd", "in": "header", "schema": {"examples": ["it's $HOME `x`"]}},
                {"name": "q", "in": "query", "schema": {"examples": ["a&b=c$(x)"]}},
                {"name": "unused", "in": "query", "schema": {"type": "string"}},
            ],
            "requestBody": {"content": {"application/json": {"example": {"name": "O'Hara $x"}}}},
            "responses": {"200": {}},
        }
    )

    request = request_of(example.request, {"$API": "http://wallet.test"})
    assert request.method == "PUT"
    assert request.url.raw_path == b"/things/a%2Fb%20c%22%24%27%60?q=a%26b%3Dc%24%28x%29"
    assert request.headers["x-odd"] == "it's $HOME `x`"
    assert json.loads(request.content) == {"name": "O'Hara $x"}


def test_an_example_of_the_document_goes_before_anything_made_up() -> None:
    answer = {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Thing"}}}}
    fields = {
        "currency": {"type": "string", "examples": ["KES"]},
        "limit": {"type": "integer"},
        "kind": {"enum": ["first", "second"]},
        "at": {"anyOf": [{"type": "string", "format": "date-time"}, {"type": "null"}]},
        "deep": {"type": "array", "items": {"type": "object", "properties": {}}},
        "yes": {"type": "boolean"},
        "other": {"type": "string"},
    }
    made = made_of(
        {"responses": {"422": {}, "201": answer}},
        {"Thing": {"type": "object", "properties": fields}},
    )

    assert made.status == "201 Created"
    assert json.loads(made.answer or "") == {
        "currency": "KES",
        "limit": 10,
        "kind": "first",
        "at": "2026-01-31T12:00:00.000000Z",
        "deep": [{}],
        "yes": True,
        "other": "…",
    }
    answer["content"]["application/json"]["example"] = {"said": "so"}
    assert made_of({"responses": {"200": answer}}).answer == '{\n  "said": "so"\n}'


def test_an_answer_need_not_be_json() -> None:
    answer = {"content": {"text/plain": {"schema": {"type": "string"}, "example": "up 1\n"}}}

    assert made_of({"responses": {"200": answer}}).answer == "up 1\n"
    assert made_of({"responses": {"204": {"description": "Nothing"}}}).answer is None
