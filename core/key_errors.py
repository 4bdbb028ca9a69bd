"""What is refused because of an API key, or because of who asks: more of `core.errors`."""

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
