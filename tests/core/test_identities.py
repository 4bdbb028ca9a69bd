"""Who a provider vouches for becomes a person: also when something fails in between."""

from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import uuid4

import pytest
from sqlmodel.ext.asyncio.session import AsyncSession

from core.errors import Unavailable
from core.google_errors import LinkConfirmationRequired, LinkTokenInvalid
from core.identities import LINK_AUDIENCE, Identities
from core.identity_providers import Profile
from core.people import find_by_email
from core.poster import Poster, PosterLimits
from core.security import Signer
from core.wallets import WalletReader
from db.models import User
from db.session import Database
from tests.processes import SECRET_KEY

LINKS = Signer(secret=SECRET_KEY, algorithm="HS256", audience=LINK_AUDIENCE)


def somebody() -> Profile:
    sub = uuid4().hex
    return Profile(
        issuer="https://provider.example",
        sub=sub,
        verified_email=f"{sub}@example.com",
        first_name="Jane",
        last_name="Doe",
    )


def identities_of(database: Database, poster: Poster) -> Identities:
    month = timedelta(days=30)
    return Identities(database, poster, LINKS, currency="NGN", refresh_lifetime=month)


@pytest.fixture
async def poster(database: Database) -> AsyncIterator[Poster]:
    opened = Poster(database, PosterLimits())
    yield opened
    await opened.stop()


@pytest.mark.promise("S3-google-wallet")
async def test_who_was_made_but_got_no_wallet_gets_it_at_the_next_sign_in(
    database: Database, poster: Poster
) -> None:
    profile = somebody()
    stopped = Poster(database, PosterLimits())
    await stopped.stop()
    # As if the process had ended after it made the person.
    with pytest.raises(Unavailable):
        await identities_of(database, stopped).sign_in(profile)

    granted = await identities_of(database, poster).sign_in(profile)

    wallet = await WalletReader(database).of_person(granted.user_id)
    assert (wallet.balance.minor, wallet.balance.currency) == (0, "NGN")


@pytest.mark.promise("S3-google")
async def test_who_becomes_a_person_between_two_looks_is_that_person(
    database: Database, poster: Poster, monkeypatch: pytest.MonkeyPatch
) -> None:
    if database.dialect_name == "sqlite":
        pytest.skip("SQLite lets nobody write between the two looks")
    profile, others = somebody(), []
    identities = identities_of(database, poster)

    async def find_late(session: AsyncSession, email: str) -> User | None:
        monkeypatch.undo()
        others.append(await identities.sign_in(profile))
        return await find_by_email(session, email)

    monkeypatch.setattr("core.identities.find_by_email", find_late)
    granted = await identities.sign_in(profile)

    assert [other.user_id for other in others] == [granted.user_id]


@pytest.mark.promise("S3-google-link")
async def test_a_link_token_is_good_for_ten_minutes_and_makes_nothing_by_itself(
    database: Database, poster: Poster
) -> None:
    identities = identities_of(database, poster)
    owner, stranger = somebody(), somebody()
    granted = await identities.sign_in(owner)
    alike = Profile(
        issuer=stranger.issuer,
        sub=stranger.sub,
        verified_email=str(owner.verified_email).upper(),
        first_name="Not",
        last_name="Jane",
    )
    with pytest.raises(LinkConfirmationRequired) as raised:
        await identities.sign_in(alike)
    claims = LINKS.read(raised.value.members["link_token"])
    assert claims["exp"] - claims["iat"] == 600

    named = {name: str(claims[name]) for name in ("issuer", "sub", "user_id")}
    over = LINKS.sign(named, lifetime_seconds=-1)
    with pytest.raises(LinkTokenInvalid):
        await identities.link(over, user_id=granted.user_id)
    with pytest.raises(LinkTokenInvalid):
        await identities.link(raised.value.members["link_token"], user_id=granted.user_id + 1)
    with pytest.raises(LinkConfirmationRequired):
        await identities.sign_in(alike)

    await identities.link(raised.value.members["link_token"], user_id=granted.user_id)
    assert (await identities.sign_in(alike)).user_id == granted.user_id
