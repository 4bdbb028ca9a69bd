"""What a batch writes down: the rows for each table, as the ledger's writer takes them.

Only `core.settlement` fills these in and only `core.ledger` has them written.
"""

from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from operator import itemgetter
from typing import Final

from core.book import Account, Side
from core.commands import Rendered
from core.money import Money
from core.payment_commands import BankAccount, Payment
from core.postings import Movement
from db.bulk import Row, Step, Work
from db.models import Tables

CHANGED_WALLETS: Final = Step(
    table=Tables.wallets,
    keys=("id",),
    columns=("balance_minor", "closed_at"),
    shared=("updated_at",),
)
NEW_HOLDERS: Final = Step(
    table=Tables.credit_holders,
    columns=("external_user_id", "id"),
    shared=("created_at",),
)
OPENED_WALLETS: Final = Step(
    table=Tables.wallets,
    columns=(
        "user_id",
        "holder_id",
        "system_role",
        "is_primary",
        "name",
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
        "description",
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
ENDED_TRANSACTIONS: Final = Step(
    table=Tables.transactions, keys=("id",), columns=("state", "failure_code")
)
PAYMENTS: Final = Step(
    table=Tables.provider_payments,
    columns=(
        "reference",
        "kind",
        "transaction_id",
        "wallet_id",
        "amount_minor",
        "currency",
        "bank_code",
        "account_number",
    ),
    shared=("state", "attempts", "created_at", "due_at"),
)
ENDED_PAYMENTS: Final = Step(
    table=Tables.provider_payments,
    keys=("reference",),
    columns=("state", "failure_code", "closing_transaction_id"),
    shared=("ended_at",),
)
REVERSED_PAYMENTS: Final = Step(
    table=Tables.provider_payments, keys=("reference",), columns=("reversing_transaction_id",)
)
RECEIPTS: Final = Step(
    table=Tables.outbox,
    columns=("transaction_id", "user_id"),
    shared=("created_at", "due_at", "attempts"),
)

KeyOfPrincipal = tuple[int, str]

# How long whoever began a payment, or took it up, has it to themselves: longer than all that the
# provider is asked at a time may take.
PAYMENT_LEASE: Final = timedelta(seconds=120)


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
        self._opened: dict[int, tuple[Account, str | None]] = {}
        self._holders: list[Row] = []
        self._ended_transactions: list[Row] = []
        self._payments: list[Row] = []
        self._ended_payments: list[Row] = []
        self._reversed_payments: list[Row] = []
        self._closed: set[int] = set()

    def add_transaction(
        self,
        transaction_id: int,
        movement: Movement,
        state: str,
        failure_code: str | None = None,
    ) -> None:
        """Write down an attempt on an existing wallet."""
        self._transactions.append(
            (
                transaction_id,
                movement.type,
                state,
                failure_code,
                movement.wallet_id,
                movement.counterparty_wallet_id,
                movement.money.minor,
                movement.money.currency,
                movement.description,
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

    def end_transaction(self, transaction_id: int, failure_code: str | None) -> None:
        """Write down how a transaction ended that waited for it; without a code it succeeded."""
        self._ended_transactions.append((transaction_id, _end(failure_code), failure_code))

    def add_payment(self, payment: Payment, bank: BankAccount | None) -> None:
        """Write down a payment that begins; whoever asked for it tells the provider first."""
        money, where = payment.money, (bank.bank_code, bank.number) if bank else (None, None)
        names = (payment.reference, payment.kind, payment.transaction_id, payment.wallet_id)
        self._payments.append((*names, money.minor, money.currency, *where))

    def end_payment(
        self, reference: str, failure_code: str | None, closing_transaction_id: int | None
    ) -> None:
        """Write down how a payment ended and, for a payout, the movement that ended it."""
        self._ended_payments.append(
            (reference, _end(failure_code), failure_code, closing_transaction_id)
        )

    def reverse_payment(self, reference: str, transaction_id: int) -> None:
        """Write down the movement that brought a payout back."""
        self._reversed_payments.append((reference, transaction_id))

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

    def add_holder(self, holder_id: int, external_user_id: str) -> None:
        """Write down somebody who is given credits for the first time."""
        self._holders.append((external_user_id, holder_id))

    def open(self, account: Account, name: str | None = None) -> None:
        """Write down a new wallet, with what becomes of it in this batch."""
        self._opened[account.id] = (account, name)

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
            works = [
                Work(NEW_HOLDERS, sorted(self._holders), (self.now,)),
                Work(OPENED_WALLETS, self._opened_rows(), (self.now, self.now)),
            ]
        # Rows that another process may be inserting too go in one order, so that neither waits for
        # the other.
        yield [
            *works,
            Work(TRANSACTIONS, self._transactions, (self.now,)),
            Work(ENTRIES, self._entries, (self.now,)),
            Work(KEYS, sorted(self._keys, key=itemgetter(0, 1)), (0, self.now)),
            Work(RECEIPTS, self._receipts, (self.now, self.now, 0)),
            Work(ENDED_TRANSACTIONS, self._ended_transactions),
            Work(PAYMENTS, self._payments, ("PROCESSING", 0, self.now, self.now + PAYMENT_LEASE)),
            Work(ENDED_PAYMENTS, self._ended_payments, (self.now,)),
            Work(REVERSED_PAYMENTS, self._reversed_payments),
        ]
        # In order, as the keys are: two batches that repeat the same ones must not deadlock.
        yield [Work(REPLAYS, sorted((*key, count) for key, count in self._replays.items()))]

    def _opened_rows(self) -> list[Row]:
        return [
            (
                account.user_id,
                account.holder_id,
                account.system_role,
                account.is_primary,
                name,
                account.id,
                account.number,
                account.currency,
                account.balance_minor,
                account.may_go_negative,
                self._closing_time(account),
            )
            for account, name in sorted(self._opened.values(), key=_place)
        ]

    def _closing_time(self, account: Account) -> datetime | None:
        return self.now if account.id in self._closed else None


def _end(failure_code: str | None) -> str:
    return "FAILED" if failure_code else "SUCCESS"


def _place(opened: tuple[Account, str | None]) -> tuple[int, int, str, int]:
    """Sort accounts by what is unique about them."""
    account = opened[0]
    return (account.user_id or 0, account.holder_id or 0, account.currency, account.id)
