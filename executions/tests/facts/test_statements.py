"""SQL statements of a call: as many for a thousand facts as for ten."""

import json
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from executions.facts import row_storage
from executions.models import WorkflowExecution
from executions.tests.facts.reporting import line, new_id, run_facts, send
from workflows.models import Workflow
from workflows.tests.factories import EdgeFactory, NodeFactory, WorkflowFactory

pytestmark = pytest.mark.django_db

CONCURRENT = {"metadata": {"allow_concurrent": True}}


def statements(client: Any, *facts: Any) -> list[str]:
    with CaptureQueriesContext(connection) as captured:
        answer = send(client, *facts)
    assert answer["applied"] == len(facts), answer
    return [query["sql"] for query in captured]


def runs(workflow: Workflow, number: int) -> list[list[Any]]:
    nodes = ("fetch", "rank", "report")
    return [run_facts(workflow, new_id(), {name: new_id() for name in nodes}, 2, **CONCURRENT) for _ in range(number)]


def flat(batches: list[list[Any]]) -> list[Any]:
    return [fact for facts in batches for fact in facts]


def test_whole_runs(api: Any, owner: Any, workflow: Workflow) -> None:
    engine = api(owner)
    send(engine, *flat(runs(workflow, 1)))  # its graph is stored and read
    few, many = flat(runs(workflow, 1)), flat(runs(workflow, 70))
    assert (len(few), len(many)) == (14, 980)
    assert len(statements(engine, *few)) == len(statements(engine, *many)) == 5  # two of them the savepoint of a test


def test_moves_of_runs_that_are_there(api: Any, owner: Any, workflow: Workflow) -> None:
    engine = api(owner)
    few, many = runs(workflow, 1), runs(workflow, 70)
    for each in (*few, *many):
        send(engine, *each[:3])
    counts = [len(statements(engine, *(fact for each in batch for fact in each[3:]))) for batch in (few, many)]
    assert counts[0] == counts[1] <= 30


def test_lines_of_a_run_that_is_there(api: Any, owner: Any, workflow: Workflow) -> None:
    engine = api(owner)
    run = new_id()
    send(engine, *run_facts(workflow, run))
    few, many = ([line(run, f"line {n}") for n in range(number)] for number in (10, 1000))
    assert len(statements(engine, *few)) == len(statements(engine, *many)) <= 12


def test_every_kind_and_the_same_again(api: Any, owner: Any) -> None:
    engine = api(owner)
    workflow = WorkflowFactory(owner=owner, chain=["fetch", "rank", "report"])
    workflow.nodes.update(retry_config={"max_retries": 3})

    def calls(number: int) -> list[list[Any]]:
        walks = [of_every_kind(workflow) for _ in range(number)]
        return [flat([walk[step] for walk in walks]) for step in range(len(walks[0]))]

    send(engine, *flat(calls(1)))
    for few, many in zip(calls(1), calls(25), strict=True):
        assert len(statements(engine, *few)) == len(statements(engine, *many)) <= 32
        again = [known_statements(engine, facts) for facts in (few, many)]
        assert again[0] == again[1] <= 64  # of two tries


@pytest.mark.slow
@pytest.mark.parametrize("was_renamed", [False, True], ids=["the graph of today", "graphs of their own"])
def test_nodes_newer_than_their_runs(api: Any, owner: Any, was_renamed: bool) -> None:
    engine = api(owner)

    def runs_of_changed_workflows(number: int) -> list[Any]:
        workflows = [WorkflowFactory(owner=owner, chain=["fetch", "rank"]) for _ in range(number)]
        runs = [(new_id(), workflow) for workflow in workflows for _ in range(3)]
        send(engine, *(run_facts(workflow, run)[0] for run, workflow in runs))
        for workflow in workflows:
            first, last = workflow.nodes.get(name="fetch"), workflow.nodes.get(name="rank")
            for name in ("late", "later"):
                EdgeFactory(workflow=workflow, source_node=last, target_node=NodeFactory(workflow=workflow, name=name))
            if was_renamed:
                workflow.nodes.filter(pk=first.pk).update(name="load")
        return [
            {"kind": "node.create", "id": new_id(), "workflow_execution": run, "node": name}
            for run, _workflow in runs for name in ("late", "later")
        ]  # fmt: skip

    few, many = runs_of_changed_workflows(1), runs_of_changed_workflows(20)
    assert len(statements(engine, *few)) == len(statements(engine, *many)) <= 32
    for run in WorkflowExecution.objects.all():
        assert sorted(node["name"] for node in run.graph.nodes) == ["fetch", "late", "later", "rank"]
        assert run.node_executions.values_list("execution_order", flat=True).distinct().get() == 2
        assert len(run.graph.edges) == 3


def known_statements(client: Any, facts: list[Any]) -> int:
    with CaptureQueriesContext(connection) as captured:
        answer = send(client, *facts)
    assert answer["known"] == len(facts), answer
    return len(captured)


def of_every_kind(workflow: Workflow) -> list[list[Any]]:
    """Return the facts of a run in three calls."""
    run, (first, second, third) = new_id(), (new_id() for _ in range(3))
    create, start, *nodes, _end = run_facts(
        workflow, run, {"fetch": first, "rank": second, "report": third}, **CONCURRENT
    )

    def of_node(kind: str, id: str, **fields: Any) -> dict[str, Any]:
        return {"kind": f"node.{kind}", "id": id, "workflow_execution": run, **fields}

    return [
        [create, start, *(fact for fact in nodes if fact["kind"] == "node.create"), line(run, "one")],
        [
            of_node("start", first, attempt=1),
            of_node("fail", first, error_message="lost", attempt=1),
            of_node("retry", first, attempt=1),
            of_node("skip", second, attempt=1),
            of_node("cancel", third, attempt=1),
            line(run, "two", node_execution=first),
            {"kind": "execution.fail", "id": run, "error_message": "lost", "attempt": 1},
        ],
        [
            {"kind": "execution.retry", "id": run, "attempt": 1},
            {"kind": "execution.cancel", "id": run, "attempt": 2},
        ],
    ]


def test_a_server_of_before_the_last_migrations_stores_its_runs_and_lines(workflow: Workflow) -> None:
    run, line_id = new_id(), new_id()
    row: dict[str, object] = {"id": run, "status": "pending", "attempt": 1, "version": 1}
    row["created_at"] = timezone.now().isoformat()
    row |= {"workflow_id": str(workflow.pk), "trigger_type": "manual", "failed_nodes": 0}
    row |= {"input_data": {}, "context": {}, "metadata": {}}
    old: dict[str, object] = {"id": line_id, "workflow_execution_id": run, "level": "info", "message": "x"}
    old |= {"timestamp": row["created_at"], "data": None, "is_cut": False, "attempt": 1}
    values = [None, None, json.dumps([row]), *[None] * 6, json.dumps([old])]
    with connection.cursor() as cursor:
        cursor.execute(row_storage.RECORD, values)
    stored = WorkflowExecution.objects.get(pk=run)
    assert (stored.is_queued, [str(each.pk) for each in stored.logs.all()]) == (False, [line_id])
