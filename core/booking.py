"""Writes what a batch decides into its book and its records: accounts opened, entries posted."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from core.book import Account, Book
from core.commands import CreditsOf, InTransit, Move, Moved, Reference, Treasury
from core.postings import Posting
from core.records import Records
from core.wallet_numbers import make_wallet_number

# What is opened when it is first moved into, without anybody asking for it.
Implied = CreditsOf | Treasury | InTransit


@dataclass(slots=True)
class NewIds:
    """Ids that nobody else was given, as many as a batch may need."""

    transactions: Iterator[int]
    wallets: Iterator[int]
    holders: Iterator[int]

    @classmethod
    def of(
        cls, transactions: Sequence[int], wallets: Sequence[int], holders: Sequence[int]
    ) -> "NewIds":
        """Hand out these, in order."""
        return cls(iter(transactions), iter(wallets), iter(holders))


class Booking:
    """The book and the records of one batch, changed together."""

    def __init__(self, book: Book, records: Records, ids: NewIds):
        self.records = records
        self._book = book
        self._ids = ids

    def new_transaction_id(self) -> int:
        """Take the next id of a transaction."""
        return next(self._ids.transactions)

    def open_for_person(
        self, user_id: int, currency: str, *, is_primary: bool, name: str | None
    ) -> Account:
        """Open an empty account of a person."""
        account = Account(
            id=next(self._ids.wallets),
            number=make_wallet_number(),
            user_id=user_id,
            is_primary=is_primary,
            currency=currency,
            balance_minor=0,
        )
        self.records.open(account, name)
        self._book.add(account)
        return account

    def open_implied(self, move: Move) -> None:
        """Open those accounts of holders and of the house that `move` names and that are not."""
        for reference in implied(move):
            if self._book.find(reference) is None:
                account = self._implied_account(reference)
                self.records.open(account)
                self._book.add(account)

    def post(self, transaction_id: int, posting: Posting) -> Moved:
        """Write down both sides, change the balances, and tell the acting wallet's."""
        movement = posting.movement
        self._book.apply(posting.debit, posting.credit)
        told: int | None = None
        for entry_type, side in (("DEBIT", posting.debit), ("CREDIT", posting.credit)):
            self.records.add_entry(transaction_id, entry_type, side, movement.money)
            if side.wallet_id is None:
                continue
            account = self._book.get(side.wallet_id)
            self.records.change(account)
            # Only people are told, and once: they may be on both sides.
            if account.user_id is not None and account.user_id != told:
                told = account.user_id
                self.records.add_receipt(transaction_id, told)
        return Moved(
            transaction_id=transaction_id,
            wallet_id=movement.wallet_id,
            counterparty_wallet_id=movement.counterparty_wallet_id,
            money=movement.money,
            balance_minor=self._book.get(movement.wallet_id).balance_minor,
            created_at=self.records.now,
        )

    def _implied_account(self, reference: Implied) -> Account:
        id_, number = next(self._ids.wallets), make_wallet_number()
        if isinstance(reference, InTransit):
            return Account(
                id=id_,
                number=number,
                system_role="in_transit",
                currency=reference.currency,
                balance_minor=0,
            )
        holder_id = None if isinstance(reference, Treasury) else self._holder_id(reference)
        return Account(
            id=id_,
            number=number,
            holder_id=holder_id,
            system_role="treasury" if holder_id is None else None,
            may_go_negative=holder_id is None,
            currency=reference.asset.code,
            balance_minor=0,
            transferable=reference.asset.transferable,
            withdrawable=reference.asset.withdrawable,
        )

    def _holder_id(self, reference: CreditsOf) -> int:
        """Return the id of a holder, made known if need be."""
        holder_id = self._book.holders.get(reference.external_user_id)
        if holder_id is None:
            holder_id = next(self._ids.holders)
            self._book.holders[reference.external_user_id] = holder_id
            self.records.add_holder(holder_id, reference.external_user_id)
        return holder_id


def implied(move: Move) -> list[Implied]:
    """Return the accounts of a movement that are opened if they are not there."""
    named: list[Reference | None] = [move.own, move.other]
    return [item for item in named if isinstance(item, Implied)]
