"""Filters of the list of runs, and rules of every list, over HTTP."""

from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest
from django.utils import timezone

from executions.api import list_querysets
from executions.api.filters import WorkflowExecutionFilters, filtersets
from executions.models import NodeExecution, WorkflowExecution
from executions.rollups import Durations
from executions.tests.api.list_requests import DAY, LOGS, NODES, RUNS, at, follow_pages, found, ids, pointers_of
from executions.tests.factories import (
    NodeExecutionFactory,
    WorkflowExecutionFactory,
    in_state,
)
from ledgerkit.db.models import uuid7
from workflows.models import Workflow
from workflows.tests.factories import WorkflowFactory


@pytest.fixture
def past(workflow: Workflow) -> dict[str, str]:
    """Return runs by name, each of which one filter finds alone."""
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
        "workflow": str(workflow.pk), "name": quote(workflow.name), "parent": str(parent),
        "theirs": str(rows["foreign"].workflow_id),
    }  # fmt: skip


FOUND: dict[str, set[str]] = {
    "status=failed": {"failed"},
    "status=failed,cancelled": {"failed", "cancelled"},
    "status=failed&status=cancelled": {"failed", "cancelled"},
    "not_status=pending,failed": {"cancelled", "old"},
    "not_status=pending&not_status=failed": {"cancelled", "old"},
    "not_status=pending,running,completed,failed,skipped,cancelled": set(),
    "trigger_type=event": {"event"},
    "not_trigger_type=manual,schedule": {"event"},
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
    "error=WENT": {"failed"},
    "error=100%25": set(),
    "workflow={theirs}": set(),
    "workflow_name={name}&status=failed": {"failed"},
    "workflow_name=nothing": set(),
    "owner=me&status=failed": {"failed"},
    "owner=nobody": set(),
    "attention=true": set(),
    "slow=true": set(),
    "slow=false&status=failed": {"failed"},
    "attention=false&status=failed": {"failed"},
    "workflow={workflow}&status=failed": {"failed"},
}


def test_each_filter_finds_what_it_names_of_the_callers_own(api: Any, owner: Any, past: dict[str, str]) -> None:
    client = api(owner)
    assert {query: found(client, query.format(**past)) for query in FOUND} == {
        query: {past[name] for name in names} for query, names in FOUND.items()
    }


@pytest.mark.parametrize(
    ("path", "lower", "upper", "values"),
    [
        ("executions", "created_after", "created_before", ("2026-03-02", "2026-03-01")),
        ("executions", "started_after", "started_before", ("2026-03-01T01:00:00Z", "2026-03-01T00:00:00Z")),
        ("executions", "ended_after", "ended_before", ("2026-03-02", "2026-03-01")),
        ("executions", "duration_min", "duration_max", ("10", "9.5")),
        ("node-executions", "created_after", "created_before", ("2026-03-02", "2026-03-01")),
        ("node-executions", "duration_min", "duration_max", ("10", "9.5")),
        ("executions/activity", "after", "before", ("2026-03-02", "2026-03-01")),
    ],
)
def test_an_upper_bound_below_the_lower_one_is_refused(
    api: Any, staff: Any, path: str, lower: str, upper: str, values: tuple[str, str]
) -> None:
    refused = api(staff).get(f"/api/v1/{path}/", {lower: values[0], upper: values[1]})
    assert refused.status_code == 400
    (error,) = refused.json()["errors"]
    assert error["pointer"] == f"?{upper}"
    assert f"`{lower}`" in error["detail"]
    assert api(staff).get(f"/api/v1/{path}/", {lower: values[0], upper: values[0]}).status_code == 200


def test_runs_of_an_owner_are_found_by_the_username_by_those_who_may_see_them(
    api: Any, staff: Any, owner: Any, past: dict[str, str]
) -> None:
    theirs = found(api(staff), f"owner={owner.get_username()}&status=failed")
    assert theirs == {past["failed"]}
    assert found(api(owner), f"owner={staff.get_username()}") == set()


def test_runs_are_found_by_the_name_that_a_failed_node_had(api: Any, owner: Any, workflow: Workflow) -> None:
    run = WorkflowExecutionFactory(workflow=workflow)
    node = in_state(NodeExecutionFactory(workflow_execution=run), "failed")
    other = NodeExecutionFactory(workflow_execution=WorkflowExecutionFactory(workflow=workflow), node=node.node)
    assert other.node_name == node.node_name
    assert found(api(owner), f"failed_node={quote(node.node_name)}") == {str(run.pk)}
    assert found(api(owner), f"failed_node={quote(node.node_name[:-1])}") == set()  # in full


