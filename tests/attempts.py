"""Attempts as tests hand them to the ledger, worded as the outcome's own repr."""

import hashlib
from uuid import uuid4

from core.commands import HOUSE, Attempt, Command, CreditsOf, Outcome, Refused, Rendered


def show(outcome: Outcome) -> Rendered:
    if isinstance(outcome, Refused):
        return Rendered(outcome.error.status, outcome.error.code)
    return Rendered(200, repr(outcome))


def principal_of(command: Command) -> int:
    """Return the person whose account a command names first; the house for credits."""
    first = next(iter(command.references))
    return HOUSE if isinstance(first, CreditsOf) else int(getattr(first, "user_id", HOUSE))


def attempt(command: Command, key: str | None = None) -> Attempt:
    """Return an attempt of the commanding person under a new key, unless one is given."""
    return Attempt(
        principal_id=principal_of(command),
        key=key or str(uuid4()),
        fingerprint=hashlib.sha256(repr(command).encode()).digest(),
        command=command,
        render=show,
    )
