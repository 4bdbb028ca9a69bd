"""Credits given by one service to many: each movement takes from the same treasury."""

import asyncio
import json
import random
from collections.abc import Sequence
from typing import Final

from bench.scenarios import Bench
from bench.stand import Ledger
from bench.traffic import DECK_SIZE, KEY_MARK, Deck, Pattern, transfers
from core import api_keys
from core.api_keys import HOUSE_PERMISSIONS, TEST, NewKey
from db.session import Database, DatabaseOptions

# How many are given credits and, beside them, how many pay each other.
USERS: Final = 200
GOLD: Final = 1


def make_top_ups(bench: Bench, ledger: Ledger) -> Deck:
    """Draw a deck of top-ups of USERS by a service, anew for each sample."""
    name = ("service", ledger.name)
    key = bench.stand.once(name, lambda: asyncio.run(_make_key(ledger.options)))
    return top_ups([f"user-{number}" for number in range(USERS)], key, random.Random())


def make_transfers(_bench: Bench, ledger: Ledger) -> Deck:
    """Draw a deck of transfers between as many wallets."""
    return transfers(ledger.people[:USERS], Pattern.UNIFORM, random.Random())


def top_ups(users: Sequence[str], api_key: str, draw: random.Random) -> Deck:
    """Return a deck of top-ups of one unit each, each under a new key."""
    return Deck(tuple(_top_up(draw.choice(users), api_key) for _ in range(DECK_SIZE)))


def _top_up(user: str, api_key: str) -> bytes:
    body = json.dumps({"amount": 1, "asset_type_id": GOLD}, separators=(",", ":"))
    head = (
        f"POST /api/v1/wallets/users/{user}/top-up HTTP/1.1\r\nHost: wallet.bench\r\n"
        f"X-API-Key: {api_key}\r\nContent-Type: application/json\r\n"
        f"X-Idempotency-Key: {KEY_MARK.decode()}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return f"{head}{body}".encode()


async def _make_key(options: DatabaseOptions) -> str:
    database = Database(options)
    try:
        new = NewKey(prefix=TEST, name="bench", permissions=HOUSE_PERMISSIONS, lifetime=None)
        made = await api_keys.make(database, new)
    finally:
        await database.close()
    return made.text
