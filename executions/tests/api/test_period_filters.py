"""Filters by start and end, over HTTP, of runs that were created long before or after that."""

from datetime import timedelta
from itertools import product
from typing import Any

import pytest

from executions import limits
from executions.models import WorkflowExecution
from executions.tests.api.list_requests import DAY, RUNS, at, follow_pages, found
from executions.tests.factories import WorkflowExecutionFactory
from workflows.models import Workflow

# Creation of each run, in hours from its start. It runs for 30 minutes, but for the last one.
CREATED = {
    "imported": 900, "clock behind": 0.1, "usual": 0, "waited": -20, "waited for days": -90, "ran for days": 0,
}  # fmt: skip
START = {name: DAY + timedelta(minutes=5 * place) for place, name in enumerate(CREATED)}


@pytest.fixture(autouse=True, params=[0, limits.FEW_STARTS])
def way(request: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Find by the creation what starts within a period, then by the index of the starts."""
    monkeypatch.setattr(limits, "FEW_STARTS", request.param)


@pytest.fixture
def runs(workflow: Workflow) -> dict[str, str]:
    """Return the ids of runs by name. Others were never started, and one was cancelled before it could."""
    rows = {}
    for name, hours in CREATED.items():
        end = timedelta(days=40) if name == "ran for days" else timedelta(minutes=30)
        times = {"started_at": START[name], "ended_at": START[name] + end, "status": "completed"}
        rows[name] = at(
            WorkflowExecutionFactory(workflow=workflow), created_at=START[name] + timedelta(hours=hours), **times
        )
    at(WorkflowExecutionFactory(workflow=workflow), created_at=DAY)
    at(
        WorkflowExecutionFactory(workflow=workflow),
        created_at=DAY,
        status="cancelled",
        ended_at=DAY - timedelta(hours=1),
    )
    return {name: str(row.pk) for name, row in rows.items()}


def test_a_period_finds_each_run_whenever_it_was_created(api: Any, owner: Any, runs: dict[str, str]) -> None:
    client = api(owner)
    for (name, start), end in product(START.items(), ("started", "ended")):
        row = WorkflowExecution.objects.get(pk=runs[name])
        moment = row.started_at if end == "started" else row.ended_at
        assert moment is not None
        period = {f"{end}_after": moment.isoformat(), f"{end}_before": (moment + timedelta(seconds=1)).isoformat()}
        assert found(client, period) == {runs[name]}, (name, end, start)


def test_runs_of_a_period_are_listed_by_their_creation(api: Any, owner: Any, runs: dict[str, str]) -> None:
    period = f"started_after={DAY:%Y-%m-%d}&started_before={DAY + timedelta(days=1):%Y-%m-%d}"
    newest = sorted(runs, key=lambda name: START[name] + timedelta(hours=CREATED[name]), reverse=True)
    for size, ordering in product((1, 2, 500), ("-created", "created")):
        rows = follow_pages(api(owner), f"{RUNS}?{period}&page_size={size}&ordering={ordering}")
        expected = newest if ordering == "-created" else newest[::-1]
        assert [row["id"] for row in rows] == [runs[name] for name in expected]


@pytest.mark.parametrize("query", ["started_before=9999-12-31", "ended_before=9999-12-31", "started_after=1970-01-01"])
def test_the_first_and_the_last_time_bound_nothing(api: Any, owner: Any, runs: dict[str, str], query: str) -> None:
    assert found(api(owner), query) >= set(runs.values())
