"""What Paystack answers, and how it words a refusal; part of `integrations.paystack`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

MESSAGE_CHARACTERS_LIMIT: Final = 60

# How it says that there is nothing of a reference: by these codes or, where it sends none, in these
# words. Anybody on the way may answer 404.
_NOT_FOUND_CODES: Final = frozenset({"transaction_not_found", "transfer_not_found"})
_NOT_FOUND_WORDS: Final = ("transaction reference not found", "transfer not found")
# How it says that there is something already.
_KNOWN_CODES: Final = frozenset({"duplicate_reference", "duplicate_transfer_reference"})
_KNOWN_WORDS: Final = ("duplicate", "unique", "exists")


@dataclass(frozen=True, slots=True)
class PaystackReply:
    """What Paystack answered: an HTTP status below 500, and the JSON object of its body."""

    status: int
    body: Mapping[str, Any]

    @property
    def is_good(self) -> bool:
        """Whether it did what was asked."""
        return self.status < 300 and self.body.get("status") is True

    @property
    def code(self) -> str:
        """Its word for why not."""
        word = self.body.get("code") or self.body.get("message") or f"http_{self.status}"
        return str(word)[:MESSAGE_CHARACTERS_LIMIT]

    @property
    def says_not_found(self) -> bool:
        """Whether Paystack says that there is nothing of this reference."""
        if self.body.get("status") is not False:
            return False
        if (code := self.body.get("code")) is not None:
            return code in _NOT_FOUND_CODES
        return self._message.startswith(_NOT_FOUND_WORDS)

    @property
    def says_known(self) -> bool:
        """Whether Paystack refuses because there is something of this reference."""
        if self.body.get("code") in _KNOWN_CODES:
            return True
        told = self._message
        return "reference" in told and any(word in told for word in _KNOWN_WORDS)

    @property
    def _message(self) -> str:
        return str(self.body.get("message")).lower()
