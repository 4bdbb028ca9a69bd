"""What a wallet's times tell about ids: which of its entries and transactions are of a time.

No index has times. Entries of a wallet have ids and times that never decrease (`core.ledger` sees
to it), so the last one at a time is found by halving the ids, each step one look into the index of
(wallet, id): some thirty for a thousand million entries, at any time in the past.
"""

import operator
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import (
    CTE,
    BigInteger,
    BindParameter,
    ColumnClause,
    ColumnElement,
    FromClause,
    ScalarSelect,
    bindparam,
    case,
    cast,
    func,
    literal_column,
    select,
)

from db.columns import UtcDateTime
from db.models import Tables

# How far the clocks of two API processes may be apart without a list of a time missing anything.
CLOCKS_APART: Final = timedelta(minutes=1)
_EARLIEST: Final = datetime(1970, 1, 1, tzinfo=UTC)

# No transaction has this id, nor one beyond.
_END: Final = 2**63 - 1
_ONE: Final[ColumnClause[int]] = literal_column("1")


def parameters_of_times(since: datetime | None, until: datetime | None) -> dict[str, datetime]:
    """Return the parameters of `of_times`; their names are the times that are asked for."""
    times: dict[str, datetime] = {}
    if since is not None:
        # What moved no money, or not yet, has the time of its process, and may be older than it.
        times |= {"since": since, "early": max(since, _EARLIEST) - CLOCKS_APART}
    if until is not None:
        times["until"] = until
    return times


def of_times(
    wallets: FromClause, times: frozenset[str]
) -> Callable[[ColumnElement[int]], list[ColumnElement[bool]]]:
    """Return what holds for those transactions of a wallet that are of the times asked for.

    `wallets` has the ids of all wallets it may be called with as `id`. The ids say where to read,
    so that no more is read than the page and what is near both times; the times decide.
    """
    transactions = Tables.transactions.c
    decided, near = [], []
    if "since" in times:
        decided.append(transactions.created_at >= _time("since"))
        near.append((operator.gt, _transactions_before(wallets, _time("early"))))
    if "until" in times:
        decided.append(transactions.created_at <= _time("until"))
        near.append((operator.lt, _transactions_after(wallets, _time("until"))))

    def conditions(wallet_id: ColumnElement[int]) -> list[ColumnElement[bool]]:
        return decided + [compare(transactions.id, _edge(of, wallet_id)) for compare, of in near]

    return conditions


def last_entries(wallets: FromClause, at: BindParameter[datetime]) -> CTE:
    """Select `wallet_id` and `entry_id`, the last entry at a time: 0 if there is none.

    `wallets` has their ids as `id`. The name of `at` is not that of another time in a statement.
    """
    entries = Tables.entries
    newest = (
        select(func.max(entries.c.id)).where(entries.c.wallet_id == wallets.c.id).scalar_subquery()
    )
    # `low` is the last entry known to be early enough; none beyond `high` is.
    search = select(
        wallets.c.id.label("wallet_id"),
        cast(0, BigInteger).label("low"),
        func.coalesce(newest, 0).label("high"),
    ).cte(f"search_{at.key}", recursive=True)
    middle = (search.c.low + search.c.high) // 2
    following, probe = entries.alias(), entries.alias()
    beyond_middle = (
        select(func.min(following.c.id))
        .where(following.c.wallet_id == search.c.wallet_id, following.c.id > middle)
        .scalar_subquery()
    )
    is_early = probe.c.created_at <= at
    search = search.union_all(
        select(
            search.c.wallet_id,
            case((is_early, probe.c.id), else_=search.c.low),
            case((is_early, search.c.high), else_=middle),
        )
        .select_from(search.join(probe, probe.c.id == beyond_middle, isouter=True))
        .where(search.c.low < search.c.high)
    )
    last = select(search.c.wallet_id, func.max(search.c.low).label("entry_id"))
    return last.group_by(search.c.wallet_id).cte(f"last_{at.key}")


def _transactions_before(wallets: FromClause, at: BindParameter[datetime]) -> CTE:
    """Select `wallet_id` and `id`: what the wallet did up to that transaction is not after `at`.

    But for what moved no money, or not yet: that may be later, by as much as clocks are apart.
    """
    last, entries = last_entries(wallets, at), Tables.entries.c
    found = select(entries.transaction_id).where(entries.id == last.c.entry_id).scalar_subquery()
    return select(last.c.wallet_id, func.coalesce(found, 0).label("id")).cte(f"before_{at.key}")


def _transactions_after(wallets: FromClause, at: BindParameter[datetime]) -> CTE:
    """Select `wallet_id` and `id`: what the wallet did from that transaction on is after `at`.

    Nothing of a wallet is earlier than what moved its money before. Only a deposit by a provider
    moves it later than its transaction tells.
    """
    last, entries = last_entries(wallets, at), Tables.entries.c
    payments = Tables.provider_payments.c
    moves_later = (
        select(_ONE)
        .where(payments.transaction_id == entries.transaction_id, payments.kind == "deposit")
        .exists()
    )
    found: Any = (
        select(entries.transaction_id)
        .where(entries.wallet_id == last.c.wallet_id, entries.id > last.c.entry_id, ~moves_later)
        .order_by(entries.id)
        .limit(_ONE)
        .scalar_subquery()
    )
    return select(last.c.wallet_id, func.coalesce(found, _END).label("id")).cte(f"after_{at.key}")


def _edge(edges: CTE, wallet_id: ColumnElement[int]) -> ScalarSelect[int]:
    """Select the edge of a wallet, whose id may be that of a row outside."""
    edge = select(edges.c.id).where(edges.c.wallet_id == wallet_id)
    return edge.correlate_except(edges).scalar_subquery()


def _time(name: str) -> BindParameter[datetime]:
    return bindparam(name, type_=UtcDateTime)
