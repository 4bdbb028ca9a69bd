"""What a run found, for machines: results.json."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench.report import Report
from bench.samples import Series, Spread
from bench.targets import Verdict


def write(report: Report, folder: Path) -> None:
    """Write results.json into a folder, which is made if it is not there."""
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(as_json(report), indent=2, ensure_ascii=False)
    (folder / "results.json").write_text(f"{text}\n", encoding="utf-8")


def as_json(report: Report) -> dict[str, Any]:
    """Return a report as JSON shows it: rates a second, latencies in ms by percentile."""
    return {
        "machine": dict(report.machine),
        "settings": {
            "rounds": report.rounds,
            "seconds": report.seconds,
            "load": report.load,
        },
        "targets": [_verdict(verdict) for verdict in report.verdicts],
        "scenarios": {
            name: _series(report.titles[name], series) for name, series in report.results.items()
        },
        "broken_rules": report.broken_rules,
        "resident_mib": {name: round(mib, 1) for name, mib in report.resident_mib.items()},
        "wrong": list(report.wrongs()),
    }


def _verdict(verdict: Verdict) -> dict[str, Any]:
    target = verdict.target
    return {
        "promise": target.promise,
        "measured": _spread(verdict.spread),
        "at_least": target.at_least,
        "at_most": target.at_most,
        "aim": target.aim,
        "unit": target.unit,
        "verdict": verdict.word,
    }


def _series(title: str, series: Series) -> dict[str, Any]:
    return {
        "title": title,
        "rate": _spread(series.rate),
        "latencies_ms": _by_percentile(series.latencies_ms()),
        "wrong": series.wrong,
        "samples": [
            {
                "rate": round(sample.rate, 2),
                "mean_ms": sample.mean_ms,
                "latencies_ms": _by_percentile(dict(sample.latencies_ms)),
            }
            for sample in series.samples
        ],
    }


def _spread(spread: Spread | None) -> dict[str, float] | None:
    if spread is None:
        return None
    return {name: round(value, 4) for name, value in asdict(spread).items()}


def _by_percentile(latencies_ms: dict[float, float]) -> dict[str, float]:
    return {f"{percent:g}": round(value, 4) for percent, value in latencies_ms.items()}
