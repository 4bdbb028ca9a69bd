"""What the ledger looks at before it decides: wallets, which this locks, and keys. Writes nothing.

One statement does it all: everybody in the next batch waits for each round trip to the database. It
looks for what is named in the ways that the batch names it, and in no other.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from operator import attrgetter
from typing import Any, Final

from sqlalchemy import (
    CTE,
    Select,
    SelectBase,
    func,
    literal,
    literal_column,
    select,
    union,
    union_all,
)
from sqlalchemy import null as no_value

from core.book import Account, Book
from core.commands import (
    AccountNumber,
    AllOf,
    Attempt,
    CreditsOf,
    InTransit,
    Primary,
    Rendered,
    Treasury,
    WalletId,
)
from core.records import KeyOfPrincipal
from core.settlement import Remembered
from db.arrays import id_among, ids_from, pair_among, text_among
from db.clock import MICROSECONDS, as_text, microseconds_so_far
from db.lean import LeanConnection
from db.models import Tables
from db.sequences import new_ids

_WALLET: Final = 1
_KEY: Final = 2
_ID: Final = 3
_HOLDER: Final = 4
_TIME: Final = 5

# For each way of naming accounts, the parameter for all that are named so, and what names one.
_WAYS: Final[dict[type, tuple[str, Callable[[Any], Any]]]] = {
    Primary: ("user_ids", attrgetter("user_id")),
    WalletId: ("wallet_ids", attrgetter("wallet_id")),
    AccountNumber: ("numbers", attrgetter("number")),
    AllOf: ("owner_ids", attrgetter("user_id")),
    CreditsOf: ("external_user_ids", attrgetter("external_user_id")),
    Treasury: ("treasuries", attrgetter("asset.code")),
    InTransit: ("transit_currencies", attrgetter("currency")),
}


@dataclass(frozen=True, slots=True)
class Seen:
    """The open wallets of a batch, locked; its known keys; and an id for each transaction.

    `newest` is when any of the wallets last changed, None if there are none. `took_seconds` is how
    long the look took in the server, None if that does not tell: others' locks make it long.
    """

    book: Book
    remembered: dict[KeyOfPrincipal, Remembered]
    transaction_ids: list[int]
    newest: datetime | None
    took_seconds: float | None


async def at_batch(connection: LeanConnection, attempts: Sequence[Attempt]) -> Seen:
    """Lock every open wallet that the attempts name and return all they are decided on.

    Wallets are locked in id order, so that no two batches deadlock. Ids are taken under the locks:
    for one wallet they grow in commit order.

    A rival that held a wallet may have used the same key since this began to look. Then the key is
    not seen, and writing it again breaks its unique constraint: the batch starts over, and sees it.
    """
    named = _names(attempts)
    rows = await connection.select(
        _batch_statement(connection.dialect_name, frozenset(named)),
        named
        | {
            "principal_ids": [attempt.principal_id for attempt in attempts],
            "keys": [attempt.key for attempt in attempts],
            "places": list(range(1, len(attempts) + 1)),
        },
    )
    accounts, holders, remembered, ids, newest, took_seconds = [], {}, {}, [], None, None
    for kind, id_, person_id, text, number, fingerprint, body, *rest in rows:
        if kind == _WALLET:
            accounts.append(_account(id_, person_id, text, number, body, *rest))
        elif kind == _ID:
            ids.append(id_)
        elif kind == _KEY:
            remembered[person_id, text] = Remembered(fingerprint, Rendered(number, body))
        elif kind == _HOLDER:
            holders[text] = id_
        else:
            newest = datetime.fromisoformat(text).replace(tzinfo=UTC) if text else None
            took_seconds = id_ / MICROSECONDS if id_ is not None else None
    return Seen(Book(accounts, holders), remembered, sorted(ids), newest, took_seconds)


async def at_key(connection: LeanConnection, principal_id: int, key: str) -> Remembered | None:
    """Return what was answered to a key."""
    rows = await connection.select(
        _known_keys(connection.dialect_name), {"principal_ids": [principal_id], "keys": [key]}
    )
    for _kind, _id, _person_id, _text, status, fingerprint, body, *_ in rows:
        return Remembered(fingerprint, Rendered(status, body))
    return None


async def count_open(connection: LeanConnection, user_ids: Iterable[int]) -> dict[int, int]:
    """Return how many open accounts each of these people has, once `at_batch` locked them.

    A look of its own: `at_batch` may have waited for a rival that opened one, which it cannot see.
    """
    rows = await connection.select(
        _count_statement(connection.dialect_name), {"user_ids": list(user_ids)}
    )
    return dict(rows)


async def count_pending_payments(
    connection: LeanConnection, wallet_ids: Sequence[int]
) -> dict[int, int]:
    """Return how many payments of each of these wallets have not ended, once they are locked.

    A look of its own, as `count_open` is.
    """
    rows = await connection.select(
        _pending_statement(connection.dialect_name), {"wallet_ids": list(wallet_ids)}
    )
    return dict(rows)


def _names(attempts: Sequence[Attempt]) -> dict[str, list[Any]]:
    """Return all that the attempts name, by the way in which they do."""
    named: defaultdict[str, set[Any]] = defaultdict(set)
    for attempt in attempts:
        for reference in attempt.command.references:
            way, name_of = _WAYS[type(reference)]
            named[way].add(name_of(reference))
    return {way: list(names) for way, names in named.items()}


def _account(
    id_: int, user_id: int | None, currency: str, balance_minor: int, number: str, *rest: Any
) -> Account:
    holder_id, role, is_primary, may_go_negative, frozen, transferable, withdrawable = rest
    return Account(
        id=id_,
        user_id=user_id,
        currency=currency,
        balance_minor=balance_minor,
        number=number,
        holder_id=holder_id,
        system_role=role,
        is_primary=bool(is_primary),
        may_go_negative=bool(may_go_negative),
        frozen=bool(frozen),
        transferable=bool(transferable),
        withdrawable=bool(withdrawable),
    )


@cache
def _batch_statement(dialect_name: str, ways: frozenset[str]) -> SelectBase:
    """Return all looks as one; their columns mean the same where they have the same name."""
    wallets, assets = Tables.wallets.c, Tables.assets.c
    named = [wallets_of for way, wallets_of in _wallets_named(dialect_name).items() if way in ways]
    locked = (
        select(Tables.wallets)
        .where(wallets.closed_at.is_(None), wallets.id.in_(union(*named)))
        .order_by(wallets.id)
        .with_for_update()
        .cte("locked")
    )
    ids = new_ids(dialect_name, Tables.transactions, after=locked).subquery()
    nothing = no_value()
    looks: list[Select[Any]] = [
        select(
            literal(_WALLET).label("kind"),
            locked.c.id,
            locked.c.user_id.label("person_id"),
            locked.c.currency.label("text"),
            locked.c.balance_minor.label("number"),
            nothing.label("fingerprint"),
            locked.c.wallet_number.label("body"),
            locked.c.holder_id,
            locked.c.system_role,
            locked.c.is_primary,
            locked.c.may_go_negative,
            locked.c.frozen_at.is_not(None).label("frozen"),
            assets.transferable,
            assets.withdrawable,
        ).join_from(locked, Tables.assets, assets.code == locked.c.currency),
        _known_keys(dialect_name),
        select(literal(_ID), ids.c.id, *[nothing] * 12),
        _times(dialect_name, locked),
    ]
    if "external_user_ids" in ways:
        looks.append(_holders(dialect_name))
    return union_all(*looks)


def _times(dialect_name: str, locked: CTE) -> Select[Any]:
    nothing, newest = no_value(), as_text(dialect_name, func.max(locked.c.updated_at))
    taken = microseconds_so_far(dialect_name)
    return select(literal(_TIME), taken, nothing, newest, *[nothing] * 10)


def _holders(dialect_name: str) -> Select[Any]:
    holders, nothing = Tables.credit_holders.c, no_value()
    return select(
        literal(_HOLDER), holders.id, nothing, holders.external_user_id, *[nothing] * 10
    ).where(text_among(dialect_name, holders.external_user_id, "external_user_ids"))


def _wallets_named(dialect_name: str) -> dict[str, Select[Any]]:
    """Select the ids of the wallets that are named, by the way of naming them.

    Ids first: asked for in several ways at once, PostgreSQL would look through all wallets.
    """
    wallets, holders = Tables.wallets.alias().c, Tables.credit_holders.c
    is_open = wallets.closed_at.is_(None)
    by_role = {
        way: select(wallets.id).where(
            is_open, wallets.system_role == role, text_among(dialect_name, wallets.currency, way)
        )
        for way, role in (("treasuries", "treasury"), ("transit_currencies", "in_transit"))
    }
    return by_role | {
        "user_ids": select(wallets.id).where(
            is_open, wallets.is_primary, id_among(dialect_name, wallets.user_id, "user_ids")
        ),
        "wallet_ids": select(ids_from(dialect_name, "wallet_ids").c.value),
        "numbers": select(wallets.id).where(
            is_open, text_among(dialect_name, wallets.wallet_number, "numbers")
        ),
        "owner_ids": select(wallets.id).where(
            is_open, id_among(dialect_name, wallets.user_id, "owner_ids")
        ),
        "external_user_ids": select(wallets.id)
        .join_from(wallets.id.table, Tables.credit_holders, holders.id == wallets.holder_id)
        .where(is_open, text_among(dialect_name, holders.external_user_id, "external_user_ids")),
    }


@cache
def _known_keys(dialect_name: str) -> Select[Any]:
    keys = Tables.idempotency_keys.c
    nothing = no_value()
    return select(
        literal(_KEY).label("kind"),
        nothing.label("id"),
        keys.principal_id.label("person_id"),
        keys.key.label("text"),
        keys.status.label("number"),
        keys.fingerprint,
        keys.body,
        *[nothing] * 7,
    ).where(pair_among(dialect_name, (keys.principal_id, keys.key), ("principal_ids", "keys")))


@cache
def _count_statement(dialect_name: str) -> Select[Any]:
    wallets = Tables.wallets.c
    return (
        select(wallets.user_id, func.count().label("accounts"))
        .where(wallets.closed_at.is_(None), id_among(dialect_name, wallets.user_id, "user_ids"))
        .group_by(wallets.user_id)
    )


@cache
def _pending_statement(dialect_name: str) -> Select[Any]:
    payments = Tables.provider_payments.c
    return (
        select(payments.wallet_id, func.count().label("payments"))
        .where(
            # As text: see `core.payment_rows`.
            payments.state == literal_column("'PROCESSING'"),
            id_among(dialect_name, payments.wallet_id, "wallet_ids"),
        )
        .group_by(payments.wallet_id)
    )
