"""Entries, finished transactions and idempotency keys cannot be changed, wallets not deleted.

Revision: 0002, after 0001
"""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# Table, event, and the condition under which the event is refused (None: always).
RULES: tuple[tuple[str, str, str | None], ...] = (
    ("entries", "UPDATE", None),
    ("entries", "DELETE", None),
    # What waits for a provider may still be told its end; nothing else of it changes.
    (
        "transactions",
        "UPDATE",
        "OLD.state <> 'PROCESSING' OR OLD.id <> NEW.id OR OLD.type <> NEW.type"
        " OR OLD.wallet_id <> NEW.wallet_id OR OLD.amount_minor <> NEW.amount_minor"
        " OR OLD.currency <> NEW.currency OR OLD.created_at <> NEW.created_at"
        " OR COALESCE(OLD.counterparty_wallet_id, 0) <> COALESCE(NEW.counterparty_wallet_id, 0)",
    ),
    ("transactions", "DELETE", None),
    # Counting replays is the one change that a key may see.
    (
        "idempotency_keys",
        "UPDATE",
        "OLD.principal_id <> NEW.principal_id OR OLD.key <> NEW.key"
        " OR OLD.fingerprint <> NEW.fingerprint OR OLD.status <> NEW.status"
        " OR OLD.body <> NEW.body OR OLD.created_at <> NEW.created_at"
        " OR COALESCE(OLD.transaction_id, 0) <> COALESCE(NEW.transaction_id, 0)"
        " OR OLD.replays >= NEW.replays",
    ),
    ("idempotency_keys", "DELETE", None),
    ("wallets", "UPDATE", "OLD.closed_at IS NOT NULL"),
    ("wallets", "DELETE", None),
)
# SQLite's INSERT OR REPLACE deletes the row in its way without firing a DELETE trigger. So what an
# INSERT would replace is refused before; the word UNIQUE tells our code that it may try again.
NO_REPLACING: tuple[tuple[str, str], ...] = (
    (
        "entries",
        "id = NEW.id OR (transaction_id = NEW.transaction_id AND entry_type = NEW.entry_type)",
    ),
    ("transactions", "id = NEW.id"),
    ("idempotency_keys", "principal_id = NEW.principal_id AND key = NEW.key"),
    (
        "wallets",
        "id = NEW.id OR wallet_number = NEW.wallet_number"
        " OR (user_id = NEW.user_id AND closed_at IS NULL AND NEW.closed_at IS NULL)",
    ),
)
TABLES = ("entries", "transactions", "idempotency_keys", "wallets")


def _trigger(table: str, event: str) -> str:
    return f"{table}_refuse_{event.lower()}"


def upgrade() -> None:
    """Create the triggers; on PostgreSQL also against TRUNCATE, which SQLite does not have."""
    if op.get_bind().dialect.name == "sqlite":
        for table, event, condition in RULES:
            op.execute(
                f"CREATE TRIGGER {_trigger(table, event)} BEFORE {event} ON {table} "
                f"FOR EACH ROW {f'WHEN {condition} ' if condition else ''}"
                f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
            )
        for table, replaced in NO_REPLACING:
            op.execute(
                f"CREATE TRIGGER {_trigger(table, 'INSERT')} BEFORE INSERT ON {table} "
                f"FOR EACH ROW WHEN EXISTS (SELECT 1 FROM {table} WHERE {replaced}) "
                f"BEGIN SELECT RAISE(ABORT, 'UNIQUE: {table} is append-only'); END"
            )
        return
    op.execute(
        "CREATE FUNCTION wallet_refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'restrict_violation'; "
        "END $$"
    )
    for table, event, condition in RULES:
        op.execute(
            f"CREATE TRIGGER {_trigger(table, event)} BEFORE {event} ON {table} FOR EACH ROW "
            f"{f'WHEN ({condition}) ' if condition else ''}EXECUTE FUNCTION wallet_refuse()"
        )
    for table in TABLES:
        op.execute(
            f"CREATE TRIGGER {_trigger(table, 'TRUNCATE')} BEFORE TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION wallet_refuse()"
        )


def downgrade() -> None:
    """Drop the triggers."""
    if op.get_bind().dialect.name == "sqlite":
        for table, event, _ in RULES:
            op.execute(f"DROP TRIGGER {_trigger(table, event)}")
        for table, _ in NO_REPLACING:
            op.execute(f"DROP TRIGGER {_trigger(table, 'INSERT')}")
        return
    for table, event, _ in RULES:
        op.execute(f"DROP TRIGGER {_trigger(table, event)} ON {table}")
    for table in TABLES:
        op.execute(f"DROP TRIGGER {_trigger(table, 'TRUNCATE')} ON {table}")
    op.execute("DROP FUNCTION wallet_refuse()")
