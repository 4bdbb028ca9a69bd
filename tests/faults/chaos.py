"""Faults in random order: who is treated badly, how, and how they are brought back."""

import asyncio
import itertools
import random
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import ConstantBackoff

from operations.listening import PortTakenError
from tests.processes import ProcessError, RealProcess
from tests.servers import ValkeyServer

How = Literal["kill", "restart", "pause", "flush"]
REDIS = "redis"
LONGEST_PAUSE_SECONDS = 1.5
LONGEST_ABSENCE_SECONDS = 0.5
COMES_BACK_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Fault:
    """What is done to whom: killed with SIGKILL and started, ended in order and started, frozen for
    up to LONGEST_PAUSE_SECONDS, or, for Redis, emptied.
    """

    victim: str
    how: How

    def __str__(self) -> str:
        return f"{self.how} {self.victim}"


class Chaos:
    """Inflicts faults on running processes; several may suffer at once, but nobody doubly.

    Parameters: `victims` by name; `seed` for the order and the durations.
    """

    def __init__(self, victims: Mapping[str, RealProcess], *, seed: int) -> None:
        self.inflicted: Counter[str] = Counter()
        self._victims = victims
        self._chance = random.Random(f"chaos/{seed}")
        self._suffering: dict[str, asyncio.Task[None]] = {}

    def schedule(self, count: int) -> list[Fault]:
        """Return that many faults: all there are in random order, and again in another one."""
        hows: tuple[How, ...] = ("kill", "restart", "pause")
        every = [Fault(name, how) for name in self._victims for how in hows]
        every.append(Fault(REDIS, "flush"))
        faults: list[Fault] = []
        while len(faults) < count:
            faults += self._chance.sample(every, len(every))
        return faults[:count]

    async def begin(self, faults: list[Fault]) -> Fault:
        """Begin the first of `faults` whose victim is well, and take it off the list."""
        while True:
            for fault in faults:
                before = self._suffering.get(fault.victim)
                if before is None or before.done():
                    faults.remove(fault)
                    self.inflicted[str(fault)] += 1
                    task = asyncio.create_task(self._inflict(fault))
                    self._suffering[fault.victim] = task
                    await _raise_failures([before] if before else [])
                    return fault
            await asyncio.sleep(0.01)

    async def end(self) -> None:
        """Wait until everybody is back."""
        await _raise_failures(list(self._suffering.values()))

    async def calm_down(self) -> None:
        """Wait until nothing is done to anybody any more, whatever came of it."""
        await asyncio.gather(*self._suffering.values(), return_exceptions=True)

    async def _inflict(self, fault: Fault) -> None:
        victim = self._victims[fault.victim]
        # Drawn at once, so that they do not depend on who is quicker.
        pause = self._chance.uniform(0.1, LONGEST_PAUSE_SECONDS)
        absence = self._chance.uniform(0, LONGEST_ABSENCE_SECONDS)
        match fault.how:
            case "kill":
                await asyncio.to_thread(victim.kill)
                await asyncio.sleep(absence)
                await asyncio.to_thread(start_again, victim)
            case "restart":
                await asyncio.to_thread(victim.stop)
                await asyncio.to_thread(start_again, victim)
            case "pause":
                victim.pause()
                try:
                    await asyncio.sleep(pause)
                finally:
                    victim.resume()
            case "flush":
                assert isinstance(victim, ValkeyServer)
                await flush(victim)


async def flush(server: ValkeyServer) -> None:
    """Empty a Redis, once it has read what it remembers: it may just have been started."""
    patient = Retry(ConstantBackoff(0.1), retries=100)
    async with redis.asyncio.Redis.from_url(server.url, retry=patient) as connection:
        await connection.flushall()


def start_again(process: RealProcess) -> None:
    """Start a process as a supervisor would: again, while what it needs is away as well."""
    deadline = time.monotonic() + COMES_BACK_SECONDS
    while time.monotonic() < deadline:
        with suppress(ProcessError, PortTakenError):
            process.start()
            return
        time.sleep(0.1)
    process.start()


def in_words(inflicted: Mapping[str, int]) -> str:
    """Say what was done how often: `2 kill redis, …`."""
    return ", ".join(f"{count} {name}" for name, count in sorted(inflicted.items()))


def milestones(operations: int, faults: int) -> Sequence[int]:
    """Return at which operation each fault begins, evenly spread."""
    return [
        operations * place // (faults + 1) for place in itertools.islice(itertools.count(1), faults)
    ]


async def _raise_failures(tasks: Sequence[asyncio.Task[None]]) -> None:
    for task in tasks:
        await task
