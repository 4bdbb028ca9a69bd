"""What is in the log, and what must never be."""

import contextlib
import json
import logging
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from operations.logs import configure_logs
from tests.people import PASSWORD, People
from tests.processes import SECRET_KEY
from tests.races import api_processes, clients_of


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    """Leave logging as the other tests want it."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def test_production_writes_json_and_hides_secrets(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(level="INFO", as_json=True)
    log = structlog.get_logger("test")

    log.info("event", password="hunter2", nested={"api_key": "hunter2"}, amount=5)
    logging.getLogger("a.library").warning("from a library")
    try:
        raise ValueError("why")
    except ValueError:
        log.exception("failed")

    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [line["event"] for line in lines] == ["event", "from a library", "failed"]
    assert lines[0]["password"] == "***"
    assert lines[0]["nested"] == {"api_key": "***"}
    assert lines[0]["amount"] == 5
    assert all(line["timestamp"].endswith("Z") and line["level"] for line in lines)
    assert "ValueError: why" in lines[2]["exception"]


def test_a_log_that_cannot_be_written_disturbs_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    configure_logs(level="INFO", as_json=True)
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        monkeypatch.setattr(sys, "stderr", full)
        structlog.get_logger("test").warning("nobody reads this", payment=1)
        monkeypatch.undo()
        with contextlib.suppress(OSError):
            full.close()


@pytest.mark.promise("request-id")
async def test_lines_name_request_and_person_but_no_secret(
    database_url: str, redis_url: str, tmp_path: Path
) -> None:
    changes = {
        "LOG_LEVEL": "DEBUG",
        "ENVIRONMENT": "production",
        "ALLOW_DIRECT_FUNDING": "true",
    }
    with api_processes(1, database_url, redis_url, tmp_path, **changes) as [api]:
        async with clients_of([api]) as [client]:
            person = await People(client).with_wallet(5)
            headers = person.headers | {"X-Request-ID": "my-request"}
            seen = await client.get("/users/me", headers=headers)
            made = await client.get("/livez", headers={"X-Request-ID": "not well formed"})
            wrong = {"username": person.email, "password": "hunter2-wrong"}
            refused = await client.post("/token", data=wrong)
        written = api.log()

    assert seen.headers["X-Request-ID"] == "my-request"
    assert made.headers["X-Request-ID"] != "not well formed"
    assert refused.json()["request_id"] == refused.headers["X-Request-ID"]
    lines = [json.loads(line) for line in written.splitlines()]
    [line] = [line for line in lines if line.get("request_id") == "my-request"]
    assert (line["user_id"], line["path"], line["status"]) == (person.id, "/users/me", 200)
    assert all("request_id" in line for line in lines if line["event"] == "request")
    for secret in (PASSWORD, "hunter2", SECRET_KEY, person.access_token, person.refresh_token):
        assert secret not in written
