"""What is refused about payments by a provider: more of `core.errors`."""

from core.errors import WalletError


class PaymentUnderWay(WalletError):
    """409: a wallet that money is on its way to, or may come back to, cannot be closed."""

    status, code, title = 409, "payment_under_way", "Payment under way"
    detail = "A deposit or payout of this wallet has not ended; close the wallet when it has."


class PaymentNotFound(WalletError):
    """404: no such payment, or not the caller's."""

    status, code, title = 404, "payment_not_found", "Payment not found"
    detail = "There is no payment of yours with this reference."


class CurrencyNotSupported(WalletError):
    """422: the payment provider does not handle the wallet's currency in this direction."""

    status, code, title = 422, "currency_not_supported", "Currency not supported"
    detail = "The payment provider does not handle the currency of your wallet."


class PaymentRefused(WalletError):
    """422: the provider will not do it, and never did."""

    status, code, title = 422, "payment_refused", "Payment refused"
    detail = "The payment provider refused this payment; check the amount and the account."


class DepositEnded(WalletError):
    """409: a deposit that was begun and cannot be paid any more."""

    status, code, title = 409, "deposit_ended", "Deposit ended"
    detail = "This deposit cannot be paid any more; begin another with a new idempotency key."


class BankAccountNotFound(WalletError):
    """422: the provider knows no such account at this bank."""

    status, code, title = 422, "bank_account_not_found", "Bank account not found"
    detail = "There is no such account at this bank; GET /banks lists the codes of banks."


class ProviderUnavailable(WalletError):
    """503: the payment provider cannot be reached, or did not understand."""

    status, code, title = 503, "provider_unavailable", "Payment provider unavailable"
    detail = "The payment provider does not answer; try again with the same idempotency key."
    retry_after_seconds = 5


class PaymentsNotConfigured(WalletError):
    """503: the operator has not set up a payment provider."""

    status, code, title = 503, "payments_not_configured", "Payments not set up"
    detail = "No payment provider is set up here; ask the operator to set PAYSTACK_SECRET_KEY."
    retry_after_seconds = 3600


class WebhookSignatureInvalid(WalletError):
    """401: the message does not come from the payment provider."""

    status, code, title = 401, "signature_invalid", "Invalid signature"
    detail = "The body is not signed by the payment provider in the header x-paystack-signature."
