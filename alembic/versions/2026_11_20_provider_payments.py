"""Payments that a provider takes in or pays out, and the house's accounts of money in transit.

Revision: 0009, after 0008
"""

from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
SQLITE_IDS = {"sqlite_autoincrement": True}
OLD_TYPES = "type IN ('deposit', 'withdrawal', 'transfer', 'top_up', 'bonus', 'spend')"
NEW_TYPES = (
    "type IN ('deposit', 'withdrawal', 'transfer', 'top_up', 'bonus', 'spend',"
    " 'payout', 'payout_settled', 'payout_returned', 'payout_reversed')"
)
OLD_ROLES = "system_role IN ('treasury')"
NEW_ROLES = "system_role IN ('treasury', 'in_transit')"

CHECKS = {
    "kind": "kind IN ('deposit', 'payout')",
    "state": "state IN ('PROCESSING', 'SUCCESS', 'FAILED')",
    "failed_with_code": "(state = 'FAILED') = (failure_code IS NOT NULL)",
    "ended_with_time": "(state = 'PROCESSING') = (ended_at IS NULL)",
    "payout_closed": (
        "(closing_transaction_id IS NOT NULL) = (kind = 'payout' AND state <> 'PROCESSING')"
    ),
    "reversed_after_success": (
        "reversing_transaction_id IS NULL OR (kind = 'payout' AND state = 'SUCCESS')"
    ),
    "payout_to_bank": (
        "(kind = 'payout') = (bank_code IS NOT NULL AND account_number IS NOT NULL)"
    ),
    "amount_positive": "amount_minor > 0",
}
TRANSACTION_IDS = ("transaction_id", "closing_transaction_id", "reversing_transaction_id")
# What a payment is never changes, and neither does how it ended.
CHANGED = (
    " OR ".join(
        f"OLD.{name} <> NEW.{name}"
        for name in (
            "id",
            "reference",
            "kind",
            "transaction_id",
            "wallet_id",
            "amount_minor",
            "currency",
            "created_at",
        )
    )
    + " OR COALESCE(OLD.bank_code, '') <> COALESCE(NEW.bank_code, '')"
    " OR COALESCE(OLD.account_number, '') <> COALESCE(NEW.account_number, '')"
    " OR (OLD.state <> 'PROCESSING' AND (OLD.state <> NEW.state"
    " OR COALESCE(OLD.failure_code, '') <> COALESCE(NEW.failure_code, '')"
    " OR COALESCE(OLD.closing_transaction_id, 0) <> COALESCE(NEW.closing_transaction_id, 0)"
    " OR OLD.ended_at <> NEW.ended_at))"
    " OR (OLD.reversing_transaction_id IS NOT NULL"
    " AND OLD.reversing_transaction_id <> COALESCE(NEW.reversing_transaction_id, 0))"
)


