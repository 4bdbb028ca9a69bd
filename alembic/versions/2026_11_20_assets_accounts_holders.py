"""Assets, several accounts for a person, and accounts of those who hold credits.

Whoever has a wallet keeps it, as the primary one. Idempotency keys refer to people and transactions
without foreign keys from here on, as the outbox does since 0005: both were looked up again for
every posting, and `./wallet verify` looks for what refers to nothing.

Revision: 0006, after 0005
"""

from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
ONE_OWNER = (
    "CASE WHEN user_id IS NULL THEN 0 ELSE 1 END + CASE WHEN holder_id IS NULL THEN 0 ELSE 1 END"
    " + CASE WHEN system_role IS NULL THEN 0 ELSE 1 END = 1"
)
OLD_TYPES = "type IN ('deposit', 'withdrawal', 'transfer')"
NEW_TYPES = "type IN ('deposit', 'withdrawal', 'transfer', 'top_up', 'bonus', 'spend')"
CHECKS_OF_WALLETS = {
    "ck_wallets_one_owner": ONE_OWNER,
    "ck_wallets_primary_of_person": "NOT is_primary OR user_id IS NOT NULL",
    "ck_wallets_system_role": "system_role IN ('treasury')",
}
# Unique indexes of wallets: their columns and which rows they are of.
INDEXES_OF_WALLETS = {
    "uq_wallets_primary_user_id": (["user_id"], "is_primary AND closed_at IS NULL"),
    "uq_wallets_holder_id_currency": (["holder_id", "currency"], "holder_id IS NOT NULL"),
    "uq_wallets_open_system_role_currency": (
        ["system_role", "currency"],
        "system_role IS NOT NULL AND closed_at IS NULL",
    ),
}
OLD_INDEXES_OF_WALLETS = {"uq_wallets_open_user_id": (["user_id"], "closed_at IS NULL")}
KEY_REFERENCES = {"principal_id": "users", "transaction_id": "transactions"}
SQLITE_IDS = {"sqlite_autoincrement": True}
CREDITS = "GOLD 0 Gold Coins\nDMND 0 Diamonds\nPTS 0 Loyalty Points"
FIRST_CURRENCY_ID = 1001

# What SQLite's INSERT OR REPLACE would delete: see 0002.
BY_ID_OR_NUMBER = "id = NEW.id OR wallet_number = NEW.wallet_number"
BOTH_OPEN = "closed_at IS NULL AND NEW.closed_at IS NULL"
OLD_REPLACED_WALLETS = f"{BY_ID_OR_NUMBER} OR (user_id = NEW.user_id AND {BOTH_OPEN})"
NEW_REPLACED_WALLETS = (
    f"{BY_ID_OR_NUMBER}"
    f" OR (user_id = NEW.user_id AND is_primary AND NEW.is_primary AND {BOTH_OPEN})"
    " OR (holder_id = NEW.holder_id AND currency = NEW.currency)"
    f" OR (system_role = NEW.system_role AND currency = NEW.currency AND {BOTH_OPEN})"
)
REPLACED = {
    "assets": "id = NEW.id OR code = NEW.code",
    "credit_holders": "id = NEW.id OR external_user_id = NEW.external_user_id",
}

