"""A worker's delivery of one receipt: done when it was sent, and not a moment before."""

from dataclasses import dataclass, field
from datetime import UTC, datetime

from sqlalchemy import select

from core import outbox
from db.models import Tables
from db.session import Database
from integrations.mail import Mail, MailRefused, MailUnavailable
from operations.courier import Courier
from tests.people import People, Person


@dataclass
class Post:
    """A mailer that keeps what it is given, how it was noted by then, and fails when told to."""

    database: Database
    failure: Exception | None = None
    mails: list[Mail] = field(default_factory=list)
    was_done: list[bool] = field(default_factory=list)
    receipt_id: int = 0

    async def send(self, mail: Mail) -> None:
        self.mails.append(mail)
        done_at, _, _ = await state_of(self.database, self.receipt_id)
        self.was_done.append(done_at is not None)
        if self.failure:
            raise self.failure

    async def close(self) -> None:
        """There is nothing to let go of."""


State = tuple[datetime | None, datetime | None, int]


async def state_of(database: Database, receipt_id: int) -> State:
    """When a receipt was done, when it was given up, and how often it was tried."""
    items = Tables.outbox.c
    async with database.reading() as session:
        connection = await session.connection()
        row = (
            await connection.execute(
                select(items.done_at, items.dead_at, items.attempts).where(items.id == receipt_id)
            )
        ).one()
    return row.done_at, row.dead_at, row.attempts


async def receipt_of(database: Database, person: Person) -> int:
    items = Tables.outbox.c
    async with database.reading() as session:
        connection = await session.connection()
        statement = select(items.id).where(items.user_id == person.id)
        return int((await connection.execute(statement)).scalar_one())


async def test_a_receipt_is_done_once_it_was_sent(people: People, database: Database) -> None:
    person = await people.with_wallet(5)
    post = Post(database, receipt_id=await receipt_of(database, person))
    courier = Courier(database, post, app_name="Wallet")

    for _ in range(2):
        await courier.deliver([post.receipt_id])

    assert [mail.to_address for mail in post.mails] == [person.email]
    assert post.was_done == [False]
    done_at, dead_at, attempts = await state_of(database, post.receipt_id)
    assert done_at is not None
    assert (dead_at, attempts) == (None, 1)


async def test_a_provider_that_is_away_is_asked_again(people: People, database: Database) -> None:
    post = Post(database, failure=MailUnavailable("away"))
    post.receipt_id = await receipt_of(database, await people.with_wallet(5))
    courier = Courier(database, post, app_name="Wallet")

    await courier.deliver([post.receipt_id])
    assert await state_of(database, post.receipt_id) == (None, None, 1)
    post.failure = None
    await courier.deliver([post.receipt_id])

    done_at, _, attempts = await state_of(database, post.receipt_id)
    assert done_at is not None
    assert attempts == 2
    first, second = post.mails
    assert first.key == second.key, "the provider must know it again"


async def test_a_mail_that_is_refused_is_given_up(people: People, database: Database) -> None:
    post = Post(database, failure=MailRefused("no such address"))
    post.receipt_id = await receipt_of(database, await people.with_wallet(5))
    courier = Courier(database, post, app_name="Wallet")

    for _ in range(2):
        await courier.deliver([post.receipt_id])

    done_at, dead_at, attempts = await state_of(database, post.receipt_id)
    assert dead_at is not None
    assert (done_at, attempts, len(post.mails)) == (None, 1, 1)
    async with database.transaction() as session:
        assert await outbox.revive_dead(session, now=datetime.now(UTC)) >= 1
