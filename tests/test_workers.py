"""The worker does what it is asked, in a process of its own."""

import asyncio
import os
import subprocess
import sys
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
from sqlalchemy import func, select, update

from db.models import Tables
from db.session import Database
from operations.children import ROOT
from operations.relay import NICENESS
from tests.people import People
from tests.processes import WorkerProcess
from tests.races import environment_for


async def test_the_worker_deletes_expired_refresh_tokens(
    people: People, database: Database, database_url: str, redis_url: str, tmp_path: Path
) -> None:
    expired, lasting = await people.sign_up(), await people.sign_up()
    await _expire(database, expired.id)
    environment = environment_for(database_url, redis_url) | {
        "LOG_LEVEL": "INFO",
        "MAIL_FOLDER": str(tmp_path / "mail"),
    }

    with WorkerProcess(environment, log_path=tmp_path / "worker.log") as worker:
        asked = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "cli.py", "sweep"],
            cwd=ROOT,
            env={**environment, "PATH": ""},
            capture_output=True,
            text=True,
            check=False,
        )
        assert asked.returncode == 0, asked.stderr
        for _ in range(100):
            if await _tokens(database, expired.id) == 0:
                break
            await asyncio.sleep(0.1)
        log = worker.log()

    assert await _tokens(database, expired.id) == 0, log
    assert await _tokens(database, lasting.id) == 1
    assert expired.refresh_token not in log


async def _expire(database: Database, user_id: int) -> None:
    past = datetime.now(UTC) - timedelta(days=1)
    tokens, sign_ins = Tables.refresh_tokens.c, Tables.sign_ins.c
    mine = select(sign_ins.id).where(sign_ins.user_id == user_id)
    async with database.transaction() as session:
        await (await session.connection()).execute(
            update(Tables.refresh_tokens).where(tokens.sign_in_id.in_(mine)).values(expires_at=past)
        )


async def _tokens(database: Database, user_id: int) -> int:
    tokens, sign_ins = Tables.refresh_tokens.c, Tables.sign_ins.c
    statement = (
        select(func.count())
        .select_from(Tables.refresh_tokens)
        .join(Tables.sign_ins, sign_ins.id == tokens.sign_in_id)
        .where(sign_ins.user_id == user_id)
    )
    async with database.reading() as session:
        return int((await (await session.connection()).execute(statement)).scalar_one())


async def test_a_worker_lets_the_api_go_first(
    database_url: str, redis_url: str, tmp_path: Path
) -> None:
    environment = environment_for(database_url, redis_url) | {"LOG_LEVEL": "INFO"}
    with WorkerProcess(environment, log_path=tmp_path / "worker.log") as worker:
        processes = [worker.pid, *[child.pid for child in psutil.Process(worker.pid).children()]]
        # The one that works has told its own and its session's; whoever minds it, only the latter.
        assert max(os.getpriority(os.PRIO_PROCESS, pid) for pid in processes) == NICENESS
        told = _told_of_session(worker.pid)
        assert not told or told.endswith(f" nice {NICENESS}\n")


def _told_of_session(pid: int) -> str:
    """What Linux knows of a session's priority; nothing where there is no such thing."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/autogroup").read_text(encoding="ascii")
    return ""
