"""The rules of the house, checked on the source itself: who imports whom, who writes, how long."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROOMS = (
    "bench",
    "core",
    "db",
    "dependencies",
    "devtools",
    "integrations",
    "middleware",
    "operations",
    "routers",
    "schemas",
)
TOP = ("main", "workers", "cli", "config")

# What each room may import of the others. `config` knows `core.money` for the currency's check.
MAY_IMPORT: dict[str, set[str]] = {
    "db": set(),
    "core": {"db"},
    "config": {"core", "db"},
    "schemas": {"core", "db"},
    "integrations": {"core", "db"},
    "middleware": {"core", "db", "schemas", "integrations"},
    "dependencies": {"core", "db", "schemas", "integrations", "middleware"},
    "routers": {"core", "db", "schemas", "dependencies", "middleware"},
    "main": {
        "config",
        "core",
        "db",
        "routers",
        "schemas",
        "dependencies",
        "middleware",
        "integrations",
        "operations",
    },
    "workers": {"config", "core", "db", "integrations", "operations"},
    "operations": {"config", "core", "db", "schemas", "integrations", "workers"},
    "cli": {"config", "operations", "bench"},
    # Stand-ins for what is not ours know nothing of the wallet, and it nothing of them.
    "devtools": set(),
    # Nobody but the command may use it: it needs the packages of the tests, and their servers.
    "bench": {
        "config",
        "core",
        "db",
        "schemas",
        "integrations",
        "middleware",
        "dependencies",
        "routers",
        "operations",
        "main",
    },
}

FILE_LINES_LIMIT = 300
# Tests and migrations are told plainly, one thing after another, which takes more room.
ANY_FILE_LINES_LIMIT = 500
FUNCTION_LINES_LIMIT = 40
# What the wallet is measured against does on purpose what the house does not.
YARDSTICKS = ROOT / "bench" / "yardsticks"
# What fills a ledger for measuring, thousands of transfers in one statement.
FILLING = "bench/growth/statements.py"
LEDGER_TABLES = ("wallets", "credit_holders", "transactions", "entries", "idempotency_keys")


def sources() -> list[Path]:
    files = [ROOT / f"{name}.py" for name in TOP]
    for room in ROOMS:
        files += sorted((ROOT / room).rglob("*.py"))
    return files


def sources_of_the_house() -> list[Path]:
    return [path for path in sources() if not path.is_relative_to(YARDSTICKS)]


def room_of(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imported_rooms(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.split(".")[0]


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", sources(), ids=named)
def test_imports_point_one_way(path: Path) -> None:
    room = room_of(path)
    ours = {*ROOMS, *TOP} - {room}
    assert set(imported_rooms(path)) & ours <= MAY_IMPORT[room]


@pytest.mark.parametrize("path", sources_of_the_house(), ids=named)
def test_only_the_boundary_commits(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    commits = re.findall(r"\.(?:commit|rollback|begin)\(|\"(?:BEGIN|COMMIT)\b", text)
    boundary = {"db/session.py", "db/batches.py", "db/lean.py"}
    assert not commits or named(path) in boundary | {"integrations/otlp.py"}
    # Everybody else is handed connections.
    lean = re.findall(r"\bdb\.lean import (.+)", text)
    assert set(lean) <= {"LeanConnection"} or named(path) in boundary


@pytest.mark.parametrize("path", sources_of_the_house(), ids=named)
def test_only_the_ledger_writes_money(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    tables = "|".join(LEDGER_TABLES)
    models = "Wallet|CreditHolder|Transaction|Entry|IdempotencyKey"
    writes = re.findall(
        rf"(?:insert|update|delete)\((?:Tables\.(?:{tables})|(?:{models}))\b"
        rf"|\b(?:INSERT INTO|UPDATE|DELETE FROM) (?:{tables})\b"
        rf"|session\.add\((?:{models})\(",
        text,
    )
    # What writes any table, many rows at a time, is for the ledger alone as well.
    bulk = {"core/records.py": ["Row, Step, Work"], "core/ledger.py": ["write"]}
    assert re.findall(r"\bdb\.bulk import (.+)", text) == bulk.get(named(path), [])
    if named(path) == "core/wallets.py":
        # Freezing is an operator's act on a wallet, not on its balance.
        assert writes == ["update(Wallet"]
        assert "balance_minor=" not in text
        return
    assert not writes or named(path) in {"core/ledger.py", FILLING}


@pytest.mark.parametrize(
    "path", sorted([*(ROOT / "tests").rglob("*.py"), *(ROOT / "alembic").rglob("*.py")]), ids=named
)
def test_no_file_is_long(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= ANY_FILE_LINES_LIMIT


@pytest.mark.parametrize("path", sources(), ids=named)
def test_files_and_functions_are_short(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= FILE_LINES_LIMIT
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            length = (node.end_lineno or 0) - node.lineno + 1
            assert length <= FUNCTION_LINES_LIMIT, f"{node.name} has {length} lines"


def test_handlers_are_at_most_fifteen_lines() -> None:
    for path in (ROOT / "routers").glob("*.py"):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.AsyncFunctionDef) and node.decorator_list:
                body = (node.end_lineno or 0) - node.body[0].lineno + 1
                assert body <= 15, f"{named(path)}: {node.name} has {body} lines"


def test_core_knows_neither_http_nor_redis_nor_a_provider() -> None:
    foreign = {"fastapi", "starlette", "redis", "httpx", "dramatiq", "brevo"}
    foreign |= {"prometheus_client", "opentelemetry"}
    for path in (ROOT / "core").glob("*.py"):
        assert not set(imported_rooms(path)) & foreign, named(path)
