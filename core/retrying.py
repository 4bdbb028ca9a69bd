"""A use case in one transaction, tried again when another transaction was in the way.

The ledger has its own, batch-wise loop in `core.poster`; everything else that writes uses this.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

from sqlmodel.ext.asyncio.session import AsyncSession

from core.errors import Unavailable, WalletError
from db.faults import Fault, classify
from db.session import Database

Result = TypeVar("Result")

TRIES = 3
BACKOFF_SECONDS = 0.02


async def in_transaction(
    database: Database, use_case: Callable[[AsyncSession], Awaitable[Result]]
) -> Result:
    """Run `use_case` in a transaction and return its result once that is durable.

    Refusals roll back and pass through. Raises Unavailable when the database is away or stays in
    conflict; `use_case` must therefore be safe to run again.
    """
    for tries_left in reversed(range(TRIES)):
        try:
            async with database.transaction() as session:
                return await use_case(session)
        except WalletError:
            raise
        except Exception as error:
            fault = classify(error)
            if fault is Fault.DEFECT:
                raise
            if fault is not Fault.CONFLICT or not tries_left:
                raise Unavailable from error
        await asyncio.sleep(BACKOFF_SECONDS * (1 + random.random()))  # noqa: S311 - jitter
    raise AssertionError("The last try returns or raises.")
