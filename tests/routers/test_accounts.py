"""Further accounts of a person: opening, reading and closing them, and their balance at a time."""

from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest

from tests.people import People


@pytest.mark.promise("S2-accounts")
async def test_accounts_are_opened_beside_the_wallet(people: People) -> None:
    jane = await people.with_wallet(100)

    opened = await jane.send("POST", "/accounts", {"currency": "USD", "name": " Savings "})

    assert opened.status_code == 201
    account = opened.json()
    assert UUID(account["id"]).version == 7
    assert account | {"id": "", "created_at": ""} == {
        "id": "",
        "account_number": account["account_number"],
        "currency": "USD",
        "name": "Savings",
        "is_primary": False,
        "balance": 0,
        "created_at": "",
        "closed_at": None,
    }
    assert (await jane.get(f"/accounts/{account['account_number']}")).json() == account
    # What is about the wallet still is.
    assert (await jane.get("/wallet")).json()["balance"] == 100
    listed = (await jane.get("/accounts")).json()
    assert [item["account_number"] for item in listed["accounts"]] == [
        account["account_number"],
        await jane.wallet_number(),
    ]
    assert [item["is_primary"] for item in listed["accounts"]] == [False, True]


@pytest.mark.promise("S2-accounts")
async def test_opening_an_account_never_opens_the_wallet(people: People) -> None:
    jane = await people.sign_up()
    await jane.open_account()

    assert (await jane.get("/wallet")).json()["code"] == "wallet_not_found"
    opened = await jane.send("POST", "/wallet", {"currency": "USD"})

    assert opened.status_code == 201
    assert len((await jane.get("/accounts")).json()["accounts"]) == 2


