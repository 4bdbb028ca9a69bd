"""What is refused because of an API key, because of who asks, or of people's own keys: more of
`core.errors`.
"""

from core.errors import WalletError


class TwoCredentials(WalletError):
    """400: a person's token and a service's key at once: on whose behalf is not clear."""

    status, code, title = 400, "two_credentials", "Two credentials"
    detail = "Send either `Authorization: Bearer` or `x-api-key`, not both."


class ApiKeyInvalid(WalletError):
    """401: not a key of ours."""

    status, code, title = 401, "api_key_invalid", "Invalid API key"
    detail = "Send one API key as `x-api-key`, unchanged as it was shown when it was made."


class ApiKeyExpired(WalletError):
    """401: the key's time is over."""

    status, code, title = 401, "api_key_expired", "API key expired"
    detail = "This API key has expired; use another one."


class ApiKeyRevoked(WalletError):
    """401: the key was revoked."""

    status, code, title = 401, "api_key_revoked", "API key revoked"
    detail = "This API key was revoked; use another one."


class PermissionDenied(WalletError):
    """403: known, but not whom this call is for: another permission or no key is needed."""

    status, code, title = 403, "permission_denied", "Permission denied"
    detail = "Your credentials do not permit this call; its documentation says which ones do."


class ApiKeyNotFound(WalletError):
    """404: the caller has no key with this id."""

    status, code, title = 404, "api_key_not_found", "API key not found"
    detail = "You have no API key with this id; GET /keys/list lists yours."


class ApiKeyNotExpired(WalletError):
    """409: only a key whose time is over is rolled over."""

    status, code, title = 409, "api_key_not_expired", "API key not expired"
    detail = "This key has not expired; create another one, and revoke this one when it is unused."


class ApiKeyAlreadyRevoked(WalletError):
    """409: a key that was revoked, or rolled over before, is not rolled over."""

    status, code, title = 409, "api_key_already_revoked", "API key already revoked"
    detail = "This key was revoked, or rolled over before; create another one."


class TooManyApiKeys(WalletError):
    """409: the caller has as many active keys as one may have."""

    status, code, title = 409, "too_many_api_keys", "Too many API keys"
    detail = "You have 5 active API keys; revoke one that is not needed first."
