"""`POST lineage`: events of OpenLineage in any order, repeated, one by one or many at once."""

import json
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from executions.facts import run_plan
from executions.models import ExecutionLog, NodeExecution, WorkflowExecution
from tokens.models import Scope, Token
from workflows.models import Edge, Workflow
from workflows.tests.factories import UserFactory

from .documents import needs_shared_data, recorded_files

pytestmark = pytest.mark.django_db
URL = "/api/v1/lineage"
SCHEMA = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/definitions/RunEvent"
ROOT, LOAD, RANK, SQL = (f"0199a000-0000-7000-8000-00000000000{number}" for number in range(1, 5))
FOUR = "3f5e83fa-3480-4f8b-8a1d-000000000004"  # a UUID of version 4, as older clients make


def event(kind: str | None, run: str, name: str, second: int, parent: str | None = None, **facets: Any) -> Any:
    """Return an event. The root's job is `etl`."""
    above = {
        "run": {"runId": parent}, "job": {"namespace": "prod", "name": "etl" if parent == ROOT else "etl.load"},
        "root": {"run": {"runId": ROOT}, "job": {"namespace": "prod", "name": "etl"}},
    }  # fmt: skip
    job = {"jobType": {"jobType": facets.pop("job_type", "TASK")}, **facets.pop("job", {})}
    found = {
        "eventTime": f"2026-11-27T06:00:{second:02}Z", "producer": "https://example.org/producer", "schemaURL": SCHEMA,
        "run": {"runId": run, "facets": {**facets, **({"parent": above} if parent else {})}},
        "job": {"namespace": "prod", "name": name, "facets": job},
        "inputs": [{"namespace": "db", "name": "raw" if run == LOAD else "clean"}] if parent else [],
        "outputs": [{"namespace": "db", "name": "clean"}] if run == LOAD else [],
    }  # fmt: skip
    return found if kind is None else {**found, "eventType": kind}


ERROR = {"errorMessage": {"message": "Division by zero", "stackTrace": "Traceback ...", "programmingLanguage": "sql"}}
EVENTS = [
    event("START", ROOT, "etl", 0),
    event("START", LOAD, "etl.load", 1, ROOT),
    event("START", SQL, "etl.load.sql.1", 2, LOAD, job_type="SQL", job={"sql": {"query": "select 1"}}),
    event("COMPLETE", SQL, "etl.load.sql.1", 3, LOAD, job_type="SQL"),
    event("COMPLETE", LOAD, "etl.load", 4, ROOT),
    event("START", RANK, "etl.rank", 4, ROOT),
    event("RUNNING", RANK, "etl.rank", 5, ROOT),
    event("RUNNING", RANK, "etl.rank", 6, ROOT),
    event("FAIL", RANK, "etl.rank", 7, ROOT, **ERROR),
    event("FAIL", ROOT, "etl", 8, **ERROR),
]


@pytest.fixture
def producer(db: None) -> Any:
    return UserFactory(username="producer")


@pytest.fixture
def post(client: Any, producer: Any) -> Any:
    """Return a function that sends a body as a client of OpenLineage does, and returns the response."""
    scopes = [Scope.EXECUTIONS_REPORT, Scope.WORKFLOWS_WRITE, Scope.EXECUTIONS_IMPORT]
    _token, key = Token.objects.issue(user=producer, name="dbt", scopes=scopes)

    def send(body: Any, key: str = key) -> Any:
        headers = {"Authorization": f"Bearer {key}"}
        return client.post(URL, json.dumps(body), content_type="application/json", headers=headers)

    return send


def end_state() -> dict[str, Any]:
    """Return everything that events lead to. The history is in the order of arrival."""
    run = ("id", "workflow__name", "status", "created_at", "started_at", "ended_at", "error_message", "failed_nodes")
    node = (
        "id", "node_name", "status", "created_at", "started_at", "ended_at", "error_message", "error_traceback",
        "input_data", "settled", "attempt",
    )  # fmt: skip
    runs = WorkflowExecution.objects.order_by("id")
    return {
        "runs": [*runs.values(*run, "metadata", "trigger_type", "attempt")],
        "nodes": [*NodeExecution.objects.order_by("id").values(*node)],
        "lines": [*ExecutionLog.objects.order_by("id").values("id", "level", "message", "data", "node_execution")],
        "edges": sorted(Edge.objects.values_list("source_node__name", "target_node__name", "label")),
        "graphs": [sorted((node["name"], str(node)[:0]) for node in run.graph.nodes) for run in runs],
        "edges of graphs": [len(run.graph.edges) for run in runs],
    }


