"""Assets: what accounts hold, a currency of ISO 4217 or credits of the house. Only ever added."""

import re
from dataclasses import asdict, dataclass
from typing import Any, Final

from sqlalchemy import func, insert, select
from sqlmodel.ext.asyncio.session import AsyncSession

from core.account_errors import AssetExists, AssetNotFound
from core.money import Money, minor_from, written
from core.retrying import in_transaction
from db.models import Tables
from db.session import Database

# Credits have ids below the currencies'; operators' take the next free one.
FIRST_CURRENCY_ID: Final = 1001
_CODE: Final = re.compile(r"[A-Z]{2,8}", re.ASCII)
_SCALE_LIMIT: Final = 8
_NAME_LIMIT: Final = 100


@dataclass(frozen=True, slots=True)
class Asset:
    """What an account may hold, and what may be done with it.

    `scale` is the number of decimals. What is not `transferable` never moves between the accounts
    of two holders; what is not `withdrawable` neither comes from the outside nor goes there.
    """

    id: int
    code: str
    name: str
    scale: int
    kind: str
    transferable: bool
    withdrawable: bool

    def parse(self, text: str) -> Money:
        """Turn decimal `text` in major units into an amount. Raises InvalidAmount."""
        return Money(minor_from(text, self.scale, self.code), self.code)

    def to_wire(self, minor: int) -> int | float:
        """Write `minor` units as the JSON number of major units; sign is kept."""
        return written(minor, self.scale)


class AssetCatalogue:
    """The assets there are. What was read once is kept, since assets never change."""

    def __init__(self, database: Database):
        self._database = database
        self._by_id: dict[int, Asset] = {}

    async def all_credits(self) -> list[Asset]:
        """Read all credits there are, in the order of their ids."""
        await self._read()
        return [asset for asset in self._by_id.values() if asset.kind == "credit"]

    async def credit(self, asset_id: int) -> Asset:
        """Return the credits with this id. Raises AssetNotFound, also for a currency."""
        if asset_id not in self._by_id:
            await self._read()
        asset = self._by_id.get(asset_id)
        if asset is None or asset.kind != "credit":
            raise AssetNotFound
        return asset

    async def _read(self) -> None:
        async with self._database.reading() as session:
            connection = await session.connection()
            rows = await connection.execute(select(Tables.assets).order_by(Tables.assets.c.id))
        self._by_id = {row.id: _asset(row) for row in rows}


async def add_credit(database: Database, *, code: str, name: str, scale: int) -> Asset:
    """Add credits of the house, which stay with whom they are given to.

    Raises AssetExists if the code is taken, ValueError if it, the name or the scale cannot be.
    """
    if _CODE.fullmatch(code) is None:
        raise ValueError("A code has 2 to 8 capital letters.")
    if not name.isprintable() or not 1 <= len(name) <= _NAME_LIMIT:
        raise ValueError(f"A name has 1 to {_NAME_LIMIT} visible characters.")
    if not 0 <= scale <= _SCALE_LIMIT:
        raise ValueError(f"A scale is a number of decimals from 0 to {_SCALE_LIMIT}.")

    async def add(session: AsyncSession) -> Asset:
        assets = Tables.assets.c
        connection = await session.connection()
        taken = await connection.execute(select(assets.id).where(assets.code == code))
        if taken.first() is not None:
            raise AssetExists
        newest = await connection.execute(
            select(func.max(assets.id)).where(assets.id < FIRST_CURRENCY_ID)
        )
        id_ = (newest.scalar() or 0) + 1
        if id_ >= FIRST_CURRENCY_ID:
            raise ValueError(f"There is no room for more than {FIRST_CURRENCY_ID - 1} credits.")
        asset = Asset(id_, code, name, scale, "credit", transferable=False, withdrawable=False)
        await connection.execute(insert(Tables.assets).values(asdict(asset)))
        return asset

    return await in_transaction(database, add)


def _asset(row: Any) -> Asset:
    return Asset(
        id=row.id,
        code=row.code,
        name=row.name,
        scale=row.scale,
        kind=row.kind,
        transferable=row.transferable,
        withdrawable=row.withdrawable,
    )
