"""The accounts that a batch may touch, as it sees them: loaded and locked, opened, changed."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple, assert_never

from core.commands import (
    AccountNumber,
    CreditsOf,
    InTransit,
    Primary,
    Reference,
    Treasury,
    WalletId,
)


@dataclass(slots=True, kw_only=True)
class Account:
    """An open account of a person, of a holder of credits or, without either, of the house.

    `transferable` and `withdrawable` are what the asset in it allows: see `core.assets`.
    """

    id: int
    number: str
    currency: str
    balance_minor: int
    user_id: int | None = None
    holder_id: int | None = None
    system_role: str | None = None
    is_primary: bool = False
    may_go_negative: bool = False
    frozen: bool = False
    transferable: bool = True
    withdrawable: bool = True


class Side(NamedTuple):
    """One entry of a posting: the wallet (None: the outside world) and its balance after it."""

    wallet_id: int | None
    balance_minor: int | None


class Book:
    """The open accounts that a batch may touch, all of them locked.

    `holders` are the ids of those who hold credits, by the names that services have for them.
    `open_accounts` counts the open accounts of those who open another; `pending_payments` the
    payments that have not ended, by wallet, if the batch closes any.
    """

    def __init__(
        self,
        accounts: Iterable[Account] = (),
        holders: Mapping[str, int] | None = None,
    ):
        self.holders = dict(holders or {})
        self.open_accounts: Counter[int] = Counter()
        self.pending_payments: Counter[int] = Counter()
        self._by_id: dict[int, Account] = {}
        self._by_number: dict[str, Account] = {}
        self._primaries: dict[int, Account] = {}
        self._credits: dict[tuple[int, str], Account] = {}
        self._house: dict[tuple[str, str], Account] = {}
        for account in accounts:
            self._take(account)

    def add(self, account: Account) -> None:
        """Take in an account that was just opened."""
        self._take(account)
        if account.user_id is not None:
            self.open_accounts[account.user_id] += 1

    def remove(self, account: Account) -> None:
        """Forget a person's account that was just closed."""
        del self._by_id[account.id]
        del self._by_number[account.number]
        if account.user_id is not None:
            self.open_accounts[account.user_id] -= 1
            if account.is_primary:
                del self._primaries[account.user_id]

    def find(self, reference: Reference) -> Account | None:
        """Return the open account that is named, if there is one.

        By id or number only persons' accounts can be named: to a caller all others do not exist.
        """
        match reference:
            case Primary():
                return self._primaries.get(reference.user_id)
            case WalletId():
                return _of_person(self._by_id.get(reference.wallet_id), None)
            case AccountNumber():
                return _of_person(self._by_number.get(reference.number), reference.user_id)
            case CreditsOf():
                holder_id = self.holders.get(reference.external_user_id, 0)
                return self._credits.get((holder_id, reference.asset.code))
            case Treasury():
                return self._house.get(("treasury", reference.asset.code))
            case InTransit():
                return self._house.get(("in_transit", reference.currency))
            case _:
                assert_never(reference)

    def get(self, wallet_id: int) -> Account:
        """Return the open account with this id, which is known to be here."""
        return self._by_id[wallet_id]

    def wallet_ids(self) -> list[int]:
        """Return the ids of all open accounts here."""
        return list(self._by_id)

    def apply(self, *sides: Side) -> None:
        """Set the balances that the entries of a posting leave behind."""
        for side in sides:
            if side.wallet_id is not None and side.balance_minor is not None:
                self._by_id[side.wallet_id].balance_minor = side.balance_minor

    def _take(self, account: Account) -> None:
        self._by_id[account.id] = account
        if account.user_id is not None:
            self._by_number[account.number] = account
            if account.is_primary:
                self._primaries[account.user_id] = account
        elif account.holder_id is not None:
            self._credits[account.holder_id, account.currency] = account
        elif account.system_role is not None:
            self._house[account.system_role, account.currency] = account


def _of_person(account: Account | None, user_id: int | None) -> Account | None:
    """Return `account` if it is a person's and, if one is given, this person's."""
    if account is None or account.user_id is None:
        return None
    return account if user_id is None or account.user_id == user_id else None