# ISO 4217 as of 2026-01-01, as far as it gives minor units: code, decimals, name.
CURRENCIES = """
AED 2 UAE Dirham
AFN 2 Afghani
ALL 2 Lek
AMD 2 Armenian Dram
AOA 2 Kwanza
ARS 2 Argentine Peso
AUD 2 Australian Dollar
AWG 2 Aruban Florin
AZN 2 Azerbaijan Manat
BAM 2 Convertible Mark
BBD 2 Barbados Dollar
BDT 2 Taka
BHD 3 Bahraini Dinar
BIF 0 Burundi Franc
BMD 2 Bermudian Dollar
BND 2 Brunei Dollar
BOB 2 Boliviano
BOV 2 Mvdol
BRL 2 Brazilian Real
BSD 2 Bahamian Dollar
BTN 2 Ngultrum
BWP 2 Pula
BYN 2 Belarusian Ruble
BZD 2 Belize Dollar
CAD 2 Canadian Dollar
CDF 2 Congolese Franc
CHE 2 WIR Euro
CHF 2 Swiss Franc
CHW 2 WIR Franc
CLF 4 Unidad de Fomento
CLP 0 Chilean Peso
CNY 2 Yuan Renminbi
COP 2 Colombian Peso
COU 2 Unidad de Valor Real
CRC 2 Costa Rican Colon
CUP 2 Cuban Peso
CVE 2 Cabo Verde Escudo
CZK 2 Czech Koruna
DJF 0 Djibouti Franc
DKK 2 Danish Krone
DOP 2 Dominican Peso
DZD 2 Algerian Dinar
EGP 2 Egyptian Pound
ERN 2 Nakfa
ETB 2 Ethiopian Birr
EUR 2 Euro
FJD 2 Fiji Dollar
FKP 2 Falkland Islands Pound
GBP 2 Pound Sterling
GEL 2 Lari
GHS 2 Ghana Cedi
GIP 2 Gibraltar Pound
GMD 2 Dalasi
GNF 0 Guinean Franc
GTQ 2 Quetzal
GYD 2 Guyana Dollar
HKD 2 Hong Kong Dollar
HNL 2 Lempira
HTG 2 Gourde
HUF 2 Forint
IDR 2 Rupiah
ILS 2 New Israeli Sheqel
INR 2 Indian Rupee
IQD 3 Iraqi Dinar
IRR 2 Iranian Rial
ISK 0 Iceland Krona
JMD 2 Jamaican Dollar
JOD 3 Jordanian Dinar
JPY 0 Yen
KES 2 Kenyan Shilling
KGS 2 Som
KHR 2 Riel
KMF 0 Comorian Franc
KPW 2 North Korean Won
KRW 0 Won
KWD 3 Kuwaiti Dinar
KYD 2 Cayman Islands Dollar
KZT 2 Tenge
LAK 2 Lao Kip
LBP 2 Lebanese Pound
LKR 2 Sri Lanka Rupee
LRD 2 Liberian Dollar
LSL 2 Loti
LYD 3 Libyan Dinar
MAD 2 Moroccan Dirham
MDL 2 Moldovan Leu
MGA 2 Malagasy Ariary
MKD 2 Denar
MMK 2 Kyat
MNT 2 Tugrik
MOP 2 Pataca
MRU 2 Ouguiya
MUR 2 Mauritius Rupee
MVR 2 Rufiyaa
MWK 2 Malawi Kwacha
MXN 2 Mexican Peso
MXV 2 Mexican Unidad de Inversion (UDI)
MYR 2 Malaysian Ringgit
MZN 2 Mozambique Metical
NAD 2 Namibia Dollar
NGN 2 Naira
NIO 2 Cordoba Oro
NOK 2 Norwegian Krone
NPR 2 Nepalese Rupee
NZD 2 New Zealand Dollar
OMR 3 Rial Omani
PAB 2 Balboa
PEN 2 Sol
PGK 2 Kina
PHP 2 Philippine Peso
PKR 2 Pakistan Rupee
PLN 2 Zloty
PYG 0 Guarani
QAR 2 Qatari Rial
RON 2 Romanian Leu
RSD 2 Serbian Dinar
RUB 2 Russian Ruble
RWF 0 Rwanda Franc
SAR 2 Saudi Riyal
SBD 2 Solomon Islands Dollar
SCR 2 Seychelles Rupee
SDG 2 Sudanese Pound
SEK 2 Swedish Krona
SGD 2 Singapore Dollar
SHP 2 Saint Helena Pound
SLE 2 Leone
SOS 2 Somali Shilling
SRD 2 Surinam Dollar
SSP 2 South Sudanese Pound
STN 2 Dobra
SVC 2 El Salvador Colon
SYP 2 Syrian Pound
SZL 2 Lilangeni
THB 2 Baht
TJS 2 Somoni
TMT 2 Turkmenistan New Manat
TND 3 Tunisian Dinar
TOP 2 Pa'anga
TRY 2 Turkish Lira
TTD 2 Trinidad and Tobago Dollar
TWD 2 New Taiwan Dollar
TZS 2 Tanzanian Shilling
UAH 2 Hryvnia
UGX 0 Uganda Shilling
USD 2 US Dollar
USN 2 US Dollar (Next day)
UYI 0 Uruguay Peso en Unidades Indexadas (UI)
UYU 2 Peso Uruguayo
UYW 4 Unidad Previsional
UZS 2 Uzbekistan Sum
VED 2 Bolívar Soberano
VES 2 Bolívar Soberano
VND 0 Dong
VUV 0 Vatu
WST 2 Tala
XAD 2 Arab Accounting Dinar
XAF 0 CFA Franc BEAC
XCD 2 East Caribbean Dollar
XCG 2 Caribbean Guilder
XOF 0 CFA Franc BCEAO
XPF 0 CFP Franc
YER 2 Yemeni Rial
ZAR 2 Rand
ZMW 2 Zambian Kwacha
ZWG 2 Zimbabwe Gold
"""


