"""People: signing up, being looked up, and how their email addresses are written."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from email_validator import EmailNotValidError, validate_email
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from core.errors import EmailTaken, UserNotFound
from core.retrying import in_transaction
from db.models import User
from db.session import Database

EMAIL_CHARACTERS_LIMIT: Final = 254


@dataclass(frozen=True, slots=True, kw_only=True)
class NewPerson:
    """Who signs up; `email` is a valid address, `password_hash` never leaves the database.

    Without a hash there is no password, and no password fits.
    """

    first_name: str
    last_name: str
    email: str
    password_hash: str | None


async def sign_up(database: Database, person: NewPerson) -> User:
    """Store a new person. Raises EmailTaken if the address is known, in whatever case."""

    async def store(session: AsyncSession) -> User:
        if await find_by_email(session, person.email) is not None:
            raise EmailTaken
        return await add_person(session, person)

    return await in_transaction(database, store)


async def add_person(session: AsyncSession, person: NewPerson) -> User:
    """Add a person whose address nobody has; the database refuses it if somebody has, after all."""
    user = User(
        first_name=person.first_name,
        last_name=person.last_name,
        email=person.email,
        email_folded=person.email.casefold(),
        password_hash=person.password_hash,
        created_at=datetime.now(UTC),
    )
    session.add(user)
    await session.flush()
    return user


async def find_by_email(session: AsyncSession, email: str) -> User | None:
    """Return the person with this address, compared without regard to case."""
    return (await session.exec(select(User).where(User.email_folded == email.casefold()))).first()


async def get_person(session: AsyncSession, user_id: int) -> User:
    """Return the person. Raises UserNotFound."""
    user = await session.get(User, user_id)
    if user is None:
        raise UserNotFound
    return user


def normalized_email(text: str) -> str:
    """Return the address as it is stored, the same for all ways of writing it but its case.

    Raises ValueError for whatever is not a valid address.
    """
    if len(text) > EMAIL_CHARACTERS_LIMIT:
        raise ValueError("too long")
    try:
        address = validate_email(text, check_deliverability=False).normalized
    except EmailNotValidError:
        raise ValueError("not an address") from None
    # What is stored to compare addresses has its case folded, which can triple the length.
    if len(address.casefold()) > EMAIL_CHARACTERS_LIMIT:
        raise ValueError("too long")
    return address


def masked_email(email: str) -> str:
    """Hide an address from everyone but its owner: `jane@example.com` is `j***@example.com`."""
    local, _, domain = email.rpartition("@")
    return f"{local[:1]}***@{domain}"