def forget() -> None:
    WorkflowExecution.objects.all().delete()
    Edge.objects.all().delete()
    Workflow.objects.all().delete()


def test_the_end_of_a_run_with_too_many_running_nodes_is_refused(post: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for each in EVENTS[:2]:
        assert post(each).status_code == 200
    monkeypatch.setattr(run_plan, "MAX_ENTRIES", 1)
    response = post(event("COMPLETE", ROOT, "etl", 8))
    assert response.status_code == 400
    assert WorkflowExecution.objects.get().status == "running"


def test_a_run_with_its_nodes_lines_and_errors(post: Any) -> None:
    for each in EVENTS:
        assert post(each).status_code == 200
    run = WorkflowExecution.objects.get()
    assert (str(run.pk), run.workflow.name, run.status, run.duration_seconds) == (ROOT, "prod/etl", "failed", 8.0)
    assert (run.error_message, run.workflow.owner.username) == ("Division by zero", "producer")
    nodes = {node.node_name: node for node in run.node_executions.all()}
    assert {name: (node.status, node.duration_seconds) for name, node in nodes.items()} == {
        "load": ("completed", 3.0), "rank": ("failed", 3.0),
    }  # fmt: skip
    assert (nodes["rank"].error_message, nodes["rank"].error_traceback) == ("Division by zero", "Traceback ...")
    assert run.logs.count() == 10
    assert "START etl.load.sql.1: select 1" in nodes["load"].logs.values_list("message", flat=True)
    assert [*Edge.objects.values_list("source_node__name", "target_node__name", "label")] == [
        ("load", "rank", "inferred")
    ]
    assert len(run.graph.nodes) == 2
    assert len(run.graph.edges) == 1


QUERY = """/* {"app": "dbt", "node_id": "model.shop.orders"} */


  create view orders
    as (

    select 1
  );
  """


def test_a_statement_is_shown_once_without_blank_lines_and_comment_of_dbt(post: Any) -> None:
    sql = {"sql": {"query": QUERY}}
    post([event(kind, SQL, "orders.sql.1", 2, LOAD, job_type="SQL", job=sql) for kind in ("COMPLETE", "START")])
    lines = {line.message: line.data for line in ExecutionLog.objects.all()}
    start = "START orders.sql.1:\ncreate view orders\n  as (\n  select 1\n);"
    assert lines.keys() == {start, "COMPLETE orders.sql.1"}
    assert lines[start]["job"]["sql"]["query"] == QUERY


def test_nodes_of_dbt_have_their_names_in_the_project(post: Any) -> None:
    dbt_node = {"dbt_node": {"unique_id": "model.shop.orders"}}
    model = event("START", LOAD, "db.public.shop.orders.build.run", 1, ROOT, job_type="MODEL", job=dbt_node)
    tests = event("START", RANK, "db.public.shop.orders.build.test", 2, ROOT, job_type="TEST", job=dbt_node)
    post([model, tests])
    assert {*NodeExecution.objects.values_list("node_name", flat=True)} == {
        "model.shop.orders", "model.shop.orders.tests",
    }  # fmt: skip


def test_many_at_once_and_again(post: Any) -> None:
    assert post(EVENTS).json()["events"] == 10
    before = end_state()
    assert post(EVENTS).json()["applied"] == 0
    assert end_state() == before


@pytest.mark.slow
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=st.permutations(EVENTS), size=st.sampled_from([1, 3, 10]), again=st.sampled_from(EVENTS))
def test_any_order_gives_the_same_state(post: Any, order: list[Any], size: int, again: Any) -> None:
    forget()
    assert post(EVENTS).status_code == 200
    expected = end_state()
    forget()
    for start in range(0, len(order), size):
        assert post(order[start : start + size]).status_code == 200
    assert post(again).status_code == 200
    assert end_state() == expected


