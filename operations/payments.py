"""`wallet payments`: the payments by a provider that somebody has to look into."""

import asyncio
import sys
from typing import Final

from rich.console import Console
from rich.table import Table

from config import Settings
from core.payment_rows import PaymentView, list_attention
from integrations.receipts import format_money
from operations.database import NOT_READY_EXIT_CODE, DatabaseNotReadyError, open_database

ATTENTION_EXIT_CODE: Final = 1
LISTED_LIMIT: Final = 100


def show(settings: Settings) -> int:
    """List the payments that the books could not settle by themselves, newest first.

    Returns 0 if there are none, 1 if there are some, 3 if the database cannot be asked.
    """
    try:
        found = asyncio.run(_read(settings))
    except DatabaseNotReadyError as error:
        print(error, file=sys.stderr)
        return NOT_READY_EXIT_CODE
    if not found:
        print("No payment needs attention.")
        return 0
    table = Table("Reference", "Kind", "Amount", "State", "Whose", "Because")
    for item in found:
        row = (item.payment.kind, format_money(item.payment.money), item.state, item.email)
        table.add_row(item.payment.reference, *row, item.attention)
    Console().print(table)
    return ATTENTION_EXIT_CODE


async def _read(settings: Settings) -> list[PaymentView]:
    async with open_database(settings) as database, database.reading() as session:
        return await list_attention(session, limit=LISTED_LIMIT)
