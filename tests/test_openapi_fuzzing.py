"""Schemathesis against the running service: nothing it tries gets an answer that the OpenAPI
document does not announce, and nothing that the document forbids is accepted.
"""

import itertools
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import httpx
import pytest
import schemathesis
from schemathesis.config import SchemathesisConfig
from schemathesis.core.failures import Failure
from schemathesis.core.parameters import ParameterLocation
from schemathesis.core.transport import Response
from schemathesis.engine import events, from_schema
from schemathesis.generation.case import Case
from schemathesis.hooks import GLOBAL_HOOK_DISPATCHER, HookContext
from schemathesis.openapi.checks import RejectedPositiveData
from schemathesis.schemas import BaseSchema

from db.session import Database, DatabaseOptions
from tests.conftest import migrate, sqlite_url
from tests.paystack import PaystackProcess
from tests.people import People
from tests.processes import SECRET_KEY, ApiProcess
from tests.services import open_service

Headers = Mapping[str, str]

CASES_AT_LEAST: Final = 2000
# A limit for a busy machine: what is left then is not tried.
SECONDS_AT_MOST: Final = 50

# A request that the document calls valid may be refused for what only the service knows:
# balances, wallets, keys and cursors.
BUSINESS_CODES: Final = {
    "insufficient_funds",
    "currency_mismatch",
    "self_transfer",
    "balance_limit_exceeded",
    "cursor_invalid",
    "currency_not_supported",
    "bank_account_not_found",
    "payment_refused",
    "link_token_invalid",
    # The one of status 400: whether a browser was sent somewhere no schema can say.
    "google_state_invalid",
}
# Or by rules that JSON Schema has no words for: decimals that depend on another field, numbers
# written with an exponent (to JSON Schema 1e2 is 100) or as -0, ids written as 1.0, domains that
# exist in examples only, names of spaces alone, the list of common passwords.
BEYOND_JSON_SCHEMA: Final[Mapping[str, tuple[str, ...]]] = {
    "amount": ("must have at most", "must be at most", "must be a plain decimal"),
    "balance": ("must have at most", "must be at most", "must be a plain decimal"),
    "to_account_id": ("input should be a valid integer",),
    "transaction_id": ("must be a positive whole number",),
    "from_account": ("must be an account number",),
    "to_account": ("must be an account number",),
    "account_number": ("must be an account number", "string should match pattern"),
    "recipient_wallet_number": ("must be an account number",),
    "expired_key_id": ("input should be a valid integer",),
    "bank_code": ("string should match pattern",),
    "reference": ("string should match pattern",),
    "name": ("string should have at least 1", "must not contain control"),
    "description": ("string should have at least 1", "must not contain control"),
    "asset_type_id": ("input should be a valid integer",),
    # To Python's expressions, in which the document is read, `$` is also before a last line feed.
    "external_user_id": ("must be 1 to 128 visible",),
    "idempotency_key": ("string should match pattern",),
    "email": ("must be a valid email address",),
    "first_name": ("string should have at least 1", "must not contain control"),
    "last_name": ("string should have at least 1", "must not contain control"),
    "password": ("is one of the most common passwords",),
}


@dataclass(slots=True)
class Findings:
    """What a run found, and with which statuses each operation answered."""

    failures: list[str] = field(default_factory=list)
    statuses: dict[str, Counter[int]] = field(default_factory=dict)

    @property
    def cases(self) -> int:
        """How many requests were generated."""
        return sum(counter.total() for counter in self.statuses.values())

    @property
    def never_successful(self) -> set[str]:
        """The operations that refused everything, so that little was tried of them."""
        return {
            operation
            for operation, statuses in self.statuses.items()
            if not any(200 <= status < 400 for status in statuses)
        }


@dataclass(frozen=True, slots=True)
class Fuzzed:
    """A service to send anything to, the tokens of people with a full wallet, an empty one, and
    none, and a key of a service whose user has credits.
    """

    url: str
    rich: str
    closing: str
    leaving: str
    # The numbers of the rich one's wallet and of an account of theirs.
    wallet_number: str
    account_number: str
    key: str