ABORTED = [
    event("START", ROOT, "etl", 0),
    event("START", LOAD, "etl.load", 1, ROOT),
    event("COMPLETE", LOAD, "etl.load", 2, ROOT),
    event("START", RANK, "etl.rank", 2, ROOT),
    event("ABORT", RANK, "etl.rank", 3, ROOT),
    event("ABORT", ROOT, "etl", 4),
]


@pytest.mark.slow
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=st.permutations(ABORTED), size=st.sampled_from([1, 2, 6]))
def test_an_aborted_run_is_cancelled_in_any_order_of_its_events(post: Any, order: list[Any], size: int) -> None:
    forget()
    for start in range(0, len(order), size):
        assert post(order[start : start + size]).status_code == 200
    run = WorkflowExecution.objects.get()
    assert (run.status, run.duration_seconds) == ("cancelled", 4.0)
    assert dict(NodeExecution.objects.values_list("node_name", "status")) == {"load": "completed", "rank": "cancelled"}


@pytest.mark.parametrize("late_first", [True, False])
def test_a_later_end_replaces_an_earlier_one(post: Any, late_first: bool) -> None:
    ends = [event("COMPLETE", ROOT, "etl", 5), event("FAIL", ROOT, "etl", 6, **ERROR)]
    for each in reversed(ends) if late_first else ends:
        post(each)
    run = WorkflowExecution.objects.get()
    assert (run.status, run.error_message) == ("failed", "Division by zero")
    assert run.ended_at is not None
    assert (run.ended_at.second, run.started_at, run.duration_seconds) == (6, None, None)


def test_a_node_that_reports_after_the_end_of_its_run(post: Any) -> None:
    post(event("START", RANK, "etl.rank", 1, ROOT))
    post(event("FAIL", ROOT, "etl", 5))
    assert NodeExecution.objects.get().status == "cancelled"
    post(event("COMPLETE", RANK, "etl.rank", 4, ROOT))
    assert NodeExecution.objects.get().status == "completed"
    assert WorkflowExecution.objects.get().failed_nodes == 0


def test_a_node_of_dbt_that_is_aborted_was_skipped(post: Any) -> None:
    post(event("ABORT", RANK, "etl.rank", 1, ROOT, dbt_run={"invocation_id": "x"}))
    post(event("ABORT", LOAD, "etl.load", 1, ROOT))
    assert dict(NodeExecution.objects.values_list("node_name", "status")) == {"rank": "skipped", "load": "cancelled"}


ENDS_ALONE = [
    event("START", ROOT, "etl", 0),
    event("COMPLETE", LOAD, "etl.load", 3, ROOT),
    event("COMPLETE", RANK, "etl.rank", 4, ROOT),
    event("START", RANK, "etl.rank", 2, ROOT),
    event("COMPLETE", ROOT, "etl", 5),
]


@pytest.mark.slow
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=st.permutations(ENDS_ALONE), size=st.sampled_from([1, 2, 5]))
def test_an_end_alone_does_not_say_how_long_a_node_took(post: Any, order: list[Any], size: int) -> None:
    forget()
    for start in range(0, len(order), size):
        assert post(order[start : start + size]).status_code == 200
    nodes = {node.node_name: node for node in NodeExecution.objects.all()}
    found = {name: (node.status, node.started_at, node.duration_seconds) for name, node in nodes.items()}
    assert found["load"] == ("completed", None, None)
    assert (found["rank"][0], found["rank"][2]) == ("completed", 2.0)
    assert WorkflowExecution.objects.get().duration_seconds == 5.0


@pytest.mark.parametrize("seconds", [(5, 6), (6, 5)])
def test_a_start_after_the_only_end(post: Any, seconds: tuple[int, int]) -> None:
    by_second = {5: event("COMPLETE", ROOT, "etl", 5), 6: event("START", ROOT, "etl", 6)}
    for second in seconds:
        assert post(by_second[second]).status_code == 200
    assert WorkflowExecution.objects.get().duration_seconds == 0.0


