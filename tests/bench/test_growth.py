"""`wallet bench grow` and `wallet bench memory`: in their smallest forms, and what they count."""

import asyncio
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from bench.growth.comparing import GROWN, POSTING, SMALL, series_name
from bench.growth.filling import Filling, settle
from bench.growth.ledgers import GROWING, copied, sizes
from bench.growth.memory import Look, Memory
from bench.growth.questions import LONG_PAGE, SHORT_PAGE, Question, ask_all
from bench.growth.report import TARGETS, Growth, Step, as_json, chart, show
from bench.growth.run import Plan
from bench.people import make_people
from bench.samples import Results, Sample, Series
from bench.stand import Ledger
from core.history import read_history
from core.verification import verify_rules
from db.session import Database, DatabaseOptions
from db.urls import async_database_url
from operations.children import ROOT
from schemas.transactions import HistoryQuery
from tests.conftest import create_postgres_database, migrate, sqlite_url
from tests.processes import SECRET_KEY

PEOPLE = 11
ENTRIES = 4000
MEASURED = """if True:
    import sys
    from pathlib import Path
    from bench.growth.memory import memory
    from bench.growth.run import Plan, grow
    folder = Path(sys.argv[1])
    plan = Plan(entries=1000, smallest=1000, wallets=8, rounds=1, seconds=0.05)
    sys.exit(grow(plan, folder) or memory(wanted=500, minutes=1, people=8, output=folder))
"""


def test_each_size_is_ten_times_the_one_before() -> None:
    assert Plan(entries=10_000).steps() == [10_000]
    assert Plan(entries=50_000).steps() == [10_000, 50_000]
    assert Plan(entries=1_000_000).steps() == [10_000, 100_000, 1_000_000]


