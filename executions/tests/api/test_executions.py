import base64
import json
from typing import Any
from uuid import uuid4

import pytest

from executions.models import WorkflowExecution
from executions.tests.factories import NodeExecutionFactory, WorkflowExecutionFactory, in_state
from ledgerkit.db.models import uuid7
from workflows.models import Node, Workflow

RUNS = "/api/v1/executions/"


def post(client: Any, url: str, body: Any = None) -> Any:
    return client.post(url, {} if body is None else body, format="json")


def test_a_caller_makes_a_run_under_an_id_it_already_knows(api: Any, owner: Any, workflow: Workflow) -> None:
    id = str(uuid7())
    answer = post(
        api(owner), RUNS, {"id": id, "workflow": str(workflow.pk), "trigger_type": "event", "input_data": {"a": 1}}
    )
    assert answer.status_code == 201
    assert answer.json() | {"id": id, "status": "pending", "input_data": {"a": 1}, "version": 1} == answer.json()
    assert WorkflowExecution.objects.get(pk=id).trigger_type == "event"


def test_an_id_of_another_version_than_7_is_refused_by_its_name(api: Any, owner: Any, workflow: Workflow) -> None:
    answer = post(api(owner), RUNS, {"id": str(uuid4()), "workflow": str(workflow.pk), "trigger_type": "event"})
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["pointer"] == "/id"


def test_a_run_goes_through_its_states_over_http(api: Any, owner: Any, workflow: Workflow) -> None:
    run = WorkflowExecutionFactory(workflow=workflow)
    client, url = api(owner), f"{RUNS}{run.pk}/"
    assert post(client, f"{url}start/").json()["status"] == "running"
    assert post(client, f"{url}fail/", {"error_message": "no prices"}).json()["error_message"] == "no prices"
    assert post(client, f"{url}retry/").json()["attempt"] == 2
    assert post(client, f"{url}start/").json()["status"] == "running"
    answer = post(client, f"{url}complete/", {"output_data": {}})
    assert (answer.status_code, answer.json()["output_data"]) == (200, {})
    assert client.get(url).json()["status"] == "completed"


def test_a_refused_transition_is_409_with_the_current_state(api: Any, owner: Any, workflow: Workflow) -> None:
    run = in_state(WorkflowExecutionFactory(workflow=workflow), "completed")
    answer = post(api(owner), f"{RUNS}{run.pk}/start/")
    assert answer.status_code == 409
    assert answer["Content-Type"] == "application/problem+json"
    problem = answer.json()
    assert problem["detail"] == "Cannot start execution in completed state"
    assert (problem["current_state"], problem["version"], problem["code"]) == ("completed", 3, "invalid_transition")


def test_a_second_run_of_a_workflow_is_409_while_the_first_is_running(api: Any, owner: Any, workflow: Workflow) -> None:
    in_state(WorkflowExecutionFactory(workflow=workflow), "running")
    second = WorkflowExecutionFactory(workflow=workflow)
    answer = post(api(owner), f"{RUNS}{second.pk}/start/")
    assert (answer.status_code, answer.json()["code"]) == (409, "concurrent_execution")
    assert answer.json()["current_state"] == "pending"


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/workflow"),
        ({"trigger_type": "moon"}, "/trigger_type"),
        ({"workflow": "nonsense"}, "/workflow"),
        ({"input_data": []}, "/input_data"),
        ({"metadata": {"tags": "x"}}, "/metadata"),
        ({"context": {"retry_info": {"attempt": "1"}}}, "/context"),
        ([], ""),
        ("text", ""),
    ],
)
def test_bad_input_is_400_naming_the_field(api: Any, owner: Any, workflow: Workflow, body: Any, pointer: str) -> None:
    good = {"workflow": str(workflow.pk), "trigger_type": "manual"}
    answer = post(api(owner), RUNS, good | body if isinstance(body, dict) and body else body)
    assert answer.status_code == 400
    assert pointer in [error["pointer"] for error in answer.json()["errors"]]


def test_a_known_key_of_the_wrong_type_is_refused_with_its_path(api: Any, owner: Any, workflow: Workflow) -> None:
    body = {"workflow": str(workflow.pk), "trigger_type": "manual", "metadata": {"tags": [1]}}
    assert "metadata.tags: expected a list of strings" in post(api(owner), RUNS, body).json()["errors"][0]["detail"]


@pytest.mark.parametrize(
    "text",
    [
        b'{"input_data": {"a": "\\u0000"}}',
        b'{"input_data": {"a\\u0000": 1}}',
        b'{"input_data": {"a": "\\ud800"}}',
        b'{"input_data": {"a": NaN}}',
        b'{"input_data": {"a": 1e999}}',
        b'{"input_data": ' + b'{"a":' * 70 + b"1" + b"}" * 70 + b"}",
        b"[" * 100_000,
        b'{"input_data": ' + b"9" * 5000 + b"}",
        b"\xff\xfe",
        b"{",
    ],
    ids=["nul", "nul-key", "surrogate", "nan", "infinity", "deep", "very-deep", "huge-number", "not-utf8", "cut-off"],
)
def test_what_cannot_be_stored_is_400_and_never_a_500(api: Any, owner: Any, workflow: Workflow, text: bytes) -> None:
    answer = api(owner).generic("POST", RUNS, text, content_type="application/json")
    assert answer.status_code == 400
    assert WorkflowExecution.objects.count() == 0


def test_the_list_has_the_newest_first_and_leaves_payloads_out(api: Any, owner: Any, workflow: Workflow) -> None:
    runs = [WorkflowExecutionFactory(workflow=workflow, input_data={"big": 1}) for _ in range(3)]
    rows = api(owner).get(RUNS).json()["results"]
    assert [row["id"] for row in rows] == [str(run.pk) for run in reversed(runs)]
    assert not {"input_data", "output_data", "context"} & set(rows[0])


