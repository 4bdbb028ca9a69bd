"""The queries that prove the rules of money: each returns the rows that break one.

They are written by hand rather than with the ledger's own expressions: a mistake that both shared
would prove itself right. `core.verification` says which is for which rule.
"""

from typing import Final

# In all queries a credit adds to a wallet and a debit takes from it, and an entry without a wallet
# is the outside world. What waits for a provider (PROCESSING) has moved nothing yet.

PAIRED: Final = """
WITH sides AS (
    SELECT transaction_id, COUNT(*) AS entries,
        SUM(CASE WHEN entry_type = 'DEBIT' THEN 1 ELSE 0 END) AS debits,
        SUM(CASE WHEN entry_type = 'CREDIT' THEN 1 ELSE 0 END) AS credits,
        MIN(amount_minor) AS lowest_minor, MAX(amount_minor) AS highest_minor,
        MIN(currency) AS first_currency, MAX(currency) AS last_currency
    FROM entries GROUP BY transaction_id
)
SELECT transactions.id AS transaction_id, transactions.state, transactions.amount_minor,
    transactions.currency, COALESCE(debits, 0) AS debits, COALESCE(credits, 0) AS credits,
    lowest_minor, highest_minor, first_currency, last_currency
FROM transactions LEFT JOIN sides ON sides.transaction_id = transactions.id
WHERE CASE
    WHEN sides.transaction_id IS NULL THEN state = 'SUCCESS'
    ELSE state <> 'SUCCESS' OR entries <> 2 OR debits <> 1 OR credits <> 1
        OR lowest_minor <> amount_minor OR highest_minor <> amount_minor
        OR first_currency <> currency OR last_currency <> currency
    END
UNION ALL
SELECT sides.transaction_id, 'NOT THERE', NULL, NULL, debits, credits,
    lowest_minor, highest_minor, first_currency, last_currency
FROM sides LEFT JOIN transactions ON transactions.id = sides.transaction_id
WHERE transactions.id IS NULL
ORDER BY 1 LIMIT :limit
"""

# What an entry's wallet must be follows from the type.
ON_NAMED_WALLETS: Final = """
SELECT transactions.id AS transaction_id, transactions.type, transactions.wallet_id,
    transactions.counterparty_wallet_id, entries.entry_type, entries.wallet_id AS entry_wallet_id
FROM entries JOIN transactions ON transactions.id = entries.transaction_id
WHERE (transactions.type IN ('deposit', 'withdrawal', 'payout_settled', 'payout_reversed'))
        <> (transactions.counterparty_wallet_id IS NULL)
    OR COALESCE(entries.wallet_id, 0) <> CASE
        WHEN (transactions.type IN
            ('deposit', 'top_up', 'bonus', 'payout_returned', 'payout_reversed'))
            = (entries.entry_type = 'CREDIT')
        THEN transactions.wallet_id ELSE COALESCE(transactions.counterparty_wallet_id, 0)
        END
ORDER BY entries.id LIMIT :limit
"""

# Summed per transaction first: SQLite's SUM fails where a running total passes 2^63, which all
# that ever came in from the outside world might, and a balanced transaction adds 0.
SUM_IS_ZERO: Final = """
WITH nets AS (
    SELECT transaction_id, currency,
        SUM(CASE entry_type WHEN 'CREDIT' THEN amount_minor ELSE -amount_minor END) AS net_minor
    FROM entries GROUP BY transaction_id, currency
)
SELECT currency, SUM(net_minor) AS sum_minor
FROM nets GROUP BY currency HAVING SUM(net_minor) <> 0
ORDER BY currency LIMIT :limit
"""

BALANCE_IS_SUM: Final = """
WITH sums AS (
    SELECT wallet_id, MAX(id) AS last_entry_id,
        SUM(CASE entry_type WHEN 'CREDIT' THEN amount_minor ELSE -amount_minor END) AS sum_minor,
        MIN(currency) AS first_currency, MAX(currency) AS last_currency
    FROM entries WHERE wallet_id IS NOT NULL GROUP BY wallet_id
)
SELECT wallets.id AS wallet_id, wallets.balance_minor, COALESCE(sum_minor, 0) AS entries_minor,
    newest.balance_snapshot_minor AS last_snapshot_minor,
    wallets.currency, first_currency, last_currency
FROM wallets
    LEFT JOIN sums ON sums.wallet_id = wallets.id
    LEFT JOIN entries AS newest ON newest.id = last_entry_id
WHERE wallets.balance_minor <> COALESCE(sum_minor, 0)
    OR wallets.balance_minor <> COALESCE(newest.balance_snapshot_minor, 0)
    OR first_currency <> wallets.currency OR last_currency <> wallets.currency
UNION ALL
SELECT sums.wallet_id, NULL, sum_minor, NULL, NULL, first_currency, last_currency
FROM sums LEFT JOIN wallets ON wallets.id = sums.wallet_id
WHERE wallets.id IS NULL
ORDER BY 1 LIMIT :limit
"""

