"""Lines with a source, a number and an attempt, and the numbers that are missing."""

import json
import re
from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction
from django.test.utils import CaptureQueriesContext

from executions import ingest, log_gaps
from executions.models import ExecutionLog, NodeExecution, WorkflowExecution
from executions.tests.factories import NodeExecutionFactory, WorkflowExecutionFactory, in_state
from executions.tests.facts.reporting import line, send
from ledgerkit.db.models import uuid7

pytestmark = pytest.mark.django_db

LINE = {"level": "info", "message": "x"}


@pytest.fixture
def again(run: WorkflowExecution, workflow: Any) -> NodeExecution:
    """A node execution at its second attempt."""
    node = workflow.nodes.get(name="fetch")
    type(node).objects.filter(pk=node.pk).update(retry_config={"max_retries": 3})
    row = in_state(NodeExecutionFactory(workflow_execution=run, node=node), "failed")
    row.refresh_from_db()
    row.retry()
    return row


def post(client: Any, run: WorkflowExecution, body: Any, status: int = 201) -> Any:
    url = f"/api/v1/executions/{run.pk}/logs/"
    response = client.post(url, json.dumps(body), content_type="application/json")
    assert response.status_code == status, response.content
    return response.json()


def get(client: Any, run: WorkflowExecution, path: str = "", status: int = 200) -> Any:
    response = client.get(f"/api/v1/executions/{run.pk}/logs/{path}")
    assert response.status_code == status, response.content
    return response.json()


def post_numbers(engine: Any, run: WorkflowExecution, source: str | None, *numbers: int) -> None:
    post(engine, run, [{**LINE, "source": source, "seq": number} for number in numbers])


# --- what a line keeps ------------------------------------------------------------------
def test_source_and_number_are_kept_and_shown(engine: Any, run: WorkflowExecution) -> None:
    made = post(engine, run, {**LINE, "source": "worker-3", "seq": 1041})
    assert (made["source"], made["seq"], made["attempt"]) == ("worker-3", 1041, 1)
    assert get(engine, run)["results"] == [made]


def test_source_and_number_may_be_left_out(engine: Any, run: WorkflowExecution) -> None:
    assert [post(engine, run, LINE)[name] for name in ("source", "seq")] == [None, None]


def test_a_source_is_stored_in_nfc(engine: Any, run: WorkflowExecution) -> None:
    assert post(engine, run, {**LINE, "source": "작업자".encode().decode()})["source"] == "작업자"
    made = post(engine, run, {**LINE, "source": "\u1107\u1161"})
    assert made["source"] == "\ubc14"
    assert [line["id"] for line in get(engine, run, "?source=\u1107\u1161")["results"]] == [made["id"]]


def test_a_secret_in_a_source_is_masked(engine: Any, workflow: Any) -> None:
    context = {"secrets": {"token": "tiger-42-lily"}}
    run = in_state(WorkflowExecutionFactory(workflow=workflow, context=context), "running")
    source = post(engine, run, {**LINE, "source": "worker tiger-42-lily"})["source"]
    assert "tiger-42" not in source
    assert source.startswith("worker ")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("source", "x" * 201),
        ("source", "a\nb"),
        ("source", ""),
        ("source", 3),
        ("seq", 0),
        ("seq", 2**63),
        ("seq", "1"),
        ("attempt", 0),
        ("attempt", 2**31),
    ],
)
def test_values_out_of_bounds_are_refused_with_their_place(
    engine: Any, run: WorkflowExecution, field: str, value: object
) -> None:
    assert post(engine, run, {**LINE, field: value}, 400)["errors"][0]["pointer"] == f"/{field}"
    assert post(engine, run, [LINE, {**LINE, field: value}], 400)["errors"][0]["pointer"] == f"/1/{field}"
    assert not ExecutionLog.objects.exists()


@pytest.mark.parametrize(("field", "value"), [("source", "x" * 201), ("seq", 0), ("attempt", 0)])
def test_the_database_refuses_them_too(run: WorkflowExecution, field: str, value: object) -> None:
    columns = ("id", "workflow_execution", "level", "message", field)
    with pytest.raises(DatabaseError), transaction.atomic():
        ingest.copy(ExecutionLog, columns, [(uuid7(), run.pk, "info", "x", value)])


