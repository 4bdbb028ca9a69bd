"""What one process works with: made by `main`, handed to handlers as one value."""

import threading
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated

from fastapi import Depends
from pydantic import SecretStr
from starlette.requests import Request

from core.assets import AssetCatalogue
from core.identities import Identities
from core.identity_providers import Challenges, IdentityProvider
from core.key_check import KeyCheck
from core.payments import Payments
from core.poster import Poster
from core.security import AccessTokens, PasswordHasher
from core.sign_ins import SignInCheck
from core.wallets import WalletReader
from db.session import Database
from dependencies.limits import RateLimiter
from integrations.metrics import Metrics
from integrations.redis import GuardedRedis
from middleware.answer_cache import AnswerCache


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceSettings:
    """The few settings that handlers need."""

    app_name: str
    direct_funding_allowed: bool
    refresh_lifetime: timedelta
    # What API keys of this environment begin with.
    api_key_prefix: str
    # What the payment provider signs with; empty if there is none.
    webhook_secret: SecretStr


@dataclass(frozen=True, slots=True, kw_only=True)
class GoogleSignIn:
    """What signs people in with Google; `provider` is None where nobody vouches for anybody."""

    provider: IdentityProvider | None
    identities: Identities
    challenges: Challenges
    # Not in development, where browsers come by plain HTTP.
    secure_cookies: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """Everything a handler may use."""

    settings: ServiceSettings
    database: Database
    poster: Poster
    redis: GuardedRedis
    answers: AnswerCache
    limiter: RateLimiter
    hasher: PasswordHasher
    tokens: AccessTokens
    sign_in_check: SignInCheck
    key_check: KeyCheck
    assets: AssetCatalogue
    google: GoogleSignIn
    wallets: WalletReader
    # None where no provider is set up.
    payments: Payments | None
    metrics: Metrics
    # Set once the process was asked to end.
    draining: threading.Event


def services_of(request: Request) -> Services:
    """Return the services of the process that serves `request`; its route put them there."""
    services: Services = request.scope["services"]
    return services


ServicesDep = Annotated[Services, Depends(services_of)]
