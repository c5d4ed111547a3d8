"""Lists of log lines, over HTTP."""

from typing import Any

import pytest

from executions.tests.api.list_requests import DAY, LOGS, RUNS, follow_pages, found, ids, pointers_of
from executions.tests.factories import (
    ExecutionLogFactory,
)
from ledgerkit.db.models import uuid7

# --- Lines ---------------------------------------------------------------------
LINES_FOUND: dict[str, list[int]] = {
    "": [0, 1, 2, 3],
    "ordering=-timestamp": [3, 2, 1, 0],
    "level=warning": [2],
    "level=debug,error": [0, 3],
    "level_min=warning": [2, 3],
    "level_min=info&level=debug,error": [3],
    "q=three": [2],
    "q=100%25": [1],
    "q=%25": [1],
    "after=2026-03-01T00:01:00Z&before=2026-03-01T00:03:00Z": [1, 2],
    "node={node}": [1],
    "node={execution}": [1],
    "node={nothing}": [],
}


def test_the_lines_of_a_run_are_found_by_each_filter(api: Any, owner: Any, lines: Any) -> None:
    client, node, url = api(owner), lines[1].node_execution, f"{RUNS}{lines[0].workflow_execution_id}/logs/"
    names = {"node": node.node_id, "execution": node.pk, "nothing": uuid7()}
    assert {query: ids(client.get(f"{url}?{query.format(**names)}")) for query in LINES_FOUND} == {
        query: [str(lines[place].pk) for place in places] for query, places in LINES_FOUND.items()
    }


def test_a_wrong_question_to_the_lines_of_a_run_is_400(api: Any, owner: Any, lines: Any) -> None:
    client, url = api(owner), f"{RUNS}{lines[0].workflow_execution_id}/logs/"
    for query in (
        "level=loud", "level_min=loud", "node=x", "after=x", "ordering=level", "status=failed", "cursor=x",
    ):  # fmt: skip
        assert pointers_of(client.get(f"{url}?{query}")) == [f"?{query.partition('=')[0]}"]


def test_lines_across_runs_are_listed_newest_first_within_a_period(
    api: Any, owner: Any, teammate: Any, stranger: Any, lines: Any
) -> None:
    foreign = ExecutionLogFactory(timestamp=DAY)
    period = "after=2026-03-01&before=2026-04-01"
    for query, places in {"q=three": [2], "q=three&level=error": [], "q=two": []}.items():  # of warnings and errors
        assert found(api(owner), f"{period}&{query}", LOGS) == {str(lines[place].pk) for place in places}
    assert ids(api(owner).get(f"{LOGS}?{period}")) == [str(line.pk) for line in lines[::-1]]
    assert found(api(owner), f"{period}&level_min=warning", LOGS) == {str(line.pk) for line in lines[2:]}
    assert str(foreign.pk) in found(api(teammate), period, LOGS)
    assert found(api(stranger), period, LOGS) == set()
    assert [row["id"] for row in follow_pages(api(owner), f"{LOGS}?{period}&page_size=1&ordering=timestamp")] == [
        str(line.pk) for line in lines
    ]


@pytest.mark.parametrize(
    ("query", "pointers"),
    [
        ("", ["?after", "?before"]),
        ("after=2026-03-01", ["?before"]),
        ("after=2026-03-01&before=2026-04-02", ["?before"]),
        ("after=2026-03-02&before=2026-03-01", ["?before"]),
        ("after=2026-03-02&before=2026-03-02", ["?before"]),
        ("after=9999-12-31&before=9999-12-31T01:00:00Z&level=x", ["?level"]),
        ("after=2026-03-01&before=2026-03-02&q=x", ["?q"]),
    ],
)
def test_lines_across_runs_need_a_period_of_31_days_at_most(
    api: Any, owner: Any, query: str, pointers: list[str]
) -> None:
    assert pointers_of(api(owner).get(f"{LOGS}?{query}")) == pointers
