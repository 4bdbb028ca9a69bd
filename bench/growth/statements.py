"""The SQL that makes one chunk of transfers, as `core.ledger` would have left them.

Both engines run the same text; where their functions differ, `chunk_statements` puts in its own.
What is drawn at random goes into a table first: SQLite evaluates a random column of a subquery
anew for each mention of it.
"""

from typing import Final, NamedTuple

from sqlalchemy import TextClause, bindparam, text

from bench.people import CURRENCY
from db.columns import UtcDateTime

# Of so many transfers the hot wallet makes one and receives one.
HOT_EVERY: Final = 20
HOT_RECEIVES_AT: Final = HOT_EVERY // 2
# In minor units. Everybody starts with more than a thousand times what they could send on average.
AMOUNT_LIMIT: Final = 10_000


class _Expressions(NamedTuple):
    """What the engines say differently: a whole number from 0 to below `{}`, a key, 32 bytes."""

    random_below: str
    key: str
    fingerprint: str


_POSTGRESQL: Final = _Expressions(
    random_below="CAST(floor(random() * ({})) AS BIGINT)",
    key="CAST(gen_random_uuid() AS TEXT)",
    fingerprint="sha256(CAST(CAST(random() AS TEXT) AS BYTEA))",
)
_SQLITE: Final = _Expressions(
    random_below="(random() & 4611686018427387903) % ({})",
    key="lower(hex(randomblob(4)) || '-' || hex(randomblob(2)) || '-' || hex(randomblob(2))"
    " || '-' || hex(randomblob(2)) || '-' || hex(randomblob(6)))",
    fingerprint="randomblob(32)",
)

# One row with what all statements of a chunk need.
_CHUNK: Final = (
    "CREATE TEMPORARY TABLE chunk"
    " (first_id BIGINT, transfers BIGINT, others BIGINT, made_at TIMESTAMP WITH TIME ZONE)"
)
_SET_CHUNK: Final = text(
    "INSERT INTO chunk VALUES (:first_id, :transfers, :others, :made_at)"
).bindparams(bindparam("made_at", type_=UtcDateTime))

# Everybody's place: the hot wallet has 0, the others follow.
_ACTORS: Final = """
CREATE TEMPORARY TABLE actors AS
SELECT row_number() OVER (ORDER BY id) - 1 AS place, id AS wallet_id, user_id, balance_minor
FROM wallets
"""

_DRAWS: Final = "CREATE TEMPORARY TABLE draws (n BIGINT, one BIGINT, other BIGINT, minor BIGINT)"
_DRAW: Final = """
INSERT INTO draws
WITH RECURSIVE numbers (n) AS (
    SELECT CAST(0 AS BIGINT)
    UNION ALL SELECT n + 1 FROM numbers, chunk WHERE n + 1 < transfers
)
SELECT n, {one}, {other}, 1 + {minor} FROM numbers, chunk
"""

_SIDES: Final = """
CREATE TEMPORARY TABLE sides (
    ordinal BIGINT, transaction_id BIGINT, entry_type VARCHAR(6), wallet_id BIGINT, user_id BIGINT,
    other_wallet_id BIGINT, amount_minor BIGINT, change_minor BIGINT, balance_minor BIGINT
)
"""
_TAKE_SIDES: Final = f"""
INSERT INTO sides
WITH movements AS (
    SELECT n, first_id + n AS transaction_id, minor,
        CASE WHEN n % {HOT_EVERY} = 0 THEN 0 ELSE 1 + one END AS payer,
        CASE WHEN n % {HOT_EVERY} = {HOT_RECEIVES_AT} THEN 0
            ELSE 1 + (one + 1 + other) % others END AS payee
    FROM draws, chunk
), changes AS (
    SELECT 2 * n AS ordinal, transaction_id, 'DEBIT' AS entry_type, payer AS place,
        payee AS other_place, minor AS amount_minor, -minor AS change_minor FROM movements
    UNION ALL
    SELECT 2 * n + 1, transaction_id, 'CREDIT', payee, payer, minor, minor FROM movements
)
SELECT ordinal, transaction_id, entry_type, own.wallet_id, own.user_id, other.wallet_id,
    amount_minor, change_minor, own.balance_minor
    + SUM(change_minor) OVER (PARTITION BY own.wallet_id ORDER BY ordinal)
FROM changes
JOIN actors AS own ON own.place = changes.place
JOIN actors AS other ON other.place = changes.other_place
"""  # noqa: S608 - constants of this file

