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
    ("transactions", "UPDATE", "OLD.state <> 'PROCESSING'"),
    ("transactions", "DELETE", None),
    # Counting replays is the one change that a key may see.
    (
        "idempotency_keys",
        "UPDATE",
        "OLD.principal_id <> NEW.principal_id OR OLD.key <> NEW.key"
        " OR OLD.fingerprint <> NEW.fingerprint OR OLD.status <> NEW.status"
        " OR OLD.body <> NEW.body OR OLD.replays >= NEW.replays",
    ),
    ("idempotency_keys", "DELETE", None),
    ("wallets", "UPDATE", "OLD.closed_at IS NOT NULL"),
    ("wallets", "DELETE", None),
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
        return
    for table, event, _ in RULES:
        op.execute(f"DROP TRIGGER {_trigger(table, event)} ON {table}")
    for table in TABLES:
        op.execute(f"DROP TRIGGER {_trigger(table, 'TRUNCATE')} ON {table}")
    op.execute("DROP FUNCTION wallet_refuse()")
