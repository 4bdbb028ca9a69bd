"""What an exception of the database means for whoever waits on it.

Owns the knowledge of SQLSTATEs and SQLite's messages; the rest of the house asks `classify`.
"""

import enum
import sqlite3

import asyncpg
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError


class Fault(enum.Enum):
    """CONFLICT: another transaction was in the way, the same work may be tried again.
    LOCKED: somebody holds a row and does not let go; waiting for it again would only take longer.
    UNAVAILABLE: the database cannot be reached or does not answer; the outcome of a COMMIT that
    was under way is unknown. DEFECT: trying again will not help.
    """

    CONFLICT = enum.auto()
    LOCKED = enum.auto()
    UNAVAILABLE = enum.auto()
    DEFECT = enum.auto()


# Serialization failure, deadlock, unique violation, and what our triggers refuse. The last two are
# a race that another process won, for a key, an email or a wallet number, or to end a payment: the
# second look sees the winner.
_CONFLICTS = frozenset({"40001", "40P01", "23505", "23001"})
_LOCK_TIMEOUT = "55P03"

# Connection exceptions, insufficient resources (disk full, too many connections), operator
# intervention (shutdown, crash recovery, statement timeout), system errors, read-only server.
_UNAVAILABLE_CLASSES = ("08", "53", "57", "58")
_READ_ONLY = "25006"

# The third when it lost track, as of a connection that is being ended from the other side.
_LOST = (asyncpg.InterfaceError, OSError, asyncpg.InternalClientError, TimeoutError)

_SQLITE_UNAVAILABLE = ("disk is full", "disk I/O error", "unable to open", "readonly database")


def classify(error: BaseException) -> Fault:
    """Say what `error`, raised by a session, means."""
    if isinstance(error, DBAPIError):
        if error.connection_invalidated:
            return Fault.UNAVAILABLE
        return _classify_driver(error.orig, is_integrity=isinstance(error, IntegrityError))
    if isinstance(error, (PoolTimeoutError, OSError, TimeoutError)):
        return Fault.UNAVAILABLE
    return _classify_driver(error, is_integrity=isinstance(error, sqlite3.IntegrityError))


def _classify_driver(error: BaseException | None, *, is_integrity: bool) -> Fault:
    sqlstate: str | None = getattr(error, "sqlstate", None)
    if sqlstate is not None:
        return _classify_sqlstate(sqlstate)
    message = str(error)
    if is_integrity and "UNIQUE" in message:
        return Fault.CONFLICT
    if isinstance(error, sqlite3.OperationalError):
        if "locked" in message or "busy" in message:
            return Fault.CONFLICT
        if any(part in message for part in _SQLITE_UNAVAILABLE):
            return Fault.UNAVAILABLE
    # What asyncpg raises when the connection goes away under it carries no SQLSTATE; nor does its
    # refusal of a value that no column can hold, which is of the same class.
    if isinstance(error, ValueError):
        return Fault.DEFECT
    if isinstance(error, _LOST):
        return Fault.UNAVAILABLE
    cause = error.__cause__ if error is not None else None
    return _classify_driver(cause, is_integrity=is_integrity) if cause else Fault.DEFECT


def _classify_sqlstate(sqlstate: str) -> Fault:
    if sqlstate in _CONFLICTS:
        return Fault.CONFLICT
    if sqlstate == _LOCK_TIMEOUT:
        return Fault.LOCKED
    if sqlstate.startswith(_UNAVAILABLE_CLASSES) or sqlstate == _READ_ONLY:
        return Fault.UNAVAILABLE
    return Fault.DEFECT
