"""Requests about what happened before: known keys again, a deep page of a history, old entries."""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

import httpx

from bench.people import CURRENCY, Person
from bench.stand import Ledger, Stand
from bench.traffic import AMOUNT, TRANSFER_PATH, Deck, reading, transfer

TRANSFERS: Final = 1000
AT_ONCE: Final = 32
HISTORY_PATH: Final = "/transaction/history?limit=50"
# From here on somebody's history is deep: this many pages were read before it.
PAGES_BEFORE: Final = 15


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """Decks of requests whose answers are settled already."""

    replays: Deck
    ledger_pages: Deck
    deep_history: Deck


def known(stand: Stand, ledger: Ledger) -> Known:
    """Return the decks for a ledger; what they ask about is made at the first call.

    Everybody pays one person, whose history gets deep by that.
    """
    return stand.once(
        ("known", ledger.name), lambda: asyncio.run(_make(stand.api(ledger).url, ledger.people))
    )


async def _make(url: str, people: Sequence[Person]) -> Known:
    """Make the transfers, once each, and look up what their readers will ask for."""
    draw = random.Random()
    payee = people[0]
    payers = [draw.choice(people[1:]) for _ in range(TRANSFERS)]
    keys = [f"known-{number}" for number in range(TRANSFERS)]
    limits = httpx.Limits(max_connections=AT_ONCE)
    async with httpx.AsyncClient(base_url=url, limits=limits, timeout=60) as client:
        made = zip(payers, keys, strict=True)
        ids = await asyncio.gather(*[_transfer(client, payer, payee, key) for payer, key in made])
        path = await _deep_page(client, payee)
    return Known(
        replays=Deck(
            tuple(transfer(payer, payee, key=key) for payer, key in zip(payers, keys, strict=True))
        ),
        ledger_pages=Deck(
            tuple(
                reading(payer, f"/transaction/{transaction_id}/ledger")
                for payer, transaction_id in zip(payers, ids, strict=True)
            )
        ),
        deep_history=Deck((reading(payee, path),)),
    )


async def _transfer(client: httpx.AsyncClient, payer: Person, payee: Person, key: str) -> int:
    """Make one transfer; return its transaction's id."""
    answer = await client.patch(
        TRANSFER_PATH,
        json={"amount": AMOUNT, "currency": CURRENCY, "to_account_id": payee.wallet_id},
        headers={"Authorization": f"Bearer {payer.token}", "X-Idempotency-Key": key},
    )
    answer.raise_for_status()
    return int(answer.json()["transaction_id"])


async def _deep_page(client: httpx.AsyncClient, person: Person) -> str:
    """Turn the pages of a history; return the path of one that is far from the newest."""
    path = HISTORY_PATH
    for _ in range(PAGES_BEFORE):
        answer = await client.get(path, headers={"Authorization": f"Bearer {person.token}"})
        cursor = answer.raise_for_status().json()["next_cursor"]
        path = f"{HISTORY_PATH}&cursor={quote(cursor)}"
    return path
