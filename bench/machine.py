"""Describes the machine and the versions of a run: without them a figure means nothing."""

import asyncio
import os
import platform
import sqlite3
import statistics
import subprocess
import time
from contextlib import suppress
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Final

import asyncpg
import psutil
import redis

from bench.stand import Stand, postgres_settings
from operations.children import ROOT

PACKAGES: Final = (
    "fastapi",
    "starlette",
    "uvicorn",
    "uvloop",
    "httptools",
    "pydantic",
    "sqlalchemy",
    "asyncpg",
    "aiosqlite",
    "redis",
    "dramatiq",
)
FSYNCS: Final = 50
PAGE_BYTES: Final = 8192


def describe(stand: Stand) -> dict[str, str]:
    """Return what the machine is, by the name of each part, for people to read."""
    memory_gib = psutil.virtual_memory().total / 2**30
    busy = ", ".join(f"{load:.2f}" for load in os.getloadavg())
    return {
        "measured at": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "commit": _commit(),
        "processor": _processor(),
        "cores": f"{len(psutil.Process().cpu_affinity() or [])} of {os.cpu_count()}"
        if hasattr(psutil.Process, "cpu_affinity")
        else f"{os.cpu_count()}",
        "memory": f"{memory_gib:.1f} GiB",
        "fsync of one page": f"{_fsync_ms(stand.folder):.2f} ms (median)",
        "load before": f"{busy} (1, 5, 15 minutes)",
        "system": _system(),
        "Python": f"{platform.python_implementation()} {platform.python_version()}",
        "PostgreSQL": asyncio.run(_postgres_version(stand.postgres.url)),
        "its settings": ", ".join(f"{name} {value}" for name, value in postgres_settings().items()),
        "Valkey": f"{_valkey_version(stand.valkey.url)}, which keeps nothing on disk",
        "SQLite": sqlite3.sqlite_version,
        "packages": ", ".join(f"{name} {version(name)}" for name in PACKAGES),
    }


def _processor() -> str:
    """Return the model; /proc knows it on Linux, sysctl on macOS."""
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return f"{value.strip()} ({platform.machine()})"
    said = _output("sysctl", "-n", "machdep.cpu.brand_string")
    return f"{said or platform.processor() or 'unknown'} ({platform.machine()})"


def _system() -> str:
    name = platform.system()
    with suppress(OSError):
        name = platform.freedesktop_os_release()["PRETTY_NAME"]
    return f"{name}, {platform.system()} {platform.release()}"


def _commit() -> str:
    """Return the commit of this checkout, and whether something was changed since."""
    commit = _output("git", "rev-parse", "--short=12", "HEAD") or "unknown"
    return f"{commit}, with changes" if _output("git", "status", "--porcelain") else commit


def _output(*command: str) -> str:
    """Return what a command prints, nothing if it fails or is not there."""
    try:
        ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return ended.stdout.strip() if ended.returncode == 0 else ""


def _fsync_ms(folder: Path) -> float:
    """Return how long the disk takes to keep one page, where the servers keep theirs."""
    taken: list[float] = []
    with (folder / "fsync").open("wb") as file:
        for _ in range(FSYNCS):
            file.write(os.urandom(PAGE_BYTES))
            file.flush()
            started = time.perf_counter()
            os.fsync(file.fileno())
            taken.append((time.perf_counter() - started) * 1000)
    return statistics.median(taken)


async def _postgres_version(url: str) -> str:
    connection = await asyncpg.connect(url)
    try:
        return str(await connection.fetchval("SHOW server_version"))
    finally:
        await connection.close()


def _valkey_version(url: str) -> str:
    with redis.Redis.from_url(url) as client:
        told = client.info("server")
    assert isinstance(told, dict)  # the asynchronous client shares this type
    return str(told.get("valkey_version", told["redis_version"]))
