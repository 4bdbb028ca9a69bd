"""`wallet assets`: the kinds of credits there are, and adding one."""

import asyncio
import sys

from rich.table import Table

from config import Settings
from core.account_errors import AssetExists
from core.assets import Asset, AssetCatalogue, add_credit
from core.errors import Unavailable
from operations.database import NOT_READY_EXIT_CODE, DatabaseNotReadyError, open_database
from operations.tables import print_table

CANNOT_BE_EXIT_CODE = 1


def show(settings: Settings) -> int:
    """List all credits. Returns 0, or 3 if the database cannot be asked."""
    try:
        found = asyncio.run(_read(settings))
    except (DatabaseNotReadyError, Unavailable) as error:
        print(error, file=sys.stderr)
        return NOT_READY_EXIT_CODE
    table = Table("Id", "Code", "Name", "Decimals")
    for asset in found:
        table.add_row(str(asset.id), asset.code, asset.name, str(asset.scale))
    print_table(table)
    return 0


def add(settings: Settings, *, code: str, name: str, scale: int) -> int:
    """Add credits with so many decimals and print their id; they can never be changed.

    Returns 0, 1 if there cannot be such credits, 3 if the database cannot be asked.
    """
    try:
        added = asyncio.run(_add(settings, code, name, scale))
    except AssetExists as error:
        print(error.detail, file=sys.stderr)
        return CANNOT_BE_EXIT_CODE
    except ValueError as error:
        print(error, file=sys.stderr)
        return CANNOT_BE_EXIT_CODE
    except (DatabaseNotReadyError, Unavailable) as error:
        print(error, file=sys.stderr)
        return NOT_READY_EXIT_CODE
    print(f"{added.code} ({added.name}) are credits with asset_type_id {added.id}.")
    return 0


async def _read(settings: Settings) -> list[Asset]:
    async with open_database(settings) as database:
        return await AssetCatalogue(database).all_credits()


async def _add(settings: Settings, code: str, name: str, scale: int) -> Asset:
    async with open_database(settings) as database:
        return await add_credit(database, code=code, name=name, scale=scale)
