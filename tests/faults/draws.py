"""What the clients of a storm do next: drawn from the seed and the number of the operation."""

import random
from dataclasses import dataclass, replace
from typing import Literal

from tests.faults.journal import CREDITS, Journal, Kind, Request
from tests.services import GOLD, path_of

CURRENCY = "NGN"
RECENT = 300
# Weights; a wallet is emptied, which then may be closed, more often than chance would have it.
ACTS = {
    "deposit": 22,
    "withdraw": 17,
    "transfer": 27,
    "open": 7,
    "close": 5,
    "empty": 7,
    "top_up": 5,
    "bonus": 3,
    "spend": 7,
}
# Most are sent and repeated until they are answered. Some callers hang up and ask again, some hang
# up and never do, some ask two processes at once.
MANNERS = {"patient": 90, "hangs up": 5, "walks away": 2, "asks twice": 3}

Manner = Literal["patient", "hangs up", "walks away", "asks twice"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """An operation and how its caller behaves; `patience_seconds` is when they hang up.

    `is_misuse`: the key stands for another request already, and the answer must say so.
    """

    request: Request
    manner: Manner
    patience_seconds: float
    is_repeat: bool = False
    is_misuse: bool = False


def draw(seed: int, number: int, journal: Journal, *, people: int) -> Act:
    """Return operation `number`: new, or about one time in ten a key that was used before."""
    chance = random.Random(f"{seed}/{number}")
    manner: Manner = chance.choices([*MANNERS], [*MANNERS.values()])[0]  # type: ignore[assignment]  # its keys
    act = Act(
        request=_new_request(chance, number, journal, people=people),
        manner=manner,
        patience_seconds=chance.uniform(0.001, 0.03),
    )
    roll = chance.random()
    if number >= people and roll < 0.08:
        # Perhaps still under way, perhaps never answered.
        earlier = chance.choice([*journal.sent.values()][-RECENT:])
        return replace(act, request=earlier, is_repeat=True)
    if number >= people and roll < 0.10:
        request = act.request
        # A service's keys are the house's: under a person's they would be nothing but new.
        family = [
            earlier
            for earlier in journal.answered[-RECENT:]
            if earlier.is_about_credits == request.is_about_credits
        ]
        if family and request.kind in {"deposit", "withdraw", "transfer", *CREDITS}:
            key = chance.choice(family)
            # Its amount is nobody else's, so this is certainly another body.
            misused = replace(request, person=key.person, key=key.key)
            return replace(act, request=misused, manner="patient", is_misuse=True)
    return act


def holder(number: int) -> str:
    """Return under which name a service gives credits to the holder of that number."""
    return f"holder-{number}"


def _new_request(chance: random.Random, number: int, journal: Journal, *, people: int) -> Request:
    if number < people:
        return _request("open", number, number, amount_minor=50_000 + number)
    person = chance.randrange(people)
    act = chance.choices([*ACTS], [*ACTS.values()])[0]
    # All of about the same size and each of them once: an amount tells whose it is.
    amount_minor = 10_000 + number
    if act == "empty":
        left = journal.balances_minor.get(person, 0)
        return _request("withdraw", person, number, amount_minor=left or amount_minor)
    if act == "open":
        amount_minor *= chance.randrange(2)
    kind: Kind = act  # type: ignore[assignment]  # of the others, each is a kind
    # Half of all transfers go to one person, whose wallet everybody waits for.
    to_person = 0 if chance.random() < 0.5 else chance.randrange(people)
    to_wallet_id = journal.wallet_ids.get(to_person, 1)
    return _request(kind, person, number, amount_minor=amount_minor, to_wallet_id=to_wallet_id)


def _request(
    kind: Kind, person: int, number: int, *, amount_minor: int, to_wallet_id: int = 0
) -> Request:
    amount = f"{amount_minor // 100}.{amount_minor % 100:02}"
    body: dict[str, object] | None = {"currency": CURRENCY, "amount": amount}
    method, path = "PATCH", f"/transaction/{kind}"
    if kind == "transfer":
        body = {**(body or {}), "to_account_id": to_wallet_id}
    elif kind == "open":
        method, path, body = "POST", "/wallet", {"currency": CURRENCY, "balance": amount}
    elif kind == "close":
        method, path, body, amount_minor = "DELETE", "/wallet", None, 0
    elif kind in CREDITS:
        method, path = "POST", path_of(holder(person), kind.replace("_", "-"))
        body = {"amount": amount_minor, "asset_type_id": GOLD}
    return Request(
        kind=kind,
        person=person,
        key=f"operation-{number}",
        method=method,
        path=path,
        body=body,
        amount_minor=amount_minor,
    )
