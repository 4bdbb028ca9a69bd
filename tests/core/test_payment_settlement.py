"""Payments begun and ended in any order, by any number of messages: the books stay right."""

import itertools
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.book import Account, Book
from core.commands import (
    HOUSE,
    Answer,
    Attempt,
    EndPayment,
    InTransit,
    Primary,
    Rendered,
    ReversePayout,
    StartPayment,
)
from core.money import Money
from core.payment_commands import BankAccount, Payment, PaymentCommand, PaymentKind
from core.payment_ends import render_end
from core.payment_rows import new_reference
from core.records import KeyOfPrincipal
from core.settlement import Remembered, Settlement
from tests.attempts import attempt

PEOPLE = (1, 2)
FIRST_MINOR = 300
BANK = BankAccount(bank_code="058", number="0123456789")

pytestmark = pytest.mark.promise("S3-once", "S3-payout-back")

begins = st.tuples(
    st.sampled_from(["deposit", "payout"]), st.sampled_from(PEOPLE), st.sampled_from([1, 100, 200])
)
# Of which payment, counted from the newest, and whether it failed or came back.
ends = st.tuples(st.integers(0, 5), st.booleans())


@dataclass
class Begun:
    """A payment as the model knows it."""

    payment: Payment
    person: int
    end: str = ""


@dataclass
class Till:
    """The books and what they should be."""

    book: Book = field(default_factory=Book)
    remembered: dict[KeyOfPrincipal, Remembered] = field(default_factory=dict)
    begun: list[Begun] = field(default_factory=list)
    balances: dict[int, int] = field(default_factory=lambda: dict.fromkeys(PEOPLE, FIRST_MINOR))
    ids: "itertools.count[int]" = field(default_factory=lambda: itertools.count(100))

    def __post_init__(self) -> None:
        for person in PEOPLE:
            account = Account(
                id=person,
                number=str(person),
                currency="NGN",
                balance_minor=FIRST_MINOR,
                user_id=person,
                is_primary=True,
            )
            self.book.add(account)

    def settle(self, command: PaymentCommand, key: str | None = None) -> Answer:
        """Settle one command in a batch of its own; keys last from batch to batch."""
        settlement = Settlement(
            book=self.book,
            remembered=self.remembered,
            transaction_ids=[next(self.ids)],
            wallet_ids=[next(self.ids)],
            holder_ids=[],
            now=datetime.now(UTC),
        )
        asked = attempt(command, key)
        if key is not None:
            # What a second message says differs, and it must be told the first end all the same.
            asked = Attempt(
                principal_id=HOUSE,
                key=key,
                fingerprint=b"f" * 32,
                command=command,
                render=render_end,
            )
        answer = settlement.settle(asked)
        assert isinstance(answer, Answer)
        if key is not None and not answer.replayed:
            self.remembered[HOUSE, key] = Remembered(
                b"f" * 32, Rendered(answer.status, answer.body)
            )
        return answer

    def begin(self, kind: PaymentKind, person: int, minor: int) -> None:
        """Begin a payment, and check whether it may."""
        reference = new_reference(kind)
        bank = BANK if kind == "payout" else None
        start = StartPayment(
            kind=kind, user_id=person, reference=reference, money=Money(minor, "NGN"), bank=bank
        )
        answer = self.settle(start)
        may = kind == "deposit" or self.balances[person] >= minor
        assert answer.status == (200 if may else 402)
        if may:
            payment = Payment(
                reference=reference,
                kind=kind,
                transaction_id=next(self.ids),
                wallet_id=person,
                money=Money(minor, "NGN"),
            )
            self.begun.append(Begun(payment, person))
            self.balances[person] -= minor if kind == "payout" else 0

    def end(self, place: int, failed: bool) -> None:
        """Hear of an end, perhaps not for the first time."""
        if place >= len(self.begun):
            return
        begun = self.begun[-1 - place]
        payment, minor = begun.payment, begun.payment.money.minor
        code = "failed" if failed else None
        command = EndPayment(payment=payment, failure_code=code)
        answer = self.settle(command, f"{payment.reference}:end")
        assert answer.replayed == bool(begun.end)
        begun.end = begun.end or ("failed" if failed else "success")
        assert json.loads(answer.body) == {
            "failure_code": "failed" if begun.end == "failed" else None
        }
        if not answer.replayed and failed == (payment.kind == "payout"):
            self.balances[begun.person] += minor
        if failed and payment.kind == "payout" and begun.end == "success":
            back = self.settle(ReversePayout(payment=payment), f"{payment.reference}:reverse")
            self.balances[begun.person] += 0 if back.replayed else minor

    def check(self) -> None:
        """Compare the books with what they should be."""
        for person, minor in self.balances.items():
            account = self.book.find(Primary(person))
            assert account is not None
            assert account.balance_minor == minor
        transit = self.book.find(InTransit("NGN"))
        under_way = sum(
            begun.payment.money.minor
            for begun in self.begun
            if begun.payment.kind == "payout" and not begun.end
        )
        assert (transit.balance_minor if transit else 0) == under_way


@given(st.lists(st.one_of(begins, ends), max_size=40))
def test_whatever_is_heard_the_books_stay_right(heard: list[tuple[object, ...]]) -> None:
    till = Till()
    for what in heard:
        if len(what) == 3:
            till.begin(*what)  # type: ignore[arg-type]  # three are a beginning
        else:
            till.end(*what)  # type: ignore[arg-type]  # two are an end
        till.check()
