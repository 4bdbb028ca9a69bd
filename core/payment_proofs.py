"""The queries that prove the rules of payments by a provider; see `core.proofs`.

The keys of the house's are those of `core.payment_ends.key_of`.
"""

from typing import Final

PAYMENTS_BOOKED: Final = """
SELECT p.reference, p.kind, p.state, first.type AS first_type, first.state AS first_state,
    last.type AS closing_type, back.type AS reversing_type
FROM provider_payments AS p
    LEFT JOIN transactions AS first ON first.id = p.transaction_id
    LEFT JOIN transactions AS last ON last.id = p.closing_transaction_id
    LEFT JOIN transactions AS back ON back.id = p.reversing_transaction_id
WHERE first.id IS NULL OR first.type <> p.kind OR first.wallet_id <> p.wallet_id
    OR first.amount_minor <> p.amount_minor OR first.currency <> p.currency
    OR first.state <> CASE p.kind WHEN 'deposit' THEN p.state ELSE 'SUCCESS' END
    OR (p.closing_transaction_id IS NOT NULL AND (last.id IS NULL OR last.state <> 'SUCCESS'
        OR last.type <> CASE p.state WHEN 'SUCCESS' THEN 'payout_settled' ELSE 'payout_returned' END
        OR (last.type = 'payout_returned' AND last.wallet_id <> p.wallet_id)
        OR last.amount_minor <> p.amount_minor OR last.currency <> p.currency))
    OR (p.reversing_transaction_id IS NOT NULL AND (back.id IS NULL OR back.state <> 'SUCCESS'
        OR back.type <> 'payout_reversed' OR back.wallet_id <> p.wallet_id
        OR back.amount_minor <> p.amount_minor OR back.currency <> p.currency))
    OR (p.state <> 'PROCESSING') <> EXISTS (SELECT 1 FROM idempotency_keys
        WHERE principal_id = 0 AND key = 'payment ' || p.reference || ' end')
    OR (p.reversing_transaction_id IS NOT NULL) <> EXISTS (SELECT 1 FROM idempotency_keys
        WHERE principal_id = 0 AND key = 'payment ' || p.reference || ' reverse')
ORDER BY p.id LIMIT :limit
"""

# What was paid after a deposit had failed may be credited, once, by a deposit of its own.
PAYMENTS_CREDITED: Final = """
SELECT p.reference, p.kind, p.state, t.id AS transaction_id, t.type, t.wallet_id, t.amount_minor
FROM provider_payments AS p
    JOIN idempotency_keys AS k
        ON k.principal_id = 0 AND k.key = 'payment ' || p.reference || ' credit'
    LEFT JOIN transactions AS t ON t.id = k.transaction_id
WHERE p.kind <> 'deposit' OR p.state <> 'FAILED'
    OR t.id IS NULL OR t.type <> 'deposit' OR t.state <> 'SUCCESS' OR t.wallet_id <> p.wallet_id
    OR t.amount_minor <> p.amount_minor OR t.currency <> p.currency
ORDER BY p.id LIMIT :limit
"""

# A failed attempt moved nothing and needs no payment.
MOVEMENTS_OF_PAYMENTS: Final = """
SELECT t.id AS transaction_id, t.type, t.state
FROM transactions AS t
WHERE (t.state = 'PROCESSING' OR (t.state = 'SUCCESS'
        AND t.type IN ('payout', 'payout_settled', 'payout_returned', 'payout_reversed')))
    AND NOT EXISTS (SELECT 1 FROM provider_payments WHERE transaction_id = t.id)
    AND NOT EXISTS (SELECT 1 FROM provider_payments WHERE closing_transaction_id = t.id)
    AND NOT EXISTS (SELECT 1 FROM provider_payments WHERE reversing_transaction_id = t.id)
ORDER BY t.id LIMIT :limit
"""

IN_TRANSIT: Final = """
SELECT currency, SUM(held_minor) AS held_minor, SUM(under_way_minor) AS under_way_minor
FROM (
    SELECT currency, balance_minor AS held_minor, 0 AS under_way_minor
    FROM wallets WHERE system_role = 'in_transit'
    UNION ALL
    SELECT currency, 0, amount_minor
    FROM provider_payments WHERE kind = 'payout' AND state = 'PROCESSING'
) AS both_sides
GROUP BY currency HAVING SUM(held_minor) <> SUM(under_way_minor)
ORDER BY currency LIMIT :limit
"""
