"""Credits of a closed loop, over HTTP: given, taken, shown, proved, and nothing else."""

from typing import Any

import httpx
import pytest

from core.verification import verify_rules
from db.session import Database
from tests.api_keys import made_key
from tests.services import DIAMONDS, GOLD, POINTS, Service, open_service, path_of, somebody


@pytest.fixture
async def service(client: httpx.AsyncClient, database: Database) -> Service:
    return await open_service(client, database)


@pytest.mark.promise("S4-assets")
async def test_the_assets_there_are(service: Service) -> None:
    listed = (await service.get("/api/v1/assets")).json()

    assert listed[:3] == [
        {"id": GOLD, "code": "GOLD", "name": "Gold Coins", "scale": 0},
        {"id": DIAMONDS, "code": "DMND", "name": "Diamonds", "scale": 0},
        {"id": POINTS, "code": "PTS", "name": "Loyalty Points", "scale": 0},
    ]
    # Currencies are assets too, but no credits.
    assert "NGN" not in [asset["code"] for asset in listed]


@pytest.mark.promise("S4-top-up", "S4-balance")
async def test_the_first_top_up_makes_somebody_known(service: Service) -> None:
    user = somebody()
    unknown = await service.get(path_of(user, "balance"), asset_type_id=GOLD)
    assert (unknown.status_code, unknown.json()["code"]) == (404, "user_not_found")

    response = await service.move("top-up", user, 100)

    assert response.status_code == 201, response.text
    told = response.json()
    assert isinstance(told.pop("transaction_id"), int)
    assert told.pop("created_at").endswith("Z")
    assert told == {
        "external_user_id": user,
        "asset_type_id": GOLD,
        "type": "top_up",
        "amount": 100,
        "new_balance": 100,
    }
    shown = (await service.get(path_of(user, "balance"), asset_type_id=GOLD)).json()
    assert isinstance(shown.pop("account_id"), int)
    assert shown == {"external_user_id": user, "asset_type_id": GOLD, "balance": 100}


@pytest.mark.promise("S4-bonus", "S4-balance")
async def test_the_first_bonus_does_as_well_and_assets_are_apart(service: Service) -> None:
    user = somebody()

    given = await service.move("bonus", user, 7, DIAMONDS)

    assert given.status_code == 201, given.text
    assert (given.json()["type"], given.json()["new_balance"]) == ("bonus", 7)
    assert await service.balance(user, DIAMONDS) == 7
    # Known, and without any of it: nothing, rather than unknown.
    shown = (await service.get(path_of(user, "balance"), asset_type_id=GOLD)).json()
    assert (shown["balance"], shown["account_id"]) == (0, None)


@pytest.mark.promise("S4-spend")
async def test_spending_takes_what_is_there_and_not_more(service: Service) -> None:
    user = somebody()
    await service.move("top-up", user, 30)

    spent = await service.move("spend", user, 20)
    refused = await service.move("spend", user, 11)
    never_had = await service.move("spend", user, 1, DIAMONDS)
    rest = await service.move("spend", user, 10)

    assert (spent.status_code, spent.json()["type"]) == (201, "spend")
    assert (spent.json()["amount"], spent.json()["new_balance"]) == (20, 10)
    assert (refused.status_code, refused.json()["code"]) == (402, "insufficient_funds")
    assert (never_had.status_code, never_had.json()["code"]) == (402, "insufficient_funds")
    assert (rest.status_code, rest.json()["new_balance"]) == (201, 0)


@pytest.mark.promise("S4-spend")
async def test_who_and_what_is_unknown(service: Service) -> None:
    user, known = somebody(), somebody()
    await service.move("top-up", known, 1)

    spent = await service.move("spend", user, 1)
    assert (spent.status_code, spent.json()["code"]) == (404, "user_not_found")
    for what in ("transactions", "ledger"):
        listed = await service.get(path_of(user, what))
        assert (listed.status_code, listed.json()["code"]) == (404, "user_not_found")
    # 1001 and above are currencies.
    for asset in (4711, 999, 1001):
        for what in ("top-up", "bonus", "spend"):
            moved = await service.move(what, known, 1, asset)
            assert (moved.status_code, moved.json()["code"]) == (404, "asset_not_found")
        for what in ("balance", "transactions", "ledger"):
            listed = await service.get(path_of(known, what), asset_type_id=asset)
            assert (listed.status_code, listed.json()["code"]) == (404, "asset_not_found")
    # Nobody was made by the way.
    assert (await service.get(path_of(user, "balance"), asset_type_id=1)).status_code == 404


