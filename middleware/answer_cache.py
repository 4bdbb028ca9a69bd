"""Redis' copy of recent answers, and whose request under a key is under way in this process.

Neither decides anything: an answer is put into Redis after its commit, whoever repeats what is
under way only waits for it a little, and every doubt ends in the database. So a key that this
process has never met is not looked up: the ledger asks the database for it anyway.
"""

import asyncio
import hashlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, NamedTuple

from core.batching import Batcher
from core.commands import Answer, Rendered
from core.errors import IdempotencyInFlight, IdempotencyKeyReused, Unavailable
from core.ledger import read_answer
from core.records import KeyOfPrincipal
from db.session import Database
from integrations.redis import GuardedRedis, RedisUnavailable
from middleware.met_keys import MetKeys

ANSWER_TTL_SECONDS: Final = 24 * 60 * 60
WAIT_FOR_FIRST_SECONDS: Final = 1.0
STEPS_IN_A_BATCH: Final = 500
STEPS_WAITING_LIMIT: Final = 10_000

_FINGERPRINT_BYTES: Final = 32
_STATUS_BYTES: Final = 3

# One script does a whole batch of steps: it costs the client far less than a command for each.
_FIND: Final = b""
_SCRIPT: Final = """
local replies = {}
for n, name in ipairs(KEYS) do
  local answer = ARGV[n + 1]
  if answer == '' then
    replies[n] = redis.call('GET', name)
  else
    redis.call('SET', name, answer, 'EX', ARGV[1])
    replies[n] = false
  end
end
return replies
"""


@dataclass(slots=True, eq=False)
class KeyedRequest:
    """A request that came with a key; `answer` is set once it is durable."""

    principal_id: int
    key: str
    fingerprint: bytes
    answer: Answer | None = None
    # Made by the first who waits for the end of this request; hardly ever does anybody.
    over: asyncio.Event | None = None


class Step(NamedTuple):
    """What to do under a name in Redis: find the answer, `_FIND`, or keep this one."""

    name: str
    answer: bytes


class AnswerCache:
    """Finds answers that were given before and keeps new ones."""

    def __init__(self, redis: GuardedRedis, database: Database, installation_id: str):
        self._redis = redis
        self._database = database
        # A Redis may outlive its database, or serve two: ids of people repeat, answers must not.
        self._prefix = f"wallet:{installation_id}"
        self._batcher: Batcher[Step, bytes | None] = Batcher(
            self._run, batch_limit=STEPS_IN_A_BATCH, queue_limit=STEPS_WAITING_LIMIT
        )
        self._met = MetKeys()
        self._under_way: dict[KeyOfPrincipal, KeyedRequest] = {}

    async def claim(self, request: KeyedRequest) -> tuple[Answer, bytes] | None:
        """Return the first answer and where it was found (`HIT`, `DB`), or None: go on and act.

        Whoever goes on is waited for until `settle`. Raises IdempotencyKeyReused, or
        IdempotencyInFlight when the first request with this key does not end within a short wait.
        """
        name = (request.principal_id, request.key)
        give_up_at: float | None = None
        while True:
            first = self._under_way.get(name)
            if first is None:
                if self._met.meet(name) and (found := await self._find(request)) is not None:
                    return found, b"HIT"
                # Meanwhile somebody else may have found nothing, too, and gone on.
                first = self._under_way.setdefault(name, request)
                if first is request:
                    return None
            now = asyncio.get_running_loop().time()
            give_up_at = give_up_at or now + WAIT_FOR_FIRST_SECONDS
            if first.answer is None and not await _is_over(first, within_seconds=give_up_at - now):
                answer = await self.ask_database(request)
                if answer is None:
                    raise IdempotencyInFlight
                return answer, b"DB"
            if first.answer is not None:
                return _again(request, first.fingerprint, first.answer), b"DB"

    async def ask_database(self, request: KeyedRequest) -> Answer | None:
        """Return what the database knows as the first answer; None if its key is not known yet.

        Raises IdempotencyKeyReused.
        """
        async with self._database.lean_reading() as connection:
            found = await read_answer(connection, request.principal_id, request.key)
        return None if found is None else _again(request, found.fingerprint, found.rendered)

    def settle(self, request: KeyedRequest) -> None:
        """Keep the answer if there is one, and let those go on who wait for this request.

        Nobody waits for Redis here. Steps of one process are done in their order: whoever has the
        answer and asks again finds it there.
        """
        del self._under_way[request.principal_id, request.key]
        if request.answer is not None:
            packed = _pack(request.fingerprint, request.answer)
            with suppress(Unavailable):
                self._batcher.leave(Step(self._name(request), packed))
        if request.over is not None:
            request.over.set()

    async def stop(self) -> None:
        """Finish what was begun."""
        await self._batcher.stop()

    async def _find(self, request: KeyedRequest) -> Answer | None:
        """Return the first answer if Redis has it; that it does not, or is away, proves nothing."""
        try:
            found = await self._batcher.submit(Step(self._name(request), _FIND))
        except (RedisUnavailable, Unavailable):
            return None
        return None if found is None else _again(request, *_unpack(found))

    async def _run(self, steps: Sequence[Step]) -> list[bytes | None]:
        replies: list[bytes | None] = await self._redis.execute(
            "EVAL",
            _SCRIPT,
            len(steps),
            *[step.name for step in steps],
            ANSWER_TTL_SECONDS,
            *[step.answer for step in steps],
        )
        return replies

    def _name(self, request: KeyedRequest) -> str:
        # Hashed: a key may hold characters that mean something to whoever lists Redis' keys.
        digest = hashlib.sha256(request.key.encode()).hexdigest()
        return f"{self._prefix}:answered:{request.principal_id}:{digest}"


async def _is_over(request: KeyedRequest, *, within_seconds: float) -> bool:
    if request.over is None:
        request.over = asyncio.Event()
    with suppress(TimeoutError):
        await asyncio.wait_for(request.over.wait(), within_seconds)
    return request.over.is_set()


def _pack(fingerprint: bytes, answer: Answer) -> bytes:
    return fingerprint + f"{answer.status:03}{answer.body}".encode()


def _unpack(packed: bytes) -> tuple[bytes, Rendered]:
    status_end = _FINGERPRINT_BYTES + _STATUS_BYTES
    status = int(packed[_FINGERPRINT_BYTES:status_end])
    return packed[:_FINGERPRINT_BYTES], Rendered(status, packed[status_end:].decode())


def _again(request: KeyedRequest, fingerprint: bytes, first: Rendered | Answer) -> Answer:
    """Return the first answer for whoever repeats its request. Raises IdempotencyKeyReused."""
    if fingerprint != request.fingerprint:
        raise IdempotencyKeyReused
    return Answer(first.status, first.body, replayed=True)
