"""`wallet keys`: API keys of services, made, listed and revoked by an operator."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Final, TypeVar

from rich.table import Table

from config import Settings
from core import api_keys
from core.api_keys import HOUSE_PERMISSIONS, LIFETIMES, KeyView, MadeKey, NewKey, Permission
from core.errors import Unavailable
from db.session import Database
from operations.database import NOT_READY_EXIT_CODE, DatabaseNotReadyError, open_database
from operations.tables import print_table

Result = TypeVar("Result")

NEVER: Final = "never"
NAME_CHARACTERS_LIMIT: Final = 100
WRONG_OPTION_EXIT_CODE: Final = 2


def create(settings: Settings, *, permissions: str, name: str, expires: str) -> int:
    """Make a key of the house's and print it: alone on stdout, and what to know of it on stderr.

    `permissions` are names with commas between them, `expires` is one of LIFETIMES or NEVER.
    Returns 0, 2 if one of them is not, 3 if the database cannot be asked.
    """
    wanted = frozenset(part.strip() for part in permissions.split(","))
    if not wanted <= HOUSE_PERMISSIONS:
        return _refuse(f"A key of the house's may have: {', '.join(HOUSE_PERMISSIONS)}.")
    if expires not in {*LIFETIMES, NEVER}:
        return _refuse(f"A key expires after {', '.join(LIFETIMES)}, or {NEVER}.")
    if not 1 <= len(name) <= NAME_CHARACTERS_LIMIT or not name.isprintable():
        return _refuse(f"A name has 1 to {NAME_CHARACTERS_LIMIT} characters that can be printed.")

    async def work(database: Database) -> MadeKey:
        new = NewKey(
            prefix=settings.api_key_prefix,
            name=name,
            permissions=frozenset(map(Permission, wanted)),
            lifetime=LIFETIMES.get(expires),
        )
        return await api_keys.make(database, new)

    def tell(made: MadeKey) -> None:
        until = f"until {_shown(made.expires_at)} UTC" if made.expires_at else "until it is revoked"
        print(
            f"Key {made.id} is valid {until}. It is shown only now; send it as the header "
            f"x-api-key, and end it with `./wallet keys revoke {made.id}`:",
            file=sys.stderr,
        )
        print(made.text)

    return _run(settings, work, tell)


def show(settings: Settings) -> int:
    """List all keys without their secrets. Returns 0, or 3 if the database cannot be asked."""

    async def work(database: Database) -> list[KeyView]:
        async with database.reading() as session:
            return await api_keys.list_keys(session)

    def tell(found: list[KeyView]) -> None:
        table = Table("Id", "Name", "Of", "Permissions", "Made (UTC)", "Expires", "Last used", "Is")
        for key in found:
            table.add_row(
                str(key.id),
                key.name,
                "the house" if key.owner_id is None else f"person {key.owner_id}",
                ", ".join(sorted(key.permissions)),
                _shown(key.created_at),
                _shown(key.expires_at),
                _shown(key.last_used_at),
                "revoked" if key.revoked_at else "expired" if key.expired else "valid",
            )
        if found:
            print_table(table)
        else:
            print("There is no API key; `./wallet keys create` makes one.")

    return _run(settings, work, tell)


def revoke(settings: Settings, key_id: int) -> int:
    """End a key and say so. Returns 0, 1 if there is none, 3 if the database cannot be asked."""

    async def work(database: Database) -> bool:
        return await api_keys.revoke(database, key_id)

    def tell(found: bool) -> int:
        if not found:
            print(
                "There is no API key with this id; `./wallet keys list` shows all.", file=sys.stderr
            )
            return 1
        print(f"Key {key_id} is revoked: no request is accepted with it any more.")
        return 0

    return _run(settings, work, tell)


def _run(
    settings: Settings,
    work: Callable[[Database], Awaitable[Result]],
    tell: Callable[[Result], int | None],
) -> int:
    """Do `work` with the database, `tell` what came of it, and return the exit code."""

    async def run() -> Result:
        async with open_database(settings) as database:
            return await work(database)

    try:
        result = asyncio.run(run())
    except (DatabaseNotReadyError, Unavailable) as error:
        print(error, file=sys.stderr)
        return NOT_READY_EXIT_CODE
    return tell(result) or 0


def _refuse(sentence: str) -> int:
    print(sentence, file=sys.stderr)
    return WRONG_OPTION_EXIT_CODE


def _shown(time: datetime | None) -> str:
    return f"{time:%Y-%m-%d %H:%M:%S}" if time else "never"