@pytest.mark.promise("S4-transactions")
async def test_transactions_are_listed_failed_ones_too(service: Service) -> None:
    user = somebody()
    await service.move("top-up", user, 30)
    await service.move("spend", user, 31)
    await service.move("bonus", user, 5, DIAMONDS)
    await service.move("spend", user, 10)

    found = await service.transactions(user)

    told = [
        (item["type"], item["amount"], item["asset_type_id"], item["state"], item["failure_code"])
        for item in found
    ]
    assert told == [
        ("spend", 10, GOLD, "SUCCESS", None),
        ("bonus", 5, DIAMONDS, "SUCCESS", None),
        ("spend", 31, GOLD, "FAILED", "insufficient_funds"),
        ("top_up", 30, GOLD, "SUCCESS", None),
    ]
    of_diamonds = await service.transactions(user, asset_type_id=DIAMONDS)
    assert of_diamonds == [found[1]]
    assert await service.transactions(user, asset_type_id=POINTS) == []


@pytest.mark.promise("S4-ledger", "S4-proof")
async def test_signed_entries_add_up_to_each_balance(service: Service) -> None:
    user = somebody()
    await service.move("top-up", somebody(), 7)
    for what, amount, asset in (
        ("top-up", 30, GOLD),
        ("bonus", 5, DIAMONDS),
        ("spend", 10, GOLD),
        ("spend", 99, GOLD),
        ("spend", 2, DIAMONDS),
        ("bonus", 1, GOLD),
    ):
        await service.move(what, user, amount, asset)

    entries = await service.ledger(user)

    told = [(item["type"], item["entry_type"], item["amount"], item["balance"]) for item in entries]
    assert told == [
        ("bonus", "CREDIT", 1, 21),
        ("spend", "DEBIT", -2, 3),
        ("spend", "DEBIT", -10, 20),
        ("bonus", "CREDIT", 5, 5),
        ("top_up", "CREDIT", 30, 30),
    ]
    for asset in (GOLD, DIAMONDS):
        of_asset = await service.ledger(user, asset_type_id=asset)
        assert of_asset == [item for item in entries if item["asset_type_id"] == asset]
        assert sum(item["amount"] for item in of_asset) == await service.balance(user, asset)
        assert of_asset[0]["balance"] == await service.balance(user, asset)


@pytest.mark.promise("S4-ledger", "S4-transactions", "lists-stable")
@pytest.mark.parametrize(
    ("what", "name"), [("transactions", "transactions"), ("ledger", "entries")]
)
async def test_pages_by_offset_and_by_cursor_are_the_same(
    service: Service, what: str, name: str
) -> None:
    user = somebody()
    for number in range(1, 8):
        await service.move("top-up", user, number, 1 + number % 2)
    everything = (await service.get(path_of(user, what))).json()
    assert (everything["limit"], everything["offset"], everything["next_cursor"]) == (10, 0, None)
    rows = everything[name]
    assert [row["amount"] for row in rows] == [7, 6, 5, 4, 3, 2, 1]

    cursor, by_cursor, by_offset = None, [], []
    for offset in (0, 3, 6):
        page = (await service.get(path_of(user, what), limit=3, offset=offset)).json()
        by_offset += page[name]
        parameters: dict[str, Any] = {"limit": 3} | ({"cursor": cursor} if cursor else {})
        page = (await service.get(path_of(user, what), **parameters)).json()
        by_cursor += page[name]
        cursor = page["next_cursor"]

    assert cursor is None
    assert by_cursor == by_offset == rows
    wrong = await service.get(path_of(user, what), cursor="nonsense")
    assert (wrong.status_code, wrong.json()["code"]) == (422, "cursor_invalid")


