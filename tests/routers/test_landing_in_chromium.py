"""The page at `/` as a real browser loads it: no complaint, and no request to another host."""

import asyncio
import json
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from tests.conftest import migrate, sqlite_url
from tests.markup import Markup
from tests.processes import ApiProcess
from tests.races import environment_for

CHROMIUM: Final = shutil.which("chromium") or shutil.which("chromium-browser")
SECONDS_AT_MOST: Final = 60

pytestmark = [
    pytest.mark.promise("landing"),
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium, which is not installed"),
]

BAD_PAGE: Final = """\
<!doctype html><title>bad</title>
<meta http-equiv="Content-Security-Policy" content="style-src 'none'">
<p style="color: red">text</p><img src="http://elsewhere.test/picture.png">
<script>console.error("seen")</script>
"""


@dataclass(frozen=True, slots=True)
class Visit:
    """What a browser made of a page: the page as it stood in the end, what the browser printed to
    its console, and every address that was requested for the page.
    """

    page: str
    complaints: list[str]
    requested: list[str]


async def test_the_page_loads_its_own_files_once_and_no_others(
    redis_url: str, tmp_path: Path
) -> None:
    database_url = sqlite_url(tmp_path)
    await migrate(database_url)
    environment = environment_for(database_url, redis_url)
    with ApiProcess(environment, log_path=tmp_path / "api.log") as api:
        seen = await visit(f"{api.url}/", tmp_path)

    assert seen.complaints == []
    page = Markup.of(seen.page)
    assert len(page.by_class("call")) >= 10
    style, icon = (
        api.url + link.attributes["href"]
        for kind in ("stylesheet", "icon")
        for link in page.all("link")
        if link.attributes["rel"] == kind
    )
    # A browser without a window may end before it has looked for the icon.
    assert sorted({*seen.requested, icon}) == sorted([f"{api.url}/", style, icon])
    assert len(seen.requested) == len(set(seen.requested))


async def test_what_a_bad_page_does_would_be_seen(tmp_path: Path) -> None:
    bad = tmp_path / "bad.html"
    bad.write_text(BAD_PAGE, encoding="utf-8")

    seen = await visit(bad.as_uri(), tmp_path)

    assert len(seen.complaints) == 2
    assert "Content Security Policy" in seen.complaints[0]
    assert "seen" in seen.complaints[1]
    assert seen.requested == ["http://elsewhere.test/picture.png"]


async def visit(url: str, folder: Path) -> Visit:
    """Open a page in a browser that knows no host but this one."""
    assert CHROMIUM is not None
    network_log = folder / "network.json"
    options = [
        "--headless",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
        f"--user-data-dir={folder / 'profile'}",
        f"--log-net-log={network_log}",
        "--enable-logging=stderr",
        "--virtual-time-budget=3000",
        "--dump-dom",
    ]
    if os.geteuid() == 0:
        # Its sandbox refuses to be started by root.
        options.append("--no-sandbox")
    process = await asyncio.create_subprocess_exec(
        CHROMIUM, *options, url, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    try:
        page, printed = await asyncio.wait_for(process.communicate(), SECONDS_AT_MOST)
    except TimeoutError:
        process.kill()
        await process.wait()
        raise
    assert process.returncode == 0, printed.decode(errors="replace")[-4000:]
    complaints = re.findall(r"CONSOLE[:(]\d+\)?\] (.*)", printed.decode(errors="replace"))
    return Visit(page.decode(), complaints, requests_of_the_page(network_log, url))


def requests_of_the_page(network_log: Path, url: str) -> list[str]:
    """Return what was requested for the page, not by the browser for itself."""
    log = json.loads(network_log.read_text(encoding="utf-8"))
    started = log["constants"]["logEventTypes"]["URL_REQUEST_START_JOB"]
    found = [
        event["params"]
        for event in log["events"]
        if event["type"] == started and "url" in event.get("params", {})
    ]
    return [
        item["url"]
        for item in found
        if item["url"] == url or item.get("initiator") != "not an origin"
    ]
