"""wrk as the load generator: a program in C, which leaves the cores to what is measured."""

import json
import random
import shutil
import subprocess
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from bench.load import PERCENTILES, LeanLoad, Load, Sent
from bench.traffic import Deck

SCRIPT: Final = Path(__file__).with_suffix(".lua")
TIMEOUT_SECONDS: Final = 10
ERRORS: Final = ("status", "connect", "read", "write", "timeout")


class WrkError(Exception):
    """wrk did not do its work. The text is a sentence for whoever measures."""


class Wrk:
    """wrk, one thread of it for each URL.

    It stops in the middle: each connection may leave a request behind that was sent and not
    answered yet.
    """

    name = "wrk"

    def __init__(self, program: str, folder: Path):
        self._program = program
        self._deck_path = folder / "deck"
        self._script_path = folder / "wrk.lua"
        percents = " ".join(f"{percent:g}" for percent in PERCENTILES)
        script = SCRIPT.read_text(encoding="utf-8")
        self._script_path.write_text(f'PERCENTILES = "{percents}"\n{script}', encoding="utf-8")

    def play(self, urls: Sequence[str], deck: Deck, *, connections: int, seconds: float) -> Sent:
        """Send the requests of a deck, round and round, over connections spread over `urls`.

        Raises WrkError when wrk fails.
        """
        deck.write(self._deck_path)
        running: list[subprocess.Popen[str]] = []
        try:
            for url in urls:
                command = self._command(url, connections // len(urls), round(seconds))
                running.append(
                    subprocess.Popen(
                        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
                    )
                )
            outputs = [process.communicate(timeout=seconds + 30)[0] for process in running]
        finally:
            for process in running:
                process.kill()
                process.wait()
        return combine([parse(output) for output in outputs], unheard=connections)

    def _command(self, url: str, connections: int, seconds: int) -> list[str]:
        return [
            self._program,
            *("--threads", "1", "--connections", str(connections), "--duration", f"{seconds}s"),
            *("--timeout", f"{TIMEOUT_SECONDS}s", "--script", str(self._script_path), url),
            *("--", str(self._deck_path), str(random.getrandbits(48))),
        ]


def choose_load(seconds: float, folder: Path) -> Load:
    """Return wrk if it is there and can do it (it knows whole seconds only), else our own."""
    program = shutil.which("wrk")
    return Wrk(program, folder) if program and seconds == int(seconds) else LeanLoad()


def parse(output: str) -> Sent:
    """Read what the script printed. Raises WrkError when it printed nothing."""
    lines = [line for line in output.splitlines() if line.startswith("{")]
    if not lines:
        raise WrkError(f"wrk reported nothing; it said: {output.strip()}")
    report: dict[str, Any] = json.loads(lines[-1])
    return Sent(
        answered=report["requests"] - report["status"],
        failures={name: report[name] for name in ERRORS if report[name]},
        seconds=report["microseconds"] / 1e6,
        latencies_ms={float(name): value for name, value in report["latencies_ms"].items()},
    )


def combine(parts: Sequence[Sent], *, unheard: int) -> Sent:
    """Add up what ran at the same time; of percentiles, which do not add up, take the worse."""
    failures: Counter[str] = Counter()
    for part in parts:
        failures.update(part.failures)
    return Sent(
        answered=sum(part.answered for part in parts),
        failures=failures,
        seconds=max(part.seconds for part in parts),
        latencies_ms={
            percent: max(part.latencies_ms[percent] for part in parts)
            for percent in parts[0].latencies_ms
        },
        unheard=unheard,
    )
