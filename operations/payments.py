"""`wallet payments`: the payments by a provider that somebody has to look into, and what to do."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import Final

from rich.table import Table

from config import Settings
from core.errors import WalletError
from core.payment_attention import list_attention
from core.payment_errors import PaymentNotFound, ProviderUnavailable
from core.payment_remedies import PaymentRemedies, PayoutEnd, RemedyRefused
from core.payment_rows import PaymentView
from core.poster import Poster, PosterLimits
from integrations.paystack import Paystack
from integrations.receipts import format_money
from operations.database import NOT_READY_EXIT_CODE, DatabaseNotReadyError, open_database
from operations.tables import print_table

ATTENTION_EXIT_CODE: Final = 1
REFUSED_EXIT_CODE: Final = 1
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
    print_table(table)
    return ATTENTION_EXIT_CODE


def credit(settings: Settings, reference: str) -> int:
    """Credit a deposit that was paid after it had failed, if the provider says so.

    Returns 0; 1 if it must not be done, 3 if the database cannot be asked. So do the others.
    """
    if not _can_ask(settings):
        return REFUSED_EXIT_CODE

    async def act(remedies: PaymentRemedies) -> str:
        return f"Credited by transaction {await remedies.credit(reference)}."

    return _act(settings, act)


def end(settings: Settings, reference: str, how: PayoutEnd, note: str) -> int:
    """End a payout that needs attention, unless the provider contradicts that."""
    if not _can_ask(settings):
        return REFUSED_EXIT_CODE

    async def act(remedies: PaymentRemedies) -> str:
        await remedies.end_payout(reference, how, note=note)
        return f"The payout is ended: {how}."

    return _act(settings, act)


def clear(settings: Settings, reference: str, note: str) -> int:
    """Be done with what a payment needed."""

    async def act(remedies: PaymentRemedies) -> str:
        await remedies.clear(reference, note=note)
        return "The payment needs no attention any more."

    return _act(settings, act)


def _can_ask(settings: Settings) -> bool:
    """Return whether there is a provider to ask; say what to do if not."""
    if settings.paystack_secret_key.get_secret_value():
        return True
    print(
        "This asks Paystack first: set PAYSTACK_SECRET_KEY, as the service has it, and run it "
        "again. The stand-in that `./wallet run` starts without one cannot be asked from here.",
        file=sys.stderr,
    )
    return False


def _act(settings: Settings, act: Callable[[PaymentRemedies], Awaitable[str]]) -> int:
    try:
        print(asyncio.run(_remedy(settings, act)))
    except DatabaseNotReadyError as error:
        print(error, file=sys.stderr)
        return NOT_READY_EXIT_CODE
    except ProviderUnavailable:
        print(
            "Paystack does not answer, or not to this key: see PAYSTACK_SECRET_KEY and "
            "PAYSTACK_BASE_URL, then run this again.",
            file=sys.stderr,
        )
        return REFUSED_EXIT_CODE
    except PaymentNotFound:
        print("There is no payment with this reference; give it whole.", file=sys.stderr)
        return REFUSED_EXIT_CODE
    except (WalletError, RemedyRefused) as error:
        print(error, file=sys.stderr)
        return REFUSED_EXIT_CODE
    return 0


async def _remedy(settings: Settings, act: Callable[[PaymentRemedies], Awaitable[str]]) -> str:
    async with open_database(settings) as database:
        poster = Poster(database, PosterLimits())
        provider = Paystack(
            secret_key=settings.paystack_secret_key.get_secret_value(),
            base_url=settings.paystack_base_url,
        )
        try:
            return await act(PaymentRemedies(database, poster, provider))
        finally:
            await poster.stop()
            await provider.close()


async def _read(settings: Settings) -> list[PaymentView]:
    async with open_database(settings) as database, database.reading() as session:
        return await list_attention(session, limit=LISTED_LIMIT)
