"""The OpenAPI document: complete, exact, and its examples really run."""

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
import schemathesis

from core import account_errors, errors
from core.account_errors import CreditUserNotFound
from core.errors import WalletError
from main import create_app
from schemas.problem import PROBLEM_MEDIA_TYPE, Problem, problem_type
from tests.conftest import migrate, serving, settings_for, sqlite_url
from tests.people import People

pytestmark = pytest.mark.promise("errors-problem")

# Refusals that are no route's: of addresses without one, of nothing that was promised, and two
# that never leave the validation of a field.
OF_NO_ROUTE = {
    errors.NotFound,
    errors.MethodNotAllowed,
    errors.InternalError,
    errors.InvalidAmount,
    errors.InvalidCurrency,
    # Told to operators alone.
    account_errors.AssetExists,
    account_errors.AssetNotWithdrawable,
}
METHODS = ("get", "post", "patch", "delete")

Operation = dict[str, Any]


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return create_app(settings_for("sqlite:///unused.db")).openapi()


@pytest.fixture(scope="module")
def operations(document: dict[str, Any]) -> dict[str, Operation]:
    """The operations by method and path, such as `GET /wallet`."""
    return {
        f"{method.upper()} {path}": operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }


def error_classes() -> set[type[WalletError]]:
    """Return every refusal there is."""
    found, new = set(), set(WalletError.__subclasses__())
    while new:
        found |= new
        new = {item for parent in new for item in parent.__subclasses__()} - found
    return found


