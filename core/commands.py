"""What can be asked of the ledger, and what it answers; plain values that decide nothing."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from core.errors import WalletError
from core.money import Money


@dataclass(frozen=True, slots=True, kw_only=True)
class Deposit:
    """Move `money` from the outside world into the person's wallet."""

    user_id: int
    money: Money


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdraw:
    """Move `money` from the person's wallet to the outside world."""

    user_id: int
    money: Money


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """Move `money` from the person's wallet to another one."""

    user_id: int
    to_wallet_id: int
    money: Money


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenWallet:
    """Open the person's wallet; an opening balance above zero is posted as a deposit."""

    user_id: int
    opening: Money


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseWallet:
    """Close the person's wallet, which must be empty. Its history stays."""

    user_id: int


Command = Deposit | Withdraw | Transfer | OpenWallet | CloseWallet


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """Money moved; `balance_minor` is the acting wallet's balance right after."""

    transaction_id: int
    wallet_id: int
    counterparty_wallet_id: int | None
    money: Money
    balance_minor: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A wallet was opened."""

    wallet_id: int
    user_id: int
    wallet_number: str
    balance: Money
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Closed:
    """A wallet was closed."""

    wallet_id: int


Outcome = Moved | Opened | Closed | WalletError


@dataclass(frozen=True, slots=True)
class Rendered:
    """An answer as it goes over the wire: HTTP status and JSON text."""

    status: int
    body: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """A command of one principal under one idempotency key.

    `fingerprint` is the SHA-256 of the request in canonical form: the same key with another
    fingerprint is refused. `render` words the outcome; its text is stored with the money, so that
    a repeated request gets the very same answer. It must not fail and must not wait.
    """

    principal_id: int
    key: str
    fingerprint: bytes
    command: Command
    render: Callable[[Outcome], Rendered]


@dataclass(frozen=True, slots=True)
class Answer:
    """The rendered answer to an attempt; `replayed` when an earlier attempt earned it.

    `failure_code` tells why an attempt that was decided just now was refused; None if it was not.
    """

    status: int
    body: str
    replayed: bool
    failure_code: str | None = None


# How an attempt ended: answered, or not decided at all.
Settled = Answer | WalletError