def test_a_line_with_a_number_that_exists_is_stored_too(engine: Any, run: WorkflowExecution) -> None:
    post_numbers(engine, run, "worker-3", 1, 1)
    assert ExecutionLog.objects.count() == 2


# --- the attempt ------------------------------------------------------------------------
def test_a_line_has_the_attempt_of_its_node(engine: Any, run: WorkflowExecution, again: NodeExecution) -> None:
    made = post(engine, run, [{**LINE, "node_execution": str(again.pk)}, LINE])
    assert [line["attempt"] for line in made] == [2, 1]


def test_the_caller_may_state_the_attempt_of_a_line(engine: Any, run: WorkflowExecution, again: NodeExecution) -> None:
    late = {**LINE, "node_execution": str(again.pk), "attempt": 1}
    assert post(engine, run, late)["attempt"] == 1


def test_an_attempt_of_null_is_the_current_one(engine: Any, run: WorkflowExecution) -> None:
    line = {**LINE, "id": str(uuid7()), "attempt": None}
    assert [post(engine, run, line)["attempt"], post(engine, run, line, 200)["attempt"]] == [1, 1]


def test_without_a_node_it_is_that_of_the_run(engine: Any, workflow: Any) -> None:
    run = in_state(WorkflowExecutionFactory(workflow=workflow), "failed")
    run.retry()
    assert post(engine, run, LINE)["attempt"] == 2


def test_in_process_it_is_set_too(run: WorkflowExecution, again: NodeExecution) -> None:
    values = {"workflow_execution": run, "level": "info", "message": "x"}
    saved = ExecutionLog.objects.create(**values, node_execution=again)
    many = ExecutionLog.objects.bulk_create(
        [ExecutionLog(**values, node_execution=again), ExecutionLog(**values), ExecutionLog(**values, attempt=7)]
    )
    assert [line.attempt for line in (saved, *many)] == [2, 2, 1, 7]
    assert set(ExecutionLog.objects.values_list("attempt", flat=True)) == {2, 1, 7}


def test_a_line_that_is_sent_again_after_a_retry_keeps_its_attempt(
    engine: Any, run: WorkflowExecution, again: NodeExecution
) -> None:
    line = {**LINE, "id": str(uuid7()), "node_execution": str(again.pk)}
    post(engine, run, line)
    NodeExecution.objects.filter(pk=again.pk).update(attempt=3)
    assert post(engine, run, line, 200)["attempt"] == 2


def test_lines_are_filtered_by_it(engine: Any, run: WorkflowExecution, again: NodeExecution) -> None:
    made = post(engine, run, [{**LINE, "node_execution": str(again.pk)}, LINE])
    assert get(engine, run, "?attempt=2")["results"] == made[:1]
    get(engine, run, "?attempt=0", 400)
    get(engine, run, "?attempt=x", 400)


def test_the_attempts_cost_the_api_no_statement(engine: Any, run: WorkflowExecution, again: NodeExecution) -> None:
    line = {**LINE, "node_execution": str(again.pk)}
    with CaptureQueriesContext(connection) as queries:
        post(engine, run, [line] * 50)
    assert not [query for query in queries.captured_queries if "UNION ALL SELECT id, attempt" in query["sql"]]


# --- facts ------------------------------------------------------------------------------
def test_facts_have_them_too(engine: Any, run: WorkflowExecution, again: NodeExecution) -> None:
    of_node = {"node_execution": str(again.pk)}
    answer = send(
        engine,
        line(str(run.pk), "a", source="worker\\\u1107\u1161", seq=2, **of_node),
        line(str(run.pk), "b", seq=1),
        line(str(run.pk), "c", attempt=1, **of_node),
        line(str(run.pk), "d", seq=0),
    )
    assert (answer["applied"], answer["refused"]) == (0, 4)
    send(
        engine,
        line(str(run.pk), "a", source="worker\\\u1107\u1161", seq=2, **of_node),
        line(str(run.pk), "b", seq=1),
        line(str(run.pk), "c", attempt=1, **of_node),
    )
    rows = ExecutionLog.objects.order_by("message").values_list("source", "seq", "attempt")
    assert list(rows) == [("worker\\\ubc14", 2, 2), (None, 1, 1), (None, None, 1)]


