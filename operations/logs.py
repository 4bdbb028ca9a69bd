"""How every process writes its log: JSON in production, readable lines in development.

One format for our own events and for those of the libraries. Values under names that hold secrets
are replaced, whoever logged them.
"""

import logging
import sys
from collections.abc import Mapping
from contextlib import suppress
from functools import lru_cache
from typing import Any, Final

import structlog
from structlog.types import EventDict, Processor

from core import log_context

_SECRET_NAMES: Final = ("password", "secret", "token", "authorization", "api_key", "cookie")
_QUIET_LOGGERS: Final = ("uvicorn.access", "httpx", "httpcore", "aiosqlite")


def configure_logs(*, level: str, as_json: bool) -> None:
    """Set up logging for this process; `level` is a name such as INFO."""
    shared: list[Processor] = [
        _add_context,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _hide_secrets,
    ]
    # Written directly: by way of the standard library's logging, the line of a request took longer
    # than all that is done for it before it reaches the ledger.
    structlog.configure(
        processors=[*shared, *_rendering(as_json)],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level]),
        logger_factory=_StderrLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *_rendering(as_json),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in ("uvicorn", "uvicorn.error", "dramatiq", "alembic"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
    for name in _QUIET_LOGGERS:
        logging.getLogger(name).setLevel(logging.WARNING)


class _StderrLogger:
    """Writes lines, or not: a log that is full or has no reader must not fail a payment."""

    def __init__(self, *_names: str):
        """Take the names that loggers are asked for by; all write to one place."""

    def msg(self, message: str) -> None:
        """Write a line."""
        with suppress(Exception):
            sys.stderr.write(f"{message}\n")
            sys.stderr.flush()

    debug = info = warning = error = critical = exception = msg


def _rendering(as_json: bool) -> list[Processor]:
    if as_json:
        return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    # Plain tracebacks: the colourful ones print local variables, and with them secrets.
    return [
        structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
    ]


@lru_cache(maxsize=1000)
def _is_secret(name: str) -> bool:
    return any(secret in name.lower() for secret in _SECRET_NAMES)


def _add_context(_logger: Any, _method: str, event: EventDict) -> EventDict:
    return {**log_context.current(), **event}


def _hide_secrets(_logger: Any, _method: str, event: EventDict) -> EventDict:
    for name, value in event.items():
        if _is_secret(name):
            event[name] = "***"
        elif isinstance(value, Mapping):
            event[name] = dict(_hide_secrets(None, "", dict(value)))
    return event
