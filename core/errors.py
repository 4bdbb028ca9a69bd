"""Everything that can be refused, one class a reason.

A `code` is part of the API and never changes its meaning; `detail` is a sentence for a person and
never repeats what was sent. `schemas.problem` turns these into RFC 9457 answers and
`routers.refusals` into the documented responses of each route, so a refusal exists in one place.
What is refused because of an API key is in `core.key_errors`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class FieldError:
    """One field of the request that cannot be accepted, and why."""

    field: str
    message: str


class WalletError(Exception):
    """A refusal: `status` is the HTTP status it maps to, `code` its stable name."""

    status: ClassVar[int]
    code: ClassVar[str]
    title: ClassVar[str]
    detail: str
    retry_after_seconds: int | None = None
    fields: Sequence[FieldError] = ()
    # What else the problem tells, by the name of its member.
    members: Mapping[str, str] = MappingProxyType({})

    def __init__(self, detail: str | None = None, *, retry_after_seconds: int | None = None):
        self.detail = detail if detail is not None else type(self).detail
        if retry_after_seconds is not None:
            self.retry_after_seconds = retry_after_seconds
        super().__init__(self.detail)


# --- the request as such -----------------------------------------------------------------------


class InvalidJson(WalletError):
    """400: the body is not one well-formed JSON text in UTF-8."""

    status, code, title = 400, "invalid_json", "Malformed JSON"
    detail = "The body is not well-formed JSON in UTF-8 with unique keys."


class InvalidForm(WalletError):
    """400: the body is not a well-formed form."""

    status, code, title = 400, "invalid_form", "Malformed form"
    detail = "The body is not a well-formed application/x-www-form-urlencoded form."


class IdempotencyKeyRequired(WalletError):
    """400: a call that moves money came without a key."""

    status, code, title = 400, "idempotency_key_required", "Idempotency key required"
    detail = "Send an X-Idempotency-Key header, a new UUID for each new intention."


class IdempotencyKeyInvalid(WalletError):
    """400: the key is malformed or was sent twice."""

    status, code, title = 400, "idempotency_key_invalid", "Invalid idempotency key"
    detail = "Send one idempotency key of 1 to 255 visible ASCII characters."


class ContentTooLarge(WalletError):
    """413: the body exceeds the limit."""

    status, code, title = 413, "content_too_large", "Content too large"
    detail = "The body is larger than 64 KiB."


class UnsupportedMediaType(WalletError):
    """415: the body is of another kind than the route reads."""

    status, code, title = 415, "unsupported_media_type", "Unsupported media type"
    detail = "Send the body with the documented Content-Type, in UTF-8 and not compressed."


class InvalidRequest(WalletError):
    """422: well-formed, but some field cannot be accepted; `fields` says which."""

    status, code, title = 422, "invalid_request", "Invalid request"
    detail = "Some fields cannot be accepted; `errors` says which and why."

    def __init__(self, fields: Sequence[FieldError]):
        super().__init__()
        self.fields = fields


class InvalidAmount(WalletError):
    """422: not an amount of money in its currency."""

    status, code, title = 422, "invalid_amount", "Invalid amount"
    detail = "The amount cannot be accepted."


class InvalidCurrency(WalletError):
    """422: not an ISO 4217 currency code."""

    status, code, title = 422, "invalid_currency", "Invalid currency"
    detail = "must be an ISO 4217 code of three capital letters such as USD"


class InvalidCursor(WalletError):
    """422: the cursor was not handed out by this list."""

    status, code, title = 422, "cursor_invalid", "Invalid cursor"
    detail = "Send the `next_cursor` of the previous page, unchanged."


class NotFound(WalletError):
    """404: no such page."""

    status, code, title = 404, "not_found", "Not found"
    detail = "There is nothing at this address; /docs lists what there is."


class MethodNotAllowed(WalletError):
    """405: the address exists, the method does not."""

    status, code, title = 405, "method_not_allowed", "Method not allowed"
    detail = "This address does not take that method; the Allow header lists those it takes."


class RateLimited(WalletError):
    """429: too many requests in the window."""

    status, code, title = 429, "rate_limited", "Too many requests"
    detail = "Too many requests; wait as long as Retry-After says, then try again."
    retry_after_seconds = 1


class InternalError(WalletError):
    """500: a fault of ours; the log has it under the request id."""

    status, code, title = 500, "internal_error", "Internal error"
    detail = "Something went wrong on our side; report the request id."


class Unavailable(WalletError):
    """503: the database is away, or the queue is full; the same request may be sent again."""

    status, code, title = 503, "unavailable", "Temporarily unavailable"
    detail = "The service cannot answer right now; send the same request again a little later."
    retry_after_seconds = 1


# --- people ------------------------------------------------------------------------------------


class Unauthenticated(WalletError):
    """401: no valid token."""

    status, code, title = 401, "unauthenticated", "Not signed in"
    detail = "Send a valid access token as `Authorization: Bearer <token>`; POST /token makes one."


class InvalidCredentials(WalletError):
    """401: unknown email or wrong password, which one is not told."""

    status, code, title = 401, "invalid_credentials", "Wrong email or password"
    detail = "The email or the password is wrong."


class InvalidRefreshToken(WalletError):
    """401: unknown, expired, ended or already used."""

    status, code, title = 401, "invalid_refresh_token", "Invalid refresh token"
    detail = "This refresh token cannot be used (any more); sign in again."


class EmailTaken(WalletError):
    """409: someone signed up with this email."""

    status, code, title = 409, "email_taken", "Email taken"
    detail = "An account with this email exists; sign in instead."


class UserNotFound(WalletError):
    """404: no such person."""

    status, code, title = 404, "user_not_found", "User not found"
    detail = "There is no user with this id."


# --- wallets and money -------------------------------------------------------------------------


class WalletNotFound(WalletError):
    """404: the caller has no open wallet."""

    status, code, title = 404, "wallet_not_found", "Wallet not found"
    detail = "You have no open wallet; POST /wallet opens one."


class WalletExists(WalletError):
    """409: one open wallet per person."""

    status, code, title = 409, "wallet_exists", "Wallet exists"
    detail = "You already have an open wallet."


class WalletNotEmpty(WalletError):
    """409: only an empty wallet can be closed."""

    status, code, title = 409, "wallet_not_empty", "Wallet not empty"
    detail = "The wallet still holds money; withdraw or transfer it first."


class WalletFrozen(WalletError):
    """409: an operator froze a wallet that takes part."""

    status, code, title = 409, "wallet_frozen", "Wallet frozen"
    detail = "A wallet that takes part in this is frozen; contact support."


class RecipientNotFound(WalletError):
    """404: the receiving wallet does not exist, is closed, or is not a person's."""

    status, code, title = 404, "recipient_not_found", "Recipient not found"
    detail = "There is no open account of this id or number to receive the transfer."


