"""`wallet bench memory`: how much memory an API process holds after a great many transfers."""

import itertools
import json
import random
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import psutil
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

from bench.load import Load, Sent
from bench.machine import describe
from bench.outcome import Findings, attempt, ending_on_sigterm, keep
from bench.proof import Books, disproof
from bench.stand import PEOPLE, Stand
from bench.traffic import Pattern, transfers
from bench.wrk import choose_load
from tests.processes import ApiProcess

LEDGER: Final = "postgresql"
CONNECTIONS: Final = 64
WHOLE: Final = 1_000_000
# So long transfers are made between two looks at the process.
LOOK_SECONDS: Final = 4.0
SHOWN: Final = (0.0, 0.1, 0.5, 1.0)
MIB_AT_MOST: Final = 150
# From a tenth of the transfers to the end: what was cached is cached by then.
GROWTH_AT_MOST: Final = 1.05


@dataclass(frozen=True, slots=True)
class Look:
    """How much memory the process held after so many transfers."""

    transfers: int
    mib: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """What a run found. `wrong` says why it does not count, and is empty if it does."""

    machine: Mapping[str, str]
    load: str
    looks: Sequence[Look]
    wrong: str

    def after(self, share: float) -> Look:
        """Return the first look after this share of all transfers."""
        last = self.looks[-1]
        return next(look for look in self.looks if look.transfers >= share * last.transfers)

    @property
    def growth(self) -> float:
        """How many times the memory after a tenth is that at the end."""
        return self.looks[-1].mib / self.after(0.1).mib

    def targets(self) -> dict[str, tuple[float, float]]:
        """Return what is held against what: each value and the most it may be."""
        return {
            "MiB at the end": (self.looks[-1].mib, MIB_AT_MOST),
            "the same, against after a tenth": (self.growth, GROWTH_AT_MOST),
        }


def memory(*, wanted: int, minutes: float, output: Path | None, people: int = PEOPLE) -> int:
    """Measure and report. Returns 0, 1 if it was wrong, 2 if it cannot be done here."""
    console = Console(highlight=False, emoji=False)

    def measure() -> int:
        with ending_on_sigterm(), Stand(people=people) as stand:
            found = _measure(stand, wanted, minutes * 60, console)
        show(found, console)
        is_whole = found.looks[-1].transfers >= WHOLE
        kept = Findings(bool(found.wrong), lambda folder: write(found, folder))
        return keep(kept, output, is_whole=is_whole, console=console)

    return attempt(measure)


def show(found: Memory, console: Console) -> None:
    """Print what was found."""
    table = Table(title="Memory of an API process (RSS)")
    table.add_column("After transfers", justify="right")
    table.add_column("MiB", justify="right")
    for share in SHOWN:
        look = found.after(share)
        table.add_row(f"{look.transfers:,}", f"{look.mib:.1f}")
    console.print(table)
    for what, (value, most) in found.targets().items():
        word = "[green]met[/]" if value <= most else "[bold red]MISSED[/]"
        console.print(f"{what}: {value:.4g}, at most {most:g}: {word}")
    if found.wrong:
        console.print(f"[bold red]WRONG[/] {found.wrong}", soft_wrap=True)


def write(found: Memory, folder: Path) -> None:
    """Write memory.json into a folder, which is made if it is not there."""
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(as_json(found), indent=2, ensure_ascii=False)
    (folder / "memory.json").write_text(f"{text}\n", encoding="utf-8")


def as_json(found: Memory) -> dict[str, Any]:
    """Return it as JSON shows it."""
    return {
        "machine": dict(found.machine),
        "settings": {"connections": CONNECTIONS, "load": found.load},
        "targets": [
            {"what": what, "measured": round(value, 4), "at_most": most, "met": value <= most}
            for what, (value, most) in found.targets().items()
        ],
        "resident_mib": [asdict(look) for look in found.looks],
    }


def _measure(stand: Stand, wanted: int, limit_seconds: float, console: Console) -> Memory:
    """Make transfers until there are as many as wanted, or the time is over."""
    machine = describe(stand)
    ledger = stand.ledger(LEDGER)
    process = stand.api(ledger)
    seconds = LOOK_SECONDS if wanted >= WHOLE / 10 else LOOK_SECONDS / 4
    load = choose_load(seconds, stand.folder)
    books = Books(ledger.options)
    mark = books.mark()
    looks = [_look(process, 0)]
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn())
    remaining, hidden = TimeRemainingColumn(), not console.is_terminal
    sent = Sent(answered=0, failures={}, seconds=0, latencies_ms={})
    wrong = ""
    with Progress(*columns, remaining, console=console, disable=hidden) as progress:
        task = progress.add_task("making transfers", total=wanted)
        deadline = time.monotonic() + limit_seconds
        for sent in _play(load, process, stand, seconds):
            looks.append(_look(process, looks[-1].transfers + sent.answered))
            progress.update(task, completed=looks[-1].transfers)
            if sent.failures or looks[-1].transfers >= wanted or time.monotonic() > deadline:
                break
    written = books.count_since(mark)
    everything = Sent(
        answered=looks[-1].transfers,
        failures=sent.failures,
        seconds=sent.seconds,
        latencies_ms={},
        unheard=sent.unheard * (len(looks) - 1),
    )
    wrong = disproof(everything, written=written, each_writes=True)
    return Memory(machine=machine, load=load.name, looks=looks, wrong=wrong)


def _play(load: Load, process: ApiProcess, stand: Stand, seconds: float) -> Iterator[Sent]:
    """Send transfers, for so many seconds at a time, without end."""
    people = stand.ledger(LEDGER).people
    for seed in itertools.count():
        deck = transfers(people, Pattern.UNIFORM, random.Random(seed))
        yield load.play([process.url], deck, connections=CONNECTIONS, seconds=seconds)


def _look(process: ApiProcess, transfers_made: int) -> Look:
    resident = psutil.Process(process.pid).memory_info().rss
    return Look(transfers_made, round(resident / 2**20, 1))
