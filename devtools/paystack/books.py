"""What the local Paystack knows: charges, recipients and transfers, in memory."""

from dataclasses import dataclass, field
from secrets import token_hex
from typing import Any, Final

BANKS: Final = {
    "NGN": {"001": "Zenith Test Bank", "058": "Guaranty Test Bank", "801": "Abbey Test Bank"},
    "GHS": {"030100": "Absa Test Bank Ghana", "280100": "Access Test Bank Ghana"},
}
# Accounts that something happens to; to all others a transfer arrives after a moment.
ALWAYS_FAILS: Final = "0000000001"
COMES_BACK: Final = "0000000002"
NEEDS_OTP: Final = "0000000003"
STAYS_PENDING: Final = "0000000004"
REFUSED: Final = "0000000005"
NOT_AN_ACCOUNT: Final = "0000000009"


@dataclass
class Charge:
    """A payment that a person makes on the checkout page."""

    reference: str
    amount: int
    currency: str
    email: str
    access_code: str = field(default_factory=lambda: token_hex(8))
    status: str = "abandoned"

    def shown(self) -> dict[str, Any]:
        """Return it as the API shows it."""
        return {
            "id": int(self.access_code[:7], 16),
            "domain": "test",
            "status": self.status,
            "reference": self.reference,
            "amount": self.amount,
            "currency": self.currency,
            "gateway_response": "Successful" if self.status == "success" else self.status,
            "channel": "card",
            "customer": {"email": self.email},
        }


@dataclass
class Transfer:
    """A payment to a recipient."""

    reference: str
    amount: int
    currency: str
    recipient: str
    account_number: str
    transfer_code: str = field(default_factory=lambda: f"TRF_{token_hex(8)}")
    status: str = "pending"

    def shown(self) -> dict[str, Any]:
        """Return it as the API shows it."""
        return {
            "domain": "test",
            "status": self.status,
            "reference": self.reference,
            "amount": self.amount,
            "currency": self.currency,
            "source": "balance",
            "transfer_code": self.transfer_code,
            "recipient": {"recipient_code": self.recipient},
        }


@dataclass
class Books:
    """All of it. `calls` counts what was asked, by path."""

    charges: dict[str, Charge] = field(default_factory=dict)
    transfers: dict[str, Transfer] = field(default_factory=dict)
    recipients: dict[tuple[str, str], str] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)

    def charge_of(self, access_code: str) -> Charge | None:
        """Return the charge of a checkout page."""
        found = [item for item in self.charges.values() if item.access_code == access_code]
        return found[0] if found else None

    def recipient_of(self, bank_code: str, number: str) -> str:
        """Return the code of an account, always the same one."""
        return self.recipients.setdefault((bank_code, number), f"RCP_{token_hex(8)}")

    def number_of(self, recipient: str) -> str | None:
        """Return the account number of a recipient."""
        for (_, number), code in self.recipients.items():
            if code == recipient:
                return number
        return None
