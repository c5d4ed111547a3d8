"""Filters and orderings of lists, over HTTP."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from executions.api.filters import WorkflowExecutionFilters
from executions.models import NodeExecution, WorkflowExecution
from executions.tests.factories import (
    ExecutionLogFactory,
    NodeExecutionFactory,
    WorkflowExecutionFactory,
    in_state,
)
from ledgerkit.db.models import uuid7
from workflows.models import Workflow
from workflows.tests.factories import WorkflowFactory

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


def pointers_of(answer: Any) -> list[str]:
    assert answer.status_code == 400, answer.json()
    assert answer["Content-Type"] == "application/problem+json"
    return [error["pointer"] for error in answer.json()["errors"]]


@pytest.fixture
def past(workflow: Workflow) -> dict[str, str]:
    """One run that each filter finds alone, by name."""
    parent = uuid7()
    metadata = {
        "tags": ["daily", "x,y"], "correlation_id": "c1", "triggered_by": "cron", "schedule_id": "s1", "priority": 5,
    }  # fmt: skip
    rows = {
        "plain": WorkflowExecutionFactory(workflow=workflow),
        "keys": WorkflowExecutionFactory(workflow=workflow, metadata=metadata),
        "child": WorkflowExecutionFactory(workflow=workflow, context={"parent_execution_id": str(parent)}),
        "event": WorkflowExecutionFactory(workflow=workflow, trigger_type="event"),
        "failed": in_state(WorkflowExecutionFactory(workflow=workflow), "failed"),
        "cancelled": in_state(WorkflowExecutionFactory(workflow=workflow), "cancelled"),
        "old": at(
            WorkflowExecutionFactory(workflow=workflow),
            status="completed",
            created_at=DAY,
            started_at=DAY + timedelta(hours=1),
            ended_at=DAY + timedelta(hours=2),
        ),
        "foreign": WorkflowExecutionFactory(metadata=metadata, context={"parent_execution_id": str(parent)}),
    }
    return {name: str(row.pk) for name, row in rows.items()} | {
        "workflow": str(workflow.pk), "parent": str(parent), "theirs": str(rows["foreign"].workflow_id),
    }  # fmt: skip


FOUND: dict[str, set[str]] = {
    "status=failed": {"failed"},
    "status=failed,cancelled": {"failed", "cancelled"},
    "status=failed&status=cancelled": {"failed", "cancelled"},
    "trigger_type=event": {"event"},
    "trigger_type=event,schedule": {"event"},
    "tag=daily": {"keys"},
    "tag=x,y": {"keys"},
    "tag=dail": set(),
    "correlation_id=c1": {"keys"},
    "triggered_by=cron": {"keys"},
    "schedule_id=s1": {"keys"},
    "priority=5": {"keys"},
    "priority=high": set(),
    "parent={parent}": {"child"},
    "created_before=2026-04-01": {"old"},
    "created_after=2026-03-01T00:00:00Z&created_before=2026-03-01T00:00:01Z": {"old"},
    "created_before=2026-03-01T00:00:00Z": set(),
    "created_after=2026-03-01T00:00:00%2B00:00&created_before=2026-03-02": {"old"},
    "started_before=2026-04-01": {"old"},
    "started_after=2026-04-01": {"failed"},
    "ended_before=2026-04-01": {"old"},
    "ended_after=2026-04-01": {"failed", "cancelled"},
    "duration_min=3600": {"old"},
    "duration_min=3600.5": set(),
    "duration_max=3599.9": {"failed"},
    "duration_min=3000&duration_max=4000": {"old"},
    "has_error=true": {"failed"},
    "has_error=false&trigger_type=event": {"event"},
    "q=WENT": {"failed"},
    "q=nt wr": {"failed"},
    "q=100%25": set(),
    "workflow={theirs}": set(),
    "workflow={workflow}&status=failed": {"failed"},
}


def test_each_filter_finds_what_it_names_of_the_callers_own(api: Any, owner: Any, past: dict[str, str]) -> None:
    client = api(owner)
    assert {query: found(client, query.format(**past)) for query in FOUND} == {
        query: {past[name] for name in names} for query, names in FOUND.items()
    }


def test_a_stranger_finds_nothing_by_any_filter(api: Any, stranger: Any, past: dict[str, str]) -> None:
    client = api(stranger)
    for query in ("", "tag=daily", "status=failed", f"parent={past['parent']}", "q=went", "has_error=false"):
        assert found(client, query) == set()


def test_a_priority_that_is_text_is_found_like_the_number(api: Any, owner: Any, workflow: Workflow) -> None:
    run = WorkflowExecutionFactory(workflow=workflow, metadata={"priority": "5"})
    assert found(api(owner), "priority=5") == {str(run.pk)}


REFUSED = [
    ("status=done", "?status", "pending, running, completed, failed, skipped, cancelled"),
    ("status=failed,", "?status", "pending"),
    ("status=", "?status", "Expected a value"),
    ("trigger_type=x", "?trigger_type", "schedule, event, manual"),
    ("workflow=x", "?workflow", "UUID"),
    ("workflow=a&workflow=b", "?workflow", "once"),
    ("parent=x", "?parent", "UUID"),
    ("created_after=yesterday", "?created_after", "ISO 8601"),
    ("created_after=2026-02-30", "?created_after", "ISO 8601"),
    ("created_before=1969-12-31T23:59:59Z", "?created_before", "1970"),
    ("started_after=9999-12-31T23:59:59-10:00", "?started_after", "9999"),
    ("ended_after=2026-01-01T00:00:00 00:00", "?ended_after", "%2B"),
    ("duration_min=-1", "?duration_min", "seconds"),
    ("duration_min=nan", "?duration_min", "number"),
    ("duration_max=1e400", "?duration_max", "number"),
    ("duration_max=99999999999", "?duration_max", "seconds"),
    ("has_error=1", "?has_error", "true or false"),
    ("q=ab", "?q", "3"),
    ("tag=" + "x" * 1001, "?tag", "1000"),
    ("ordering=name", "?ordering", "created, -created, started, -started, duration, -duration"),
    ("ordering=--created", "?ordering", "created"),
    ("page_size=501", "?page_size", "500"),
    ("cursor=x", "?cursor", "next"),
    ("fields=id,secret", "?fields", "workflow"),
    ("fields=context", "?fields", "metadata"),
    ("expand=nodes", "?expand", "not known"),
    ("state=failed", "?state", "status"),
]


def test_what_makes_no_sense_is_400_with_the_parameter_and_what_is_allowed(
    api: Any, owner: Any, workflow: Workflow
) -> None:
    client = api(owner)
    for query, pointer, text in REFUSED:
        answer = client.get(f"{RUNS}?{query}")
        assert pointers_of(answer) == [pointer], query
        assert text in answer.json()["errors"][0]["detail"], query


def test_every_filter_that_is_wrong_is_named(api: Any, owner: Any) -> None:
    assert pointers_of(api(owner).get(f"{RUNS}?status=x&workflow=y&q=z")) == ["?status", "?workflow", "?q"]


@pytest.mark.parametrize("text", ["%ED%A0%80", "%FF", "%F0%9F%98%80", "'%22;--", "1e999", "%25_%5C", " ", "٣", "-0"])
def test_no_text_makes_any_filter_fail(api: Any, owner: Any, workflow: Workflow, text: str) -> None:
    client = api(owner)
    for name in [*WorkflowExecutionFilters.base_filters, "ordering", "cursor", "page_size", "fields"]:
        assert client.get(f"{RUNS}?{name}={text}").status_code in {200, 400}


@pytest.mark.parametrize("name", ["created", "started", "duration"])
def test_an_order_is_kept_over_pages_with_and_without_the_value(
    api: Any, owner: Any, workflow: Workflow, name: str
) -> None:
    for hour in (3, 1, 2, 1):
        started = {"status": "completed", "started_at": DAY, "ended_at": DAY + timedelta(hours=hour)}
        if name == "started":
            started |= {"started_at": DAY + timedelta(hours=hour), "ended_at": DAY + timedelta(days=9)}
        at(WorkflowExecutionFactory(workflow=workflow), created_at=DAY + timedelta(hours=hour), **started)
    for _ in range(3):
        at(WorkflowExecutionFactory(workflow=workflow), created_at=DAY)
    client = api(owner)
    up = follow_pages(client, f"{RUNS}?ordering={name}&page_size=2")
    assert len({row["id"] for row in up}) == len(up) == 7
    assert [row["started_at"] is None for row in up] == [True] * 3 + [False] * 4
    column = {"created": "created_at", "started": "started_at", "duration": "duration_seconds"}[name]
    values = [row[column] for row in up[3:]]
    assert values == sorted(values)
    assert follow_pages(client, f"{RUNS}?ordering=-{name}&page_size=2") == up[::-1]


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


def test_a_cursor_belongs_to_its_ordering(api: Any, owner: Any, workflow: Workflow) -> None:
    WorkflowExecutionFactory.create_batch(3, workflow=workflow)
    client = api(owner)
    link = client.get(f"{RUNS}?ordering=created&page_size=1").json()["next"]
    assert pointers_of(client.get(link.replace("ordering=created", "ordering=started"))) == ["?cursor"]


def test_a_link_keeps_every_value_of_a_filter(api: Any, owner: Any, workflow: Workflow) -> None:
    for state in ("failed", "cancelled", "completed") * 2:
        in_state(WorkflowExecutionFactory(workflow=workflow), state)
    rows = follow_pages(api(owner), f"{RUNS}?status=failed&status=cancelled&page_size=1")
    assert sorted(row["status"] for row in rows) == ["cancelled"] * 2 + ["failed"] * 2


# --- Fewer fields, and more ----------------------------------------------------
def test_fields_leave_the_others_out_and_unread(
    api: Any, owner: Any, workflow: Workflow, django_assert_num_queries: Any
) -> None:
    run = WorkflowExecutionFactory(workflow=workflow, input_data={"big": 1})
    client = api(owner)
    with django_assert_num_queries(2) as captured:
        row = client.get(f"{RUNS}{run.pk}/?fields=id,status,duration_seconds").json()
    assert row == {"id": str(run.pk), "status": "pending", "duration_seconds": None}
    for column in ("input_data", "output_data", "context", "metadata", "error_message"):
        assert column not in captured[-1]["sql"]
    with django_assert_num_queries(3) as captured:
        assert client.get(f"{RUNS}?fields=id,metadata").json()["results"] == [{"id": str(run.pk), "metadata": {}}]
    assert "error_message" not in captured[-1]["sql"]
    assert client.get(f"{RUNS}{run.pk}/?fields=id&fields=metadata,attempt").json().keys() == {
        "id",
        "metadata",
        "attempt",
    }


def test_expand_shows_nodes_and_the_newest_lines_with_a_constant_number_of_queries(
    api: Any, owner: Any, workflow: Workflow, django_assert_num_queries: Any
) -> None:
    run, client = WorkflowExecutionFactory(workflow=workflow), api(owner)
    for lines in (5, 200):
        NodeExecutionFactory.create_batch(3, workflow_execution=run)
        ExecutionLogFactory.create_batch(lines, workflow_execution=run)
        with django_assert_num_queries(4):  # the token, the run, its nodes, its lines
            row = client.get(f"{RUNS}{run.pk}/?expand=nodes,logs&fields=id").json()
    assert set(row) == {"id", "nodes", "logs"}
    assert len(row["nodes"]) == 6
    assert "input_data" not in row["nodes"][0]
    assert [line["id"] for line in row["logs"]] == [str(line.pk) for line in run.logs.all()][-200:]


@pytest.mark.parametrize(("query", "pointer"), [("expand=x", "?expand"), ("fields=x", "?fields"), ("q=abc", "?q")])
def test_one_run_is_not_asked_for_what_it_has_not(
    api: Any, owner: Any, workflow: Workflow, query: str, pointer: str
) -> None:
    run = WorkflowExecutionFactory(workflow=workflow)
    assert pointers_of(api(owner).get(f"{RUNS}{run.pk}/?{query}")) == [pointer]


# --- Node executions across runs -----------------------------------------------
def test_node_executions_across_runs_are_found_by_each_filter(
    api: Any, owner: Any, workflow: Workflow, django_assert_num_queries: Any
) -> None:
    other = WorkflowFactory(owner=owner, chain=["a"])
    fetch, rank = workflow.nodes.get(name="fetch"), workflow.nodes.get(name="rank")
    runs = WorkflowExecutionFactory.create_batch(2, workflow=workflow)
    first, second = (NodeExecutionFactory(workflow_execution=run, node=fetch) for run in runs)
    failed = in_state(NodeExecutionFactory(workflow_execution=runs[0], node=rank), "failed")
    at(second, created_at=DAY)
    elsewhere = NodeExecutionFactory(
        workflow_execution=WorkflowExecutionFactory(workflow=other), node=other.nodes.get()
    )
    NodeExecutionFactory()  # of somebody else
    client = api(owner)
    expected = {
        "": {first, second, failed, elsewhere},
        "status=failed": {failed},
        f"node={fetch.pk}": {first, second},
        f"workflow={workflow.pk}": {first, second, failed},
        f"workflow={uuid7()}": set(),
        "created_before=2026-03-02": {second},
        "created_after=2026-03-02&status=pending": {first, elsewhere},
    }
    for query, rows in expected.items():
        assert found(client, query, NODES) == {str(row.pk) for row in rows}
    with django_assert_num_queries(3) as captured:  # the token, the owner's nodes, the rows
        rows = client.get(NODES).json()["results"]
    assert [row["id"] for row in rows][-1] == str(second.pk)
    assert not {"input_data", "output_data", "error_traceback"} & set(rows[0])
    assert '"config"' not in captured[-1]["sql"]
    assert follow_pages(client, f"{NODES}?ordering=created&page_size=1")[0]["id"] == str(second.pk)


def test_the_nodes_of_a_workflow_are_merged_in_the_order_of_the_list(api: Any, owner: Any, workflow: Workflow) -> None:
    """Also where several were created at one moment, and on the way back."""
    run, nodes, client = WorkflowExecutionFactory(workflow=workflow), list(workflow.nodes.all()), api(owner)
    rows = [NodeExecutionFactory(workflow_execution=run, node=nodes[n % 3]) for n in range(9)]
    for number, row in enumerate(rows):
        at(row, created_at=DAY + timedelta(hours=number // 2))
    newest = [str(pk) for pk in NodeExecution.objects.order_by("-created_at", "-id").values_list("id", flat=True)]
    of_workflow = f"workflow={workflow.pk}&"
    for query, expected in (
        ("", newest),
        (of_workflow, newest),
        (f"{of_workflow}status=pending,completed&", newest),
        (f"{of_workflow}status=failed&", []),
    ):
        for size in (2, 3, 500):
            url = f"{NODES}?{query}page_size={size}"
            rows = follow_pages(client, url)
            assert [row["id"] for row in rows] == expected, url
            assert follow_pages(client, f"{url}&ordering=created") == rows[::-1], url


@pytest.mark.parametrize("query", ["status=x", "node=x", "workflow=x", "created_after=x", "ordering=started", "q=abc"])
def test_a_wrong_question_to_node_executions_is_400(api: Any, owner: Any, query: str) -> None:
    assert pointers_of(api(owner).get(f"{NODES}?{query}")) == [f"?{query.partition('=')[0]}"]


# --- Attempts ------------------------------------------------------------------
def test_the_attempts_of_a_node_execution_keep_what_its_retries_replaced(
    api: Any, owner: Any, workflow: Workflow
) -> None:
    run = in_state(WorkflowExecutionFactory(workflow=workflow), "running")
    node: NodeExecution = NodeExecutionFactory(workflow_execution=run, node=workflow.nodes.get(name="rank"))
    for number in (1, 2):
        node.start()
        node.fail(f"failure {number}", f"Traceback {number}")
        node.retry()
    client, url = api(owner), f"{NODES}{node.pk}/attempts/"
    rows = follow_pages(client, f"{url}?page_size=1")
    assert [(row["number"], row["error_message"]) for row in rows] == [(1, "failure 1"), (2, "failure 2")]
    assert "error_traceback" not in rows[0]
    assert client.get(f"{url}2/").json()["error_traceback"] == "Traceback 2"
    assert client.get(f"{url}3/").status_code == 404
    assert client.get(f"{url}{10**30}/").status_code == 404
    assert client.get(f"{NODES}{uuid7()}/attempts/").status_code == 404


def test_the_attempts_of_a_run_take_three_queries(
    api: Any, owner: Any, workflow: Workflow, django_assert_num_queries: Any
) -> None:
    run: WorkflowExecution = in_state(WorkflowExecutionFactory(workflow=workflow), "failed")
    run.retry()
    client, url = api(owner), f"{RUNS}{run.pk}/attempts/"
    with django_assert_num_queries(3):  # the token, the run, its attempts
        rows = client.get(url).json()["results"]
    assert [(row["number"], row["status"], row["error_message"]) for row in rows] == [(1, "failed", "went wrong")]
    assert rows[0].pop("error_is_cut") is False
    assert client.get(f"{url}1/").json() == rows[0] | {"output_data": None}
    assert client.get(f"{url}?fields=number").json()["results"] == [{"number": 1}]


# --- Lines ---------------------------------------------------------------------
@pytest.fixture
def lines(workflow: Workflow) -> Any:
    """Return the lines of a run, oldest first: a debug, an info of `rank`, a warning, an error."""
    run = WorkflowExecutionFactory(workflow=workflow)
    node = NodeExecutionFactory(workflow_execution=run, node=workflow.nodes.get(name="rank"))
    kinds = [("debug", None, "one"), ("info", node, "two 100%"), ("warning", None, "THREE"), ("error", None, "four")]
    return [
        ExecutionLogFactory(
            workflow_execution=run,
            level=level,
            node_execution=of,
            message=text,
            timestamp=DAY + timedelta(minutes=minute),
        )
        for minute, (level, of, text) in enumerate(kinds)
    ]


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


# --- How much work -------------------------------------------------------------
def test_no_filter_takes_more_than_six_queries(
    api: Any, owner: Any, workflow: Workflow, lines: Any, django_assert_max_num_queries: Any
) -> None:
    client, node = api(owner), lines[1].node_execution
    queries = [
        f"{RUNS}?workflow={workflow.pk}&status=failed&tag=x&q=abc&has_error=true&ordering=-duration",
        f"{NODES}?workflow={workflow.pk}&node={node.node_id}&status=failed",
        f"{RUNS}{node.workflow_execution_id}/logs/?node={node.pk}&level_min=info&q=x",
        f"{RUNS}{node.workflow_execution_id}/?expand=nodes,logs",
        f"{LOGS}?after=2026-03-01&before=2026-03-02&level=error",
    ]
    for url in queries:
        with django_assert_max_num_queries(6):
            assert client.get(url).status_code == 200


def test_who_owns_nothing_is_answered_without_a_look_at_the_ledger(
    api: Any, stranger: Any, lines: Any, django_assert_num_queries: Any
) -> None:
    client = api(stranger)
    for url in (RUNS, NODES, f"{LOGS}?after=2026-03-01&before=2026-03-02"):
        with django_assert_num_queries(2):  # the token, what they own
            assert found(client, "", url) == set() if "?" not in url else ids(client.get(url)) == []


# --- Who -----------------------------------------------------------------------
def test_every_list_needs_the_scope_to_read_and_shows_a_stranger_nothing(
    api: Any, owner: Any, stranger: Any, lines: Any
) -> None:
    run, node = lines[0].workflow_execution_id, lines[1].node_execution_id
    period = "?after=2026-03-01&before=2026-03-02"
    urls = [
        RUNS, NODES, f"{LOGS}{period}", f"{RUNS}{run}/?expand=nodes,logs", f"{RUNS}{run}/logs/",
        f"{RUNS}{run}/attempts/", f"{NODES}{node}/attempts/",
    ]  # fmt: skip
    for url in urls:
        assert api().get(url).status_code == 401
        assert api(owner, scopes=["executions:report"]).get(url).status_code == 403
        assert api(owner, scopes=["executions:read"]).get(url).status_code == 200
        hidden = api(stranger).get(url)
        assert hidden.status_code == 404 or hidden.json()["results"] == []
