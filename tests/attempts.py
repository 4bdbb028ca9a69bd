"""Attempts as tests hand them to the ledger, worded as the outcome's own repr."""

import hashlib
from uuid import uuid4

from core.commands import Attempt, Command, Outcome, Rendered
from core.errors import WalletError


def show(outcome: Outcome) -> Rendered:
    if isinstance(outcome, WalletError):
        return Rendered(outcome.status, outcome.code)
    return Rendered(200, repr(outcome))


def attempt(command: Command, key: str | None = None) -> Attempt:
    """Return an attempt of the commanding person under a new key, unless one is given."""
    return Attempt(
        principal_id=command.user_id,
        key=key or str(uuid4()),
        fingerprint=hashlib.sha256(repr(command).encode()).digest(),
        command=command,
        render=show,
    )