class SelfTransfer(WalletError):
    """422: sender and receiver are the same wallet."""

    status, code, title = 422, "self_transfer", "Transfer to oneself"
    detail = "A transfer needs another wallet to receive it."


class CurrencyMismatch(WalletError):
    """422: the currency is not that of every wallet that takes part."""

    status, code, title = 422, "currency_mismatch", "Currency mismatch"
    detail = "The currency must be that of the sending and of the receiving wallet."


class InsufficientFunds(WalletError):
    """402: the wallet holds less than the amount."""

    status, code, title = 402, "insufficient_funds", "Insufficient funds"
    detail = "The wallet does not hold enough for this."


class BalanceLimitExceeded(WalletError):
    """422: the receiving wallet would hold more than a balance can be."""

    status, code, title = 422, "balance_limit_exceeded", "Balance limit exceeded"
    detail = "The receiving wallet cannot hold that much."


class DirectFundingDisabled(WalletError):
    """403: creating money without a payment provider is off."""

    status, code, title = 403, "direct_funding_disabled", "Direct funding disabled"
    detail = "Deposits without a payment provider are switched off here."


class TransactionNotFound(WalletError):
    """404: no such transaction, or the caller has no part in it."""

    status, code, title = 404, "transaction_not_found", "Transaction not found"
    detail = "There is no transaction of yours with this id."


# --- idempotency -------------------------------------------------------------------------------


class IdempotencyKeyReused(WalletError):
    """422: the key was used for another request."""

    status, code, title = 422, "idempotency_key_reused", "Idempotency key reused"
    detail = "This key was used for another request; make a new key for a new intention."


class IdempotencyInFlight(WalletError):
    """409: the first request with this key has not been answered yet."""

    status, code, title = 409, "idempotency_in_flight", "Request in flight"
    detail = "The first request with this key is still being worked on; try again shortly."
    retry_after_seconds = 1
