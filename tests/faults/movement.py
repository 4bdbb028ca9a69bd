"""One movement of money, sent under one key until it is done, and what it must leave behind."""

import asyncio
import itertools
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import asyncpg

from tests.faults.journal import to_minor
from tests.faults.storm import is_final
from tests.faults.wire import Response, Wire
from tests.people import Person

Kind = Literal["deposit", "withdraw", "transfer"]
KINDS: tuple[Kind, ...] = ("deposit", "withdraw", "transfer")
PATIENCE_SECONDS = 15.0
IN_FLIGHT_LIMIT = 20
RETRY_AFTER_SECONDS = 1
_amounts_minor = itertools.count(1001)
DONE = 200
UNKNOWN = 503

EFFECT = """
SELECT COUNT(DISTINCT transactions.id) AS transactions, COUNT(entries.id) AS entries,
    COUNT(DISTINCT idempotency_keys.key) AS keys
FROM transactions
    LEFT JOIN entries ON entries.transaction_id = transactions.id
    LEFT JOIN idempotency_keys ON idempotency_keys.transaction_id = transactions.id
        AND idempotency_keys.key = $3
WHERE transactions.wallet_id = $1 AND transactions.amount_minor = $2
"""
BALANCES = "SELECT id, balance_minor FROM wallets WHERE id = ANY($1)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Movement:
    """A movement of `sender`, whose amount no other movement has: it finds the transaction."""

    kind: Kind
    sender: Person
    receiver: Person
    key: str
    amount_minor: int

    async def send(self, wire: Wire) -> Response | None:
        """Send it once; None when no whole answer came."""
        body: dict[str, object] = {"amount": self.amount_minor / 100, "currency": "NGN"}
        if self.kind == "transfer":
            body["to_account_id"] = self.receiver.wallet_id
        headers = self.sender.headers | {"X-Idempotency-Key": self.key}
        path = f"/transaction/{self.kind}"
        try:
            return await wire.ask("PATCH", path, headers, body, timeout_seconds=PATIENCE_SECONDS)
        except (OSError, EOFError):
            return None

    async def send_until_known(self, wire: Wire) -> Response | None:
        """Send it until it is no longer said to be in flight, as late as Retry-After says."""
        answer = await self.send(wire)
        for _ in range(IN_FLIGHT_LIMIT):
            if answer is None or is_final(answer) or answer.status == UNKNOWN:
                break
            await asyncio.sleep(RETRY_AFTER_SECONDS)
            answer = await self.send(wire)
        return answer

    def changes(self) -> dict[int, int]:
        """Return by how much it must change each balance."""
        sender = self.amount_minor if self.kind == "deposit" else -self.amount_minor
        receiver = self.amount_minor if self.kind == "transfer" else 0
        return {self.sender.wallet_id: sender, self.receiver.wallet_id: receiver}

    async def balances(self, connection: asyncpg.Connection) -> dict[int, int]:
        """Return the balances of both."""
        ids = [self.sender.wallet_id, self.receiver.wallet_id]
        return dict(tuple(row) for row in await connection.fetch(BALANCES, ids))

    async def offences(
        self,
        wire: Wire,
        connection: asyncpg.Connection,
        *,
        before: Mapping[int, int],
        first: Response | None,
    ) -> list[str]:
        """Send it again, twice, and return all that is not one effect and one answer.

        `before` are the balances before `first`, the first answer, if there was one.
        """
        wrong = []
        if first is not None and first.status not in {DONE, UNKNOWN}:
            wrong.append(f"first told {first}")
        answers = [await self.send_until_known(wire), await self.send(wire)]
        bodies = {answer.body for answer in answers if answer and answer.status == DONE}
        if first is not None and first.status == DONE:
            bodies.add(first.body)
        if len(bodies) != 1 or not answers[1] or not answers[1].is_replay:
            wrong.append(f"told {first}, then {answers}")
        effect: Any = await connection.fetchrow(
            EFFECT, self.sender.wallet_id, self.amount_minor, self.key
        )
        if tuple(effect) != (1, 2, 1):
            wrong.append(f"left {dict(effect)}")
        after = await self.balances(connection)
        expected = {wallet: before[wallet] + change for wallet, change in self.changes().items()}
        if after != expected:
            wrong.append(f"left balances {after}, not {expected}")
        if (
            answers[1]
            and to_minor(answers[1].value.get("current_balance", -1))
            != (expected[self.sender.wallet_id])
        ):
            wrong.append(f"told {answers[1].value}, has {expected}")
        return [f"{self.kind} {self.key}: {text}" for text in wrong]


def numbered(template: Movement, number: int) -> Movement:
    """Return the same with a key and an amount of its own."""
    return replace(template, key=f"{template.key}-{number}", amount_minor=next(_amounts_minor))
