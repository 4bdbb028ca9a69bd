"""What the ledger looks at before it decides: wallets, which this locks, and keys. Writes nothing.

One statement does it all: everybody in the next batch waits for each round trip to the database.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from sqlalchemy import Executable, Select, literal, select, union, union_all
from sqlalchemy import null as no_value

from core.commands import Attempt, Rendered, Transfer
from core.postings import Account, Book
from core.records import KeyOfPrincipal
from core.settlement import Remembered
from db.arrays import id_among, ids_from, pair_among
from db.lean import LeanConnection
from db.models import Tables
from db.sequences import new_ids

_WALLET: Final = 1
_KEY: Final = 2
_ID: Final = 3


@dataclass(frozen=True, slots=True)
class Seen:
    """The open wallets of a batch, locked; its known keys; and an id for each transaction."""

    book: Book
    remembered: dict[KeyOfPrincipal, Remembered]
    transaction_ids: list[int]


async def at_batch(connection: LeanConnection, attempts: Sequence[Attempt]) -> Seen:
    """Lock every open wallet that the attempts name and return all they are decided on.

    Wallets are locked in id order, so that no two batches deadlock. Ids are taken under the locks:
    for one wallet they grow in commit order.

    A rival that held a wallet may have used the same key since this began to look. Then the key is
    not seen, and writing it again breaks its unique constraint: the batch starts over, and sees it.
    """
    commands = [attempt.command for attempt in attempts]
    rows = await connection.select(
        _batch_statement(connection.dialect_name),
        {
            "user_ids": list({command.user_id for command in commands}),
            "wallet_ids": list(
                {command.to_wallet_id for command in commands if isinstance(command, Transfer)}
            ),
            "principal_ids": [attempt.principal_id for attempt in attempts],
            "keys": [attempt.key for attempt in attempts],
            "places": list(range(1, len(attempts) + 1)),
        },
    )
    accounts, remembered, ids = [], {}, []
    for kind, id_, person_id, text, number, flag, frozen, fingerprint, body in rows:
        if kind == _WALLET:
            accounts.append(
                Account(
                    id=id_,
                    user_id=person_id,
                    currency=text,
                    balance_minor=number,
                    may_go_negative=bool(flag),
                    frozen=bool(frozen),
                )
            )
        elif kind == _KEY:
            remembered[person_id, text] = Remembered(fingerprint, Rendered(number, body))
        else:
            ids.append(id_)
    return Seen(Book(accounts), remembered, sorted(ids))


async def at_key(connection: LeanConnection, principal_id: int, key: str) -> Remembered | None:
    """Return what was answered to a key."""
    rows = await connection.select(
        _known_keys(connection.dialect_name), {"principal_ids": [principal_id], "keys": [key]}
    )
    for *_, status, _flag, _frozen, fingerprint, body in rows:
        return Remembered(fingerprint, Rendered(status, body))
    return None


@cache
def _batch_statement(dialect_name: str) -> Executable:
    """Return the three looks as one; their columns mean the same where they have the same name."""
    wallets = Tables.wallets.c
    # Ids first: asked for by person or by id at once, PostgreSQL would look through all wallets.
    theirs = Tables.wallets.alias().c
    of_people = select(theirs.id).where(
        theirs.closed_at.is_(None), id_among(dialect_name, theirs.user_id, "user_ids")
    )
    named = select(ids_from(dialect_name, "wallet_ids").c.value)
    locked = (
        select(Tables.wallets)
        .where(wallets.closed_at.is_(None), wallets.id.in_(union(of_people, named)))
        .order_by(wallets.id)
        .with_for_update()
        .cte("locked")
    )
    ids = new_ids(dialect_name, Tables.transactions, after=locked).subquery()
    nothing = no_value()
    return union_all(
        select(
            literal(_WALLET).label("kind"),
            locked.c.id,
            locked.c.user_id.label("person_id"),
            locked.c.currency.label("text"),
            locked.c.balance_minor.label("number"),
            locked.c.may_go_negative.label("flag"),
            locked.c.frozen_at.is_not(None).label("frozen"),
            nothing.label("fingerprint"),
            nothing.label("body"),
        ),
        _known_keys(dialect_name),
        select(literal(_ID), ids.c.id, *[nothing] * 7),
    )


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
        nothing.label("flag"),
        nothing.label("frozen"),
        keys.fingerprint,
        keys.body,
    ).where(pair_among(dialect_name, (keys.principal_id, keys.key), ("principal_ids", "keys")))
