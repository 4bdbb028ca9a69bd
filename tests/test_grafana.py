"""The dashboard shows what there is: every metric and label that it names is exposed."""

import itertools
import json
import re
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.people import People
from tests.scraping import scrape

PATH = Path(__file__).parent.parent / "docs" / "grafana" / "wallet.json"
DASHBOARD: dict[str, Any] = json.loads(PATH.read_text(encoding="utf-8"))
PANELS: list[dict[str, Any]] = [item for item in DASHBOARD["panels"] if item["type"] != "row"]
EXPRESSIONS = [target["expr"] for panel in PANELS for target in panel["targets"]]
GRID_WIDTH = 24

# The parts of PromQL, as far as they are used: what follows a name tells what it is.
FUNCTIONS = {"sum", "max", "count", "rate", "histogram_quantile"}
MATCHER = re.compile(r'(\w+)\s*(?:=~|!~|!=|=)\s*"([^"]*)"')
GROUPING = re.compile(r"\bby \(([^)]*)\)")
NAME = re.compile(r"[a-z_][a-z0-9_]*")
# Prometheus adds this one itself.
OF_PROMETHEUS = {"instance"}


def metrics_of(expression: str) -> set[str]:
    """Return the metrics that an expression names."""
    without_labels = re.sub(r"\{[^}]*\}|\[[^\]]*\]", "", GROUPING.sub("", expression))
    return set(NAME.findall(without_labels)) - FUNCTIONS


def labels_of(expression: str) -> set[str]:
    """Return the labels that an expression matches or groups by."""
    matched = {name for name, _ in MATCHER.findall(expression)}
    grouped = {name.strip() for part in GROUPING.findall(expression) for name in part.split(",")}
    return (matched | grouped) - OF_PROMETHEUS


@pytest.mark.promise("metrics")
async def test_it_names_only_what_is_exposed(client: httpx.AsyncClient) -> None:
    person = await People(client).with_wallet(5)
    await person.withdraw(1)
    samples = (await scrape(client)).samples
    labels_by_name: dict[str, set[str]] = {}
    for sample in samples:
        labels_by_name.setdefault(sample.name, set()).update(sample.labels)

    for expression in EXPRESSIONS:
        named = metrics_of(expression)
        assert named, expression
        assert named <= set(labels_by_name), expression
        for name in named:
            assert labels_of(expression) <= labels_by_name[name], expression
    # What stands for exactly one value is one that occurs.
    exact = re.findall(r'(\w+)="([^"]*)"', " ".join(EXPRESSIONS))
    assert exact
    for label, value in exact:
        assert any(sample.labels.get(label) == value for sample in samples), (label, value)


async def test_every_metric_of_ours_is_shown(client: httpx.AsyncClient) -> None:
    exposed = {sample.name for sample in (await scrape(client)).samples}
    shown = set().union(*map(metrics_of, EXPRESSIONS))

    def base(name: str) -> str:
        return re.sub(r"_(bucket|sum|count)$", "", name)

    ours = {base(name) for name in exposed if name.startswith(("wallet_", "http_"))}
    assert ours == {base(name) for name in shown if name.startswith(("wallet_", "http_"))}


def test_it_has_the_rows_that_it_should() -> None:
    rows = [item["title"] for item in DASHBOARD["panels"] if item["type"] == "row"]

    assert rows == ["Traffic", "Postings", "Receipts", "Resources", "Payments"]
    assert isinstance(DASHBOARD["schemaVersion"], int)
    assert {"title", "uid", "time", "refresh", "templating"} <= set(DASHBOARD)


def test_its_data_source_is_a_variable() -> None:
    variables = {item["name"]: item for item in DASHBOARD["templating"]["list"]}

    assert variables["datasource"]["type"] == "datasource"
    assert variables["datasource"]["query"] == "prometheus"
    source = {"type": "prometheus", "uid": "${datasource}"}
    targets = [target for panel in PANELS for target in panel["targets"]]
    for item in (*PANELS, *targets, variables["instance"]):
        assert item["datasource"] == source
    for expression in EXPRESSIONS:
        used = set(re.findall(r"\$(\w+)", expression))
        assert used <= {*variables, "__rate_interval"}, expression
        assert 'instance=~"$instance"' in expression


def test_its_panels_are_told_apart_explained_and_do_not_overlap() -> None:
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert len({panel["title"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= GRID_WIDTH
        cells = set(
            itertools.product(
                range(place["x"], place["x"] + place["w"]),
                range(place["y"], place["y"] + place["h"]),
            )
        )
        assert not cells & taken, panel["title"]
        taken |= cells
    for panel in PANELS:
        assert panel["type"] in {"timeseries", "stat"}
        assert panel["description"]
        assert panel["fieldConfig"]["defaults"]["unit"]
        assert [target["refId"] for target in panel["targets"]]
        assert all(target["legendFormat"] for target in panel["targets"])