@pytest.mark.promise("S4-same-key")
@pytest.mark.parametrize("place", ["key", "header_key"])
async def test_the_same_key_is_the_same_transaction_with_the_present_balance(
    service: Service, place: str
) -> None:
    user, key = somebody(), somebody()
    first = await service.move("top-up", user, 100, **{place: key})
    await service.move("spend", user, 30)

    again = await service.move("top-up", user, 100, **{place: key})

    assert (first.status_code, again.status_code) == (201, 201)
    assert first.headers["X-Cache-Lookup"] == "MISS"
    assert again.headers["X-Cache-Lookup"] == "DB"
    assert again.headers["Idempotency-Replayed"] == "true"
    assert again.json() == first.json() | {"new_balance": 70}
    assert await service.balance(user) == 70


@pytest.mark.promise("S4-same-key")
async def test_the_key_may_come_either_way_and_in_both_if_they_agree(service: Service) -> None:
    user, key = somebody(), somebody()
    first = await service.move("top-up", user, 5, key=key)

    for ways in ({"header_key": key}, {"key": key, "header_key": key}):
        again = await service.move("top-up", user, "5.0", **ways)
        assert again.json() == first.json()
    differing = await service.move("top-up", user, 5, key=key, header_key=f"{key}x")
    assert (differing.status_code, differing.json()["code"]) == (400, "idempotency_key_invalid")
    assert await service.balance(user) == 5


@pytest.mark.promise("S4-same-key")
async def test_the_same_key_for_something_else_is_refused(service: Service) -> None:
    user, other, key = somebody(), somebody(), somebody()
    await service.move("top-up", user, 5, key=key)

    for what, whom, amount, asset in (
        ("top-up", other, 5, GOLD),
        ("top-up", user, 6, GOLD),
        ("top-up", user, 5, DIAMONDS),
        ("bonus", user, 5, GOLD),
        ("spend", user, 5, GOLD),
    ):
        refused = await service.move(what, whom, amount, asset, key=key)
        assert (refused.status_code, refused.json()["code"]) == (422, "idempotency_key_reused")
    assert await service.balance(user) == 5
    assert (await service.get(path_of(other, "balance"), asset_type_id=1)).status_code == 404


@pytest.mark.promise("S4-same-key")
async def test_without_a_key_each_request_counts(service: Service) -> None:
    user = somebody()

    told = [(await service.move("top-up", user, 5)).json() for _ in range(3)]

    assert [item["new_balance"] for item in told] == [5, 10, 15]
    assert len({item["transaction_id"] for item in told}) == 3


@pytest.mark.promise("S4-same-key")
async def test_a_refusal_stays_refused(service: Service) -> None:
    user, key = somebody(), somebody()
    await service.move("top-up", user, 5)
    first = await service.move("spend", user, 6, key=key)
    await service.move("top-up", user, 5)

    again = await service.move("spend", user, 6, key=key)

    assert first.status_code == again.status_code == 402
    assert again.content == first.content
    assert await service.balance(user) == 10


@pytest.mark.promise("S4-same-key", "key-scope")
async def test_a_key_belongs_to_the_house_and_not_to_one_of_its_api_keys(
    service: Service, database: Database
) -> None:
    """Whoever replaces an API key may repeat what was sent under the old one."""
    user, key = somebody(), somebody()
    first = await service.move("top-up", user, 5, key=key)
    renewed = Service(service.client, (await made_key(database)).text)

    assert (await renewed.move("top-up", user, 5, key=key)).json() == first.json()


@pytest.mark.promise("S4-services-only")
async def test_names_of_somebody_may_be_any_visible_ascii(service: Service) -> None:
    for name, sent in {
        "a": "a",
        "x" * 128: "x" * 128,
        "jane@example.com": "jane%40example.com",
        "auth0|5f7c#1?a=b&c": "auth0%7C5f7c%231%3Fa=b%26c",
        "100%": "100%25",
        "'; DROP TABLE wallets; --".replace(" ", "_"): "';_DROP_TABLE_wallets;_--",
        "...": "...",
        '~!$()*,;:[]{}<>^`\\"': "~!$()*,;:[]%7B%7D%3C%3E%5E%60%5C%22",
    }.items():
        response = await service.move("top-up", sent, 1)

        assert response.status_code == 201, (name, response.text)
        assert response.json()["external_user_id"] == name


@pytest.mark.promise("S4-proof")
async def test_the_rules_of_money_hold_for_credits(service: Service, database: Database) -> None:
    user = somebody()
    await service.move("top-up", user, 5)
    await service.move("spend", user, 2)

    assert [result.rule.name async for result in verify_rules(database) if not result.holds] == []