def test_the_smallest_run(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", MEASURED, str(tmp_path)],
        cwd=ROOT,
        env=os.environ | {"COLUMNS": "100"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert ended.returncode == 0, ended.stdout + ended.stderr
    growth = json.loads((tmp_path / "growth.json").read_text(encoding="utf-8"))
    [step] = growth["steps"]
    assert step["broken_rules"] == []
    assert set(step["bytes_of_a_transfer"]) == set(GROWING)
    words = {name: target["verdict"] for name, target in step["targets"].items()}
    assert words[f"hot-{LONG_PAGE}-newest"] == "not measured"
    assert {words["ledger"], words[POSTING], words[f"ordinary-{LONG_PAGE}-halfway"]} <= {
        "met",
        "MISSED",
    }
    assert "<svg" in (tmp_path / "growth.svg").read_text(encoding="utf-8")
    page = (tmp_path / "growth.md").read_text(encoding="utf-8")
    for name, word in words.items():
        assert f"| {TARGETS[name].promise} |" in page
        assert f"| {word} |" in page
    looks = json.loads((tmp_path / "memory.json").read_text(encoding="utf-8"))["resident_mib"]
    assert looks[0]["transfers"] == 0
    assert looks[-1]["transfers"] >= 500
    assert all(50 < look["mib"] < 500 for look in looks)


@pytest.fixture
async def filled(engine_name: str, tmp_path: Path, request: pytest.FixtureRequest) -> Ledger:
    """A small ledger, filled."""
    if engine_name == "sqlite":
        url = sqlite_url(tmp_path)
    else:
        url = await create_postgres_database(request.getfixturevalue("postgres_url"))
    await migrate(url)
    options = DatabaseOptions(url=async_database_url(url))
    database = Database(options)
    people = await make_people(database, count=PEOPLE, secret_key=SECRET_KEY)
    await (await Filling.of(database)).fill_to(ENTRIES, database, lambda _: None)
    await settle(database)
    await database.close()
    return Ledger(
        name=f"growth-{tmp_path.name}",
        options=options,
        environment={"DATABASE_URL": url},
        mail_folder=tmp_path,
        people=people,
    )


async def test_a_copy_grows_and_its_original_does_not(filled: Ledger, tmp_path: Path) -> None:
    def fill_a_copy() -> tuple[list[str], dict[str, int], dict[str, int]]:
        with copied(filled, tmp_path) as copy:
            broken = asyncio.run(fill(copy))
            return broken, asyncio.run(bytes_of(copy)), asyncio.run(bytes_of(filled))

    async def fill(ledger: Ledger) -> list[str]:
        database = Database(ledger.options)
        filling = Filling(people=PEOPLE, entries=ENTRIES)
        await filling.fill_to(2 * ENTRIES, database, lambda _: None)
        await settle(database)
        broken = [result.rule.name async for result in verify_rules(database) if not result.holds]
        await database.close()
        return broken

    broken, grown, original = await asyncio.to_thread(fill_a_copy)
    assert broken == []
    assert set(grown) == set(GROWING)
    assert all(grown[name] > 1.5 * original[name] > 0 for name in GROWING)


async def bytes_of(ledger: Ledger) -> dict[str, int]:
    database = Database(ledger.options)
    try:
        return {name: size.table + size.indexes for name, size in (await sizes(database)).items()}
    finally:
        await database.close()


async def test_questions_name_full_pages_as_far_down_as_they_say(filled: Ledger) -> None:
    database = Database(filled.options)
    asked = await ask_all(database, filled.people)

    async def ids_of(question: Question) -> list[int]:
        pairs = dict(pair.split("=") for pair in question.path.partition("?")[2].split("&"))
        async with database.lean_turn() as connection:
            page = HistoryQuery.model_validate(pairs).page()
            items, _ = await read_history(connection, question.person.user_id, page)
        return [item.id for item in items]

    newest = await ids_of(asked[f"hot-{LONG_PAGE}-newest"][0])
    halfway = await ids_of(asked[f"hot-{LONG_PAGE}-halfway"][0])
    oldest = await ids_of(asked[f"hot-{LONG_PAGE}-oldest"][0])
    assert len(newest) == len(halfway) == len(oldest) == LONG_PAGE
    assert newest[-1] > halfway[0] > halfway[-1] > oldest[0]
    # Everybody's first transaction opened their wallet.
    assert oldest[-1] <= PEOPLE
    assert len(asked[f"ordinary-{SHORT_PAGE}-newest"]) == PEOPLE - 1
    assert len(await ids_of(asked["hot-deposits"][0])) == 1
    assert len(await ids_of(asked["ordinary-until"][0])) == SHORT_PAGE
    assert len(await ids_of(asked["hot-until"][0])) == SHORT_PAGE
    assert await ids_of(asked["hot-since"][0]) == []
    await database.close()


def step_of(entries: int, *, reading: float, posting: float) -> Step:
    """A step at which reading and posting have these ratios."""
    results: Results = {
        series_name("ledger", SMALL): Series((Sample(latencies_ms={50: 2.0}),)),
        series_name("ledger", GROWN): Series((Sample(latencies_ms={50: 2.0 * reading}),)),
        series_name(POSTING, SMALL): Series((Sample(rate=1000.0),)),
        series_name(POSTING, GROWN): Series((Sample(rate=1000.0 * posting),)),
    }
    return Step(
        entries=entries, results=results, transfer_bytes={}, broken_rules=[], fill_seconds=1
    )


def growth_of(*steps: Step) -> Growth:
    return Growth(
        engine="postgresql", machine={}, rounds=5, seconds=4, load="none", steps=list(steps)
    )


def test_verdicts_and_the_chart_go_by_the_ratios() -> None:
    good, bad = (
        step_of(10_000, reading=1.4, posting=0.85),
        step_of(100_000, reading=1.6, posting=0.5),
    )
    assert (good.word("ledger"), good.word(POSTING)) == ("met", "met")
    assert (bad.word("ledger"), bad.word(POSTING)) == ("MISSED", "MISSED")
    assert bad.word("balance") == "not measured"

    lines = dict(chart(growth_of(good, bad)).lines)
    posted = [spread.median for spread in lines["A posted transfer"] if spread]
    assert posted == [pytest.approx(1 / 0.85), pytest.approx(2)]
    # No JSON parser but Python's would take an infinity.
    json.dumps(as_json(growth_of(good, bad)), allow_nan=False)


def test_what_is_wrong_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    wrong = Series((Sample(wrong="It lied."),))
    right = step_of(10_000, reading=1, posting=1)
    lies = {series_name(name, GROWN): wrong for name in (POSTING, "ledger")}
    lied = replace(right, results={**right.results, **lies}, broken_rules=["paired"])
    found = growth_of(lied)

    assert list(found.wrongs()) == [
        "ledger.grown at 10,000 entries: It lied.",
        "posting.grown at 10,000 entries: It lied.",
        "The ledger of 10,000 entries breaks rules of money: paired",
    ]
    show(found, Console(width=200))
    shown = capsys.readouterr().out
    assert shown.count("WRONG") == 5
    assert "rules of money hold" not in shown


def test_a_ledger_too_large_to_prove_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    step = replace(step_of(10_000, reading=1, posting=1), broken_rules=None)
    show(growth_of(step), Console(width=200))
    assert "Not proven in time: the rules of money at 10,000" in capsys.readouterr().out


def test_memory_is_compared_from_a_tenth_on() -> None:
    looks = [Look(0, 90), Look(120, 100), Look(500, 110), Look(1000, 120)]
    found = Memory(machine={}, load="none", looks=looks, wrong="")
    assert found.after(0.1) == Look(120, 100)
    assert found.growth == pytest.approx(1.2)