def examples_of(operation: Operation) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each documented problem with the status it stands under."""
    for status, response in operation["responses"].items():
        for example in (
            response.get("content", {}).get(PROBLEM_MEDIA_TYPE, {}).get("examples", {}).values()
        ):
            yield status, example["value"]


def codes_of(operation: Operation) -> set[str]:
    """Return the codes that an operation documents."""
    return {example["code"] for _, example in examples_of(operation)}


def test_the_document_is_valid(document: dict[str, Any]) -> None:
    checked = copy.deepcopy(document)
    # OpenAPI lets these be relative, which is right behind any proxy; the schema of it that is
    # checked with does not.
    flow = checked["components"]["securitySchemes"]["person"]["flows"]["password"]
    for name in ("tokenUrl", "refreshUrl"):
        flow[name] = f"https://wallet.test{flow[name]}"

    schemathesis.openapi.from_dict(checked).validate()


def test_every_refusal_of_every_route_has_an_example(operations: dict[str, Operation]) -> None:
    for name, operation in operations.items():
        assert operation["summary"], name
        assert operation["description"], name
        for status, response in operation["responses"].items():
            if status < "400" or (name, status) == ("GET /readyz", "503"):
                continue
            content = response["content"][PROBLEM_MEDIA_TYPE]
            assert content["schema"] == {"$ref": "#/components/schemas/Problem"}, name
            assert content["examples"], (name, status)
            for code in content["examples"]:
                assert f"(`{code}`)" in response["description"], (name, status)


def test_every_example_of_a_problem_is_one(operations: dict[str, Operation]) -> None:
    classes = {(item.code, item.detail): item for item in error_classes()}
    for name, operation in operations.items():
        for status, example in examples_of(operation):
            problem = Problem.model_validate(example, strict=True)
            assert set(example) <= set(Problem.model_fields), name
            error = classes[problem.code, problem.detail]
            assert status == str(problem.status) == str(error.status), name
            assert (problem.title, problem.detail) == (error.title, error.detail), name
            assert problem.type == problem_type(problem.code), name


def test_every_refusal_is_documented_where_it_may_happen(operations: dict[str, Operation]) -> None:
    documented = set().union(*map(codes_of, operations.values()))

    assert documented == {item.code for item in error_classes() - OF_NO_ROUTE}


def test_codes_are_unique() -> None:
    codes = [item.code for item in error_classes() - {CreditUserNotFound}]

    assert len(codes) == len(set(codes))


def test_what_a_route_reads_decides_what_it_documents(operations: dict[str, Operation]) -> None:
    for name, operation in operations.items():
        expected = set()
        if "security" in operation:
            expected |= {"unauthenticated", "two_credentials", "permission_denied"}
            expected |= {"api_key_invalid", "api_key_expired", "api_key_revoked"}
        if content := operation.get("requestBody", {}).get("content"):
            expected |= {"content_too_large", "unsupported_media_type", "invalid_request"}
            expected.add("invalid_json" if "application/json" in content else "invalid_form")
        for parameter in operation.get("parameters", []):
            if parameter["name"] == "X-Idempotency-Key":
                expected |= {"idempotency_key_invalid", "idempotency_key_reused"}
                # Credits are answered by the database alone, which lets all but the first wait;
                # so are payouts, which tell how they stand.
                alone = "/api/v1/" in name or name == "POST /wallet/withdraw"
                expected |= set() if alone else {"idempotency_in_flight"}
                expected |= {"idempotency_key_required"} if parameter["required"] else set()
            else:
                expected.add("invalid_request")

        assert expected <= codes_of(operation), name


def test_how_to_sign_in_is_documented(document: dict[str, Any]) -> None:
    schemes = document["components"]["securitySchemes"]

    assert schemes["person"]["type"] == "oauth2"
    assert schemes["person"]["flows"]["password"]["tokenUrl"] in document["paths"]
    # Who signed in with Google has a token and no password.
    assert (schemes["token"]["type"], schemes["token"]["scheme"]) == ("http", "bearer")
    service = schemes["service"]
    assert (service["type"], service["in"], service["name"]) == ("apiKey", "header", "x-api-key")


# --- the examples, as somebody sends them who tries the API out from its documentation ----------


def example_body(document: dict[str, Any], operation: Operation) -> dict[str, Any]:
    """Put an example together as Swagger UI does: from the first example of each field."""
    (content,) = operation["requestBody"]["content"].values()
    schema = document["components"]["schemas"][content["schema"]["$ref"].rpartition("/")[2]]
    return {
        name: field["examples"][0]
        for name, field in schema["properties"].items()
        if "examples" in field
    }


def example_request(document: dict[str, Any], method: str, path: str) -> httpx.Request:
    """Return the request that the documentation shows, without the sign-in."""
    operation = document["paths"][path][method.lower()]
    parameters = operation.get("parameters", [])
    headers = {item["name"]: item["example"] for item in parameters if "example" in item}
    (media_type,) = operation["requestBody"]["content"]
    body = example_body(document, operation)
    if media_type == "application/json":
        return httpx.Request(method, f"http://wallet.test{path}", json=body, headers=headers)
    headers["Content-Type"] = media_type
    content = urlencode(body)
    return httpx.Request(method, f"http://wallet.test{path}", content=content, headers=headers)


async def test_the_examples_run_as_they_stand_one_after_another(tmp_path: Path) -> None:
    """In an empty database, where the ids are those of the examples: Jane's wallet is the first,
    and that of the receiver the second.
    """
    url = sqlite_url(tmp_path)
    await migrate(url)
    async with serving(settings_for(url)) as client:
        document = (await client.get("/openapi.json")).json()

        async def send(method: str, path: str, **headers: str) -> httpx.Response:
            request = example_request(document, method, path)
            request.headers.update(headers)
            return await client.send(request)

        assert (await send("POST", "/signup")).status_code == 201
        signed_in = await send("POST", "/token")
        assert signed_in.status_code == 200, signed_in.text
        bearer = {"Authorization": f"Bearer {signed_in.json()['access_token']}"}
        opened = await send("POST", "/wallet", **bearer)
        assert opened.status_code == 201, opened.text
        await People(client).with_wallet(0)

        for movement in ("deposit", "transfer", "withdraw"):
            moved = await send("PATCH", f"/transaction/{movement}", **bearer)
            assert moved.status_code == 200, moved.text
            assert moved.json()["amount"] == 700.5
            # What a second click on "Execute" does.
            again = await send("PATCH", f"/transaction/{movement}", **bearer)
            assert again.content == moved.content
            assert again.headers["Idempotency-Replayed"] == "true"
        assert moved.json()["current_balance"] == opened.json()["balance"] - 700.5