def without_root(each: Any) -> Any:
    changed = json.loads(json.dumps(each))
    changed["run"]["facets"]["parent"].pop("root", None)
    return changed


@pytest.mark.parametrize("size", [1, 10])
def test_a_statement_whose_parent_has_no_root(post: Any, size: int) -> None:
    events = [without_root(each) if each["run"]["runId"] == SQL else each for each in EVENTS]
    for start in range(0, len(events), size):
        assert post(events[start : start + size]).status_code == 200
    assert str(WorkflowExecution.objects.get().pk) == ROOT
    assert {*NodeExecution.objects.values_list("node_name", flat=True)} == {"load", "rank"}
    assert NodeExecution.objects.get(node_name="load").logs.count() == 4


def test_a_parent_without_root_that_belongs_to_another_user(post: Any) -> None:
    post(EVENTS[:2])
    scopes = [Scope.EXECUTIONS_REPORT, Scope.WORKFLOWS_WRITE]
    _token, key = Token.objects.issue(user=UserFactory(), name="other", scopes=scopes)
    post(without_root(EVENTS[2]), key)
    assert ExecutionLog.objects.filter(workflow_execution=ROOT).count() == 2
    assert Workflow.objects.filter(name="prod/etl").count() == 1


@pytest.mark.parametrize(
    ("run_type", "trigger"),
    [("scheduled", "schedule"), ("manual", "manual"), ("backfill", "manual"), ("asset_triggered", "event")],
)
@pytest.mark.parametrize("facet", ["airflowDagRun", "airflow"])
@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_the_trigger_is_that_of_airflow(
    post: Any, run_type: str, trigger: str, facet: str, order: tuple[int, int]
) -> None:
    says = {facet: {"dagRun": {"run_type": run_type}}}
    events = [event("START", ROOT, "etl", 0, **says), event("COMPLETE", ROOT, "etl", 1)]
    for index in order:
        assert post(events[index]).status_code == 200
    assert WorkflowExecution.objects.get().trigger_type == trigger


@pytest.mark.parametrize("facet", ["scheduled", {"dagRun": []}, {"dagRun": {"run_type": ["scheduled"]}}])
def test_a_facet_of_another_form_says_nothing_of_the_trigger(post: Any, facet: Any) -> None:
    assert post(event("START", ROOT, "etl", 0, airflowDagRun=facet)).status_code == 200
    assert WorkflowExecution.objects.get().trigger_type == "event"


def test_ids_of_other_versions_are_derived(post: Any) -> None:
    post(event("START", FOUR, "etl", 1))
    post(event("COMPLETE", FOUR, "etl", 2))
    run = WorkflowExecution.objects.get()
    assert (run.pk.version, run.status, run.metadata["run_id"]) == (7, "completed", FOUR)


def test_a_secret_in_a_facet_is_masked(post: Any) -> None:
    post(event("START", ROOT, "etl", 1, environment={"password": "hunter2hunter2"}))
    assert "hunter2" not in str(ExecutionLog.objects.get().data)


def test_airflow_states_its_edges(post: Any) -> None:
    tasks = {"load": {"downstream_task_ids": ["rank"]}, "rank": {"downstream_task_ids": []}}
    post(event("START", LOAD, "etl.load", 1, ROOT))
    post(event("START", ROOT, "etl", 0, job={"airflow": {"tasks": tasks}}))
    assert Edge.objects.get().label != "inferred"
    assert len(WorkflowExecution.objects.get().graph.edges) == 1


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        (lambda e: e["run"].pop("runId"), "/run/runId"),
        (lambda e: e["run"].update(runId="seven"), "/run/runId"),
        (lambda e: e.pop("eventTime"), "/eventTime"),
        (lambda e: e.update(eventTime="2026-11-27T06:00:00"), "/eventTime"),
        (lambda e: e.pop("schemaURL"), "/schemaURL"),
        (lambda e: e.update(eventType="NAP"), "/eventType"),
        (lambda e: e["job"].pop("name"), "/job/name"),
        (lambda e: e["run"].update(facets={"parent": {"run": {}}}), "/run/facets/parent/run/runId"),
        (lambda e: e["run"].update(facets=[1]), "/run/facets"),
    ],
)
def test_a_bad_event_is_refused_with_its_place(post: Any, change: Any, pointer: str) -> None:
    bad = json.loads(json.dumps(EVENTS[0]))
    change(bad)
    response = post([EVENTS[0], bad])
    assert response.status_code == 400
    assert response.json()["errors"][0]["pointer"].startswith(f"/1{pointer}"), response.json()
    assert not WorkflowExecution.objects.exists()


