"""README.md says what is so: its tour runs as printed, its tables are complete, links resolve."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from cli import app as cli
from tests.conftest import migrate, sqlite_url
from tests.processes import SECRET_KEY, ApiProcess
from tests.races import api_processes

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])

TOUR_URL = "http://127.0.0.1:8000"
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
SETTING = re.compile(r"^([A-Z_]+)=(.*)$", re.MULTILINE)
SETTING_ROW = re.compile(r"^\| `([A-Z_]+)` \| (?:`(.*?)`)? ?\| .+ \|$", re.MULTILINE)
COMMAND_ROW = re.compile(r"^\| `\./wallet ([a-z]+)", re.MULTILINE)

# What differs from one run to the next.
VOLATILE = {"wallet_number", "account_number", "from_account", "to_account", "transfer_id"}
VOLATILE |= {"created_at", "date", "at", "request_id", "recipient_wallet"}
VOLATILE |= {"expires_at", "last_used_at", "revoked_at", "access_token", "refresh_token"}
NEXT_BLOCK = "--- next block ---"
# The sections whose commands are run, and the statuses they get.
STATUSES = {
    "A five-minute tour": [
        *(201, 201, 200, 200, 201, 201, 200, 200, 200, 200, 200, 200, 402),
        *(201, 200, 201, 200, 200, 200),
    ],
    "Credits": [200, 201, 201, 201, 201, 200, 200],
    "Sign-in with Google": [200],
    "Keys": [201, 201, 200, 200, 201, 201, 201, 200, 200, 200, 200, 403, 200, 401],
}


@dataclass(frozen=True, slots=True)
class Step:
    """A block of commands and what the README says they print."""

    commands: str
    printed: str


@pytest.fixture
async def api(redis_url: str, tmp_path: Path) -> AsyncIterator[ApiProcess]:
    """A service as a newcomer starts it, on an empty database."""
    url = sqlite_url(tmp_path)
    await migrate(url)
    with api_processes(1, url, redis_url, tmp_path, RATE_LIMIT_ENABLED="true") as [process]:
        yield process


@pytest.mark.skipif(shutil.which("curl") is None, reason="the commands need curl")
@pytest.mark.parametrize("section", STATUSES)
def test_the_commands_run_as_printed(api: ApiProcess, tmp_path: Path, section: str) -> None:
    steps = steps_of(section)
    script = f"\necho '{NEXT_BLOCK}'\n".join(step.commands for step in steps)
    assert TOUR_URL in script
    statuses = tmp_path / "statuses"

    result = subprocess.run(
        # Each command must succeed, and none may use a name that no block has set.
        ["/bin/sh", "-eu", "-c", script.replace(TOUR_URL, api.url)],
        env={
            **os.environ,
            "PATH": f"{programs(tmp_path, statuses)}:{os.environ['PATH']}",
            "DATABASE_URL": sqlite_url(tmp_path),
            "SECRET_KEY": SECRET_KEY,
        },
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert result.returncode == 0, result.stderr
    assert [int(line) for line in statuses.read_text().split()] == STATUSES[section], result.stdout
    for step, printed in zip(steps, result.stdout.split(f"{NEXT_BLOCK}\n"), strict=True):
        assert_printed(printed, step.printed)


def steps_of(section: str) -> list[Step]:
    """Return the blocks of a section, each with the answer that stands below it."""
    start = README.index(f"\n## {section}\n")
    steps: list[Step] = []
    for language, text in FENCE.findall(README[start : README.index("\n## ", start + 1)]):
        if language == "sh":
            steps.append(Step(text, ""))
        else:
            steps[-1] = Step(steps[-1].commands, text)
    return steps


def programs(folder: Path, statuses: Path) -> Path:
    """Make the programs of the commands: curl, which notes each status, our Python, our launcher.

    The last stands in `folder`, where the commands are run.
    """
    found = folder / "bin"
    found.mkdir()
    note = "'\\n%{stderr}%{http_code}\\n'"
    texts = {
        # What is written at the end replaces the tour's own line feed.
        "curl": f'exec {shutil.which("curl")} "$@" -w {note} 2>>"{statuses}"',
        "python3": f'exec "{sys.executable}" "$@"',
        "wallet": f'exec "{sys.executable}" "{ROOT / "cli.py"}" "$@"',
    }
    for name, text in texts.items():
        (found / name).write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
        (found / name).chmod(0o755)
    (found / "wallet").rename(folder / "wallet")
    return found


def assert_printed(printed: str, documented: str) -> None:
    """Check what commands printed; of headers, those that the README shows."""
    head, body = split_answer(printed)
    shown_head, shown_body = split_answer(documented)
    assert set(shown_head) <= set(head)
    assert body == shown_body


def split_answer(text: str) -> tuple[list[str], list[Any]]:
    """Return the lines of a head, if there is one, and the JSON texts without what differs."""
    # A busy machine's Redis may take too long to be waited for; then the database gives the answer.
    text = text.replace("x-cache-lookup: DB", "x-cache-lookup: HIT")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    bodies = [line for line in lines if line[0] in "{["]
    return [line for line in lines if line not in bodies], [
        without_volatile(json.loads(line)) for line in bodies
    ]


def without_volatile(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            name: "…" if name in VOLATILE or is_made_of_time(name, item) else without_volatile(item)
            for name, item in value.items()
        }
    return [without_volatile(item) for item in value] if isinstance(value, list) else value


def is_made_of_time(name: str, item: Any) -> bool:
    """Whether it is an id that is a UUID; the others are counted from 1."""
    return name == "id" and isinstance(item, str)


def test_the_table_of_settings_is_that_of_the_example() -> None:
    example = (ROOT / ".env.example").read_text(encoding="utf-8")
    assert SETTING_ROW.findall(README) == SETTING.findall(example)


def test_the_table_of_commands_is_complete() -> None:
    commands = [command.name or command.callback.__name__ for command in cli.registered_commands]  # type: ignore[union-attr]  # each has a function
    groups = [group.name for group in cli.registered_groups]
    assert COMMAND_ROW.findall(README) == commands + groups


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_between_documents_resolve(path: Path) -> None:
    for link in LINK.findall(FENCE.sub("", path.read_text(encoding="utf-8"))):
        if link.startswith(("http://", "https://", "mailto:")):
            continue
        name, _, anchor = unquote(link).partition("#")
        target = (path.parent / name).resolve() if name else path
        assert target.is_relative_to(ROOT), link
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target), link


def anchors(path: Path) -> set[str]:
    """Return the names that a page gives its headings: lower case, dashes for spaces."""
    text = FENCE.sub("", path.read_text(encoding="utf-8"))
    return {
        re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        for heading in HEADING.findall(text)
    }
