"""What the clients of a storm asked for, and what they were told: the other side of the ledger."""

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Literal

from tests.faults.wire import Response

Kind = Literal["open", "close", "deposit", "withdraw", "transfer", "top_up", "bonus", "spend"]
KeyOfPerson = tuple[int, str]

# Everything a request may finally be told, as status and code. Whatever else comes is wrong.
NO_WALLET = (404, "wallet_not_found")
NO_HOLDER = (404, "user_not_found")
CREDITS: frozenset[Kind] = frozenset({"top_up", "bonus", "spend"})
OUTCOMES: dict[Kind, set[tuple[int, str]]] = {
    "open": {(201, ""), (409, "wallet_exists")},
    "close": {(200, ""), (409, "wallet_not_empty"), NO_WALLET},
    "deposit": {(200, ""), NO_WALLET},
    "withdraw": {(200, ""), (402, "insufficient_funds"), NO_WALLET},
    "transfer": {
        (200, ""),
        (402, "insufficient_funds"),
        (404, "recipient_not_found"),
        (422, "self_transfer"),
        NO_WALLET,
    },
    "top_up": {(201, "")},
    "bonus": {(201, "")},
    "spend": {(201, ""), (402, "insufficient_funds"), NO_HOLDER},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request as it is sent and sent again: of a person, by place in the list of people, or of
    a service about the holder of credits of that number.
    """

    kind: Kind
    person: int
    key: str
    method: str
    path: str
    body: dict[str, object] | None
    amount_minor: int = 0

    @property
    def name(self) -> KeyOfPerson:
        """What tells it from all others."""
        return self.person, self.key

    @property
    def is_about_credits(self) -> bool:
        """Whether a service sends it."""
        return self.kind in CREDITS

    def lasting(self, body: bytes) -> bytes:
        """Return an answer without what is told anew each time: the credits that are held now."""
        if not self.is_about_credits:
            return body
        value = json.loads(body)
        value.pop("new_balance", None)
        return json.dumps(value).encode()


@dataclass(frozen=True, slots=True)
class Told:
    """A final answer."""

    status: int
    body: bytes

    @property
    def value(self) -> dict[str, Any]:
        """The body as JSON."""
        value: dict[str, Any] = json.loads(self.body)
        return value

    @property
    def outcome(self) -> tuple[int, str]:
        """Status and, for a refusal, its code."""
        return self.status, str(self.value.get("code", ""))


@dataclass
class Journal:
    """First final answers by key; `wrong` collects what must never happen, in words."""

    sent: dict[KeyOfPerson, Request] = field(default_factory=dict)
    told: dict[KeyOfPerson, Told] = field(default_factory=dict)
    answered: list[Request] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    wallet_ids: dict[int, int] = field(default_factory=dict)
    balances_minor: dict[int, int] = field(default_factory=dict)
    # What a holder was told to hold after a movement, by its transaction.
    credits_after: dict[int, int] = field(default_factory=dict)
    _holders: set[int] = field(default_factory=set)
    # Spends that were first sent when their holder was known to have an account.
    _of_holders: set[KeyOfPerson] = field(default_factory=set)
    _fresh: Counter[KeyOfPerson] = field(default_factory=Counter)

    def note_sent(self, request: Request) -> None:
        """Write down what is about to be asked for."""
        if request.name not in self.sent and request.person in self._holders:
            self._of_holders.add(request.name)
        self.sent.setdefault(request.name, request)

    def note_answer(self, request: Request, response: Response) -> None:
        """Write down a final answer, which must be possible and the same as any before."""
        told = Told(response.status, request.lasting(response.body))
        first = self.told.setdefault(request.name, told)
        if first is told:
            self.answered.append(request)
            self._learn(request, told)
        if first != told:
            self.wrong.append(f"{request} was told {first} and then {told}")
        is_possible = told.outcome != NO_HOLDER or request.name not in self._of_holders
        if told.outcome not in OUTCOMES[request.kind] or not is_possible:
            self.wrong.append(f"{request} was told {told}")
        if request.is_about_credits and response.status == 201 and not response.is_replay:
            value = response.value
            self.credits_after[value["transaction_id"]] = value["new_balance"]
        self._fresh[request.name] += not response.is_replay
        if self._fresh[request.name] > 1:
            self.wrong.append(f"{request} was done twice: two answers are no replays")

    def unanswered(self) -> list[Request]:
        """Return what nobody was told the outcome of."""
        return [request for name, request in self.sent.items() if name not in self.told]

    def _learn(self, request: Request, told: Told) -> None:
        """Remember wallets and balances, so that what is drawn next is likely to make sense."""
        if request.kind == "open" and told.status == 201:
            known = self.wallet_ids.get(request.person, 0)
            self.wallet_ids[request.person] = max(known, told.value["id"])
        if request.is_about_credits and told.status == 201:
            self._holders.add(request.person)
        if told.status == 200 and "current_balance" in told.value:
            self.balances_minor[request.person] = to_minor(told.value["current_balance"])


def to_minor(amount: float) -> int:
    """Return an amount of naira, as JSON carries it, in kobo."""
    return round(amount * 100)
