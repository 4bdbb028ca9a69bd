"""The application: `uvicorn main:app`. Puts the parts together and does nothing else."""

import gc

# What is imported stays for good. Looking for garbage among it, again and again as it grows, took a
# tenth of the start.
gc.disable()

import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import structlog
from fastapi import FastAPI
from fastapi.telemetry import TelemetryConfig
from starlette.middleware.cors import CORSMiddleware

from config import VERSION, Settings, load_settings_or_exit
from core.assets import AssetCatalogue
from core.identities import LINK_AUDIENCE, Identities
from core.identity_providers import Challenges
from core.key_check import KeyCheck
from core.limiter import RateLimits, parse_limits
from core.payments import Payments
from core.poster import Poster, PosterLimits
from core.security import AccessTokens, PasswordHasher, Signer
from core.sign_ins import SignInCheck
from core.wallets import WalletReader
from db.schema import check_schema, read_installation_id
from db.session import Database
from dependencies.limits import RateLimiter
from dependencies.services import GoogleSignIn, Services, ServiceSettings
from integrations.google import GoogleClient
from integrations.identity_providers import choose_provider
from integrations.metrics import Metrics
from integrations.paystack import Paystack
from integrations.redis import GuardedRedis
from integrations.traces import Traces, make_traces
from middleware.answer_cache import AnswerCache
from middleware.body_limit import BodyLimitMiddleware
from middleware.request_context import PROBES, RequestContextMiddleware
from middleware.trace_context import TraceContextMiddleware
from operations.draining import draining_on_sigterm
from operations.logs import configure_logs
from routers.shortcut import InnerFastAPI, ShortcutMiddleware
from routers.table import add_error_handlers, add_routes

log = structlog.get_logger(__name__)

KEY_HEADERS = ("X-Idempotency-Key", "Idempotency-Key")


def create_app(settings: Settings) -> FastAPI:
    """Return the application for these settings; its lifespan opens and closes what it needs."""
    configure_logs(level=settings.effective_log_level, as_json=settings.in_production)
    metrics = Metrics(VERSION)
    traces = make_traces(settings.otel_exporter_otlp_endpoint, VERSION)
    app = InnerFastAPI(
        title=settings.app_name,
        version=VERSION,
        lifespan=partial(serve, settings, metrics, traces),
        telemetry=_telemetry(traces),
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
    )
    add_routes(app)
    add_error_handlers(app)
    add_middleware(app, settings, metrics, traces)
    return app


@asynccontextmanager
async def serve(
    settings: Settings, metrics: Metrics, traces: Traces, app: FastAPI
) -> AsyncIterator[None]:
    """Hold what the handlers work with while the application runs.

    Raises SchemaOutdated, which ends the start, when migrations are missing.
    """
    database = Database(settings.database_options)
    try:
        await check_schema(database)
        traces.follow(database)
        installation_id = await read_installation_id(database)
        services = make_services(settings, database, installation_id, metrics, traces)
        app.state.services = services
        log.info("started", version=VERSION, environment=settings.environment)
        try:
            with draining_on_sigterm(services.draining, seconds=settings.drain_seconds):
                yield
        finally:
            await close_services(services)
    finally:
        await database.close()
        await traces.close()


def make_services(
    settings: Settings,
    database: Database,
    installation_id: str,
    metrics: Metrics,
    traces: Traces,
) -> Services:
    """Make what the handlers work with."""
    redis = GuardedRedis(settings.redis_url)
    poster = Poster(database, _poster_limits(settings), traces.around_postings(metrics))
    return Services(
        settings=_service_settings(settings),
        database=database,
        poster=poster,
        redis=redis,
        answers=AnswerCache(redis, database, installation_id),
        limiter=RateLimiter(
            _rate_limits(settings),
            redis,
            redis_url=settings.redis_url,
            installation_id=installation_id,
        ),
        hasher=PasswordHasher(settings.password_hash_rounds),
        tokens=AccessTokens(
            **_signing(settings), lifetime_seconds=settings.access_token_expire_minutes * 60
        ),
        sign_in_check=SignInCheck(database, traces.around_sign_in_checks()),
        key_check=KeyCheck(database, traces.around_key_checks(), prefix=settings.api_key_prefix),
        assets=AssetCatalogue(database),
        google=make_google_sign_in(settings, database, poster),
        wallets=WalletReader(database),
        payments=_payments(settings, database, poster),
        metrics=metrics,
        draining=threading.Event(),
    )


