"""Requests to the lists of the API, and the ids in their responses."""

from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

RUNS = "/api/v1/executions/"

NODES = "/api/v1/node-executions/"

LOGS = "/api/v1/logs/"

DAY = datetime(2026, 3, 1, tzinfo=UTC)


def at(run: Any, **columns: Any) -> Any:
    type(run).objects.filter(pk=run.pk).update(**columns)
    return run


def ids(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.json()
    return [row["id"] for row in answer.json()["results"]]


def found(client: Any, query: Any, url: str = RUNS) -> set[str]:
    return set(ids(client.get(url, query) if isinstance(query, dict) else client.get(f"{url}?{query}")))


def first_row(client: Any, url: str) -> dict[str, Any]:
    found: dict[str, Any] = client.get(url).json()
    return found["results"][0] if "results" in found else found


def pointers_of(answer: Any) -> list[str]:
    assert answer.status_code == 400, answer.json()
    assert answer["Content-Type"] == "application/problem+json"
    return [error["pointer"] for error in answer.json()["errors"]]


def follow_pages(client: Any, url: str | None) -> list[Any]:
    """Return all rows by following `next`; check that `previous` shows the same."""
    rows: list[Any] = []
    pages = []
    while url:
        page = client.get(url).json()
        pages.append(page)
        rows += page["results"]
        url = page["next"]
    for before, page in pairwise(pages):
        assert client.get(page["previous"]).json()["results"] == before["results"]
    return rows
