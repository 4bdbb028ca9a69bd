"""Redis' copy of recent answers, and the short lock that keeps a herd off the database.

Neither decides anything: the answer is put here after its commit, the lock only makes the others
wait a little, and every doubt ends in the database.
"""

import asyncio
import hashlib
from dataclasses import dataclass
from typing import Final

from core.commands import Answer
from core.errors import IdempotencyInFlight, IdempotencyKeyReused
from core.ledger import read_answer
from db.session import Database
from integrations.redis import GuardedRedis, RedisUnavailable

ANSWER_TTL_SECONDS: Final = 24 * 60 * 60
# As long as a posting may take by default; a process that died leaves its lock for so long.
LOCK_TTL_MILLISECONDS: Final = 10_000
WAIT_FOR_FIRST_SECONDS: Final = 1.0
POLL_SECONDS: Final = 0.025

_FINGERPRINT_BYTES: Final = 32
_STATUS_BYTES: Final = 3


@dataclass(slots=True)
class KeyedRequest:
    """A request that came with a key; `answer` is set once it is durable."""

    principal_id: int
    key: str
    fingerprint: bytes
    answer: Answer | None = None


class AnswerCache:
    """Finds answers that were given before and keeps new ones."""

    def __init__(self, redis: GuardedRedis, database: Database, installation_id: str):
        self._redis = redis
        self._database = database
        # A Redis may outlive its database, or serve two: ids of people repeat, answers must not.
        self._prefix = f"wallet:{installation_id}"

    async def claim(self, request: KeyedRequest) -> tuple[Answer, str] | None:
        """Return the first answer and where it was found (`HIT`, `DB`), or None: go on and act.

        Raises IdempotencyKeyReused, or IdempotencyInFlight when the first request with this key
        does not finish within a short wait.
        """
        try:
            return await self._claim_in_redis(request)
        except RedisUnavailable:
            return None

    async def settle(self, request: KeyedRequest) -> None:
        """Keep the answer, if there is one to keep, and let go of the lock."""
        answer_name, lock_name = self._names(request)
        commands: list[tuple[object, ...]] = [("DEL", lock_name)]
        if request.answer is not None:
            value = _pack(request.fingerprint, request.answer)
            commands.insert(0, ("SET", answer_name, value, "EX", ANSWER_TTL_SECONDS))
        try:
            await self._redis.run(*commands)
        except RedisUnavailable:
            return

    async def _claim_in_redis(self, request: KeyedRequest) -> tuple[Answer, str] | None:
        answer_name, lock_name = self._names(request)
        for _ in range(int(WAIT_FOR_FIRST_SECONDS / POLL_SECONDS)):
            value, locked = await self._redis.run(
                ("GET", answer_name),
                ("SET", lock_name, "1", "NX", "PX", LOCK_TTL_MILLISECONDS),
            )
            if value is not None:
                return _unpack(value, request.fingerprint), "HIT"
            if locked:
                return None
            await asyncio.sleep(POLL_SECONDS)
        return await self._ask_database(request), "DB"

    async def _ask_database(self, request: KeyedRequest) -> Answer:
        async with self._database.reading() as session:
            found = await read_answer(session, request.principal_id, request.key)
        if found is None:
            raise IdempotencyInFlight
        if found.fingerprint != request.fingerprint:
            raise IdempotencyKeyReused
        return Answer(found.rendered.status, found.rendered.body, replayed=True)

    def _names(self, request: KeyedRequest) -> tuple[str, str]:
        # Hashed: a key may hold characters that mean something to whoever lists Redis' keys.
        digest = hashlib.sha256(request.key.encode()).hexdigest()
        scope = f"{self._prefix}:{{{request.principal_id}:{digest}}}"
        return f"{scope}:answer", f"{scope}:lock"


def _pack(fingerprint: bytes, answer: Answer) -> bytes:
    return fingerprint + f"{answer.status:03}{answer.body}".encode()


def _unpack(value: bytes, fingerprint: bytes) -> Answer:
    if value[:_FINGERPRINT_BYTES] != fingerprint:
        raise IdempotencyKeyReused
    status_end = _FINGERPRINT_BYTES + _STATUS_BYTES
    status = int(value[_FINGERPRINT_BYTES:status_end])
    return Answer(status, value[status_end:].decode(), replayed=True)
