"""Reading `/metrics` as Prometheus does."""

import asyncio
from collections.abc import Iterator

import httpx
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample


class Scrape:
    """What one scrape found."""

    def __init__(self, text: str):
        families = text_string_to_metric_families(text)
        self.samples: list[Sample] = [sample for family in families for sample in family.samples]

    def value(self, name: str, **labels: str) -> float | None:
        """Return the sum of the samples that have these labels, None if there are none."""
        found = list(self._with(name, labels))
        return sum(found) if found else None

    def labels(self, name: str, label: str) -> set[str]:
        """Return the values that a label has."""
        return {sample.labels[label] for sample in self.samples if sample.name == name}

    def _with(self, name: str, labels: dict[str, str]) -> Iterator[float]:
        for sample in self.samples:
            if sample.name == name and labels.items() <= sample.labels.items():
                yield sample.value


async def scrape(client: httpx.AsyncClient) -> Scrape:
    """Ask for the metrics, as anybody."""
    # A request is counted when it is over, a moment after its last byte was sent.
    await asyncio.sleep(0.2)
    response = await client.get("/metrics")
    assert response.status_code == 200, response.text
    assert response.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    return Scrape(response.text)