def upgrade() -> None:
    """Apply."""
    _lock_tables()
    _create_assets()
    _create_holders()
    for table, replaced in REPLACED.items():
        _make_append_only(table, replaced)
    op.add_column(
        "wallets",
        sa.Column("is_primary", sa.Boolean(), nullable=False, server_default=sa.true()),
    )
    with _rebuilding("wallets", NEW_REPLACED_WALLETS):
        _widen_wallets()
    with _rebuilding("transactions"):
        _change_transactions(NEW_TYPES)
    with (
        _rebuilding("idempotency_keys"),
        op.batch_alter_table("idempotency_keys") as keys,
    ):
        for column, table in KEY_REFERENCES.items():
            keys.drop_constraint(f"fk_idempotency_keys_{column}_{table}", type_="foreignkey")


def downgrade() -> None:
    """Undo; fails if there is what the older schema cannot hold: credits, a second open account."""
    _lock_tables()
    with _rebuilding("idempotency_keys"), op.batch_alter_table("idempotency_keys") as keys:
        for column, table in KEY_REFERENCES.items():
            keys.create_foreign_key(
                f"fk_idempotency_keys_{column}_{table}", table, [column], ["id"]
            )
    with _rebuilding("transactions"):
        _change_transactions(OLD_TYPES)
    with _rebuilding("wallets", OLD_REPLACED_WALLETS):
        _narrow_wallets()
    op.drop_table("credit_holders")
    op.drop_table("assets")


def _lock_tables() -> None:
    """Take all locks in one order: otherwise this and a posting could wait for each other."""
    if op.get_bind().dialect.name == "postgresql":
        op.execute("LOCK TABLE wallets, transactions, idempotency_keys, users")