@pytest.fixture(scope="module")
async def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Fuzzed]:
    """The service in a process of its own, on SQLite, without Redis and limits."""
    folder = tmp_path_factory.mktemp("fuzzed")
    url = sqlite_url(folder)
    await migrate(url)
    database = Database(DatabaseOptions(url=url))
    environment = {
        "DATABASE_URL": url,
        "REDIS_URL": "redis://127.0.0.1:1",
        "SECRET_KEY": SECRET_KEY,
        "PASSWORD_HASH_ROUNDS": "4",
        "RATE_LIMIT_ENABLED": "false",
        "LOG_LEVEL": "ERROR",
    }
    with (
        PaystackProcess(log_path=folder / "paystack.log") as paystack,
        ApiProcess(environment | paystack.settings, log_path=folder / "api.log") as api,
    ):
        async with httpx.AsyncClient(base_url=api.url) as client:
            people = People(client)
            # Rich enough to begin with, but not for long. The second wallet is the one that the
            # document's example pays into.
            rich, _ = await people.with_wallet(20_000), await people.with_wallet(0)
            closing, leaving = await people.with_wallet(0), await people.sign_up()
            numbers = (await rich.wallet_number(), await rich.open_account())
            # With money in it nobody closes the account that all transfers are to.
            between = {"from_account": numbers[0], "to_account": numbers[1]}
            body = {**between, "amount": 1, "currency": "NGN"}
            paid = await rich.send("POST", "/transfers", body, key="first")
            assert paid.status_code == 201, paid.text
            service = await open_service(client, database)
            # The user of the document's example.
            await service.move("top-up", "user_alice", 1_000)
        tokens = (rich.access_token, closing.access_token, leaving.access_token)
        yield Fuzzed(api.url, *tokens, *numbers, service.key)
    await database.close()


@pytest.fixture(scope="module", autouse=True)
def hooks(fuzzed: Fuzzed) -> Iterator[None]:
    """What schemathesis asks before each request and about each finding."""
    numbers = itertools.count(1)

    @schemathesis.hook
    def before_call(context: HookContext, case: Case[Any], kwargs: dict[str, Any]) -> None:
        """Let more requests get as far as the ledger, without making one acceptable."""
        meta, number = case.meta, next(numbers)
        if meta is None:
            return
        if "X-Idempotency-Key" in case.headers and not meta.is_negative_at(
            ParameterLocation.HEADER
        ):
            # Each is an intention of its own; most would repeat the key of the example.
            case.headers["X-Idempotency-Key"] = f"intention-{number}"
        body, negative = case.body, meta.is_negative_at(ParameterLocation.BODY)
        if isinstance(body, dict) and "currency" in body and not negative and number % 4:
            # Of 170 currencies, chosen evenly, one is that of the wallets.
            body["currency"] = "NGN"
            # Nobody guesses a number that exists.
            if "from_account" in body:
                body |= {"from_account": fuzzed.wallet_number, "to_account": fuzzed.account_number}
                # And by then the wallet is nearly empty.
                body["amount"] = "0.01" if number % 2 else body["amount"]
        path = case.path_parameters
        if "account_number" in path and not meta.is_negative_at(ParameterLocation.PATH):
            path["account_number"] = fuzzed.account_number
        if isinstance(body, dict) and not negative:
            body |= _of_gold(body, number) | _to_account(body, number, fuzzed.account_number)

    @schemathesis.hook
    def filter_failure(
        context: HookContext, failure: Failure, case: Case[Any], response: Response
    ) -> bool:
        """Keep a finding unless a valid request was rightly refused."""
        return not (isinstance(failure, RejectedPositiveData) and _is_rightly_refused(response))

    yield
    for hook in (before_call, filter_failure):
        GLOBAL_HOOK_DISPATCHER.unregister(hook)


def _of_gold(body: Mapping[str, Any], number: int) -> dict[str, Any]:
    """Return what to change of a body about credits: mostly to an asset there is."""
    changed: dict[str, Any] = {}
    if "asset_type_id" in body and number % 4:
        changed["asset_type_id"] = 1
    if "idempotency_key" in body:
        changed["idempotency_key"] = f"intention-{number}"
    return changed


def _to_account(body: Mapping[str, Any], number: int, account: str) -> dict[str, Any]:
    """Return what to change of a body about a wallet's number: mostly to one there is."""
    names = body.keys() & {"recipient_wallet_number", "wallet_number"}
    if not names or number % 4 == 0:
        return {}
    return {**dict.fromkeys(names, account), "amount": "0.01"}


def test_everything_but_signing_out(fuzzed: Fuzzed) -> None:
    findings = explore(fuzzed.url, bearer(fuzzed.rich), excluded="/logout|/api/v1/", examples=30)

    assert findings.failures == []
    assert findings.cases >= CASES_AT_LEAST
    # Their wallet is open and full; their refresh token is nobody's guess, nor is a link token.
    refused = {"POST /wallet", "DELETE /wallet", "POST /token/refresh", "POST /auth/google/link"}
    # Nor is the id of a transfer; their account is not empty for long, their wallet is soon.
    refused |= {"GET /transfers/{transfer_id}", "DELETE /accounts/{account_number}"}
    refused |= {"POST /transfers"}
    # A key of theirs has to be guessed, and to expire, before it is rolled over.
    refused |= {"POST /keys/rollover", "POST /keys/revoke/{key_id}"}
    # Nor a reference, nor the signature of Paystack.
    refused |= {
        "GET /wallet/deposit/{reference}/status",
        "GET /wallet/withdraw/{reference}/status",
        "POST /wallet/paystack/webhook",
    }
    assert findings.never_successful <= refused