def upgrade() -> None:
    """Apply."""
    _lock_tables()
    _change_checks(NEW_TYPES, NEW_ROLES)
    op.create_table(
        "provider_payments",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("reference", sa.String(length=50), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("transaction_id", BIG_ID, nullable=False),
        sa.Column("wallet_id", BIG_ID, nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(length=8), nullable=False),
        sa.Column("bank_code", sa.String(length=20), nullable=True),
        sa.Column("account_number", sa.String(length=20), nullable=True),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("failure_code", sa.String(length=64), nullable=True),
        sa.Column("closing_transaction_id", BIG_ID, nullable=True),
        sa.Column("reversing_transaction_id", BIG_ID, nullable=True),
        sa.Column("authorization_url", sa.String(length=500), nullable=True),
        sa.Column("access_code", sa.String(length=100), nullable=True),
        sa.Column("recipient_code", sa.String(length=100), nullable=True),
        sa.Column("provider_status", sa.String(length=32), nullable=True),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("attention", sa.String(length=64), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        *_constraints(),
        sqlite_autoincrement=True,
    )
    pending = sa.text("state = 'PROCESSING'")
    for name, column in (("due_at", "due_at"), ("pending", "wallet_id")):
        op.create_index(
            f"ix_provider_payments_{name}",
            "provider_payments",
            [column],
            postgresql_where=pending,
            sqlite_where=pending,
        )
    _make_append_only()


def downgrade() -> None:
    """Undo; fails if there are payouts, which the older schema cannot hold."""
    _lock_tables()
    op.drop_table("provider_payments")
    _change_checks(OLD_TYPES, OLD_ROLES)


def _constraints() -> list[sa.schema.SchemaItem]:
    table = "provider_payments"
    return [
        *(
            sa.CheckConstraint(condition, name=op.f(f"ck_{table}_{name}"))
            for name, condition in CHECKS.items()
        ),
        *(
            sa.ForeignKeyConstraint(
                [name], ["transactions.id"], name=op.f(f"fk_{table}_{name}_transactions")
            )
            for name in TRANSACTION_IDS
        ),
        sa.ForeignKeyConstraint(
            ["wallet_id"], ["wallets.id"], name=op.f(f"fk_{table}_wallet_id_wallets")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f(f"pk_{table}")),
        *(
            sa.UniqueConstraint(name, name=op.f(f"uq_{table}_{name}"))
            for name in ("reference", *TRANSACTION_IDS)
        ),
    ]


def _lock_tables() -> None:
    """Take all locks in one order: otherwise this and a posting could wait for each other."""
    if op.get_bind().dialect.name == "postgresql":
        op.execute("LOCK TABLE wallets, transactions")


def _change_checks(types: str, roles: str) -> None:
    for table, name, condition in (
        ("wallets", "ck_wallets_system_role", roles),
        ("transactions", "ck_transactions_type", types),
    ):
        with _rebuilding(table), op.batch_alter_table(table, table_kwargs=SQLITE_IDS) as changed:
            changed.drop_constraint(op.f(name), type_="check")
            changed.create_check_constraint(op.f(name), condition)


@contextmanager
def _rebuilding(table: str) -> Iterator[None]:
    """Give a table its triggers back, which SQLite drops with the old table."""
    if op.get_bind().dialect.name != "sqlite":
        yield
        return
    triggers = sa.text(
        "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = :t"
    )
    before = op.get_bind().execute(triggers, {"t": table}).all()
    for name, _ in before:
        op.execute(f"DROP TRIGGER {name}")
    yield
    for _, definition in before:
        op.execute(definition)


def _make_append_only() -> None:
    """Have the database refuse what would change a payment, as 0002 does."""
    _create_trigger("UPDATE", f"FOR EACH ROW WHEN ({CHANGED})")
    _create_trigger("DELETE", "FOR EACH ROW")
    if op.get_bind().dialect.name == "sqlite":
        replaced = "id = NEW.id OR reference = NEW.reference"
        replaced += "".join(f" OR {name} = NEW.{name}" for name in TRANSACTION_IDS)
        op.execute(
            "CREATE TRIGGER provider_payments_refuse_insert BEFORE INSERT ON provider_payments "
            f"FOR EACH ROW WHEN EXISTS (SELECT 1 FROM provider_payments WHERE {replaced}) "
            "BEGIN SELECT RAISE(ABORT, 'UNIQUE: provider_payments is append-only'); END"
        )
    else:
        _create_trigger("TRUNCATE", "FOR EACH STATEMENT")


def _create_trigger(event: str, scope: str) -> None:
    action = "EXECUTE FUNCTION wallet_refuse()"
    if op.get_bind().dialect.name == "sqlite":
        action = "BEGIN SELECT RAISE(ABORT, 'provider_payments is append-only'); END"
    op.execute(
        f"CREATE TRIGGER provider_payments_refuse_{event.lower()} BEFORE {event} "
        f"ON provider_payments {scope} {action}"
    )
