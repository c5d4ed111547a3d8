from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from executions import partitions
from executions.models import ExecutionLog
from executions.tests.factories import ExecutionLogFactory, NodeExecutionFactory, WorkflowExecutionFactory, in_state
from ledgerkit.db.models import uuid7
from workflows.models import Node


def post(client: Any, url: str, body: Any = None) -> Any:
    return client.post(f"/api/v1/{url}", {} if body is None else body, format="json")


def test_a_node_execution_is_made_by_the_nodes_name_at_its_topological_level(api: Any, owner: Any, run: Any) -> None:
    answer = post(api(owner), f"executions/{run.pk}/nodes/", {"node": "rank", "input_data": {"a": 1}})
    assert answer.status_code == 201
    assert answer.json() | {"node_name": "rank", "execution_order": 1, "status": "pending"} == answer.json()


def test_a_node_execution_is_made_by_the_nodes_id(api: Any, owner: Any, run: Any) -> None:
    node = run.workflow.nodes.get(name="report")
    answer = post(api(owner), f"executions/{run.pk}/nodes/", {"node": str(node.pk), "execution_order": 7})
    assert (answer.json()["node"], answer.json()["execution_order"]) == (str(node.pk), 7)


def test_a_node_of_another_workflow_is_unknown_here(api: Any, owner: Any, run: Any) -> None:
    other = NodeExecutionFactory().node
    for named in (other.name, str(other.pk), "nothing"):
        answer = post(api(owner), f"executions/{run.pk}/nodes/", {"node": named})
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (400, "/node")


def test_a_run_that_has_ended_takes_no_more_nodes(api: Any, owner: Any, run: Any) -> None:
    run.complete()
    answer = post(api(owner), f"executions/{run.pk}/nodes/", {"node": "rank"})
    assert (answer.status_code, answer.json()["current_state"]) == (409, "completed")
    assert run.node_executions.count() == 0


def test_a_node_fails_is_retried_and_completes_over_http(api: Any, owner: Any, run: Any) -> None:
    node, client = NodeExecutionFactory(workflow_execution=run, node=run.workflow.nodes.get(name="rank")), api(owner)
    url = f"node-executions/{node.pk}"
    post(client, f"{url}/start/")
    failed = post(client, f"{url}/fail/", {"error_message": "no row", "error_traceback": "Traceback ..."}).json()
    assert (failed["status"], failed["error_traceback"], failed["can_retry"]) == ("failed", "Traceback ...", True)
    again = post(client, f"{url}/retry/").json()
    assert (again["status"], again["retry_count"], again["attempt"], again["error_message"]) == ("pending", 1, 2, None)
    post(client, f"{url}/start/")
    assert post(client, f"{url}/complete/", {"output_data": {"rank": 1}}).json()["output_data"] == {"rank": 1}


def test_a_failure_needs_no_message(api: Any, owner: Any, run: Any) -> None:
    node = in_state(NodeExecutionFactory(workflow_execution=run), "running")
    answer = post(api(owner), f"node-executions/{node.pk}/fail/")
    assert (answer.status_code, answer.json()["error_message"]) == (200, "Failed without an error message.")


def test_the_nodes_of_a_run_are_listed_in_their_order_with_one_query_more(
    api: Any, owner: Any, run: Any, django_assert_num_queries: Any
) -> None:
    for order, name in enumerate(("report", "rank", "fetch")):
        NodeExecutionFactory(workflow_execution=run, node=run.workflow.nodes.get(name=name), execution_order=2 - order)
    client = api(owner)
    with django_assert_num_queries(2):  # the token with the run, its nodes
        rows = client.get(f"/api/v1/executions/{run.pk}/nodes/").json()["results"]
    assert [row["node_name"] for row in rows] == ["fetch", "rank", "report"]
    assert not {"input_data", "output_data", "error_traceback"} & set(rows[0])


def test_the_log_of_a_run_is_listed_with_one_query_more_if_nothing_was_removed(
    api: Any, owner: Any, run: Any, django_assert_num_queries: Any
) -> None:
    other = WorkflowExecutionFactory(workflow=run.workflow)
    for each in (run, other):
        ExecutionLogFactory(workflow_execution=each, message=str(each.pk), data={"price": 1.5, "tags": ["ü", None]})
    client = api(owner)
    for each in (run, other):
        with django_assert_num_queries(2):  # the token with the run, its lines
            (line,) = client.get(f"/api/v1/executions/{each.pk}/logs/").json()["results"]
        assert (line["message"], line["data"]) == (str(each.pk), {"price": 1.5, "tags": ["ü", None]})


