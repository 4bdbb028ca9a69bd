"""Every promise has a test that names it, and every named promise exists."""

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
ROW = re.compile(r"^\| ([A-Za-z0-9-]+) \| ", re.MULTILINE)
MARK = re.compile(r"pytest\.mark\.promise\(([^)]*)\)")
NAME = re.compile(r'"([^"]+)"')


def test_every_promise_has_a_test_and_every_tested_promise_exists() -> None:
    document = (ROOT / "docs" / "promises.md").read_text(encoding="utf-8")
    promised = set(ROW.findall(document)) - {"id"}
    tested: set[str] = set()
    for path in (ROOT / "tests").rglob("test_*.py"):
        for arguments in MARK.findall(path.read_text(encoding="utf-8")):
            tested.update(NAME.findall(arguments))
    tested.discard("…")

    assert promised
    assert promised - tested == set(), "promised, but no test names it"
    assert tested - promised == set(), "tested, but docs/promises.md does not promise it"