def test_closing_and_opening_wallets(fuzzed: Fuzzed) -> None:
    findings = explore(fuzzed.url, bearer(fuzzed.closing), included="/wallet$", examples=30)

    assert findings.failures == []
    assert findings.never_successful == set()


def test_signing_out(fuzzed: Fuzzed) -> None:
    # By itself, with a sign-in of its own: it succeeds once.
    findings = explore(fuzzed.url, bearer(fuzzed.leaving), included="/logout", examples=10)

    assert findings.failures == []
    assert findings.never_successful == set()


def test_credits(fuzzed: Fuzzed) -> None:
    # As the document writes it: what is to be left out is looked for by that name.
    key = {"x-api-key": fuzzed.key}
    findings = explore(fuzzed.url, key, included="/api/v1/", examples=25)

    assert findings.failures == []
    assert findings.never_successful == set()


def bearer(token: str) -> Headers:
    return {"Authorization": f"Bearer {token}"}


def explore(
    url: str,
    headers: Headers,
    *,
    examples: int,
    included: str | None = None,
    excluded: str | None = None,
) -> Findings:
    """Let schemathesis try the operations, all phases and all checks, as one caller.

    `included` and `excluded` are regular expressions that a path begins with.
    """
    document = httpx.get(f"{url}/openapi.json").json()
    for operations in document["paths"].values():
        for operation in operations.values():
            _ask_in_one_way(operation)
    configuration = {"base-url": url, **_configuration(headers, examples)}
    schema: BaseSchema = schemathesis.openapi.from_dict(
        document, config=SchemathesisConfig.from_dict(configuration)
    )
    if included is not None:
        schema = schema.include(path_regex=f"^({included})")
    if excluded is not None:
        schema = schema.exclude(path_regex=f"^({excluded})")
    findings = Findings()
    deadline = time.monotonic() + SECONDS_AT_MOST
    stream = from_schema(schema).execute()
    for event in stream:
        # Not by its own `max-time`: given one, it goes on trying until that is used up.
        if time.monotonic() > deadline:
            stream.stop()
        if isinstance(event, events.ScenarioFinished):
            _collect(event, findings)
        elif isinstance(event, (events.NonFatalError, events.FatalError)):
            findings.failures.append(str(event))
    return findings


def _ask_in_one_way(operation: dict[str, Any]) -> None:
    """Of a call for people leave their tokens: sent at once, two ways in are refused.

    And only this kind is tried without a token and with a wrong one.
    """
    ways = operation.get("security", [])
    if {"token": []} in ways:
        operation["security"] = [way for way in ways if way in ({}, {"token": []})]


def _configuration(headers: Headers, examples: int) -> dict[str, Any]:
    return {
        # The same requests on every run: whoever breaks the contract learns it then and there.
        "seed": 1,
        "headers": dict(headers),
        "generation": {
            "max-examples": examples,
            "deterministic": True,
            "database": "none",
            # NUL is well-formed JSON, but no database stores it: refused as malformed.
            "allow-x00": False,
        },
        "cache": {"enabled": False},
        "continue-on-failure": True,
        # Added to the check's own: sent to Google, too little money. Each code of 422 is judged by
        # itself below.
        "checks": {
            "positive_data_acceptance": {
                "expected-statuses": ["2xx", "302", "401", "402", "403", "404", "409"]
            }
        },
    }


def _is_rightly_refused(response: Response) -> bool:
    if response.status_code not in {400, 422}:
        return False
    problem = json.loads(response.content)
    if problem["code"] in BUSINESS_CODES:
        return True
    return response.status_code == 422 and all(
        error["message"].startswith(BEYOND_JSON_SCHEMA.get(error["field"], ()))
        for error in problem["errors"]
    )


def _collect(event: events.ScenarioFinished, findings: Findings) -> None:
    recorder = event.recorder
    for case_id, node in recorder.cases.items():
        counter = findings.statuses.setdefault(node.value.operation.label, Counter())
        interaction = recorder.interactions.get(case_id)
        response = interaction.response if interaction else None
        counter[response.status_code if response else 0] += 1
        for check in recorder.checks.get(case_id, []):
            if check.failure_info is not None:
                failure = check.failure_info.failure
                answer = response.content.decode(errors="replace") if response else ""
                request = check.failure_info.code_sample
                lines = (check.name, failure.operation, failure.message, request, answer[:500])
                findings.failures.append("\n".join(map(str, lines)))