def test_a_text_in_the_error_of_a_node_finds_its_run(api: Any, owner: Any, workflow: Workflow) -> None:
    """Find what the admin finds. `q` looks at the error of the run alone."""
    node = in_state(NodeExecutionFactory(workflow_execution__workflow=workflow), "failed")
    NodeExecution.objects.filter(pk=node.pk).update(error_message="rows end after their header")
    of_another = in_state(NodeExecutionFactory(), "failed")
    NodeExecution.objects.filter(pk=of_another.pk).update(error_message="no header")
    run = str(node.workflow_execution_id)
    assert found(api(owner), "error=HEADER") == found(api(owner), "error=header&status=running") == {run}
    assert found(api(owner), "q=header") == found(api(owner), "error=header&status=failed") == set()


def test_errors_of_the_last_days_are_searched_unless_a_time_is_given(api: Any, owner: Any, workflow: Workflow) -> None:
    run = at(in_state(WorkflowExecutionFactory(workflow=workflow), "failed"), created_at=DAY)
    assert found(api(owner), "error=went") == set()
    bounds = ("created_after=2026-03-01", "created_before=2026-04-01", "started_after=2026-03-01")
    for bound in bounds:
        assert found(api(owner), f"error=went&{bound}") == {str(run.pk)}, bound


def test_slow_runs_are_longer_than_usual(api: Any, owner: Any, workflow: Workflow, monkeypatch: Any) -> None:
    runs = [in_state(WorkflowExecutionFactory(workflow=workflow), "completed") for _ in range(2)]
    began = timezone.now() - timedelta(hours=1)
    for run, seconds in zip(runs, (10, 30), strict=True):
        times = {"created_at": began, "started_at": began, "ended_at": began + timedelta(seconds=seconds)}
        WorkflowExecution.objects.filter(pk=run.pk).update(**times)
    usual = [Durations(workflow.pk, 100, 10.0, 20.0)]
    monkeypatch.setattr("executions.rollups.usual_durations", lambda *_arguments: usual)
    assert found(api(owner), "slow=true") == {str(runs[1].pk)}
    assert found(api(owner), "slow=false") == {str(runs[0].pk)}


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
    ("not_status=done", "?not_status", "pending, running, completed, failed, skipped, cancelled"),
    ("slow=1", "?slow", "true or false"),
    ("trigger_type=x", "?trigger_type", "schedule, event, manual"),
    ("workflow=x", "?workflow", "UUID"),
    ("workflow=01900000-0000-7000-8000-000000000000,x", "?workflow", "UUIDs, separated by commas"),
    ("parent=a&parent=b", "?parent", "once"),
    ("parent=x", "?parent", "UUID"),
    ("rerun_of=x", "?rerun_of", "UUID"),
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
    ("error=ab", "?error", "3"),
    (f"error={'x' * 1001}", "?error", "1000"),
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


@pytest.mark.slow
@pytest.mark.parametrize("text", ["%ED%A0%80", "%FF", "%F0%9F%98%80", "'%22;--", "1e999", "%25_%5C", " ", "٣", "-0"])
def test_no_text_makes_any_filter_fail(api: Any, owner: Any, workflow: Workflow, text: str) -> None:
    client = api(owner)
    for name in [*WorkflowExecutionFilters.base_filters, "ordering", "cursor", "page_size", "fields"]:
        assert client.get(f"{RUNS}?{name}={text}").status_code in {200, 400}


# --- Several workflows ---------------------------------------------------------
def runs_of(workflow: Workflow, *seconds: int) -> list[WorkflowExecution]:
    """Return runs of the workflow that were created and ended these seconds after DAY."""
    runs = WorkflowExecutionFactory.create_batch(len(seconds), workflow=workflow)
    for run, after in zip(runs, seconds, strict=True):
        moment = DAY + timedelta(seconds=after)
        ended = moment + timedelta(seconds=100 - after)
        at(run, status="completed", created_at=moment, started_at=moment, ended_at=ended)
    return runs


ORDERS = ["-created", "created", "-started", "started", "-duration", "duration"]


