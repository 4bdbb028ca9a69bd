"""After a storm: the journal, the ledger, the API, the rules of money and the mail must agree."""

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import httpx

from core.commands import HOUSE
from tests.faults.books import Books, Line
from tests.faults.draws import holder
from tests.faults.journal import CREDITS, NO_HOLDER, NO_WALLET, Journal, Request, Told, to_minor
from tests.faults.storm import Storm
from tests.people import Person

REPLAYED_AT_ONCE = 20
TYPES = {"deposit": "deposit", "withdraw": "withdrawal", "transfer": "transfer"}
INCOMING = {"deposit", "top_up", "bonus"}

TRANSACTIONS = """
SELECT transactions.*, user_id, external_user_id
FROM transactions JOIN wallets ON wallets.id = wallet_id
LEFT JOIN credit_holders ON credit_holders.id = holder_id
ORDER BY transactions.id
"""
SNAPSHOTS = "SELECT transaction_id, wallet_id, balance_snapshot_minor FROM entries"
KEYS = "SELECT principal_id, key, status, body FROM idempotency_keys"
WALLETS = "SELECT id, user_id, balance_minor, closed_at FROM wallets WHERE user_id IS NOT NULL"
HOLDERS = """
SELECT external_user_id, balance_minor
FROM credit_holders JOIN wallets ON credit_holders.id = holder_id
"""

CREDITS_AFTER = """
SELECT transaction_id, balance_snapshot_minor
FROM entries JOIN wallets ON wallets.id = wallet_id WHERE holder_id IS NOT NULL
"""


async def settle_the_abandoned(storm: Storm, books: Books) -> None:
    """Ask what became of operations whose callers never came back, and write it down.

    What the ledger had done must be replayed, and nothing else may claim to be.
    """
    known = {(row["principal_id"], row["key"]) for row in await books.lines(KEYS)}
    for request in storm.journal.unanswered():
        response = await storm.until_final(request)
        was_done = (storm.principal_id(request), request.key) in known
        if was_done != response.is_replay:
            storm.journal.wrong.append(f"{request}: done {was_done}, {response.headers}")
        storm.journal.counts["abandoned, yet done"] += was_done
        storm.journal.note_answer(request, response)


async def replay_everything(storm: Storm) -> Counter[str]:
    """Send everything once more, to one process; each answer must be the first one, as a replay.

    Returns where people's were found: `DB`, or `HIT` for Redis, which does not answer for credits.
    """
    requests = iter(list(storm.journal.sent.values()))
    found: Counter[str] = Counter()

    async def replay() -> None:
        for request in requests:
            response = await storm.until_final(request, first=0)
            if not response.is_replay:
                storm.journal.wrong.append(f"{request} was not replayed but told {response}")
                continue
            where = response.headers["x-cache-lookup"]
            storm.journal.counts[f"replayed from {where}"] += 1
            found[where] += not request.is_about_credits
            storm.journal.note_answer(request, response)

    await asyncio.gather(*[replay() for _ in range(REPLAYED_AT_ONCE)])
    return found


async def compare_with_ledger(
    journal: Journal, people: Sequence[Person], books: Books
) -> Iterator[str]:
    """Return every difference between what was answered and what is booked."""
    ids = [person.id for person in people]
    told = [(request, journal.told[name]) for name, request in journal.sent.items()]
    transactions = await books.lines(TRANSACTIONS)
    wallets = await books.lines(WALLETS)
    snapshots = {
        (row["transaction_id"], row["wallet_id"]): row["balance_snapshot_minor"]
        for row in await books.lines(SNAPSHOTS)
    }
    return iter(
        [
            *await _different_keys(told, ids, books),
            *_differences(
                "transactions",
                [line for request, answer in told for line in _expected(request, answer, ids)],
                [_booked(row) for row in transactions],
            ),
            *_differences(
                "balances",
                _balances_told(told).items(),
                [(row["id"], row["balance_minor"]) for row in wallets],
            ),
            *_differences(
                "credits",
                _credits_told(told).items(),
                [
                    (row["external_user_id"], row["balance_minor"])
                    for row in await books.lines(HOLDERS)
                ],
            ),
            *_differences(
                "closed wallets",
                [ids[item.person] for item, answer in told if _closed(item, answer)],
                [row["user_id"] for row in wallets if row["closed_at"]],
            ),
            *_differences(
                "balances after",
                [line for _, answer in told for line in _snapshot_told(answer)],
                [line for _, answer in told for line in _snapshot_of(answer, snapshots)],
            ),
            *_differences(
                "credits after",
                journal.credits_after.items(),
                [
                    (row["transaction_id"], row["balance_snapshot_minor"])
                    for row in await books.lines(CREDITS_AFTER)
                    if row["transaction_id"] in journal.credits_after
                ],
            ),
            *_wrongly_refused(transactions),
        ]
    )


async def _different_keys(
    told: Sequence[tuple[Request, Told]], ids: Sequence[int], books: Books
) -> Iterator[str]:
    """Yield where the ledger's memory of a key is not what its caller was told."""
    asked = {
        (HOUSE if request.is_about_credits else ids[request.person], request.key): request
        for request, _ in told
    }
    expected = [
        (name, answer.status, answer.body) for name, (_, answer) in zip(asked, told, strict=True)
    ]
    found = []
    for row in await books.lines(KEYS):
        name, body = (row["principal_id"], row["key"]), row["body"].encode()
        request = asked.get(name)
        found.append((name, row["status"], request.lasting(body) if request else body))
    return _differences("keys", expected, found)


