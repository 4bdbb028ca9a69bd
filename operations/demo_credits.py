"""The demo's credits for `wallet seed`, and the service key to move them with."""

import hashlib
from typing import Final

from core import api_keys
from core.api_keys import HOUSE_PERMISSIONS, MadeKey, NewKey
from core.assets import Asset, AssetCatalogue
from core.commands import HOUSE, Attempt, Moved, Outcome, Rendered, move_credits
from core.errors import WalletFrozen
from core.ledger import read_answer
from core.poster import Poster
from db.session import Database
from schemas.credits import CreditsMovedOut

KEY_NAME: Final = "demo"
_GIVEN: Final = 201
# Whose, how many, and of which asset.
HOLDINGS: Final = (
    ("user_alice", "100", "GOLD"),
    ("user_alice", "50", "DMND"),
    ("user_alice", "500", "PTS"),
    ("user_bob", "80", "GOLD"),
    ("user_bob", "30", "DMND"),
    ("user_bob", "200", "PTS"),
)


async def give_credits(database: Database, poster: Poster) -> int:
    """Give what was not given before, each under a key of its own; return how often."""
    assets = {asset.code: asset for asset in await AssetCatalogue(database).all_credits()}
    given = 0
    for user, amount, code in HOLDINGS:
        key = f"seed-{user}-{code}"
        async with database.lean_reading() as connection:
            # Asked first because even a replay is counted.
            if await read_answer(connection, HOUSE, key) is not None:
                continue
        answer = await poster.post(_top_up(key, user, amount, assets[code]))
        given += answer.status == _GIVEN
    return given


async def make_demo_key(database: Database, *, prefix: str) -> MadeKey | None:
    """Make the demo's service key; None if there is one, whose text nobody knows any more."""
    async with database.reading() as session:
        for key in await api_keys.list_keys(session):
            if key.active and key.owner_id is None and key.name == KEY_NAME:
                return None
    new = NewKey(
        prefix=prefix,
        name=KEY_NAME,
        permissions=HOUSE_PERMISSIONS,
        lifetime=api_keys.LIFETIMES["1Y"],
    )
    return await api_keys.make(database, new)


def how_to_use_credits(made: MadeKey | None, service_url: str) -> str:
    """Return sentences about the demo's credits and how to look at them."""
    key = (
        f"The service key for them is shown only now:\n  KEY={made.text}"
        if made is not None
        else "Their service key was shown when it was made; this makes another:\n"
        "  KEY=$(./wallet keys create --permissions credits)"
    )
    return (
        f"\nuser_alice and user_bob hold credits. {key}\n"
        f'  curl -s -H "X-API-Key: $KEY" "{service_url}/api/v1/wallets/users/user_alice/balance'
        '?asset_type_id=1"'
    )


def _top_up(key: str, user: str, amount: str, asset: Asset) -> Attempt:
    command = move_credits(
        "top_up", external_user_id=user, asset=asset, minor=asset.parse(amount).minor
    )

    def render(outcome: Outcome) -> Rendered:
        if isinstance(outcome, Moved):
            told = CreditsMovedOut.of(user, asset, "top_up", outcome)
            return Rendered(_GIVEN, told.model_dump_json())
        # Somebody froze the account: the demo goes without.
        return Rendered(WalletFrozen.status, "{}")

    return Attempt(
        principal_id=HOUSE,
        key=key,
        fingerprint=hashlib.sha256(repr(command).encode()).digest(),
        command=command,
        render=render,
    )
