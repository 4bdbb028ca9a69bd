"""What can be refused of sign-in with Google; the rest is in `core.errors`."""

from core.errors import WalletError


class GoogleSignInDisabled(WalletError):
    """403: nobody can sign in with Google here."""

    status, code, title = 403, "google_sign_in_disabled", "Sign-in with Google disabled"
    detail = "Sign-in with Google is not set up here; sign in with POST /token."


class GoogleStateInvalid(WalletError):
    """400: this browser did not begin this sign-in, or began it too long ago."""

    status, code, title = 400, "google_state_invalid", "Not begun here"
    detail = "This sign-in was not begun in this browser, or is over; begin at GET /auth/google."


class GoogleSignInDeclined(WalletError):
    """401: the person, or Google, said no."""

    status, code, title = 401, "google_sign_in_declined", "Sign-in declined"
    detail = "Google says that the sign-in was declined; begin again at GET /auth/google."


class GoogleSignInFailed(WalletError):
    """401: the code is worth nothing, or what it was exchanged for cannot be believed."""

    status, code, title = 401, "google_sign_in_failed", "Sign-in failed"
    detail = "Google does not confirm this sign-in; begin again at GET /auth/google."


class GoogleEmailUnverified(WalletError):
    """403: Google does not vouch for an email, so no account is made or linked."""

    status, code, title = 403, "google_email_unverified", "Email not verified"
    detail = "Google has not verified the email of this account; verify it there first."


class LinkConfirmationRequired(WalletError):
    """409: an account has this email; who owns it has to say that both are one person."""

    status, code, title = 409, "link_confirmation_required", "Confirm the link"
    detail = (
        "An account with this email exists. Sign in to it, then send the `link_token` to "
        "POST /auth/google/link."
    )

    def __init__(self, link_token: str):
        super().__init__()
        self.members = {"link_token": link_token}


class LinkTokenInvalid(WalletError):
    """422: not a link token of ours, not any more, or one for another person."""

    status, code, title = 422, "link_token_invalid", "Invalid link token"
    detail = "This link token is over or for another account; begin again at GET /auth/google."


class GoogleAccountTaken(WalletError):
    """409: this Google account signs in another person."""

    status, code, title = 409, "google_account_taken", "Google account taken"
    detail = "This Google account is linked to another account; use another Google account."


class GoogleUnavailable(WalletError):
    """503: Google does not answer, or not as it should; the sign-in may be begun again."""

    status, code, title = 503, "google_unavailable", "Google unavailable"
    detail = "Google cannot be asked right now; begin again at GET /auth/google a little later."
    retry_after_seconds = 5