@pytest.mark.parametrize("body", [[], [1], "x", 7, None, {}, {"run": []}, [[]]])
def test_other_bodies(post: Any, body: Any) -> None:
    assert post(body).status_code in {200, 400}
    assert not WorkflowExecution.objects.exists()


def test_events_about_jobs_and_datasets_are_not_stored(post: Any) -> None:
    about_job = {"eventTime": "2026-11-27T06:00:00Z", "job": {"namespace": "n", "name": "j"}, "schemaURL": SCHEMA}
    about_data = {"eventTime": "2026-11-27T06:00:00Z", "dataset": {"namespace": "n", "name": "d"}, "schemaURL": SCHEMA}
    assert post([about_job, about_data]).json() == {"events": 0, "applied": 0, "known": 0}


def test_rights(post: Any, producer: Any) -> None:
    _token, reports = Token.objects.issue(user=producer, name="reports", scopes=[Scope.EXECUTIONS_REPORT])
    _token, reads = Token.objects.issue(user=producer, name="reads", scopes=[Scope.EXECUTIONS_READ])
    assert post(EVENTS[0], reads).status_code == 403
    assert post(EVENTS[0], "ptl_nothing").status_code == 401
    response = post(EVENTS[0], reports)
    assert response.status_code == 403
    assert "workflows:write" in response.json()["detail"]
    assert post(EVENTS[0]).status_code == 200
    assert post(EVENTS[-1], reports).status_code == 200  # the workflow is there
    assert WorkflowExecution.objects.get().status == "failed"


def test_what_a_stranger_reports_of_a_run_changes_nothing(post: Any, producer: Any) -> None:
    post(EVENTS[0])
    scopes = [Scope.EXECUTIONS_REPORT, Scope.WORKFLOWS_WRITE]
    _token, key = Token.objects.issue(user=UserFactory(), name="other", scopes=scopes)
    assert post(EVENTS[-1], key).status_code in {400, 403, 404, 409}
    assert WorkflowExecution.objects.get().status == "running"


def read(path: Path) -> list[Any]:
    return [json.loads(text) for text in path.read_text().splitlines()]


@pytest.mark.slow
@needs_shared_data
@pytest.mark.parametrize("path", recorded_files("openlineage/*/*.jsonl"))
def test_recorded_events_shuffled(post: Any, path: Path) -> None:
    events = read(path)
    assert post(events).status_code == 200
    expected, shuffled = end_state(), list(events)
    forget()
    random.Random(path.name).shuffle(shuffled)
    for start in range(0, len(shuffled), 9):
        assert post(shuffled[start : start + 9]).status_code == 200
    assert end_state() == expected
    last = {each["run"]["runId"]: each["eventType"] for each in sorted(events, key=lambda each: each["eventTime"])}
    roots = [each["run"]["runId"] for each in events if "parent" not in each["run"].get("facets", {})]
    states = {"COMPLETE": "completed", "FAIL": "failed", "START": "running"}
    assert {run["status"] for run in expected["runs"]} == {states[last[root]] for root in roots}


@needs_shared_data
@pytest.mark.parametrize("path", recorded_files("openlineage/fixtures/single/*.json"))
def test_recorded_single_events(post: Any, path: Path) -> None:
    bad = ("invalid", "no_run_id", "no_timezone", "listener_1", "run_event", "listener_2")
    response = post(json.loads(path.read_text()))
    assert response.status_code == (400 if any(part in path.stem for part in bad) else 200), response.content