_TRANSACTIONS: Final = f"""
INSERT INTO transactions
    (id, type, state, wallet_id, counterparty_wallet_id, amount_minor, currency, created_at)
SELECT transaction_id, 'transfer', 'SUCCESS', wallet_id, other_wallet_id, amount_minor,
    '{CURRENCY}', made_at
FROM sides, chunk WHERE entry_type = 'DEBIT' ORDER BY ordinal
"""  # noqa: S608 - the same

_ENTRIES: Final = f"""
INSERT INTO entries (transaction_id, wallet_id, entry_type, amount_minor, currency,
    balance_snapshot_minor, created_at)
SELECT transaction_id, wallet_id, entry_type, amount_minor, '{CURRENCY}', balance_minor, made_at
FROM sides, chunk ORDER BY ordinal
"""  # noqa: S608 - the same

_KEYS: Final = """
INSERT INTO idempotency_keys
    (principal_id, key, fingerprint, status, body, transaction_id, replays, created_at)
SELECT user_id, {key}, {fingerprint}, 200,
    '{{"wallet_id":' || wallet_id || ',"recipient_wallet_id":' || other_wallet_id
    || ',"amount":' || {amount} || ',"current_balance":' || {balance}
    || ',"transaction_id":' || transaction_id || '}}',
    transaction_id, 0, made_at
FROM sides, chunk WHERE entry_type = 'DEBIT' ORDER BY ordinal
"""
# As JSON writes 250.5 and 700, whatever the engine thinks of decimals.
_MAJOR: Final = (
    "rtrim(rtrim(({0} / 100) || '.' || substr(CAST(100 + {0} % 100 AS TEXT), 2), '0'), '.')"
)

_OUTBOX: Final = """
INSERT INTO outbox (transaction_id, user_id, created_at, due_at, attempts, done_at)
SELECT transaction_id, user_id, made_at, made_at, 1, made_at FROM sides, chunk ORDER BY ordinal
"""

_WALLETS: Final = """
UPDATE wallets SET balance_minor = balance_minor + changed.minor, updated_at = changed.made_at
FROM (
    SELECT wallet_id, made_at, SUM(change_minor) AS minor
    FROM sides, chunk GROUP BY wallet_id, made_at
) AS changed
WHERE changed.wallet_id = wallets.id
"""


def chunk_statements(dialect_name: str) -> list[TextClause]:
    """Return what makes a chunk, in order, with the parameters of `_SET_CHUNK` in the second.

    Needs transactions' ids that were reserved and are growing by one from `first_id`. Leaves
    nothing behind but the rows.
    """
    say = _SQLITE if dialect_name == "sqlite" else _POSTGRESQL
    draw = _DRAW.format(
        one=say.random_below.format("others"),
        other=say.random_below.format("others - 1"),
        minor=say.random_below.format(AMOUNT_LIMIT),
    )
    keys = _KEYS.format(
        key=say.key,
        fingerprint=say.fingerprint,
        amount=_MAJOR.format("amount_minor"),
        balance=_MAJOR.format("balance_minor"),
    )
    temporary = ("chunk", "actors", "draws", "sides")
    return [
        text(_CHUNK),
        _SET_CHUNK,
        *map(text, (_ACTORS, _DRAWS, draw, _SIDES, _TAKE_SIDES)),
        *map(text, (_TRANSACTIONS, _ENTRIES, keys, _OUTBOX, _WALLETS)),
        *[text(f"DROP TABLE {name}") for name in temporary],
    ]
