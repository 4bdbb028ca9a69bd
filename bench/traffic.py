"""What is sent: decks of requests that are prepared before the clock runs.

A deck is drawn at random once and played round and round, by whichever generator: so both send the
same, and neither spends time on making requests.
"""

import itertools
import json
import random
from bisect import bisect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from bench.people import CURRENCY, Person

TRANSFER_PATH: Final = "/transaction/transfer"
# In major units; small beside what everybody starts with, so that nobody runs out.
AMOUNT: Final = 1.25
DECK_SIZE: Final = 8192
ZIPF_EXPONENT: Final = 1.1

# Characters that no request contains: where a key belongs, and the end of a request in a file.
KEY_MARK: Final = b"\x1f"
END_MARK: Final = b"\x1e"


class Pattern(StrEnum):
    """Who is paid: anybody, one wallet by all, or few wallets by many."""

    UNIFORM = "uniform"
    HOT = "hot"
    ZIPF = "zipf"


@dataclass(frozen=True, slots=True)
class Deck:
    """Requests as they go over the wire; KEY_MARK stands where each sending needs a new key."""

    requests: tuple[bytes, ...]

    def write(self, path: Path) -> None:
        """Write it to a file, for a generator that is another program."""
        path.write_bytes(END_MARK.join(self.requests))

    def player(self) -> Callable[[int], bytes]:
        """Return a function from a number to the request that is sent in that turn."""
        prefix = f"{random.getrandbits(96):024x}".encode()
        pieces = [request.split(KEY_MARK) for request in self.requests]

        def play(number: int) -> bytes:
            return (prefix + b"%08x" % number).join(pieces[number % len(pieces)])

        return play


def transfers(
    people: Sequence[Person],
    pattern: Pattern,
    draw: random.Random,
    *,
    path: str = TRANSFER_PATH,
) -> Deck:
    """Return a deck of transfers between people, each under a new key."""
    choose_payee = payees(people, pattern, draw)
    return Deck(
        tuple(
            transfer(*_two(people, choose_payee, draw), key=KEY_MARK.decode(), path=path)
            for _ in range(DECK_SIZE)
        )
    )


def payees(people: Sequence[Person], pattern: Pattern, draw: random.Random) -> Callable[[], Person]:
    """Return a function that chooses who is paid."""
    if pattern is Pattern.HOT:
        return lambda: people[0]
    if pattern is Pattern.UNIFORM:
        return lambda: draw.choice(people)
    weights = list(itertools.accumulate(rank**-ZIPF_EXPONENT for rank in range(1, len(people) + 1)))
    return lambda: people[bisect(weights, draw.random() * weights[-1], hi=len(people) - 1)]


def transfer(payer: Person, payee: Person, *, key: str, path: str = TRANSFER_PATH) -> bytes:
    """Return the request of one transfer."""
    body = json.dumps(
        {"amount": AMOUNT, "currency": CURRENCY, "to_account_id": payee.wallet_id},
        separators=(",", ":"),
    )
    head = (
        f"{_head('PATCH', path, payer)}Content-Type: application/json\r\n"
        f"X-Idempotency-Key: {key}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return f"{head}{body}".encode()


def reading(person: Person, path: str) -> bytes:
    """Return the request that reads something of a person's own."""
    return f"{_head('GET', path, person)}\r\n".encode()


def _head(method: str, path: str, person: Person) -> str:
    where = f"{method} {path} HTTP/1.1\r\nHost: wallet.bench\r\n"
    return f"{where}Authorization: Bearer {person.token}\r\n"


def _two(
    people: Sequence[Person], choose_payee: Callable[[], Person], draw: random.Random
) -> tuple[Person, Person]:
    """Return a payer and a payee, who are never the same."""
    payee = choose_payee()
    while (payer := draw.choice(people)) is payee:
        pass
    return payer, payee