@pytest.mark.promise("S2-accounts", "lists-stable")
async def test_accounts_come_in_pages(people: People) -> None:
    jane = await people.with_wallet()
    numbers = [await jane.wallet_number(), *[await jane.open_account() for _ in range(4)]][::-1]

    seen, cursor = [], None
    while True:
        page = (
            await jane.get("/accounts", limit=2, **({"cursor": cursor} if cursor else {}))
        ).json()
        seen += [item["account_number"] for item in page["accounts"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    skipped = (await jane.get("/accounts", limit=2, offset=3)).json()

    assert seen == numbers
    assert [item["account_number"] for item in skipped["accounts"]] == numbers[3:]


@pytest.mark.promise("S2-accounts", "S0-14")
async def test_opening_under_a_key_opens_once(people: People) -> None:
    jane, key = await people.sign_up(), str(uuid4())

    first, again = [
        await jane.send("POST", "/accounts", {"currency": "NGN"}, key=key) for _ in range(2)
    ]

    assert first.content == again.content
    assert again.headers["Idempotency-Replayed"] == "true"
    other = await jane.send("POST", "/accounts", {"currency": "USD"}, key=key)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    assert len((await jane.get("/accounts")).json()["accounts"]) == 1


@pytest.mark.promise("S2-accounts")
async def test_an_empty_account_is_closed_and_stays_readable(people: People) -> None:
    jane = await people.with_wallet(100)
    wallet, number = await jane.wallet_number(), await jane.open_account()
    assert (await jane.send_money(wallet, number, 10)).status_code == 201

    refused = await jane.send("DELETE", f"/accounts/{number}")
    assert (refused.status_code, refused.json()["code"]) == (409, "wallet_not_empty")
    await jane.send_money(number, wallet, 10)
    closed = await jane.send("DELETE", f"/accounts/{number}")

    assert closed.status_code == 200
    assert closed.json() == {"message": f"account {number} closed"}
    assert (await jane.get(f"/accounts/{number}")).json()["closed_at"] is not None
    assert len((await jane.get(f"/accounts/{number}/ledger")).json()["entries"]) == 2
    assert [
        item["account_number"] for item in (await jane.get("/accounts")).json()["accounts"]
    ] == [wallet]
    again = await jane.send("DELETE", f"/accounts/{number}")
    assert (again.status_code, again.json()["code"]) == (404, "account_not_found")
    gone = await jane.send_money(wallet, number, 10)
    assert (gone.status_code, gone.json()["code"]) == (404, "recipient_not_found")


@pytest.mark.promise("S2-accounts")
async def test_nobody_opens_more_than_a_hundred(people: People) -> None:
    jane = await people.with_wallet()
    for _ in range(99):
        await jane.open_account()

    refused = await jane.send("POST", "/accounts", {"currency": "NGN"})

    assert (refused.status_code, refused.json()["code"]) == (409, "too_many_accounts")


@pytest.mark.promise("S2-ledger")
async def test_a_ledger_shows_every_entry_with_its_balance(people: People) -> None:
    jane = await people.with_wallet(100)
    wallet, number = await jane.wallet_number(), await jane.open_account()
    sent = (await jane.send_money(wallet, number, 30, description="for later")).json()
    await jane.send_money(number, wallet, 5)

    entries = (await jane.get(f"/accounts/{number}/ledger")).json()["entries"]
    first = (await jane.get(f"/accounts/{number}/ledger", limit=1)).json()
    rest = (await jane.get(f"/accounts/{number}/ledger", cursor=first["next_cursor"])).json()

    assert [
        (item["type"], item["entry_type"], item["amount"], item["balance"]) for item in entries
    ] == [("transfer", "DEBIT", 5, 25), ("transfer", "CREDIT", 30, 30)]
    assert first["entries"] + rest["entries"] == entries
    assert rest["next_cursor"] is None
    assert entries[1]["transfer_id"] == sent["id"]
    assert entries[1]["description"] == "for later"
    [opening] = (await jane.get(f"/accounts/{wallet}/ledger", offset=2)).json()["entries"]
    assert (opening["type"], opening["transfer_id"]) == ("deposit", None)
    # A cursor belongs to its own list.
    foreign = await jane.get("/accounts", cursor=first["next_cursor"])
    assert (foreign.status_code, foreign.json()["code"]) == (422, "cursor_invalid")


@pytest.mark.promise("S2-balance-at")
async def test_a_balance_is_told_as_it_was(people: People) -> None:
    jane = await people.with_wallet(100)
    number = await jane.wallet_number()
    for amount in (10, 20):
        await jane.withdraw(amount)
    times = [
        entry["created_at"]
        for entry in (await jane.get(f"/accounts/{number}/ledger")).json()["entries"]
    ][::-1]

    async def at(time: str) -> object:
        return (await jane.get(f"/accounts/{number}/balance", at=time)).json()["balance"]

    assert [await at(time) for time in times] == [100, 90, 70]
    before = datetime.fromisoformat(times[1]).replace(microsecond=0)
    assert await at("2020-01-01T00:00:00Z") == 0
    assert await at("2099-01-01T01:00:00+01:00") == 70
    assert await at(before.astimezone(UTC).isoformat()) in {0, 100}
    now = (await jane.get(f"/accounts/{number}/balance")).json()
    assert now | {"at": ""} == {
        "account_number": number,
        "balance": 70,
        "currency": "NGN",
        "at": "",
    }


@pytest.mark.promise("S2-check-digit")
@pytest.mark.parametrize("path", ["", "/balance", "/ledger"])
async def test_a_mistyped_number_is_told_before_anything_is_looked_up(
    people: People, path: str
) -> None:
    jane = await people.with_wallet()
    number = await jane.wallet_number()
    mistyped = number[:-1] + str((int(number[-1]) + 1) % 10)

    response = await jane.get(f"/accounts/{mistyped}{path}")

    assert response.status_code == 422
    assert response.json()["errors"][0]["field"] == "account_number"


@pytest.mark.promise("S2-balance-at")
@pytest.mark.parametrize("query", ["at=now", "at=2026-01-01", "at=1700000000", "at=", "when=1"])
async def test_a_time_is_rfc_3339(people: People, query: str) -> None:
    jane = await people.with_wallet()
    name, _, value = query.partition("=")

    response = await jane.get(f"/accounts/{await jane.wallet_number()}/balance", **{name: value})

    assert (response.status_code, response.json()["code"]) == (422, "invalid_request")
