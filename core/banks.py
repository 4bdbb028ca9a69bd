"""Banks and the accounts there, as the payment provider knows them."""

import time
from collections.abc import Sequence
from typing import Final

from core.payment_commands import BankAccount
from core.payment_errors import BankAccountNotFound, CurrencyNotSupported, ProviderUnavailable
from core.provider import Bank, PaymentProvider, ProviderRefused

# Banks come and go seldom, and the list is long.
KEPT_SECONDS: Final = 3600.0


class Banks:
    """Asks the provider about banks; keeps the list of each currency it pays out in for an hour."""

    def __init__(self, provider: PaymentProvider):
        self._provider = provider
        self._lists: dict[str, tuple[float, Sequence[Bank]]] = {}

    async def list_banks(self, currency: str) -> Sequence[Bank]:
        """Return the banks. Raises CurrencyNotSupported or ProviderUnavailable."""
        if currency not in self._provider.currencies("payout"):
            raise CurrencyNotSupported
        now = time.monotonic()
        kept = self._lists.get(currency)
        if kept is None or now - kept[0] >= KEPT_SECONDS:
            kept = self._lists[currency] = (now, await self._provider.list_banks(currency))
        return kept[1]

    async def resolve_account(self, account: BankAccount) -> str:
        """Return whose account this is. Raises BankAccountNotFound or ProviderUnavailable."""
        try:
            return await self._provider.resolve_account(account)
        except ProviderRefused:
            raise BankAccountNotFound from None

    async def check_account(self, account: BankAccount) -> None:
        """Raise BankAccountNotFound for an account that surely is none, before any money moves."""
        try:
            await self.resolve_account(account)
        except ProviderUnavailable:
            # It is checked again when the payout is made.
            return
