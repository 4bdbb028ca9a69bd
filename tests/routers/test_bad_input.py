"""Everything of the bad-input table at every endpoint: refused as documented, nothing written.

A test goes through its whole table and tells of every case that was answered otherwise.
"""

from collections.abc import Sequence
from uuid import uuid4

import httpx
import pytest

from db.session import Database
from tests.bad_input import (
    ACCOUNT_NUMBERS,
    AMOUNTS,
    BODY_LIMIT_BYTES,
    CURRENCIES,
    DESCRIPTIONS,
    EMAILS,
    EXPIRIES,
    JSON,
    MARKER,
    NAMES,
    PASSWORDS,
    PERMISSIONS,
    WALLET_IDS,
    ZEROS,
    Bad,
    BadValue,
    bad_bodies,
    with_value,
    without_each_field,
)
from tests.bad_requests import CURSORS, FORMS, KEYS, PATH_IDS, QUERIES
from tests.people import PASSWORD, People, Person
from tests.refusing import (
    REQUEST_ID,
    Chunks,
    Endpoint,
    build,
    get,
    house_wallet,
    refuses_all,
    rows_of,
    send,
)

BALANCE = 5000

pytestmark = pytest.mark.promise("json-strict", "errors-problem", "errors-status")


MONEY = {"currency": "NGN", "amount": 1}
DEPOSIT = Endpoint("PATCH", "/transaction/deposit", MONEY, needs_key=True)
WITHDRAW = Endpoint("PATCH", "/transaction/withdraw", MONEY, needs_key=True)
TRANSFER = Endpoint(
    "PATCH", "/transaction/transfer", {**MONEY, "to_account_id": 2**62}, needs_key=True
)
OPEN_WALLET = Endpoint("POST", "/wallet", {"currency": "NGN", "balance": 1}, optional=("balance",))
# Numbers that nobody has, so that an acceptable body moves nothing either.
SEND = Endpoint(
    "POST",
    "/transfers",
    {**MONEY, "from_account": "482915736045", "to_account": "530172648913", "description": "Rent"},
    optional=("description",),
    needs_key=True,
)
OPEN_ACCOUNT = Endpoint(
    "POST", "/accounts", {"currency": "NGN", "name": "Savings"}, optional=("name",)
)
SIGN_UP = Endpoint(
    "POST",
    "/signup",
    {
        "first_name": MARKER,
        "last_name": MARKER,
        "email": f"{MARKER}@example.com",
        "password": f"{MARKER}-secret",
    },
)
REFRESH = Endpoint("POST", "/token/refresh", {"refresh_token": MARKER})
LINK = Endpoint("POST", "/auth/google/link", {"link_token": MARKER})
CREATE_KEY = Endpoint(
    "POST", "/keys/create", {"name": "shop", "permissions": ["read"], "expiry": "1H"}
)
# One that nobody has.
ROLL_OVER = Endpoint("POST", "/keys/rollover", {"expired_key_id": 2**62, "expiry": "1H"})
SEND_TO_WALLET = Endpoint(
    "POST", "/wallet/transfer", {"recipient_wallet_number": "530172648913", "amount": 1}
)

WITH_AMOUNT = (DEPOSIT, WITHDRAW, TRANSFER, SEND)
# What is no amount of any currency, or not of the wallet's.
AMOUNTS_IN_NAIRA = tuple(value for value in AMOUNTS if value.currency == "NGN")
OF_MONEY = (*WITH_AMOUNT, OPEN_WALLET)
OF_PEOPLE = (SIGN_UP, REFRESH, LINK, CREATE_KEY, ROLL_OVER)
WITH_BODY = (*OF_MONEY, OPEN_ACCOUNT, SEND_TO_WALLET, *OF_PEOPLE)


@pytest.fixture(scope="module")
async def person(client: httpx.AsyncClient) -> Person:
    """The one person of this module who has a wallet."""
    return await People(client).with_wallet(BALANCE)


@pytest.fixture(scope="module")
async def newcomer(client: httpx.AsyncClient) -> Person:
    """The one person of this module who has none, and must not get one."""
    return await People(client).sign_up()


@pytest.fixture
def sender(request: pytest.FixtureRequest, person: Person, newcomer: Person) -> Person:
    """Whoever could successfully send the endpoint's acceptable body."""
    endpoint: Endpoint = request.getfixturevalue("endpoint")
    return newcomer if endpoint is OPEN_WALLET else person


@pytest.mark.parametrize("endpoint", WITH_BODY, ids=str)
async def test_bodies(endpoint: Endpoint, sender: Person, database: Database) -> None:
    cases = [*bad_bodies(endpoint.body), *without_each_field(endpoint.body, endpoint.optional)]

    await refuses_all(database, sender, cases, lambda case: send(sender, endpoint, case))