@pytest.mark.slow
@pytest.mark.parametrize("who", ["owner", "staff"])
@pytest.mark.parametrize("more", ["", "&started_after=2026-03-01T00:00:02Z", "&status=completed&duration_min=1"])
def test_runs_of_several_workflows_are_one_list_in_each_order(
    api: Any, owner: Any, staff: Any, who: str, more: str
) -> None:
    first, second, third = (WorkflowFactory(owner=owner) for _ in range(3))
    one, three, five = runs_of(first, 1, 3, 5)
    two, four = runs_of(second, 2, 4)
    runs_of(third, 0, 6)
    client = api({"owner": owner, "staff": staff}[who])
    expected = [str(run.pk) for run in ([] if "started" in more else [one]) + [two, three, four, five]]
    for query in (f"workflow={first.pk},{second.pk}", f"workflow={second.pk}&workflow={first.pk},{first.pk}"):
        for order in ORDERS:
            for size in (2, 500):
                rows = follow_pages(client, f"{RUNS}?{query}{more}&ordering={order}&page_size={size}")
                is_ascending = order in {"created", "started", "-duration"}  # the later ones are the shorter ones
                assert [row["id"] for row in rows] == (expected if is_ascending else expected[::-1]), (query, order)


def test_of_several_workflows_a_caller_sees_the_own_ones(
    api: Any, owner: Any, stranger: Any, workflow: Workflow
) -> None:
    own, foreign = WorkflowExecutionFactory(workflow=workflow), WorkflowExecutionFactory()
    second = WorkflowExecutionFactory(workflow=WorkflowFactory(owner=owner))
    query = f"workflow={workflow.pk},{foreign.workflow_id},{second.workflow_id}"
    assert found(api(owner), query) == {str(own.pk), str(second.pk)}
    assert found(api(stranger), query) == set()
    assert found(api(owner, bound_to=[workflow.pk]), query) == {str(own.pk)}


@pytest.mark.parametrize("url", [RUNS, NODES])
def test_a_hundred_workflows_are_named_at_most(api: Any, owner: Any, workflow: Workflow, url: str) -> None:
    ids = [str(workflow.pk)] * 100
    assert api(owner).get(f"{url}?workflow={','.join(ids)}").status_code == 200
    answer = api(owner).get(f"{url}?workflow={','.join([*ids, ids[0]])}")
    assert pointers_of(answer) == ["?workflow"]
    assert answer.json()["errors"][0]["detail"] == "Expected at most 100 UUIDs; found 101."


# --- How much work -------------------------------------------------------------
def test_no_filter_takes_more_than_six_queries(
    api: Any, owner: Any, workflow: Workflow, lines: Any, django_assert_max_num_queries: Any
) -> None:
    client, node = api(owner), lines[1].node_execution
    queries = [
        f"{RUNS}?workflow={workflow.pk}&status=failed&tag=x&q=abc&has_error=true&ordering=-duration",
        f"{RUNS}?workflow={workflow.pk},{uuid7()}&started_after=2026-03-01",
        f"{NODES}?workflow={workflow.pk},{uuid7()}",
        f"{NODES}?workflow={workflow.pk}&node={node.node_id}&status=failed",
        f"{RUNS}{node.workflow_execution_id}/logs/?node={node.pk}&level_min=info&q=x",
        f"{RUNS}{node.workflow_execution_id}/?expand=nodes,logs",
        f"{LOGS}?after=2026-03-01&before=2026-03-02&level=error",
    ]
    for url in queries:
        with django_assert_max_num_queries(6):
            assert client.get(url).status_code == 200


def test_the_first_form_changes_no_filter_that_other_threads_are_copying() -> None:
    filtersets._form_class.cache_clear()
    before = attributes_of_filters()
    runs = WorkflowExecution.objects.none()
    assert WorkflowExecutionFilters({"priority": "high", "ended_after": "2026-03-01"}, runs).form.is_valid()
    assert attributes_of_filters() == before


def attributes_of_filters() -> dict[str, set[str]]:
    return {name: set(vars(each)) for name, each in WorkflowExecutionFilters.base_filters.items()}


@pytest.mark.django_db
@pytest.mark.parametrize("listed", [list_querysets.listed_runs, list_querysets.listed_nodes])
def test_a_list_that_was_read_is_read_again_by_the_next_request(listed: Any) -> None:
    assert list(listed()) == []
    node = NodeExecutionFactory()
    assert {each["id"] for each in listed()} <= {node.pk, node.workflow_execution_id}
    assert len(listed()) == 1


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
