"""What a batch writes down: the rows for each table, as the ledger's writer takes them.

Only `core.settlement` fills these in and only `core.ledger` has them written.
"""

from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from operator import itemgetter
from typing import Final

from core.commands import Rendered
from core.money import Money
from core.postings import Account, Movement, Side
from db.bulk import Row, Step, Work
from db.models import Tables

CHANGED_WALLETS: Final = Step(
    table=Tables.wallets,
    keys=("id",),
    columns=("balance_minor", "closed_at"),
    shared=("updated_at",),
)
OPENED_WALLETS: Final = Step(
    table=Tables.wallets,
    columns=(
        "user_id",
        "id",
        "wallet_number",
        "currency",
        "balance_minor",
        "may_go_negative",
        "closed_at",
    ),
    shared=("created_at", "updated_at"),
)
TRANSACTIONS: Final = Step(
    table=Tables.transactions,
    columns=(
        "id",
        "type",
        "state",
        "failure_code",
        "wallet_id",
        "counterparty_wallet_id",
        "amount_minor",
        "currency",
    ),
    shared=("created_at",),
)
ENTRIES: Final = Step(
    table=Tables.entries,
    columns=(
        "transaction_id",
        "wallet_id",
        "entry_type",
        "amount_minor",
        "currency",
        "balance_snapshot_minor",
    ),
    shared=("created_at",),
)
KEYS: Final = Step(
    table=Tables.idempotency_keys,
    columns=("principal_id", "key", "fingerprint", "status", "body", "transaction_id"),
    shared=("replays", "created_at"),
)
# A replay writes as well: a read alone may see a commit that a failover then loses.
REPLAYS: Final = Step(
    table=Tables.idempotency_keys, keys=("principal_id", "key"), added=("replays",)
)
RECEIPTS: Final = Step(
    table=Tables.outbox,
    columns=("transaction_id", "user_id"),
    shared=("created_at", "due_at", "attempts"),
)

KeyOfPrincipal = tuple[int, str]


class Records:
    """The rows of one batch, all of one moment."""

    def __init__(self, now: datetime):
        self.now = now
        self._transactions: list[Row] = []
        self._entries: list[Row] = []
        self._keys: list[Row] = []
        self._receipts: list[Row] = []
        self._replays: Counter[KeyOfPrincipal] = Counter()
        self._changed: dict[int, Account] = {}
        self._opened: dict[int, tuple[Account, str]] = {}
        self._closed: set[int] = set()

    def add_transaction(
        self, transaction_id: int, movement: Movement, failure_code: str | None
    ) -> None:
        """Write down an attempt on an existing wallet; without a code it succeeded."""
        self._transactions.append(
            (
                transaction_id,
                movement.type,
                "FAILED" if failure_code else "SUCCESS",
                failure_code,
                movement.wallet_id,
                movement.counterparty_wallet_id,
                movement.money.minor,
                movement.money.currency,
            )
        )

    def add_entry(self, transaction_id: int, entry_type: str, side: Side, money: Money) -> None:
        """Write down one side of a transaction."""
        self._entries.append(
            (
                transaction_id,
                side.wallet_id,
                entry_type,
                money.minor,
                money.currency,
                side.balance_minor,
            )
        )

    def add_receipt(self, transaction_id: int, user_id: int) -> None:
        """Write down that a person must be told."""
        self._receipts.append((transaction_id, user_id))

    def add_key(
        self,
        key: KeyOfPrincipal,
        fingerprint: bytes,
        rendered: Rendered,
        transaction_id: int | None,
    ) -> None:
        """Write down what a key was answered."""
        self._keys.append((*key, fingerprint, rendered.status, rendered.body, transaction_id))

    def add_replay(self, key: KeyOfPrincipal) -> None:
        """Write down that a key which was known before the batch, or in it, was asked again."""
        self._replays[key] += 1

    def open(self, account: Account, wallet_number: str) -> None:
        """Write down a new wallet, with what becomes of it in this batch."""
        self._opened[account.id] = (account, wallet_number)

    def change(self, account: Account) -> None:
        """Write down a wallet's balance as the batch leaves it."""
        if account.id not in self._opened:
            self._changed[account.id] = account

    def close(self, account: Account) -> None:
        """Write down that a wallet was closed."""
        self._closed.add(account.id)
        self.change(account)

    def groups(self) -> Iterator[list[Work]]:
        """Return what to write, in groups that must follow one another.

        Changed wallets come before opened ones: whoever closed a wallet and opened another in one
        batch never has two open at once, which the unique index would refuse. Replays come last:
        the key may have been written in this batch.
        """
        changed = [
            (account.id, account.balance_minor, self._closing_time(account))
            for account in self._changed.values()
        ]
        works = [Work(CHANGED_WALLETS, changed, (self.now,))]
        if self._opened:
            yield works
            works = [Work(OPENED_WALLETS, sorted(self._opened_rows()), (self.now, self.now))]
        # Rows that another process may be inserting too go in one order, so that neither waits for
        # the other.
        yield [
            *works,
            Work(TRANSACTIONS, self._transactions, (self.now,)),
            Work(ENTRIES, self._entries, (self.now,)),
            Work(KEYS, sorted(self._keys, key=itemgetter(0, 1)), (0, self.now)),
            Work(RECEIPTS, self._receipts, (self.now, self.now, 0)),
        ]
        yield [Work(REPLAYS, [(*key, count) for key, count in self._replays.items()])]

    def _opened_rows(self) -> Iterator[Row]:
        for account, wallet_number in self._opened.values():
            yield (
                account.user_id,
                account.id,
                wallet_number,
                account.currency,
                account.balance_minor,
                account.may_go_negative,
                self._closing_time(account),
            )

    def _closing_time(self, account: Account) -> datetime | None:
        return self.now if account.id in self._closed else None
