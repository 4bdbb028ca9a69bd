"""What is asked of a ledger as it grows: pages near and deep, of quiet people and of a busy one.

A page far down is named by a cursor of the service's own. How far down is counted in the entries
of the wallet, of which every transaction leaves one there.
"""

import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bench.people import Person
from bench.traffic import Deck, reading
from core.paging import encode_cursor
from db.models import Tables
from db.session import Database

READERS: Final = 300
# Looking one up takes long in a long history.
TIMES: Final = 20
# A page that everybody has in a ledger of 10,000 entries, and one as an app would ask for.
SHORT_PAGE: Final = 5
LONG_PAGE: Final = 50
SHORT_PATH: Final = f"/transaction/history?limit={SHORT_PAGE}"
RFC_3339: Final = "%Y-%m-%dT%H:%M:%S.%fZ"
DEPOSITS_PATH: Final = f"/transaction/history?limit={LONG_PAGE}&type=deposit"


@dataclass(frozen=True, slots=True)
class Question:
    """A person asks for something of their own; the answer lists so many `rows`, None: no list."""

    person: Person
    path: str
    rows: int | None = None


class Pages:
    """The questions about one ledger, looked up once."""

    def __init__(self, connection: AsyncConnection, people: Sequence[Person]):
        self._connection = connection
        self.hot, others = people[0], list(people[1:])
        random.shuffle(others)
        self._others = others

    async def balances(self) -> list[Question]:
        """Everybody's balance."""
        return [Question(person, "/wallet") for person in self._others[:READERS]]

    async def balances_at_of_hot(self) -> list[Question]:
        """What the hot wallet held at times from all over the ledger."""
        return [await self._balance_at(self.hot) for _ in range(TIMES)]

    async def balances_at_of_others(self) -> list[Question]:
        """What everybody else held at such a time."""
        return [await self._balance_at(person) for person in self._others[:READERS]]

    async def ledger_pages(self) -> list[Question]:
        """Both entries of transactions from anywhere in the ledger, asked by their payers."""
        entries = Tables.entries.c
        asked = []
        for person in self._others[:READERS]:
            transaction_id = await self._of_any_entry(person, entries.transaction_id)
            asked.append(Question(person, f"/transaction/{transaction_id}/ledger", 2))
        return asked

    async def of_hot(self, rows: int, depth: float) -> list[Question]:
        """Pages of the hot wallet's history."""
        return await self._pages([self.hot], rows, depth)

    async def of_others(self, rows: int, depth: float) -> list[Question]:
        """Pages of everybody else's."""
        return await self._pages(self._others[:READERS], rows, depth)

    async def of_others_or_hot(self, rows: int, depth: float) -> list[Question]:
        """Pages of everybody else's; where none of them has so much, of the hot wallet's."""
        return await self.of_others(rows, depth) or await self.of_hot(rows, depth)

    async def deposits_of_hot(self) -> list[Question]:
        """The hot wallet's one deposit, before all of its transfers."""
        return [Question(self.hot, DEPOSITS_PATH, 1)]

    async def deposits_of_others(self) -> list[Question]:
        """The one deposit of each other wallet."""
        return [Question(person, DEPOSITS_PATH, 1) for person in self._others[:READERS]]

    async def early_of_hot(self) -> list[Question]:
        """What the hot wallet did until a time at which its history was short."""
        return await self._until_early([self.hot])

    async def early_of_others(self) -> list[Question]:
        """What everybody else did until such a time."""
        return await self._until_early(self._others[:READERS])

    async def late_of_hot(self) -> list[Question]:
        """What the hot wallet has done since a time at which all had happened: nothing."""
        newest = await self._time_of(await self._transaction(self.hot, -1))
        since = newest + timedelta(days=1)
        return [Question(self.hot, f"{SHORT_PATH}&from={since:{RFC_3339}}", 0)]

    async def _pages(self, people: Sequence[Person], rows: int, depth: float) -> list[Question]:
        """Return full pages of those who have at least two, so far down: 0 newest, 1 oldest."""
        asked = []
        for person in people:
            count = await self._count(person)
            if count < 2 * rows:
                continue
            path = f"/transaction/history?limit={rows}"
            if depth:
                # So many are older than the cursor.
                older = max(round(count * (1 - depth)), rows)
                path += f"&cursor={encode_cursor(await self._transaction(person, older))}"
            asked.append(Question(person, path, rows))
        return asked

    async def _until_early(self, people: Sequence[Person]) -> list[Question]:
        """Return full pages of those who have one."""
        asked = []
        for person in people:
            count = await self._count(person)
            if count < SHORT_PAGE:
                continue
            older = min(2 * SHORT_PAGE, count - 1)
            until = await self._time_of(await self._transaction(person, older))
            asked.append(Question(person, f"{SHORT_PATH}&to={until:{RFC_3339}}", SHORT_PAGE))
        return asked

    async def _balance_at(self, person: Person) -> Question:
        """Ask for the balance at the time of any of a wallet's entries."""
        number = select(Tables.wallets.c.wallet_number).where(
            Tables.wallets.c.id == person.wallet_id
        )
        account = (await self._connection.execute(number)).scalar_one()
        at = await self._of_any_entry(person, Tables.entries.c.created_at)
        return Question(person, f"/accounts/{account}/balance?at={at:{RFC_3339}}")

    async def _of_any_entry(self, person: Person, column: ColumnElement[Any]) -> Any:
        """Return a column of one of a wallet's entries, drawn from all of them."""
        place = random.randrange(await self._count(person))
        entries = Tables.entries.c
        statement = (
            select(column)
            .where(entries.wallet_id == person.wallet_id)
            .order_by(entries.id)
            .offset(place)
            .limit(1)
        )
        return (await self._connection.execute(statement)).scalar_one()

    async def _count(self, person: Person) -> int:
        statement = select(func.count()).where(Tables.entries.c.wallet_id == person.wallet_id)
        return int((await self._connection.execute(statement)).scalar_one())

    async def _transaction(self, person: Person, older: int) -> int:
        """Return the transaction of a wallet than which so many are older; -1: all others."""
        entries = Tables.entries.c
        of_wallet = select(entries.transaction_id).where(entries.wallet_id == person.wallet_id)
        statement = (
            of_wallet.order_by(entries.id.desc())
            if older < 0
            else of_wallet.order_by(entries.id).offset(older)
        )
        return int((await self._connection.execute(statement.limit(1))).scalar_one())

    async def _time_of(self, transaction_id: int) -> datetime:
        transactions = Tables.transactions.c
        statement = select(transactions.created_at).where(transactions.id == transaction_id)
        at: datetime = (await self._connection.execute(statement)).scalar_one()
        return at


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """What is asked, by a name for machines and one for people."""

    name: str
    title: str
    ask: Callable[[Pages], Awaitable[list[Question]]]