@pytest.mark.parametrize("source", ["x" * 201, "", "a\nb"])
def test_a_fact_with_a_source_that_is_no_name_is_refused(engine: Any, run: WorkflowExecution, source: str) -> None:
    assert send(engine, line(str(run.pk), "a", source=source))["refusals"][0]["code"] == "invalid"


def test_a_secret_in_the_source_of_a_fact_is_masked(engine: Any, workflow: Any) -> None:
    context = {"secrets": {"token": "tiger-42-lily"}}
    run = in_state(WorkflowExecutionFactory(workflow=workflow, context=context), "running")
    assert send(engine, line(str(run.pk), "a", source="worker tiger-42-lily"))["applied"] == 1
    assert "tiger" not in str(ExecutionLog.objects.get().source)


# --- missing lines ----------------------------------------------------------------------
def test_the_numbers_that_are_missing(engine: Any, run: WorkflowExecution) -> None:
    post_numbers(engine, run, "worker-3", *range(1, 1041), 1058)
    post_numbers(engine, run, "worker-1", 3, 2, 4)
    post_numbers(engine, run, None, 1, 2, 5, 4, 4)
    assert get(engine, run, "gaps/") == {
        "gaps": [
            {"source": "worker-1", "first": 1, "last": 1},
            {"source": "worker-3", "first": 1041, "last": 1057},
            {"source": None, "first": 3, "last": 3},
        ],
        "is_cut": False,
    }


def test_no_number_is_missing(engine: Any, run: WorkflowExecution) -> None:
    post(engine, run, LINE)
    post_numbers(engine, run, "worker-3", 2, 1, 3)
    assert get(engine, run, "gaps/") == {"gaps": [], "is_cut": False}


def test_a_line_that_arrives_late_closes_its_gap(engine: Any, run: WorkflowExecution) -> None:
    post_numbers(engine, run, "worker-3", 1, 3)
    run.cancel()
    post_numbers(engine, run, "worker-3", 2)
    assert get(engine, run, "gaps/")["gaps"] == []


def test_two_lines_of_the_highest_number_that_there_is(engine: Any, run: WorkflowExecution) -> None:
    highest = 2**63 - 1
    post_numbers(engine, run, "worker-3", highest, highest)
    assert get(engine, run, "gaps/")["gaps"] == [{"source": "worker-3", "first": 1, "last": highest - 1}]


def test_only_the_first_gaps_are_listed(run: WorkflowExecution) -> None:
    rows = ((uuid7(), run.pk, "info", "x", 2 * number) for number in range(1, 6))
    ingest.copy(ExecutionLog, ("id", "workflow_execution", "level", "message", "seq"), rows)
    assert log_gaps.missing_lines(run.pk, 4) == ([(None, n, n) for n in (1, 3, 5, 7)], True)
    assert not log_gaps.missing_lines(run.pk, 5).is_cut


def test_who_may_not_see_the_run_is_told_nothing_of_it(
    api: Any, engine: Any, run: WorkflowExecution, stranger: Any
) -> None:
    post_numbers(engine, run, "worker-3", 3)
    get(api(stranger), run, "gaps/", 404)


def test_gaps_are_read_in_the_index_alone(run: WorkflowExecution) -> None:
    rows = ((uuid7(), run.pk, "info", "x", "worker", number) for number in range(1, 100))
    ingest.copy(ExecutionLog, ("id", "workflow_execution", "level", "message", "source", "seq"), rows)
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off; SET LOCAL enable_sort = off")
        cursor.execute(f"EXPLAIN {log_gaps.GAPS}", {"run": run.pk, "most": 1_000})
        plan = "\n".join(row for (row,) in cursor.fetchall())
    found = [line.split("->")[-1].strip() for line in plan.splitlines() if " Scan using " in line]
    scans = [scan for scan in found if "dropped_lines" not in scan]
    assert scans
    assert all(
        re.match(r"Index Only Scan using execution_logs_\d+_\d+_\w*(source|[0-9a-f]{8})", scan) for scan in scans
    )