@pytest.mark.promise("S0-18", "money-exact", "money-range", "money-decimals")
@pytest.mark.parametrize("endpoint", OF_MONEY, ids=str)
async def test_amounts_and_currencies(
    endpoint: Endpoint, sender: Person, database: Database
) -> None:
    amount = "balance" if endpoint is OPEN_WALLET else "amount"
    zeros = () if endpoint is OPEN_WALLET else ZEROS
    cases = [with_value(endpoint.body, amount, value) for value in (*AMOUNTS, *zeros)]
    cases += [with_value(endpoint.body, "currency", value) for value in CURRENCIES]

    await refuses_all(database, sender, cases, lambda case: send(sender, endpoint, case))


@pytest.mark.parametrize(
    ("endpoint", "name", "values"),
    [
        (TRANSFER, "to_account_id", WALLET_IDS),
        (SEND, "from_account", ACCOUNT_NUMBERS),
        (SEND, "to_account", ACCOUNT_NUMBERS),
        (SEND, "description", DESCRIPTIONS),
        (OPEN_ACCOUNT, "name", DESCRIPTIONS),
        (OPEN_ACCOUNT, "currency", CURRENCIES),
        (SIGN_UP, "first_name", NAMES),
        (SIGN_UP, "last_name", NAMES),
        (SIGN_UP, "email", EMAILS),
        (SIGN_UP, "password", PASSWORDS),
        (REFRESH, "refresh_token", PASSWORDS[2:5]),
        (LINK, "link_token", PASSWORDS[2:5]),
        (CREATE_KEY, "name", NAMES),
        (CREATE_KEY, "permissions", PERMISSIONS),
        (CREATE_KEY, "expiry", EXPIRIES),
        (ROLL_OVER, "expired_key_id", WALLET_IDS),
        (ROLL_OVER, "expiry", EXPIRIES),
        (SEND_TO_WALLET, "recipient_wallet_number", ACCOUNT_NUMBERS),
        (SEND_TO_WALLET, "amount", (*AMOUNTS_IN_NAIRA, *ZEROS)),
    ],
    ids=str,
)
async def test_other_fields(
    endpoint: Endpoint,
    name: str,
    values: Sequence[BadValue],
    sender: Person,
    database: Database,
) -> None:
    cases = [with_value(endpoint.body, name, value) for value in values]

    await refuses_all(database, sender, cases, lambda case: send(sender, endpoint, case))


@pytest.mark.parametrize("endpoint", WITH_BODY, ids=str)
async def test_a_body_of_unannounced_length(
    endpoint: Endpoint, sender: Person, database: Database
) -> None:
    async def send_in_chunks(case: Bad) -> httpx.Response:
        request = build(sender, endpoint, case, [chunk_header])
        sent = (case.content[start : start + 4096] for start in range(0, len(case.content), 4096))
        request.stream = Chunks(sent)
        return await sender.client.send(request)

    chunk_header = (b"transfer-encoding", b"chunked")
    too_large = (413, "content_too_large")
    cases = [
        Bad("one byte too many", b" " * (BODY_LIMIT_BYTES + 1), *too_large),
        Bad("10 MB", b" " * 10_000_000, *too_large),
        Bad("nothing", b"", 400, "invalid_json"),
    ]

    await refuses_all(database, sender, cases, send_in_chunks)


@pytest.mark.promise("S0-13")
@pytest.mark.parametrize("endpoint", OF_MONEY, ids=str)
async def test_idempotency_keys(endpoint: Endpoint, sender: Person, database: Database) -> None:
    content = httpx.Request("POST", "http://x", json=endpoint.body).content
    cases = [
        Bad(name, content, 400, "idempotency_key_invalid", (JSON, *headers))
        for name, headers in KEYS.items()
    ]
    if endpoint.needs_key:
        cases.append(Bad("none", content, 400, "idempotency_key_required"))

    await refuses_all(
        database, sender, cases, lambda case: send(sender, endpoint, case, with_key=False)
    )


async def test_forms(person: Person, database: Database) -> None:
    async def send_form(case: Bad) -> httpx.Response:
        headers = [(b"x-request-id", REQUEST_ID), *case.headers]
        return await person.client.post("/token", content=case.content, headers=headers)

    await refuses_all(database, person, FORMS, send_form)


@pytest.mark.parametrize("path", ["/users/{}", "/transaction/{}/ledger"])
async def test_ids_in_paths(path: str, person: Person, database: Database) -> None:
    await refuses_all(
        database, person, ids_in(path), lambda case: get(person, path.format(case.name))
    )