def test_pages_follow_each_other_without_a_gap_while_rows_are_inserted(
    api: Any, owner: Any, workflow: Workflow
) -> None:
    runs = [str(WorkflowExecutionFactory(workflow=workflow).pk) for _ in range(7)]
    client, url, seen = api(owner), f"{RUNS}?page_size=3", []
    while url:
        page = client.get(url).json()
        seen += [row["id"] for row in page["results"]]
        url = page["next"]
        WorkflowExecutionFactory(workflow=workflow)
    assert seen == runs[::-1]
    back = client.get(page["previous"]).json()
    assert [row["id"] for row in back["results"]] == runs[::-1][3:6]
    assert client.get(back["previous"]).json()["results"][-1]["id"] == runs[::-1][2]


@pytest.mark.parametrize(
    "query",
    [
        "cursor=x",
        "cursor=W10=",
        "cursor=WyJhIiwgImIiLCBmYWxzZV0=",
        "page_size=0",
        "page_size=501",
        "page_size=a",
        "page_size=00000000199999",
    ],
)
def test_a_page_that_cannot_be_is_400(api: Any, owner: Any, workflow: Workflow, query: str) -> None:
    WorkflowExecutionFactory(workflow=workflow)
    assert api(owner).get(f"{RUNS}?{query}").status_code == 400


@pytest.mark.parametrize(
    ("ordering", "value"),
    [
        ("created", "0001-01-01T00:00:00+14:00"),
        ("created", "9999-12-31T23:59:59-14:00"),
        ("created", "2026-11-23T09:00:00"),
        ("started", "infinity"),
        ("duration", "99999999999 00:00:00"),
        ("duration", "9" * 5000),
    ],
)
def test_a_cursor_of_a_time_that_cannot_be_is_400(
    api: Any, owner: Any, workflow: Workflow, ordering: str, value: str
) -> None:
    WorkflowExecutionFactory(workflow=workflow)
    keys = {"created": "created_at,id", "started": "by_start,id", "duration": "by_duration,id"}[ordering]
    cursor = base64.urlsafe_b64encode(json.dumps([keys, value, str(uuid7()), False]).encode()).decode()
    answer = api(owner).get(f"{RUNS}?ordering={ordering}&cursor={cursor}")
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (400, "?cursor")


@pytest.mark.parametrize("query", ["cursor=", "nonsense=1", "page_size=2&page_size=3"])
def test_a_list_without_filters_refuses_parameters_that_make_no_sense_too(api: Any, owner: Any, query: str) -> None:
    assert api(owner).get(f"/api/v1/workflows/?{query}").status_code == 400


def test_a_whole_number_is_one_however_json_writes_it(api: Any, owner: Any, workflow: Workflow) -> None:
    context, metadata = {"retry_info": {"attempt": 2.0}}, {"priority": 1.0}
    body = {"workflow": str(workflow.pk), "trigger_type": "manual", "context": context, "metadata": metadata}
    assert api(owner).post(RUNS, body, format="json").status_code == 201
    nodes = [{"name": "fetch", "node_type": "tool", "retry_config": {"max_retries": 1.0}}]
    made = api(owner).post("/api/v1/workflows/", {"name": "w", "nodes": nodes}, format="json").json()
    assert Node.objects.get(pk=made["nodes"][0]["id"]).max_retries == 1
    nodes[0]["retry_config"] = {"max_retries": 1.5}
    assert api(owner).post("/api/v1/workflows/", {"name": "w", "nodes": nodes}, format="json").status_code == 400


def test_a_list_takes_the_same_number_of_queries_for_any_number_of_rows(
    api: Any, owner: Any, workflow: Workflow, django_assert_num_queries: Any
) -> None:
    client = api(owner)
    for _ in range(2):
        for _ in range(5):
            WorkflowExecutionFactory(workflow=workflow)
        with django_assert_num_queries(3):  # the token, the owner's workflows, the rows
            client.get(RUNS)


def test_deleting_a_run_takes_its_nodes_with_it(api: Any, owner: Any, workflow: Workflow) -> None:
    run = WorkflowExecutionFactory(workflow=workflow)
    NodeExecutionFactory(workflow_execution=run)
    client = api(owner)
    assert client.delete(f"{RUNS}{run.pk}/", {"reason": "noise"}, format="json").status_code == 204
    assert client.get(f"{RUNS}{run.pk}/").status_code == 404


def test_a_workflow_that_is_inactive_or_deleted_is_not_executed(api: Any, owner: Any, workflow: Workflow) -> None:
    body = {"workflow": str(workflow.pk), "trigger_type": "manual"}
    workflow.is_active = False
    workflow.save()
    assert "not active" in post(api(owner), RUNS, body).json()["errors"][0]["detail"]
    workflow.soft_delete()
    assert post(api(owner), RUNS, body).status_code == 400


def test_an_id_that_exists_already_is_409(api: Any, owner: Any, workflow: Workflow) -> None:
    run = WorkflowExecutionFactory(workflow=workflow)
    body = {"id": str(run.pk), "workflow": str(workflow.pk), "trigger_type": "event"}
    assert post(api(owner), RUNS, body).status_code == 409
    run.refresh_from_db()
    assert run.trigger_type == "manual"


def test_a_body_that_is_too_large_is_413(api: Any, owner: Any, settings: Any) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1000
    answer = post(api(owner), RUNS, {"input_data": {"a": "x" * 1000}})
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
