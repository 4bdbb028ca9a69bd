"""`wallet seed`: demo people with wallets and some history, made as the API makes them.

Every step has an idempotency key of its own, so a second run, or one after a crash, adds only what
is missing. Refused in production: the passwords stand here.
"""

import asyncio
import hashlib
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal

from pydantic import BaseModel

from config import Settings
from core.api_keys import MadeKey
from core.commands import (
    Attempt,
    Command,
    OpenWallet,
    Outcome,
    Refused,
    Rendered,
    deposit,
    transfer,
    withdraw,
)
from core.errors import Unavailable, WalletNotFound
from core.ledger import read_answer
from core.money import Money, parse_minor
from core.people import NewPerson, find_by_email, sign_up
from core.poster import Poster, PosterLimits
from core.security import PasswordHasher
from core.wallets import WalletReader
from db.models import User
from db.session import Database
from operations.database import NOT_READY_EXIT_CODE, DatabaseNotReadyError, open_database
from operations.demo_credits import give_credits, how_to_use_credits, make_demo_key
from operations.logs import configure_logs
from schemas.problem import problem_body
from schemas.transactions import MovementOut, TransferOut
from schemas.wallets import WalletOut

PASSWORD: Final = "securepass123"  # noqa: S105 - published on purpose, never used in production
SERVICE_URL: Final = "http://127.0.0.1:8000"
REQUEST_ID: Final = "seed"


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoPerson:
    """Who is made, with a wallet that opens with `opening` in major units."""

    first_name: str
    last_name: str
    email: str
    currency: str
    opening: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One movement of `amount` in major units; `to` is the email of who receives a transfer."""

    email: str
    kind: Literal["deposit", "withdraw", "transfer"]
    amount: str
    to: str = ""
    status: int = 200


JANE: Final = "jane@example.com"
JOHN: Final = "john@example.com"
ADA: Final = "ada@example.com"
GRACE: Final = "grace@example.com"

PEOPLE: Final = (
    DemoPerson(first_name="Jane", last_name="Doe", email=JANE, currency="NGN", opening="250000"),
    DemoPerson(first_name="John", last_name="Smith", email=JOHN, currency="NGN", opening="50000"),
    DemoPerson(first_name="Ada", last_name="Obi", email=ADA, currency="NGN", opening="0"),
    DemoPerson(first_name="Grace", last_name="Lee", email=GRACE, currency="USD", opening="1200.50"),
)
# A step's place is its idempotency key: append, never insert.
HISTORY: Final = (
    Step(email=JANE, kind="deposit", amount="75000"),
    Step(email=JANE, kind="transfer", amount="35000.50", to=JOHN),
    Step(email=JOHN, kind="transfer", amount="12500", to=ADA),
    Step(email=JANE, kind="withdraw", amount="20000"),
    Step(email=ADA, kind="withdraw", amount="2500.25"),
    Step(email=ADA, kind="transfer", amount="1000000", to=JANE, status=402),
    Step(email=ADA, kind="transfer", amount="1500", to=JANE),
    Step(email=GRACE, kind="deposit", amount="300"),
    Step(email=GRACE, kind="withdraw", amount="99.99"),
)


class SeedRefusedError(Exception):
    """The demo cannot be made here. Its text is a sentence for the operator."""


def seed(settings: Settings) -> int:
    """Make what is missing of the demo and say how to sign in.

    Returns 0, 1 if the demo cannot be made here, 3 if the database cannot be worked with.
    """
    if settings.in_production:
        print("Demo people have published passwords: not in production.", file=sys.stderr)
        return 1
    configure_logs(level=settings.log_level, as_json=False)
    try:
        made, key = asyncio.run(_seed(settings))
    except SeedRefusedError as error:
        print(error, file=sys.stderr)
        return 1
    except (DatabaseNotReadyError, Unavailable) as error:
        print(error, file=sys.stderr)
        return NOT_READY_EXIT_CODE
    except WalletNotFound:
        print("A demo person closed their wallet; seed another database.", file=sys.stderr)
        return 1
    print(f"Made: {made}." if made else "Everything was there already; nothing was changed.")
    print(_how_to_sign_in())
    print(how_to_use_credits(key, SERVICE_URL))
    return 0


async def _seed(settings: Settings) -> tuple[str, MadeKey | None]:
    """Make what is missing; return what that was, nothing if it was nothing, and a new key."""
    async with open_database(settings) as database:
        poster = Poster(database, PosterLimits())
        try:
            demo = Demo(database, poster, PasswordHasher(settings.password_hash_rounds))
            people = await demo.make_people()
            wallets = await demo.open_wallets()
            steps = await demo.make_history()
            given = await give_credits(database, poster)
        finally:
            await poster.stop()
        key = await make_demo_key(database, prefix=settings.api_key_prefix)
    made = {"people": people, "wallets": wallets, "transactions": steps, "holdings": given}
    counted = [f"{count} {name}" for name, count in made.items() if count]
    return ", ".join(counted + (["a service key"] if key else [])), key


class Demo:
    """Makes the demo, through the doors that the API uses; each method returns how many it made."""

    def __init__(self, database: Database, poster: Poster, hasher: PasswordHasher):
        self._database = database
        self._wallets = WalletReader(database)
        self._poster = poster
        self._hasher = hasher
        self._users: dict[str, User] = {}

    async def make_people(self) -> int:
        """Sign up who is missing. Raises SeedRefusedError, before that, if an email is taken."""
        for person in PEOPLE:
            await self._find(person)
        missing = [person for person in PEOPLE if person.email not in self._users]
        for person in missing:
            self._users[person.email] = await sign_up(
                self._database,
                NewPerson(
                    first_name=person.first_name,
                    last_name=person.last_name,
                    email=person.email,
                    password_hash=await self._hasher.hash(PASSWORD),
                ),
            )
        return len(missing)

    async def open_wallets(self) -> int:
        """Open the wallets that were not opened before."""
        opened = 0
        for person in PEOPLE:
            user_id = self._users[person.email].id
            if await self._has_wallet(person) or await self._was_done(user_id, "seed-wallet"):
                continue
            opening = _money(person.opening, person.currency)
            command = OpenWallet(user_id=user_id, opening=opening)
            await self._post(user_id, "seed-wallet", command, WalletOut.of, 201)
            opened += 1
        return opened

    async def make_history(self) -> int:
        """Move the money that was not moved before."""
        currencies = {person.email: person.currency for person in PEOPLE}
        moved = 0
        for number, step in enumerate(HISTORY, start=1):
            user_id = self._users[step.email].id
            if await self._was_done(user_id, f"seed-{number}"):
                continue
            money = _money(step.amount, currencies[step.email])
            command = await self._command(step, money)
            show = TransferOut.of if step.to else MovementOut.of
            await self._post(user_id, f"seed-{number}", command, show, step.status)
            moved += 1
        return moved

    async def _find(self, person: DemoPerson) -> None:
        """Look for a person. Raises SeedRefusedError if someone else has the address."""
        async with self._database.reading() as session:
            user = await find_by_email(session, person.email)
        if user is None:
            return
        fits, _ = await self._hasher.verify(PASSWORD, user.password_hash)
        if not fits:
            raise SeedRefusedError(
                f"{person.email} signed up with another password; seed another database."
            )
        self._users[person.email] = user

    async def _has_wallet(self, person: DemoPerson) -> bool:
        """Whether the person has an open wallet, perhaps one they opened in the API's tour.

        Raises SeedRefusedError if it is in another currency than the demo needs.
        """
        try:
            wallet = await self._wallets.of_person(self._users[person.email].id)
        except WalletNotFound:
            return False
        if wallet.balance.currency != person.currency:
            raise SeedRefusedError(
                f"{person.email} has a wallet in {wallet.balance.currency}, and the demo needs one "
                f"in {person.currency}; seed another database."
            )
        return True

    async def _was_done(self, user_id: int, key: str) -> bool:
        """Whether the step was posted: asked first because even a replay is counted."""
        async with self._database.lean_reading() as connection:
            return await read_answer(connection, user_id, key) is not None

    async def _command(self, step: Step, money: Money) -> Command:
        user_id = self._users[step.email].id
        if step.kind == "transfer":
            wallet = await self._wallets.of_person(self._users[step.to].id)
            return transfer(user_id=user_id, to_wallet_id=wallet.id, money=money)
        move = deposit if step.kind == "deposit" else withdraw
        return move(user_id=user_id, money=money)

    async def _post(
        self,
        user_id: int,
        key: str,
        command: Command,
        show: Callable[[Any], BaseModel],
        status: int,
    ) -> None:
        """Post one command. Raises SeedRefusedError unless the answer has the expected status."""

        def render(outcome: Outcome) -> Rendered:
            if isinstance(outcome, Refused):
                return Rendered(outcome.error.status, problem_body(outcome.error, REQUEST_ID))
            return Rendered(status, show(outcome).model_dump_json())

        attempt = Attempt(
            principal_id=user_id,
            key=key,
            fingerprint=hashlib.sha256(repr(command).encode()).digest(),
            command=command,
            render=render,
        )
        answer = await self._poster.post(attempt)
        if answer.status != status:
            raise SeedRefusedError(
                "The demo people's wallets were used for something else, which leaves no room for "
                f"the demo ({answer.body}); seed another database."
            )


def _money(amount: str, currency: str) -> Money:
    return Money(parse_minor(amount, currency), currency)


def _how_to_sign_in() -> str:
    people = "\n".join(
        f"  {person.email:<18} {person.first_name} {person.last_name}, {person.currency}"
        for person in PEOPLE
    )
    return (
        f"\nThe password of all of them is {PASSWORD}:\n{people}\n"
        "\nSign in (`./wallet run` serves the API and says where):\n"
        f"  curl -s {SERVICE_URL}/token -d username={JANE} -d password={PASSWORD}\n"
        f"\nOr open {SERVICE_URL}/docs, press Authorize, and enter that email as the username."
    )