SNAPSHOTS_FOLLOW: Final = """
WITH chain AS (
    SELECT id, wallet_id, balance_snapshot_minor,
        COALESCE(LAG(balance_snapshot_minor) OVER (PARTITION BY wallet_id ORDER BY id), 0)
        + CASE entry_type WHEN 'CREDIT' THEN amount_minor ELSE -amount_minor END AS expected_minor
    FROM entries WHERE wallet_id IS NOT NULL
)
SELECT id AS entry_id, wallet_id, balance_snapshot_minor, expected_minor
FROM chain
WHERE balance_snapshot_minor IS NULL OR balance_snapshot_minor <> expected_minor
ORDER BY id LIMIT :limit
"""

NOT_NEGATIVE: Final = """
SELECT wallets.id AS wallet_id, NULL AS entry_id, balance_minor
FROM wallets WHERE balance_minor < 0 AND NOT may_go_negative
UNION ALL
SELECT wallets.id, entries.id, balance_snapshot_minor
FROM entries JOIN wallets ON wallets.id = entries.wallet_id
WHERE balance_snapshot_minor < 0 AND NOT may_go_negative
ORDER BY 1, 2 LIMIT :limit
"""

# A trigger that was disabled, or whose function was replaced by one that lets everything pass,
# protects nothing.
APPEND_ONLY: Final = """
WITH guards (table_name, event) AS (VALUES
    ('entries', 'update'), ('entries', 'delete'), ('entries', 'truncate'),
    ('transactions', 'update'), ('transactions', 'delete'), ('transactions', 'truncate'),
    ('idempotency_keys', 'update'), ('idempotency_keys', 'delete'),
    ('idempotency_keys', 'truncate'),
    ('wallets', 'update'), ('wallets', 'delete'), ('wallets', 'truncate'),
    ('assets', 'update'), ('assets', 'delete'), ('assets', 'truncate'),
    ('credit_holders', 'update'), ('credit_holders', 'delete'), ('credit_holders', 'truncate'),
    ('provider_payments', 'update'), ('provider_payments', 'delete'),
    ('provider_payments', 'truncate')
)
SELECT table_name, event AS not_refused FROM guards WHERE NOT EXISTS (
    SELECT 1 FROM pg_trigger JOIN pg_proc ON pg_proc.oid = tgfoid
    WHERE tgrelid = to_regclass(table_name) AND tgname = table_name || '_refuse_' || event
        AND tgenabled IN ('O', 'A') AND prosrc LIKE '%RAISE EXCEPTION%'
)
ORDER BY 1, 2 LIMIT :limit
"""

APPEND_ONLY_SQLITE: Final = """
WITH guards (table_name, event) AS (VALUES
    ('entries', 'update'), ('entries', 'delete'), ('entries', 'insert'),
    ('transactions', 'update'), ('transactions', 'delete'), ('transactions', 'insert'),
    ('idempotency_keys', 'update'), ('idempotency_keys', 'delete'), ('idempotency_keys', 'insert'),
    ('wallets', 'update'), ('wallets', 'delete'), ('wallets', 'insert'),
    ('assets', 'update'), ('assets', 'delete'), ('assets', 'insert'),
    ('credit_holders', 'update'), ('credit_holders', 'delete'), ('credit_holders', 'insert'),
    ('provider_payments', 'update'), ('provider_payments', 'delete'),
    ('provider_payments', 'insert')
)
SELECT table_name, event AS not_refused FROM guards WHERE NOT EXISTS (
    SELECT 1 FROM sqlite_master
    WHERE type = 'trigger' AND tbl_name = table_name
        AND name = table_name || '_refuse_' || event AND sql LIKE '%RAISE(ABORT%'
)
ORDER BY 1, 2 LIMIT :limit
"""

