"""What a run found, as files: results.json for machines, results.md and its charts for people."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from bench.charts import TEMPLATES, Chart, draw
from bench.figures import figures
from bench.numbers import cells, plural, ratio
from bench.report import Report
from bench.samples import Series, Spread
from bench.targets import ROUNDS_NEEDED, Verdict

PERCENTILES_OF_SAMPLES: Final = (50, 99)


def write(report: Report, folder: Path) -> None:
    """Write everything into a folder, which is made if it is not there."""
    charts = figures(report.results)
    files = {name: draw(chart) for name, chart in charts.items()}
    files["results.json"] = json.dumps(as_json(report), indent=2, ensure_ascii=False) + "\n"
    files["results.md"] = as_markdown(report, charts)
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")


def as_markdown(report: Report, charts: Mapping[str, Chart]) -> str:
    """Return a report as a page that shows these charts, which lie beside it."""
    return TEMPLATES.get_template("results.md").render(
        report=report,
        charts=charts,
        verdicts=report.verdicts,
        rounds_needed=ROUNDS_NEEDED,
        cells=cells,
        ratio=ratio,
        plural=plural,
    )


def as_json(report: Report) -> dict[str, Any]:
    """Return a report as JSON shows it: rates a second, latencies in ms by percentile."""
    return {
        "machine": dict(report.machine),
        "settings": {
            "rounds": report.rounds,
            "seconds": report.seconds,
            "load": report.load,
        },
        "targets": [verdict_as_json(verdict) for verdict in report.verdicts],
        "scenarios": {
            name: series_as_json(report.titles[name], series)
            for name, series in report.results.items()
        },
        "broken_rules": report.broken_rules,
        "resident_mib": {name: round(mib, 1) for name, mib in report.resident_mib.items()},
    }


def verdict_as_json(verdict: Verdict) -> dict[str, Any]:
    """Return how a target fared."""
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


def series_as_json(title: str, series: Series) -> dict[str, Any]:
    """Return what a scenario measured; of each sample no more than what targets are about."""
    return {
        "title": title,
        "rate": _spread(series.rate),
        "latencies_ms": _by_percentile(series.latencies_ms()),
        "samples": [
            {
                "rate": round(sample.rate, 2),
                "mean_ms": sample.mean_ms,
                "latencies_ms": _by_percentile(
                    {
                        percent: milliseconds
                        for percent, milliseconds in sample.latencies_ms.items()
                        if percent in PERCENTILES_OF_SAMPLES
                    }
                ),
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
