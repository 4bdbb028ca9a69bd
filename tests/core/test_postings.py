"""The rules of money, for any wallets and any sequence of commands."""

from hypothesis import example, given
from hypothesis import strategies as st

from core.book import Account, Book
from core.commands import Move, Primary, deposit, transfer, withdraw
from core.errors import InsufficientFunds, RecipientNotFound, SelfTransfer, WalletNotFound
from core.money import MAX_MINOR, Money
from core.postings import Posting, Refusal, decide

SYSTEM_WALLET_ID = 99
PEOPLE = range(1, 5)

amounts = st.one_of(
    st.integers(min_value=1, max_value=300),
    st.sampled_from([1, MAX_MINOR - 1, MAX_MINOR]),
)
moneys = st.builds(Money, amounts, st.sampled_from(["USD", "USD", "USD", "JPY"]))
people = st.sampled_from([*PEOPLE, 7])
commands = st.one_of(
    st.builds(deposit, user_id=people, money=moneys),
    st.builds(withdraw, user_id=people, money=moneys),
    st.builds(
        transfer,
        user_id=people,
        to_wallet_id=st.sampled_from([*PEOPLE, SYSTEM_WALLET_ID, 1234]),
        money=moneys,
    ),
)


def make_book() -> Book:
    """Four people, the last with a frozen wallet, and a system account."""
    accounts = [
        Account(
            id=n,
            number=str(n),
            user_id=n,
            is_primary=True,
            currency="USD",
            balance_minor=100,
            frozen=n == PEOPLE[-1],
        )
        for n in PEOPLE
    ]
    accounts.append(
        Account(
            id=SYSTEM_WALLET_ID,
            number=str(SYSTEM_WALLET_ID),
            system_role="treasury",
            currency="USD",
            balance_minor=0,
            may_go_negative=True,
        )
    )
    return Book(accounts)


def balances(book: Book) -> dict[int, int]:
    return {n: book.get(n).balance_minor for n in (*PEOPLE, SYSTEM_WALLET_ID)}


@given(st.lists(commands, max_size=30))
def test_money_only_moves(asked: list[Move]) -> None:
    book = make_book()
    outside = 0
    for command in asked:
        before = balances(book)
        try:
            decision = decide(command, book)
        except WalletNotFound:
            assert isinstance(command.own, Primary)
            assert command.own.user_id not in PEOPLE
            continue
        assert balances(book) == before, "deciding changes nothing"
        if isinstance(decision, Refusal):
            continue
        book.apply(decision.debit, decision.credit)
        outside += check_posting(decision, before, balances(book))
    after = balances(book)
    assert sum(after.values()) + outside == 100 * len(PEOPLE)
    assert all(0 <= balance <= MAX_MINOR for balance in after.values())
    assert after[PEOPLE[-1]] == 100, "a frozen wallet does not change"
    assert after[SYSTEM_WALLET_ID] == 0, "nobody pays into a system account"


def check_posting(posting: Posting, before: dict[int, int], after: dict[int, int]) -> int:
    """Check that both sides changed by the amount; return what went outside."""
    amount = posting.movement.money.minor
    outside = 0
    for side, change in ((posting.debit, -amount), (posting.credit, amount)):
        if side.wallet_id is None:
            outside += change
            continue
        assert after[side.wallet_id] == before[side.wallet_id] + change == side.balance_minor
    return outside


@given(moneys)
@example(Money(100, "USD"))
@example(Money(101, "USD"))
def test_a_movement_is_refused_only_for_a_reason(money: Money) -> None:
    decision = decide(withdraw(user_id=1, money=money), make_book())

    affordable = money.currency == "USD" and money.minor <= 100
    assert isinstance(decision, Posting) is affordable


def test_the_reasons() -> None:
    book = make_book()
    ten = Money(10, "USD")

    def reason(command: Move) -> type[Exception]:
        decision = decide(command, book)
        assert isinstance(decision, Refusal)
        return type(decision.error)

    assert reason(withdraw(user_id=1, money=Money(101, "USD"))) is InsufficientFunds
    assert reason(transfer(user_id=1, to_wallet_id=1, money=ten)) is SelfTransfer
    assert reason(transfer(user_id=1, to_wallet_id=1234, money=ten)) is RecipientNotFound
    assert (
        reason(transfer(user_id=1, to_wallet_id=SYSTEM_WALLET_ID, money=ten)) is RecipientNotFound
    )
