"""The settings of one process: read once at the edge, frozen, handed inward as values.

Owns every name an operator may set (`.env.example` lists them) and what makes a value acceptable.
Nothing in `core` or `db` imports this module; they are given the values they need.
"""

import os
import secrets
import sys
import tomllib
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from core.api_keys import LIVE, TEST
from core.money import CURRENCY_EXPONENTS
from db.session import DatabaseOptions
from db.urls import async_database_url

SECRET_KEY_MIN_BYTES = 32
LOCAL_DIRECTORY = Path(".local")
VERSION: str = tomllib.loads(
    Path(__file__).with_name("pyproject.toml").read_text(encoding="utf-8")
)["project"]["version"]

# Values that stand in documentation and tutorials: whoever deploys one has published the key.
PUBLISHED_SECRETS = frozenset({"change-me", "secret", "your-secret-key", "changeme"})


class SettingsError(Exception):
    """The settings cannot be used; the message is one line that says which and what to do."""


def _checked_redis_url(url: str) -> str:
    if urlsplit(url).scheme not in {"redis", "rediss", "unix"}:
        raise ValueError("must start with redis://, rediss:// or unix://")
    return url


def _checked_http_url(url: str) -> str:
    if url and not (urlsplit(url).scheme in {"http", "https"} and urlsplit(url).hostname):
        raise ValueError("must start with http:// or https://")
    return url


def _split_commas(value: object) -> object:
    if not isinstance(value, str):
        return value
    return tuple(part.strip() for part in value.split(",") if part.strip())


def _known_currency(code: str) -> str:
    if code not in CURRENCY_EXPONENTS:
        raise ValueError("must be an ISO 4217 code such as NGN")
    return code


def _known_limit(text: str) -> str:
    # Imported here: the notation belongs to `limits`, which only this check needs at start.
    from limits import parse_many  # noqa: PLC0415 - see above

    try:
        parse_many(text)
    except ValueError as error:
        raise ValueError("must be a limit such as 10/minute or 5/second;100/hour") from error
    return text


Limit = Annotated[str, BeforeValidator(_known_limit)]


