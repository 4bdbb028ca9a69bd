"""People whom a provider vouches for: signing them in, and linking who had an account before.

A person is found by issuer and `sub` alone. An email never finds anybody: one that is taken only
stands in the way, until its owner says that both are the same person.
"""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from core.commands import Attempt, OpenWallet, Outcome, Refused, Rendered
from core.google_errors import (
    GoogleAccountTaken,
    GoogleEmailUnverified,
    LinkConfirmationRequired,
    LinkTokenInvalid,
)
from core.identity_providers import Profile
from core.ledger import read_answer
from core.money import Money
from core.people import NewPerson, add_person, find_by_email
from core.poster import Poster
from core.retrying import in_transaction
from core.security import InvalidToken, Signer, read_id
from core.sign_ins import Granted, begin_sign_in
from db.models import GoogleIdentity
from db.session import Database

LINK_AUDIENCE: Final = "wallet-google-link"
LINK_LIFETIME_SECONDS: Final = 600
# With spaces: no caller can send this key.
FIRST_WALLET_KEY: Final = "first sign-in with Google"


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """An account has the email of a stranger."""

    user_id: int


class Identities:
    """Signs in by what a provider says; `currency` is that of the wallets of newcomers."""

    def __init__(
        self,
        database: Database,
        poster: Poster,
        links: Signer,
        *,
        currency: str,
        refresh_lifetime: timedelta,
    ):
        self._database = database
        self._poster = poster
        self._links = links
        self._currency = currency
        self._refresh_lifetime = refresh_lifetime

    async def sign_in(self, profile: Profile) -> Granted:
        """Begin a sign-in of whom the provider vouches for; a newcomer becomes a person of ours.

        At the first sign-in the person's primary wallet is opened, if they have none. Raises
        GoogleEmailUnverified and LinkConfirmationRequired, for strangers only; Unavailable.
        """

        async def find(session: AsyncSession) -> int | Taken:
            return await _find_or_add(session, profile)

        found = await in_transaction(self._database, find)
        if isinstance(found, Taken):
            raise LinkConfirmationRequired(self._link_token(profile, found.user_id))
        await self._open_first_wallet(found)

        async def begin(session: AsyncSession) -> Granted:
            return await begin_sign_in(session, found, refresh_lifetime=self._refresh_lifetime)

        return await in_transaction(self._database, begin)

    async def link(self, token: str, *, user_id: int) -> None:
        """Have whom a link token names sign in as this person from now on; twice is like once.

        Raises LinkTokenInvalid unless it was made for this person, and GoogleAccountTaken.
        """
        try:
            claims = self._links.read(token)
        except InvalidToken:
            raise LinkTokenInvalid from None
        if read_id(claims["user_id"]) != user_id:
            raise LinkTokenInvalid

        async def add(session: AsyncSession) -> None:
            known = await _find(session, claims["issuer"], claims["sub"])
            if known is None:
                _add(session, claims["issuer"], claims["sub"], user_id)
            elif known.user_id != user_id:
                raise GoogleAccountTaken

        await in_transaction(self._database, add)

    def _link_token(self, profile: Profile, user_id: int) -> str:
        claims = {"issuer": profile.issuer, "sub": profile.sub, "user_id": str(user_id)}
        return self._links.sign(claims, lifetime_seconds=LINK_LIFETIME_SECONDS)

    async def _open_first_wallet(self, user_id: int) -> None:
        """Open the primary wallet, once in a person's life: whoever closes it is not given another.

        It has a transaction of its own, the ledger's. If that fails the next sign-in tries again.
        """
        async with self._database.lean_reading() as connection:
            if await read_answer(connection, user_id, FIRST_WALLET_KEY) is not None:
                return
        await self._poster.post(
            Attempt(
                principal_id=user_id,
                key=FIRST_WALLET_KEY,
                fingerprint=hashlib.sha256(FIRST_WALLET_KEY.encode()).digest(),
                command=OpenWallet(user_id=user_id, opening=Money(0, self._currency)),
                render=_for_nobody,
            )
        )


async def _find_or_add(session: AsyncSession, profile: Profile) -> int | Taken:
    """Return the id of the person, made if need be. Raises GoogleEmailUnverified."""
    known = await _find(session, profile.issuer, profile.sub)
    if known is not None:
        return known.user_id
    if profile.verified_email is None:
        raise GoogleEmailUnverified
    owner = await find_by_email(session, profile.verified_email)
    if owner is not None:
        # Whoever arrived twice at once may have become this person between the two looks: the
        # person and who vouches for them are committed together, so now both are seen.
        known = await _find(session, profile.issuer, profile.sub)
        return known.user_id if known is not None else Taken(user_id=owner.id)
    person = await add_person(
        session,
        NewPerson(
            first_name=profile.first_name,
            last_name=profile.last_name,
            email=profile.verified_email,
            password_hash=None,
        ),
    )
    _add(session, profile.issuer, profile.sub, person.id)
    return person.id


async def _find(session: AsyncSession, issuer: str, sub: str) -> GoogleIdentity | None:
    statement = select(GoogleIdentity).where(
        GoogleIdentity.issuer == issuer, GoogleIdentity.sub == sub
    )
    return (await session.exec(statement)).first()


def _add(session: AsyncSession, issuer: str, sub: str, user_id: int) -> None:
    session.add(
        GoogleIdentity(issuer=issuer, sub=sub, user_id=user_id, created_at=datetime.now(UTC))
    )


def _for_nobody(outcome: Outcome) -> Rendered:
    """Word the answer that is kept with the key, which nobody can ask for."""
    return Rendered(outcome.error.status if isinstance(outcome, Refused) else 201, "{}")