def _history() -> list[Measure]:
    depths = {"newest": 0.0, "halfway": 0.5, "oldest": 1.0}
    return [
        measure
        for place, depth in depths.items()
        for measure in (
            Measure(
                name=f"ordinary-{SHORT_PAGE}-{place}",
                title=f"History of an ordinary wallet, {SHORT_PAGE} rows, {place}",
                ask=partial(Pages.of_others, rows=SHORT_PAGE, depth=depth),
            ),
            Measure(
                name=f"ordinary-{LONG_PAGE}-{place}",
                title=f"History of an ordinary wallet, {LONG_PAGE} rows, {place}",
                ask=partial(Pages.of_others_or_hot, rows=LONG_PAGE, depth=depth),
            ),
            Measure(
                name=f"hot-{LONG_PAGE}-{place}",
                title=f"History of the hot wallet, {LONG_PAGE} rows, {place}",
                ask=partial(Pages.of_hot, rows=LONG_PAGE, depth=depth),
            ),
        )
    ]


MEASURES: Final = (
    *sorted(_history(), key=lambda measure: measure.name.rpartition("-")[0]),
    Measure(name="ledger", title="Both entries of a transaction", ask=Pages.ledger_pages),
    Measure(name="balance", title="A person's wallet and balance", ask=Pages.balances),
    Measure(
        name="balance-at",
        title="What an ordinary wallet held at a time",
        ask=Pages.balances_at_of_others,
    ),
    Measure(
        name="hot-balance-at",
        title="What the hot wallet held at a time",
        ask=Pages.balances_at_of_hot,
    ),
    Measure(
        name="ordinary-deposits",
        title="The one deposit among an ordinary wallet's transfers",
        ask=Pages.deposits_of_others,
    ),
    Measure(
        name="hot-deposits",
        title="The one deposit among the hot wallet's transfers",
        ask=Pages.deposits_of_hot,
    ),
    Measure(
        name="ordinary-until",
        title=f"History of an ordinary wallet until an early time, {SHORT_PAGE} rows",
        ask=Pages.early_of_others,
    ),
    Measure(
        name="hot-until",
        title=f"History of the hot wallet until an early time, {SHORT_PAGE} rows",
        ask=Pages.early_of_hot,
    ),
    Measure(
        name="hot-since",
        title="History of the hot wallet since a time at which nothing has happened",
        ask=Pages.late_of_hot,
    ),
)


async def ask_all(database: Database, people: Sequence[Person]) -> dict[str, list[Question]]:
    """Return the questions of all measures by name; none where the ledger is too small."""
    async with database.reading() as session:
        pages = Pages(await session.connection(), people)
        return {measure.name: await measure.ask(pages) for measure in MEASURES}


def deck_of(questions: Sequence[Question]) -> Deck:
    """Return them as requests."""
    return Deck(tuple(reading(question.person, question.path) for question in questions))