def _create_assets() -> None:
    assets = op.create_table(
        "assets",
        sa.Column("id", BIG_ID, autoincrement=False, nullable=False),
        sa.Column("code", sa.String(length=8), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("scale", sa.SmallInteger(), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("transferable", sa.Boolean(), nullable=False),
        sa.Column("withdrawable", sa.Boolean(), nullable=False),
        sa.CheckConstraint("kind IN ('currency', 'credit')", name=op.f("ck_assets_kind")),
        sa.CheckConstraint(
            "length(code) BETWEEN 2 AND 8 AND code = upper(code)", name=op.f("ck_assets_code")
        ),
        sa.CheckConstraint("scale BETWEEN 0 AND 8", name=op.f("ck_assets_scale")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_assets")),
        sa.UniqueConstraint("code", name=op.f("uq_assets_code")),
    )
    op.bulk_insert(assets, list(_assets(CREDITS, "credit", 1)))
    op.bulk_insert(assets, list(_assets(CURRENCIES, "currency", FIRST_CURRENCY_ID)))


def _assets(lines: str, kind: str, first_id: int) -> Iterator[dict[str, object]]:
    for id_, line in enumerate(lines.strip().splitlines(), first_id):
        code, scale, name = line.split(" ", 2)
        moves = kind == "currency"
        yield {
            "id": id_,
            "code": code,
            "name": name,
            "scale": int(scale),
            "kind": kind,
            "transferable": moves,
            "withdrawable": moves,
        }


def _create_holders() -> None:
    op.create_table(
        "credit_holders",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("external_user_id", sa.String(length=128), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_credit_holders")),
        sa.UniqueConstraint("external_user_id", name=op.f("uq_credit_holders_external_user_id")),
        sqlite_autoincrement=True,
    )


def _make_append_only(table: str, replaced: str) -> None:
    """Have the database refuse changes of a table's rows, as 0002 does."""
    for event in ("UPDATE", "DELETE"):
        _create_trigger(table, event, "FOR EACH ROW")
    if op.get_bind().dialect.name == "sqlite":
        _refuse_replacing(table, replaced)
    else:
        _create_trigger(table, "TRUNCATE", "FOR EACH STATEMENT")


def _create_trigger(table: str, event: str, scope: str) -> None:
    action = "EXECUTE FUNCTION wallet_refuse()"
    if op.get_bind().dialect.name == "sqlite":
        action = f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
    op.execute(
        f"CREATE TRIGGER {table}_refuse_{event.lower()} BEFORE {event} ON {table} {scope} {action}"
    )


def _refuse_replacing(table: str, replaced: str) -> None:
    op.execute(
        f"CREATE TRIGGER {table}_refuse_insert BEFORE INSERT ON {table} "
        f"FOR EACH ROW WHEN EXISTS (SELECT 1 FROM {table} WHERE {replaced}) "
        f"BEGIN SELECT RAISE(ABORT, 'UNIQUE: {table} is append-only'); END"
    )


@contextmanager
def _rebuilding(table: str, replaced: str | None = None) -> Iterator[None]:
    """Give a table its triggers back, which SQLite drops with the old table.

    `replaced` is the new condition under which an INSERT would replace a row.
    """
    if op.get_bind().dialect.name != "sqlite":
        yield
        return
    triggers = sa.text(
        "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = :t"
    )
    before = op.get_bind().execute(triggers, {"t": table}).all()
    # They name columns that may be about to go.
    for name, _ in before:
        op.execute(f"DROP TRIGGER {name}")
    yield
    for name, definition in before:
        if replaced is not None and name == f"{table}_refuse_insert":
            _refuse_replacing(table, replaced)
        else:
            op.execute(definition)


def _widen_wallets() -> None:
    op.drop_index("uq_wallets_open_user_id", table_name="wallets")
    with op.batch_alter_table("wallets", table_kwargs=SQLITE_IDS) as wallets:
        # All there are, are people's.
        wallets.alter_column("is_primary", existing_type=sa.Boolean(), server_default=None)
        wallets.add_column(sa.Column("holder_id", BIG_ID, nullable=True))
        wallets.add_column(sa.Column("system_role", sa.String(length=16), nullable=True))
        wallets.add_column(sa.Column("name", sa.String(length=100), nullable=True))
        wallets.create_foreign_key(
            op.f("fk_wallets_holder_id_credit_holders"), "credit_holders", ["holder_id"], ["id"]
        )
        wallets.create_foreign_key(
            op.f("fk_wallets_currency_assets"), "assets", ["currency"], ["code"]
        )
        for name, condition in CHECKS_OF_WALLETS.items():
            wallets.create_check_constraint(op.f(name), condition)
    _create_indexes(INDEXES_OF_WALLETS)


def _narrow_wallets() -> None:
    for name in INDEXES_OF_WALLETS:
        op.drop_index(name, table_name="wallets")
    with op.batch_alter_table("wallets", table_kwargs=SQLITE_IDS) as wallets:
        for name in CHECKS_OF_WALLETS:
            wallets.drop_constraint(op.f(name), type_="check")
        for name in ("fk_wallets_holder_id_credit_holders", "fk_wallets_currency_assets"):
            wallets.drop_constraint(op.f(name), type_="foreignkey")
        for column in ("is_primary", "holder_id", "system_role", "name"):
            wallets.drop_column(column)
    _create_indexes(OLD_INDEXES_OF_WALLETS)


def _create_indexes(indexes: dict[str, tuple[list[str], str]]) -> None:
    for name, (columns, condition) in indexes.items():
        rows = sa.text(condition)
        op.create_index(
            name, "wallets", columns, unique=True, postgresql_where=rows, sqlite_where=rows
        )


def _change_transactions(types: str) -> None:
    with op.batch_alter_table("transactions", table_kwargs=SQLITE_IDS) as transactions:
        if types == NEW_TYPES:
            transactions.add_column(sa.Column("description", sa.String(length=255), nullable=True))
        else:
            transactions.drop_column("description")
        transactions.drop_constraint(op.f("ck_transactions_type"), type_="check")
        transactions.create_check_constraint(op.f("ck_transactions_type"), types)