def make_google_sign_in(settings: Settings, database: Database, poster: Poster) -> GoogleSignIn:
    """Make what signs people in with Google."""
    identities = Identities(
        database,
        poster,
        Signer(**_signing(settings), audience=LINK_AUDIENCE),
        currency=settings.default_currency,
        refresh_lifetime=settings.refresh_lifetime,
    )
    client = GoogleClient(
        issuer=settings.google_issuer,
        client_id=settings.google_client_id,
        client_secret=settings.google_client_secret.get_secret_value(),
        redirect_uri=settings.google_redirect_uri,
    )
    return GoogleSignIn(
        provider=choose_provider(client, in_production=settings.in_production),
        identities=identities,
        challenges=Challenges(**_signing(settings)),
        secure_cookies=settings.in_production,
    )


async def close_services(services: Services) -> None:
    """Finish the postings that were taken and what follows them, then let go of Redis."""
    await services.poster.stop()
    if services.payments is not None:
        await services.payments.close()
    await services.answers.stop()
    await services.key_check.stop()
    await services.redis.close()
    if services.google.provider is not None:
        await services.google.provider.close()


def add_middleware(app: FastAPI, settings: Settings, metrics: Metrics, traces: Traces) -> None:
    """Add the layers around all routes; the last one added is the outermost."""
    if traces.provider is None:
        app.add_middleware(ShortcutMiddleware, api=app)
    app.add_middleware(BodyLimitMiddleware)
    if settings.allowed_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.allowed_origins,
            allow_methods=["GET", "POST", "PATCH", "DELETE"],
            allow_headers=[
                "Authorization",
                "X-API-Key",
                "Content-Type",
                *KEY_HEADERS,
                "X-Request-ID",
            ],
            expose_headers=[
                "X-Request-ID",
                "X-Cache-Lookup",
                "Idempotency-Replayed",
                "Retry-After",
            ],
        )
    if traces.provider is not None:
        app.add_middleware(TraceContextMiddleware)
    app.add_middleware(RequestContextMiddleware, observe=metrics.observe_request)


def _telemetry(traces: Traces) -> TelemetryConfig:
    """Let FastAPI trace requests, but for probes; it does nothing else, and nothing by itself."""
    return {
        "tracing": traces.provider is not None,
        "tracer_provider": traces.provider,
        "exclude": lambda scope: scope["path"] in PROBES,
        "operation_spans": False,
        "metrics": False,
        "logs": False,
        "auto_configure": False,
    }


def _service_settings(settings: Settings) -> ServiceSettings:
    return ServiceSettings(
        app_name=settings.app_name,
        direct_funding_allowed=settings.direct_funding_allowed,
        refresh_lifetime=settings.refresh_lifetime,
        api_key_prefix=settings.api_key_prefix,
        webhook_secret=settings.webhook_secret,
    )


def _payments(settings: Settings, database: Database, poster: Poster) -> Payments | None:
    secret_key = settings.paystack_secret_key.get_secret_value()
    if not secret_key:
        return None
    provider = Paystack(secret_key=secret_key, base_url=settings.paystack_base_url)
    return Payments(database, poster, provider)


def _poster_limits(settings: Settings) -> PosterLimits:
    return PosterLimits(
        batch=settings.posting_batch_limit,
        queue=settings.posting_queue_limit,
        deadline_seconds=settings.posting_deadline_seconds,
    )


def _signing(settings: Settings) -> dict[str, str]:
    """Return how tokens are signed, whatever they are for."""
    return {"secret": settings.secret_key.get_secret_value(), "algorithm": settings.algorithm}


def _rate_limits(settings: Settings) -> RateLimits | None:
    if not settings.rate_limit_enabled:
        return None
    return RateLimits(
        signup_per_ip=parse_limits(settings.rate_limit_signup_per_ip),
        sign_in_per_ip=parse_limits(settings.rate_limit_sign_in_per_ip),
        sign_in_per_account=parse_limits(settings.rate_limit_sign_in_per_account),
        transactions_per_user=parse_limits(settings.rate_limit_transactions_per_user),
        transactions_per_key=parse_limits(settings.rate_limit_transactions_per_key),
    )


app = create_app(load_settings_or_exit())

# From here on as well the collector need not look at what was made so far with every pass, which
# would keep everybody waiting for 100 ms, and passes may be rarer than the default, which is for
# small programs.
gc.collect()
gc.freeze()
gc.set_threshold(20_000, 20, 50)
gc.enable()
