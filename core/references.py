"""How commands name the accounts that they are about; `core.commands` hands these on."""

from dataclasses import dataclass

from core.assets import Asset


@dataclass(frozen=True, slots=True)
class Primary:
    """A person's primary wallet."""

    user_id: int


@dataclass(frozen=True, slots=True)
class WalletId:
    """The wallet of some person, by its id."""

    wallet_id: int


@dataclass(frozen=True, slots=True)
class AccountNumber:
    """The account of some person by its number; with `user_id` only if it is theirs."""

    number: str
    user_id: int | None = None


@dataclass(frozen=True, slots=True)
class AllOf:
    """All of a person's accounts: whoever opens another is asked how many there are."""

    user_id: int


@dataclass(frozen=True, slots=True)
class CreditsOf:
    """The credits of one kind of somebody, under the name that a service has for them."""

    external_user_id: str
    asset: Asset


@dataclass(frozen=True, slots=True)
class Treasury:
    """The house's own account of credits: what it gave out, it owes."""

    asset: Asset


@dataclass(frozen=True, slots=True)
class InTransit:
    """The house's own account of what left people's wallets and has not arrived yet."""

    currency: str


# How a command names an account that is open, or not there.
Reference = Primary | WalletId | AccountNumber | CreditsOf | Treasury | InTransit
# What a command names to be looked at.
Named = Reference | AllOf