class Settings(BaseSettings):
    """Every setting with its default; field `x_y` is the environment variable `X_Y`."""

    model_config = SettingsConfigDict(
        env_file=".env",
        env_file_encoding="utf-8",
        env_ignore_empty=True,
        frozen=True,
        extra="forbid",
    )

    app_name: str = "Wallet"
    environment: Literal["development", "production"] = "development"
    debug: bool = False
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    allowed_origins: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split_commas)] = ()

    secret_key: SecretStr = SecretStr("")
    algorithm: Literal["HS256"] = "HS256"
    access_token_expire_minutes: int = Field(30, ge=1, le=1440)
    refresh_token_expire_days: int = Field(30, ge=1, le=365)
    password_hash_rounds: int = Field(12, ge=4, le=16)

    database_url: Annotated[str, BeforeValidator(async_database_url)] = (
        "sqlite+aiosqlite:///database.db"
    )
    database_pool_size: int = Field(10, ge=2, le=200)
    database_pool_timeout_seconds: float = Field(1.5, gt=0, le=30)
    database_command_timeout_seconds: float = Field(5, gt=0, le=60)
    database_pgbouncer: bool = False

    redis_url: Annotated[str, BeforeValidator(_checked_redis_url)] = "redis://localhost:6379"

    posting_batch_limit: int = Field(256, ge=1, le=1000)
    posting_queue_limit: int = Field(5000, ge=1, le=100_000)
    posting_deadline_seconds: float = Field(10, gt=0, le=60)
    # How long /readyz says no before a SIGTERM closes the door, for load balancers to notice.
    drain_seconds: float = Field(1, ge=0, le=60)
    allow_direct_funding: bool = False
    default_currency: Annotated[str, BeforeValidator(_known_currency)] = "NGN"

    rate_limit_enabled: bool = True
    rate_limit_signup_per_ip: Limit = "20/minute"
    rate_limit_sign_in_per_ip: Limit = "60/minute"
    rate_limit_sign_in_per_account: Limit = "10/minute"
    rate_limit_transactions_per_user: Limit = "600/minute"
    # A service acts for many.
    rate_limit_transactions_per_key: Limit = "60000/minute"

    brevo_api_key: SecretStr = SecretStr("")
    brevo_base_url: str = "https://api.brevo.com/v3"
    # By each worker process: a backlog is worked off without taking the machine from payments.
    receipts_per_second: float = Field(50, gt=0, le=1000)
    # Where mails go as .eml files while there is no BREVO_API_KEY.
    mail_folder: str = "mail"
    sender_mail: str = "no-reply@example.com"
    sender_name: str = "Wallet"

    # OpenTelemetry's own name for where traces go.
    otel_exporter_otlp_endpoint: Annotated[str, BeforeValidator(_checked_http_url)] = ""

    google_client_id: str = ""
    google_client_secret: SecretStr = SecretStr("")
    google_redirect_uri: Annotated[str, BeforeValidator(_checked_http_url)] = ""
    # Who vouches for people: Google, or another provider of OpenID Connect for development.
    google_issuer: Annotated[str, BeforeValidator(_checked_http_url)] = (
        "https://accounts.google.com"
    )

    paystack_secret_key: SecretStr = SecretStr("")
    paystack_public_key: str = ""
    paystack_webhook_secret: SecretStr = SecretStr("")
    paystack_base_url: Annotated[str, BeforeValidator(_checked_http_url)] = (
        "https://api.paystack.co"
    )

    @model_validator(mode="after")
    def _google_is_whole(self) -> Self:
        """Refuse half of what sign-in with Google needs, and to send codes in the clear."""
        needed = {
            "GOOGLE_CLIENT_ID": self.google_client_id,
            "GOOGLE_CLIENT_SECRET": self.google_client_secret.get_secret_value(),
            "GOOGLE_REDIRECT_URI": self.google_redirect_uri,
        }
        missing = [name for name, value in needed.items() if not value]
        if missing and len(missing) < len(needed):
            raise ValueError(f"{missing[0]} must be set too for sign-in with Google; or none is")
        addresses = {
            "GOOGLE_REDIRECT_URI": self.google_redirect_uri,
            "GOOGLE_ISSUER": self.google_issuer,
        }
        for name, address in addresses.items():
            if self.in_production and urlsplit(address).scheme == "http":
                raise ValueError(f"{name} must start with https:// in production")
        return self

    @model_validator(mode="after")
    def _safe_in_production(self) -> Self:
        if self.environment == "development":
            return self
        secret = self.secret_key.get_secret_value()
        if len(secret.encode()) < SECRET_KEY_MIN_BYTES or secret in PUBLISHED_SECRETS:
            raise ValueError(
                "SECRET_KEY must be set to at least 32 random bytes in production; "
                "`openssl rand -hex 32` makes one"
            )
        if self.debug:
            raise ValueError("DEBUG must not be on in production; unset it")
        if urlsplit(self.paystack_base_url).scheme != "https":
            raise ValueError("PAYSTACK_BASE_URL must start with https:// in production")
        return self

    @property
    def database_options(self) -> DatabaseOptions:
        """How to reach the database and how long to wait for it."""
        return DatabaseOptions(
            url=self.database_url,
            pool_size=self.database_pool_size,
            pool_timeout_seconds=self.database_pool_timeout_seconds,
            command_timeout_seconds=self.database_command_timeout_seconds,
            pgbouncer=self.database_pgbouncer,
        )

    @property
    def refresh_lifetime(self) -> timedelta:
        """How long a refresh token may be used."""
        return timedelta(days=self.refresh_token_expire_days)

    @property
    def webhook_secret(self) -> SecretStr:
        """What Paystack signs its webhooks with."""
        return (
            self.paystack_webhook_secret
            if self.paystack_webhook_secret.get_secret_value()
            else self.paystack_secret_key
        )

    @property
    def effective_log_level(self) -> str:
        """What is logged: everything while DEBUG is on."""
        return "DEBUG" if self.debug else self.log_level

    @property
    def in_production(self) -> bool:
        """Whether real people's money is at stake."""
        return self.environment == "production"

    @property
    def api_key_prefix(self) -> str:
        """What API keys begin with, so that those of one environment are none in the other."""
        return LIVE if self.in_production else TEST

    @property
    def direct_funding_allowed(self) -> bool:
        """Whether a deposit that no payment provider paid for may create money."""
        return self.allow_direct_funding or not self.in_production


def load_settings() -> Settings:
    """Read the environment and `.env`; make the local development secret when none is set.

    Raises SettingsError with one line that names the setting.
    """
    try:
        settings = Settings()
    except ValidationError as error:
        raise SettingsError(_one_line(error)) from None
    if settings.secret_key.get_secret_value():
        return settings
    return settings.model_copy(update={"secret_key": SecretStr(_local_secret())})


def load_settings_or_exit() -> Settings:
    """Read the settings for a process that cannot go on without: end it with the one clear line."""
    try:
        return load_settings()
    except SettingsError as error:
        sys.exit(str(error))


def _one_line(error: ValidationError) -> str:
    """Say the first thing wrong without its input: a malformed value may be a secret."""
    first = error.errors(include_input=False, include_url=False)[0]
    name = ".".join(str(part) for part in first["loc"]).upper()
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] == "extra_forbidden":
        message = "is not a setting; remove it from .env or see .env.example for the right name"
    return f"Settings: {name} {message}." if name else f"Settings: {message}."


def _local_secret() -> str:
    """Return this checkout's development secret, making it on first use.

    Kept in a file so that people stay signed in over a restart; created exclusively so that
    two processes that start together agree on one.
    """
    path = LOCAL_DIRECTORY / "secret_key"
    path.parent.mkdir(exist_ok=True)
    fresh = path.with_suffix(f".{os.getpid()}")
    fresh.touch(mode=0o600)
    fresh.write_text(secrets.token_hex(SECRET_KEY_MIN_BYTES), encoding="ascii")
    try:
        # A link either appears whole or fails: nobody can read a half-written secret.
        path.hardlink_to(fresh)
    except FileExistsError:
        pass
    finally:
        fresh.unlink()
    return path.read_text(encoding="ascii")
