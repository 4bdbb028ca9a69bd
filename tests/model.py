"""What a wallet service is, in thirty lines: the model that the real one is compared with."""

from dataclasses import dataclass, field


@dataclass
class Model:
    """Balances of open wallets, and what each person's keys were answered."""

    balances: dict[int, int] = field(default_factory=dict)
    outside: int = 0
    answers: dict[tuple[int, str], tuple[str, int]] = field(default_factory=dict)

    def ask(
        self, person: int, key: str, what: str, amount: int = 0, to: int = 0, *, wallet: int = 0
    ) -> int:
        """Return the status that a request must have, and do what it asks.

        `wallet` is the id that a transfer to `to` names: with another id it is another request.
        """
        asked = f"{what} {amount} {wallet if what == 'transfer' else ''}"
        known = self.answers.get((person, key))
        if known is not None:
            return known[1] if known[0] == asked else 422
        status = self._do(person, what, amount, to)
        self.answers[person, key] = (asked, status)
        return status

    def _do(self, person: int, what: str, amount: int, to: int) -> int:
        if what == "open":
            return 409 if person in self.balances else self._move(None, person, amount, 201)
        if person not in self.balances or (what == "transfer" and to not in self.balances):
            return 404
        if what == "close":
            return 409 if self.balances[person] else self.balances.pop(person) or 200
        if what == "transfer" and to == person:
            return 422
        if what != "deposit" and self.balances[person] < amount:
            return 402
        source = None if what == "deposit" else person
        target = {"deposit": person, "withdraw": None}.get(what, to)
        return self._move(source, target, amount, 200)

    def _move(self, source: int | None, target: int | None, amount: int, status: int) -> int:
        for who, change in ((source, -amount), (target, amount)):
            if who is None:
                self.outside += change
            else:
                self.balances[who] = self.balances.get(who, 0) + change
        return status
