"""One durable commit: a prepared one-row INSERT in autocommit, over one connection."""

import asyncio
import time

import asyncpg
import uvloop

from bench.load import percentiles
from bench.samples import Sample

SCHEMA = "CREATE TABLE IF NOT EXISTS committed (id bigint PRIMARY KEY, at timestamptz NOT NULL)"


class Committer:
    """Commits to a table of its own in the database at `url`."""

    def __init__(self, url: str):
        self._url = url

    def play(self, *, seconds: float) -> Sample:
        """Commit one row after another for so many seconds, and count them afterwards."""
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(self._play(seconds))

    async def _play(self, seconds: float) -> Sample:
        connection = await asyncpg.connect(self._url)
        try:
            await connection.execute(SCHEMA)
            count = "SELECT count(*) FROM committed"
            before = await connection.fetchval(count)
            statement = await connection.prepare("INSERT INTO committed VALUES ($1, now())")
            latencies: list[float] = []
            started = time.perf_counter()
            while (now := time.perf_counter()) < started + seconds:
                await statement.fetch(before + len(latencies))
                latencies.append((time.perf_counter() - now) * 1000)
            elapsed = time.perf_counter() - started
            written = await connection.fetchval(count) - before
        finally:
            await connection.close()
        wrong = (
            f"{len(latencies)} commits left {written} rows." if written != len(latencies) else ""
        )
        return Sample(
            rate=len(latencies) / elapsed, latencies_ms=percentiles(latencies), wrong=wrong
        )