def test_failed_nodes_are_listed_with_their_names_and_retries_and_no_query_more(
    api: Any, owner: Any, run: Any, django_assert_num_queries: Any
) -> None:
    for name, config in (("fetch", {"max_retries": 0}), ("rank", {"max_retries": 2}), ("report", None)):
        Node.objects.filter(workflow=run.workflow, name=name).update(retry_config=config or {})
        node = NodeExecutionFactory(workflow_execution=run, node=run.workflow.nodes.get(name=name))
        in_state(node, "failed")
    client = api(owner)
    client.get("/api/v1/node-executions/")
    with django_assert_num_queries(3):  # the token, the owner's workflows, the nodes
        found = client.get("/api/v1/node-executions/?status=failed").json()["results"]
    assert {each["node_name"]: each["can_retry"] for each in found} == {"fetch": False, "rank": True, "report": True}


def test_logs_take_one_line(api: Any, owner: Any, run: Any) -> None:
    answer = post(api(owner), f"executions/{run.pk}/logs/", {"level": "info", "message": " as it is "})
    assert answer.status_code == 201
    assert run.logs.get().message == " as it is "


def test_logs_take_a_list_with_a_constant_number_of_queries(
    api: Any, owner: Any, run: Any, django_assert_max_num_queries: Any
) -> None:
    node, client = NodeExecutionFactory(workflow_execution=run), api(owner)
    lines = [{"level": "debug", "message": str(i), "node_execution": str(node.pk)} for i in range(300)]
    with django_assert_max_num_queries(8):
        answer = post(client, f"executions/{run.pk}/logs/", lines)
    assert (answer.status_code, len(answer.json())) == (201, 300)
    assert [line.message for line in run.logs.all()] == [str(i) for i in range(300)]


def test_one_bad_line_names_its_place_and_stores_none(api: Any, owner: Any, run: Any) -> None:
    lines = [{"level": "info", "message": "a"}, {"level": "loud", "message": "b"}]
    answer = post(api(owner), f"executions/{run.pk}/logs/", lines)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (400, "/1/level")
    assert run.logs.count() == 0


def test_a_lines_node_belongs_to_the_same_run(api: Any, owner: Any, run: Any) -> None:
    foreign = NodeExecutionFactory()
    line = {"level": "info", "message": "a", "node_execution": str(foreign.pk)}
    answer = post(api(owner), f"executions/{run.pk}/logs/", line)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (400, "/node_execution")


def test_a_line_of_another_run_with_the_same_id_is_409(api: Any, owner: Any, run: Any) -> None:
    line = {"id": str(uuid7()), "level": "info", "message": "a"}
    client = api(owner)
    assert post(client, f"executions/{run.pk}/logs/", line).status_code == 201
    other = WorkflowExecutionFactory(workflow=run.workflow)
    assert post(client, f"executions/{other.pk}/logs/", line).status_code == 409


def test_lines_are_taken_after_the_end_of_the_run(api: Any, owner: Any, run: Any) -> None:
    run.complete()
    assert post(api(owner), f"executions/{run.pk}/logs/", {"level": "info", "message": "late"}).status_code == 201


def test_pages_of_lines_with_one_timestamp_neither_skip_nor_repeat(api: Any, owner: Any, run: Any) -> None:
    line = ExecutionLogFactory(workflow_execution=run)
    for _ in range(6):
        ExecutionLogFactory(workflow_execution=run, timestamp=line.timestamp)
    client, url, seen = api(owner), f"/api/v1/executions/{run.pk}/logs/?page_size=2", []
    while url:
        page = client.get(url).json()
        seen += [row["id"] for row in page["results"]]
        url = page["next"]
    assert seen == [str(id) for id in ExecutionLog.objects.values_list("id", flat=True)]


def test_a_body_of_too_many_lines_says_how_many_are_taken(api: Any, owner: Any, run: Any) -> None:
    answer = post(api(owner), f"executions/{run.pk}/logs/", [{}] * 10_001)
    assert (answer.status_code, "10000" in answer.json()["detail"]) == (400, True)


@pytest.mark.parametrize("days", [-2, 91, 20_000])
def test_an_id_of_another_age_is_refused_and_no_partition_made(api: Any, owner: Any, run: Any, days: int) -> None:
    there = partitions.existing()
    id = UUID(int=partitions.bound(datetime.now(UTC) - timedelta(days=days)).int | 7 << 76 | 2 << 62)
    answer = post(api(owner), f"executions/{run.pk}/logs/", [{"id": str(id), "level": "info", "message": ""}])
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (400, "/0/id")
    assert partitions.existing() == there