# That no key moves money twice needs no query: a key has one row, and a row names one transaction.
ONE_KEY: Final = """
SELECT transactions.id AS transaction_id, transactions.state, COUNT(principal_id) AS keys
FROM transactions LEFT JOIN idempotency_keys ON transaction_id = transactions.id
GROUP BY transactions.id, transactions.state
HAVING COUNT(principal_id) > 1 OR (COUNT(principal_id) = 0 AND (
    transactions.state = 'SUCCESS'
    OR EXISTS (SELECT 1 FROM entries WHERE entries.transaction_id = transactions.id)
))
ORDER BY 1 LIMIT :limit
"""

CLOSED_EMPTY: Final = """
SELECT id AS wallet_id, balance_minor, closed_at
FROM wallets WHERE closed_at IS NOT NULL AND balance_minor <> 0
ORDER BY id LIMIT :limit
"""

OWNED: Final = """
SELECT wallets.id AS wallet_id, user_id, holder_id, system_role, may_go_negative
FROM wallets
    LEFT JOIN users ON users.id = user_id
    LEFT JOIN credit_holders ON credit_holders.id = holder_id
WHERE (system_role IS NULL AND may_go_negative)
    OR CASE WHEN users.id IS NULL THEN 0 ELSE 1 END
        + CASE WHEN credit_holders.id IS NULL THEN 0 ELSE 1 END
        + CASE WHEN system_role IS NULL THEN 0 ELSE 1 END <> 1
    OR (user_id IS NOT NULL AND users.id IS NULL)
    OR (holder_id IS NOT NULL AND credit_holders.id IS NULL)
ORDER BY wallets.id LIMIT :limit
"""

# Movements from before there was an outbox have none. No foreign key looks after the outbox.
RECEIPTS_PROMISED: Final = """
SELECT transaction_id, user_id FROM outbox
WHERE NOT EXISTS (SELECT 1 FROM transactions WHERE transactions.id = transaction_id)
    OR NOT EXISTS (SELECT 1 FROM users WHERE users.id = user_id)
UNION ALL
SELECT transactions.id, wallets.user_id
FROM transactions
JOIN entries ON entries.transaction_id = transactions.id
JOIN wallets ON wallets.id = entries.wallet_id
LEFT JOIN outbox
    ON outbox.transaction_id = transactions.id AND outbox.user_id = wallets.user_id
WHERE transactions.state = 'SUCCESS' AND wallets.user_id IS NOT NULL AND outbox.id IS NULL
    AND transactions.id >= (SELECT MIN(transaction_id) FROM outbox)
ORDER BY 1, 2 LIMIT :limit
"""

# No foreign key looks after the keys: see migration 0006. The principal 0 is the house.
KEYS_REFER: Final = """
SELECT principal_id, key, transaction_id
FROM idempotency_keys
WHERE (principal_id <> 0 AND NOT EXISTS (SELECT 1 FROM users WHERE users.id = principal_id))
    OR (transaction_id IS NOT NULL
        AND NOT EXISTS (SELECT 1 FROM transactions WHERE transactions.id = transaction_id))
ORDER BY 1, 2 LIMIT :limit
"""

# Credits are given out by the house and come back to it: what holders have, the treasury owes.
CREDITS_BACKED: Final = """
SELECT assets.code AS asset,
    SUM(CASE WHEN holder_id IS NOT NULL THEN balance_minor ELSE 0 END) AS held_minor,
    SUM(CASE WHEN system_role = 'treasury' THEN balance_minor ELSE 0 END) AS treasury_minor
FROM wallets JOIN assets ON assets.code = wallets.currency
WHERE assets.kind = 'credit'
GROUP BY assets.code
HAVING SUM(balance_minor) <> 0 OR SUM(CASE WHEN user_id IS NOT NULL THEN 1 ELSE 0 END) > 0
ORDER BY 1 LIMIT :limit
"""

# A failed attempt may name anything: it moved nothing.
ASSETS_ALLOW: Final = """
SELECT transactions.id AS transaction_id, transactions.type, transactions.currency
FROM assets JOIN transactions ON transactions.currency = assets.code
WHERE transactions.state <> 'FAILED' AND (
    (transactions.type = 'transfer' AND NOT transferable)
    OR (transactions.type IN ('deposit', 'withdrawal', 'payout') AND NOT withdrawable)
    OR (transactions.type IN ('top_up', 'bonus', 'spend') AND kind <> 'credit')
)
ORDER BY 1 LIMIT :limit
"""