async def broken_rules(database_url: str) -> list[str]:
    """Return which rules of money do not hold, and where."""
    books = Books(database_url)
    try:
        return await books.broken_rules()
    finally:
        await books.close()


async def wrong_balances(
    people: Sequence[Person], client: httpx.AsyncClient, books: Books
) -> list[str]:
    """Return whose `GET /wallet` is not what the ledger says, or is below zero."""
    rows = await books.lines(WALLETS)
    open_minor = {row["user_id"]: row["balance_minor"] for row in rows if not row["closed_at"]}
    wrong = []
    for person in people:
        response = await client.get("/wallet", headers=person.headers)
        shown = to_minor(response.json()["balance"]) if response.status_code == 200 else None
        if shown != open_minor.get(person.id) or (shown or 0) < 0:
            wrong.append(f"{person.id} is shown {shown}, has {open_minor.get(person.id)}")
    return wrong


def _expected(request: Request, answer: Told, ids: Sequence[int]) -> Iterator[tuple[Any, ...]]:
    """Yield the transaction that must be booked for an answer, if there must be one."""
    value, minor = answer.value, request.amount_minor
    if request.is_about_credits:
        if answer.outcome != NO_HOLDER:
            code = value.get("code")
            state = "FAILED" if code else "SUCCESS"
            yield (request.kind, state, holder(request.person), minor, code, None)
        return
    user_id = ids[request.person]
    if request.kind == "open" and answer.status == 201 and minor:
        yield ("deposit", "SUCCESS", user_id, minor, value["id"], None)
    if request.kind not in TYPES or answer.outcome == NO_WALLET:
        return
    if answer.status == 200:
        other = value.get("recipient_wallet_id")
        yield (TYPES[request.kind], "SUCCESS", user_id, minor, value["wallet_id"], other)
    else:
        yield (TYPES[request.kind], "FAILED", user_id, minor, value["code"], None)


def _booked(row: Line) -> tuple[Any, ...]:
    who = row["external_user_id"] or row["user_id"]
    line = (row["type"], row["state"], who, row["amount_minor"])
    if row["state"] == "FAILED" or row["type"] in CREDITS:
        return (*line, row["failure_code"], None)
    return (*line, row["wallet_id"], row["counterparty_wallet_id"])


def _balances_told(told: Sequence[tuple[Request, Told]]) -> dict[int, int]:
    """Return what each wallet must hold by the answers alone."""
    balances: Counter[int] = Counter()
    for request, answer in told:
        value, minor = answer.value, request.amount_minor
        if request.kind == "open" and answer.status == 201:
            balances[value["id"]] += minor
        elif answer.status == 200 and request.kind in TYPES:
            balances[value["wallet_id"]] += minor if request.kind == "deposit" else -minor
            if request.kind == "transfer":
                balances[value["recipient_wallet_id"]] += minor
    return dict(balances)


def _credits_told(told: Sequence[tuple[Request, Told]]) -> dict[str, int]:
    """Return what each holder must hold by the answers alone."""
    held: Counter[str] = Counter()
    for request, answer in told:
        if request.is_about_credits and answer.status == 201:
            minor = request.amount_minor
            held[holder(request.person)] += minor if request.kind in INCOMING else -minor
    return dict(held)


def _closed(request: Request, answer: Told) -> bool:
    return request.kind == "close" and answer.status == 200


def _snapshot_told(answer: Told) -> Iterator[tuple[int, int, int]]:
    if answer.status == 200 and "transaction_id" in answer.value:
        value = answer.value
        yield value["transaction_id"], value["wallet_id"], to_minor(value["current_balance"])


def _snapshot_of(
    answer: Told, snapshots: dict[tuple[int, int], int]
) -> Iterator[tuple[int, int, int | None]]:
    for transaction_id, wallet_id, _ in _snapshot_told(answer):
        yield transaction_id, wallet_id, snapshots.get((transaction_id, wallet_id))


def _wrongly_refused(transactions: Sequence[Line]) -> Iterator[str]:
    """Play the ledger in its own order, and yield who had enough and was told otherwise."""
    balances: Counter[int] = Counter()
    for row in transactions:
        wallet, minor = row["wallet_id"], row["amount_minor"]
        if row["failure_code"] == "insufficient_funds" and balances[wallet] >= minor:
            yield f"{dict(row)} was refused, and there were {balances[wallet]}"
        if row["state"] != "SUCCESS":
            continue
        balances[wallet] += minor if row["type"] in INCOMING else -minor
        if row["type"] == "transfer":
            balances[row["counterparty_wallet_id"]] += minor
        if balances[wallet] < 0:
            yield f"{dict(row)} left {balances[wallet]}"


def _differences(what: str, expected: Any, found: Any) -> Iterator[str]:
    """Compare as multisets: what is missing, and what is there too often or should not be."""
    expected_counts, found_counts = Counter(expected), Counter(found)
    for line, count in (expected_counts - found_counts).items():
        yield f"{what}: {count} × {line} is missing"
    for line, count in (found_counts - expected_counts).items():
        yield f"{what}: {count} × {line} is too much"
