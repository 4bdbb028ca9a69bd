"""Redis' copy of recent answers, and the short lock that keeps a herd off the database.

Neither decides anything: the answer is put here after its commit, the lock only makes the others
wait a little, and every doubt ends in the database.
"""

import asyncio
import hashlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, NamedTuple

from core.batching import Batcher
from core.commands import Answer
from core.errors import IdempotencyInFlight, IdempotencyKeyReused, Unavailable
from core.ledger import read_answer
from db.session import Database
from integrations.redis import GuardedRedis, RedisUnavailable

ANSWER_TTL_SECONDS: Final = 24 * 60 * 60
# As long as a posting may take by default; a process that died leaves its lock for so long.
LOCK_TTL_MILLISECONDS: Final = 10_000
WAIT_FOR_FIRST_SECONDS: Final = 1.0
POLL_SECONDS: Final = 0.025
STEPS_IN_A_BATCH: Final = 500
STEPS_WAITING_LIMIT: Final = 10_000

_FINGERPRINT_BYTES: Final = 32
_STATUS_BYTES: Final = 3

# What stands under a name is the answer or, before there is one, the lock. One script does a whole
# batch of steps: it costs the client far less than a command for each, and cannot be torn apart.
_LOCK: Final = b"lock"
_CLAIM: Final = b"claim"
_RELEASE: Final = b"release"
_SCRIPT: Final = """
local replies = {}
for n, name in ipairs(KEYS) do
  local step, found = ARGV[n + 2], false
  if step == 'claim' then
    found = redis.call('GET', name)
    if not found then redis.call('SET', name, 'lock', 'PX', ARGV[1]) end
  elseif step ~= 'release' then
    redis.call('SET', name, step, 'EX', ARGV[2])
  elseif redis.call('GET', name) == 'lock' then
    redis.call('DEL', name)
  end
  replies[n] = found
end
return replies
"""


@dataclass(slots=True)
class KeyedRequest:
    """A request that came with a key; `answer` is set once it is durable."""

    principal_id: int
    key: str
    fingerprint: bytes
    answer: Answer | None = None


class Step(NamedTuple):
    """What to do under a name: `_CLAIM` it, `_RELEASE` it, or keep an answer."""

    name: str
    what: bytes


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

    async def claim(self, request: KeyedRequest) -> tuple[Answer, bytes] | None:
        """Return the first answer and where it was found (`HIT`, `DB`), or None: go on and act.

        Raises IdempotencyKeyReused, or IdempotencyInFlight when the first request with this key
        does not finish within a short wait.
        """
        try:
            return await self._claim_in_redis(request)
        except (RedisUnavailable, Unavailable):
            return None

    async def ask_database(self, request: KeyedRequest) -> Answer | None:
        """Return what the database knows as the first answer; None if its key is not known yet.

        Raises IdempotencyKeyReused.
        """
        async with self._database.lean_reading() as connection:
            found = await read_answer(connection, request.principal_id, request.key)
        if found is None:
            return None
        if found.fingerprint != request.fingerprint:
            raise IdempotencyKeyReused
        return Answer(found.rendered.status, found.rendered.body, replayed=True)

    def settle(self, request: KeyedRequest) -> None:
        """Keep the answer if there is one, else let go of the lock; nobody waits for that.

        Steps of one process are done in their order: whoever has the answer and asks again finds
        it here.
        """
        what = _RELEASE if request.answer is None else _pack(request.fingerprint, request.answer)
        with suppress(Unavailable):
            self._batcher.leave(Step(self._name(request), what))

    async def stop(self) -> None:
        """Finish what was begun."""
        await self._batcher.stop()

    async def _claim_in_redis(self, request: KeyedRequest) -> tuple[Answer, bytes] | None:
        step = Step(self._name(request), _CLAIM)
        for _ in range(int(WAIT_FOR_FIRST_SECONDS / POLL_SECONDS)):
            found = await self._batcher.submit(step)
            if found is None:
                return None
            if found != _LOCK:
                return _unpack(found, request.fingerprint), b"HIT"
            await asyncio.sleep(POLL_SECONDS)
        answer = await self.ask_database(request)
        if answer is None:
            raise IdempotencyInFlight
        return answer, b"DB"

    async def _run(self, steps: Sequence[Step]) -> list[bytes | None]:
        replies: list[bytes | None] = await self._redis.execute(
            "EVAL",
            _SCRIPT,
            len(steps),
            *[step.name for step in steps],
            LOCK_TTL_MILLISECONDS,
            ANSWER_TTL_SECONDS,
            *[step.what for step in steps],
        )
        return replies

    def _name(self, request: KeyedRequest) -> str:
        # Hashed: a key may hold characters that mean something to whoever lists Redis' keys.
        digest = hashlib.sha256(request.key.encode()).hexdigest()
        return f"{self._prefix}:answer:{request.principal_id}:{digest}"


def _pack(fingerprint: bytes, answer: Answer) -> bytes:
    return fingerprint + f"{answer.status:03}{answer.body}".encode()


def _unpack(value: bytes, fingerprint: bytes) -> Answer:
    if value[:_FINGERPRINT_BYTES] != fingerprint:
        raise IdempotencyKeyReused
    status_end = _FINGERPRINT_BYTES + _STATUS_BYTES
    status = int(value[_FINGERPRINT_BYTES:status_end])
    return Answer(status, value[status_end:].decode(), replayed=True)