async def test_the_id_of_a_key_to_revoke(person: Person, database: Database) -> None:
    async def revoke(case: Bad) -> httpx.Response:
        headers = {**person.headers, "X-Request-ID": REQUEST_ID.decode()}
        return await person.client.post(REVOKE.format(case.name), headers=headers)

    await refuses_all(database, person, ids_in(REVOKE), revoke)


def ids_in(path: str) -> list[Bad]:
    """Return what may be wrong with the id in a path."""
    cases = [Bad(path_id, b"", headers=()) for path_id in PATH_IDS]
    cases.append(Bad(str(2**63 - 1), b"", 404, NOT_FOUND_CODES[path], headers=()))
    cases.append(Bad("1%2F..%2F1", b"", 404, "not_found", headers=()))
    cases.append(Bad("", b"", 404, "not_found", headers=()))
    return cases


REVOKE = "/keys/revoke/{}"
NOT_FOUND_CODES = {
    REVOKE: "api_key_not_found",
    "/users/{}": "user_not_found",
    "/transaction/{}/ledger": "transaction_not_found",
}


@pytest.mark.promise("lists-stable")
@pytest.mark.parametrize("path", ["/transaction/history", "/wallet/transactions"])
async def test_queries(path: str, person: Person, database: Database) -> None:
    cases = [Bad(query, b"", headers=()) for query in QUERIES]
    cases += [Bad(f"cursor={cursor}", b"", 422, "cursor_invalid", headers=()) for cursor in CURSORS]

    await refuses_all(database, person, cases, lambda case: get(person, f"{path}?{case.name}"))


@pytest.mark.parametrize(
    "query",
    [
        "limit=1",
        "limit=100&offset=1000000",
        "type=transfer",
        "from=0001-01-01T00:00:00Z&to=9999-12-31T23:59:59.999999Z",
        "from=2026-01-01T00:00:00%2B01:00&to=2026-01-01t00:00:00.123456789z",
    ],
)
async def test_queries_at_the_limit_are_accepted(query: str, person: Person) -> None:
    response = await get(person, f"/transaction/history?{query}")

    assert response.status_code == 200, response.text


async def test_receivers_that_cannot_receive_leave_a_failed_attempt_and_nothing_else(
    person: Person, database: Database
) -> None:
    before = await rows_of(database, person)
    receivers = {
        person.wallet_id: (422, "self_transfer"),
        2**63 - 1: (404, "recipient_not_found"),
        await house_wallet(database): (404, "recipient_not_found"),
    }
    for wallet_id, expected in receivers.items():
        response = await person.transfer(wallet_id, 1)
        assert (response.status_code, response.json()["code"]) == expected
    after = await rows_of(database, person)

    attempts = len(receivers)
    assert after["transactions"] == before["transactions"] + attempts
    assert after["keys"] == before["keys"] + attempts
    unchanged = ("wallets", "entries")
    assert [after[name] for name in unchanged] == [before[name] for name in unchanged]


async def test_unusual_but_acceptable_bodies_are_accepted(people: People) -> None:
    """What stands next to the refused cases: otherwise refusing everything would pass."""
    person = await people.with_wallet(BALANCE)
    accepted: dict[str, tuple[bytes, bytes]] = {
        "largest": (JSON[1], b'{"currency":"NGN","amount":1}'.ljust(BODY_LIMIT_BYTES)),
        "spaced": (JSON[1], b' \r\n\t{ "amount" : 1 , "currency" : "NGN" } \n'),
        "as text": (JSON[1], b'{"currency":"NGN","amount":"1"}'),
        "zeros at the end": (JSON[1], b'{"currency":"NGN","amount":1.00000}'),
        "escaped": (JSON[1], b'{"currency":"\\u004eGN","\\u0061mount":1}'),
        "charset": (b"Application/JSON; charset=UTF-8", b'{"currency":"NGN","amount":1}'),
        "identity": (JSON[1], b'{"currency":"NGN","amount":1}'),
    }
    for name, (content_type, content) in accepted.items():
        headers = [(b"content-type", content_type), (b"content-encoding", b"identity")]
        case = Bad(name, content, headers=tuple(headers))
        response = await send(person, DEPOSIT, case)
        assert response.status_code == 200, (name, response.text)

    assert await person.balance() == BALANCE + len(accepted)


async def test_an_address_that_grows_when_folded(client: httpx.AsyncClient) -> None:
    """Folding case may triple an address; whatever is decided, it is not a fault of ours."""
    email = f"{'ΐ' * 110}{uuid4().hex[:4]}@example.com"
    person = {"first_name": "Jane", "last_name": "Doe", "password": PASSWORD, "email": email}
    response = await client.post("/signup", json=person)

    assert response.status_code in {201, 422}, response.text
