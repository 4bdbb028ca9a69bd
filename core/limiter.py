"""Which rate limits exist: definitions only. `dependencies.limits` counts against them."""

from dataclasses import dataclass

from limits import RateLimitItem, parse_many


@dataclass(frozen=True, slots=True)
class RateLimits:
    """The limits of each protected action; one action may have several windows."""

    signup_per_ip: tuple[RateLimitItem, ...]
    sign_in_per_ip: tuple[RateLimitItem, ...]
    sign_in_per_account: tuple[RateLimitItem, ...]
    transactions_per_user: tuple[RateLimitItem, ...]
    transactions_per_key: tuple[RateLimitItem, ...]


def parse_limits(notation: str) -> tuple[RateLimitItem, ...]:
    """Read `10/minute` or `5/second;100/hour`. Raises ValueError.

    Shortest window first: what it refuses is not counted against the longer ones.
    """
    return tuple(sorted(parse_many(notation), key=RateLimitItem.get_expiry))
