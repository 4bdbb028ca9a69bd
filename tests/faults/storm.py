"""Clients that go on doing operations while everything they need is killed, frozen and emptied."""

import asyncio
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass

from core.commands import HOUSE
from tests.faults.chaos import Chaos, milestones
from tests.faults.draws import Act, draw
from tests.faults.journal import Journal, Request
from tests.faults.wire import Response, Wire
from tests.people import Person

IN_FLIGHT = "idempotency_in_flight"
# Shorter than a posting may take: who has waited for so long asks another process, with the same
# key, while the first is still at it.
PATIENCE_SECONDS = (0.5, 3)
ANSWERED_WITHIN_SECONDS = 90


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much happens: operations, clients that share them, faults meanwhile, people."""

    operations: int
    clients: int
    faults: int
    people: int = 12


class Storm:
    """One storm; `run` returns when every operation was settled or abandoned and all are back.

    Parameters: `people` act, and so does a service with the key `service_key`; `wires` lead to the
    API processes; `chaos` makes the faults.
    """

    def __init__(
        self,
        *,
        size: Size,
        seed: int,
        people: Sequence[Person],
        service_key: str,
        wires: Sequence[Wire],
        chaos: Chaos,
    ) -> None:
        self.journal = Journal()
        self.seconds = 0.0
        self._size = size
        self._seed = seed
        self._people = people
        self._service_key = service_key
        self._wires = wires
        self._chaos = chaos
        self._milestones = [*milestones(size.operations, size.faults), size.operations]
        self._begun = 0
        self._taken = 0

    async def run(self) -> None:
        """Let it all happen."""
        started = time.perf_counter()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._make_faults())
            for _ in range(self._size.clients):
                tasks.create_task(self._be_a_client())
        await self._chaos.end()
        self.seconds = time.perf_counter() - started

    async def until_final(self, request: Request, *, first: int | None = None) -> Response:
        """Send a request, to one process or another, until the answer is final; note nothing."""
        ends = time.monotonic() + ANSWERED_WITHIN_SECONDS
        place = random.randrange(len(self._wires)) if first is None else first
        while time.monotonic() < ends:
            response = await self.send(request, place)
            if response is not None and is_final(response):
                return response
            self.journal.counts["retries"] += 1
            place += 1
            await asyncio.sleep(random.uniform(0.02, 0.15))
        raise AssertionError(f"{request} found no answer in {ANSWERED_WITHIN_SECONDS} s")

    async def send(self, request: Request, place: int = 0) -> Response | None:
        """Send a request once; None when no answer came."""
        headers = {"X-API-Key": self._service_key}
        if not request.is_about_credits:
            headers = self._people[request.person].headers
        headers = headers | {"X-Idempotency-Key": request.key}
        wire = self._wires[place % len(self._wires)]
        try:
            response = await wire.ask(
                request.method,
                request.path,
                headers,
                request.body,
                timeout_seconds=random.uniform(*PATIENCE_SECONDS),
            )
        except (OSError, EOFError) as error:
            kind = "timed out" if isinstance(error, TimeoutError) else "connection lost"
            self.journal.counts[kind] += 1
            return None
        self.journal.counts[str(response.status)] += 1
        if response.status == 503 and "retry-after" not in response.headers:
            self.journal.wrong.append(f"{request} got 503 without Retry-After")
        return response

    def principal_id(self, request: Request) -> int:
        """Return whose idempotency key it is: a person's, or the house's."""
        return HOUSE if request.is_about_credits else self._people[request.person].id

    async def _make_faults(self) -> None:
        faults = self._chaos.schedule(self._size.faults)
        while faults:
            while self._taken < self._milestones[self._begun]:  # noqa: ASYNC110 - nobody waits long
                await asyncio.sleep(0.005)
            await self._chaos.begin(faults)
            self._begun += 1

    async def _be_a_client(self) -> None:
        while self._taken < self._size.operations:
            if self._taken > self._milestones[self._begun]:
                # The faults lag behind; an operation without them proves less.
                await asyncio.sleep(0.005)
                continue
            number = self._taken
            self._taken += 1
            act = draw(self._seed, number, self.journal, people=len(self._people))
            await self._perform(act)

    async def _perform(self, act: Act) -> None:
        counts, request = self.journal.counts, act.request
        counts["repeats"] += act.is_repeat
        if act.is_misuse:
            await self._misuse(request)
            return
        self.journal.note_sent(request)
        match act.manner:
            case "asks twice":
                counts["asked twice"] += 1
                both = [self.until_final(request, first=place) for place in (0, 1)]
                for response in await asyncio.gather(*both):
                    self.journal.note_answer(request, response)
            case "hangs up" | "walks away":
                told = await self._hang_up(act)
                if told or act.manner == "walks away":
                    counts["abandoned"] += not told
                    return
                self.journal.note_answer(request, await self.until_final(request))
            case "patient":
                self.journal.note_answer(request, await self.until_final(request))

    async def _hang_up(self, act: Act) -> bool:
        """Send once and give up soon; return whether a final answer came before that."""
        try:
            async with asyncio.timeout(act.patience_seconds):
                response = await self.send(act.request, random.randrange(len(self._wires)))
        except TimeoutError:
            self.journal.counts["hung up"] += 1
            return False
        if response is None or not is_final(response):
            return False
        self.journal.note_answer(act.request, response)
        return True

    async def _misuse(self, request: Request) -> None:
        """Use a key for another request than its first: refused, whatever else happens."""
        self.journal.counts["keys misused"] += 1
        response = await self.until_final(request)
        if (response.status, response.value.get("code")) != (422, "idempotency_key_reused"):
            self.journal.wrong.append(f"{request}, misused, was told {response.body!r}")


def is_final(response: Response) -> bool:
    """Whether an answer says what became of the request, for good."""
    if response.status == 409:
        return bool(response.value["code"] != IN_FLIGHT)
    return response.status != 503
