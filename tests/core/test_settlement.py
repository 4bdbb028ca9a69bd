"""Any commands on any accounts, in any order: people, holders of credits, and the house."""

import itertools
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.assets import Asset
from core.book import Account, Book
from core.commands import (
    AccountNumber,
    Answer,
    CloseWallet,
    Command,
    CreditsOf,
    CreditType,
    Move,
    OpenAccount,
    OpenWallet,
    Primary,
    Reference,
    Treasury,
    WalletId,
    move_credits,
)
from core.money import MAX_MINOR, Money
from core.records import ENTRIES
from core.settlement import Settlement
from tests.attempts import attempt

GOLD = Asset(1, "GOLD", "Gold Coins", 0, "credit", transferable=False, withdrawable=False)
POINTS = Asset(3, "PTS", "Loyalty Points", 0, "credit", transferable=False, withdrawable=False)
ASSETS = {asset.code: asset for asset in (GOLD, POINTS)}
PEOPLE = (1, 2)
HOLDERS = ("alice", "bob")
# How many of the wallets that were opened can be named by id or number: enough to hit any.
NAMED = 12

assets = st.sampled_from([GOLD, POINTS])
people = st.sampled_from(PEOPLE)
amounts = st.sampled_from([1, 2, 50, 100, MAX_MINOR])
currencies = st.sampled_from(["NGN", "NGN", "USD", "GOLD", "PTS"])
credits_ = st.builds(CreditsOf, st.sampled_from(HOLDERS), assets)
# Numbers are drawn at random, so that an account is named by its place until it is asked for.
places = st.integers(min_value=1, max_value=NAMED)
own_references = st.one_of(
    st.builds(Primary, people), st.builds(AccountNumber, places.map(str), people), credits_
)
other_references = st.one_of(
    st.none(), st.builds(WalletId, places), st.builds(AccountNumber, places.map(str))
)
anything = st.one_of(own_references, other_references, st.builds(Treasury, assets))


@st.composite
def credit_moves(draw: st.DrawFn) -> Move:
    """Credits given or taken back, as services may ask for it."""
    kinds: tuple[CreditType, ...] = ("top_up", "bonus", "spend")
    return move_credits(
        draw(st.sampled_from(kinds)),
        external_user_id=draw(st.sampled_from(HOLDERS)),
        asset=draw(assets),
        minor=draw(amounts),
    )


commands = st.one_of(
    st.builds(OpenWallet, user_id=people, opening=st.builds(Money, amounts, st.just("NGN"))),
    st.builds(OpenAccount, user_id=people, currency=st.sampled_from(["NGN", "USD"])),
    st.builds(
        CloseWallet,
        wallet=st.one_of(
            st.builds(Primary, people), st.builds(AccountNumber, places.map(str), people)
        ),
    ),
    credit_moves(),
    credit_moves(),
    st.builds(
        Move,
        st.sampled_from(["deposit", "withdrawal"]),
        own_references,
        st.none(),
        st.builds(Money, amounts, currencies),
    ),
    st.builds(
        Move,
        st.just("transfer"),
        own_references,
        anything.filter(lambda reference: reference is not None),
        st.builds(Money, amounts, currencies),
    ),
)


class Bank:
    """The books, as one batch after another leaves them behind."""

    def __init__(self) -> None:
        self.book = Book()
        self.accounts: dict[int, Account] = {}
        self.outside: Counter[str] = Counter()
        self._ids = itertools.count(1)

    def settle(self, command: Command) -> tuple[int, set[int]]:
        """Settle one command; return its status, and the accounts that have an entry of it."""
        new_ids = [len(self.accounts) + 1, len(self.accounts) + 2]
        settlement = Settlement(
            book=self.book,
            remembered={},
            transaction_ids=[next(self._ids)],
            wallet_ids=new_ids,
            holder_ids=[next(self._ids)],
            now=datetime.now(UTC),
        )
        answer = settlement.settle(attempt(self._with_numbers(command)))
        assert isinstance(answer, Answer)
        for id_ in new_ids:
            with suppress(KeyError):
                self.accounts[id_] = self.book.get(id_)
        works = [work for group in settlement.records.groups() for work in group]
        [entries] = [work.rows for work in works if work.step is ENTRIES]
        return answer.status, self._take(
            dict(zip(ENTRIES.columns, row, strict=True)) for row in entries
        )

    def owner_of(self, id_: int) -> object:
        """Tell whose an account is."""
        account = self.accounts[id_]
        return account.user_id or (account.holder_id and f"holder {account.holder_id}") or "house"

    def _take(self, entries: Iterable[dict[str, Any]]) -> set[int]:
        changed = set()
        for entry in entries:
            if entry["wallet_id"] is None:
                sign = 1 if entry["entry_type"] == "CREDIT" else -1
                self.outside[entry["currency"]] += sign * entry["amount_minor"]
            else:
                changed.add(entry["wallet_id"])
                account = self.accounts[entry["wallet_id"]]
                assert account.currency == entry["currency"]
                assert account.balance_minor == entry["balance_snapshot_minor"]
        return changed

    def _with_numbers(self, command: Command) -> Command:
        """Put the numbers that were drawn at random where a command names a place."""
        if isinstance(command, CloseWallet):
            return replace(command, wallet=self._numbered(command.wallet))  # type: ignore[arg-type]  # of the same kind
        if isinstance(command, Move):
            other = None if command.other is None else self._numbered(command.other)
            return command._replace(own=self._numbered(command.own), other=other)
        return command

    def _numbered(self, reference: Reference) -> Reference:
        if not isinstance(reference, AccountNumber):
            return reference
        account = self.accounts.get(int(reference.number))
        return replace(reference, number=account.number if account else "000000000000")


@pytest.mark.promise("S4-stay", "S4-sum")
@given(st.lists(commands, max_size=40))
def test_whatever_is_asked_the_books_stay_right(asked: list[Command]) -> None:
    bank = Bank()
    for command in asked:
        status, changed = bank.settle(command)
        assert status == 200 or not changed
        check_whose(command, {bank.owner_of(id_) for id_ in changed})
        sums = Counter(bank.outside)
        for account in bank.accounts.values():
            sums[account.currency] += account.balance_minor
            assert account.balance_minor <= MAX_MINOR
            assert account.balance_minor >= 0 or account.system_role == "treasury"
            # Credits are never a person's, and currencies never a holder's.
            assert (account.user_id is None) == (account.currency in ASSETS)
        assert not any(sums.values()), sums
        assert not any(bank.outside[code] for code in ASSETS), "credits never leave"


def check_whose(command: Command, changed: set[object]) -> None:
    """Check that an accepted movement changed what its kind may change."""
    holders = {owner for owner in changed if str(owner).startswith("holder")}
    if isinstance(command, Move) and command.type in {"top_up", "bonus", "spend"}:
        assert not changed or (len(holders) == 1 and changed == holders | {"house"})
    else:
        assert not holders
        assert "house" not in changed
        if isinstance(command, Move) and changed and command.type != "deposit":
            assert getattr(command.own, "user_id", None) in changed, "only one's own is taken"
