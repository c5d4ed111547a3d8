"""Fences at every entrance: what a worker reports whose run and node were given to another one is refused as fenced."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from executions import reporting
from executions.exceptions import FencedExecution
from executions.models import ExecutionLog, NodeExecution, WorkflowExecution
from executions.models.lease import WorkflowExecutionLease
from executions.tests.factories import NodeExecutionFactory, WorkflowExecutionFactory, run_with_nodes
from executions.tests.facts.reporting import new_id, send
from executions.upkeep.overdue_attempts import end_overdue
from workflows.models import Workflow

pytestmark = pytest.mark.django_db


@dataclass
class Taken:
    """A run that another worker has got, with the tokens of both attempts: of the run, and of its first node. The
    second node runs without a lease of its own, the third one is pending."""

    client: Any
    run: WorkflowExecution
    nodes: list[NodeExecution]
    old: dict[str, UUID | None]
    new: dict[str, UUID | None]


@dataclass(frozen=True)
class Report:
    """A report with a token of the run or of the node. `node` is the place of the node that it is about."""

    act: str
    token: str
    node: int | None = None

    def __str__(self) -> str:
        return f"{self.act}, {'run' if self.node is None else 'node'}, {self.token}"


REPORTS = [
    Report("heartbeat", "token"), Report("complete", "token"), Report("fail", "token"), Report("line", "token"),
    Report("heartbeat", "token", 0), Report("complete", "token", 0), Report("fail", "token", 0),
    Report("line", "token", 0),
    Report("complete", "run_token", 1), Report("fail", "run_token", 1), Report("line", "run_token", 1),
    Report("start", "run_token", 2), Report("skip", "run_token", 2), Report("create", "run_token", 2),
]  # fmt: skip
FIELDS: dict[str, dict[str, Any]] = {
    "fail": {"error_message": "late"},
    "complete": {"output_data": "late"},
    "line": {"level": "info", "message": "late"},
}


def of_token(report: Report, tokens: dict[str, UUID | None]) -> dict[str, Any]:
    return {report.token: tokens["node" if report.token == "token" and report.node is not None else "run"]}


def by_rest(taken: Taken, report: Report, body: dict[str, Any]) -> str:
    run, node = f"executions/{taken.run.pk}/", None if report.node is None else taken.nodes[report.node]
    address = f"node-executions/{node.pk}/" if node else run
    if report.act == "line":
        address, body = f"{run}logs/", body | ({"node_execution": node.pk} if node else {})
    elif report.act == "create":
        address, body = f"{run}nodes/", body | {"node": "fetch"}
    else:
        address += f"{report.act}/"
    data = json.dumps(body, default=str)
    response = taken.client.post(f"/api/v1/{address}", data, content_type="application/json")
    assert response.status_code in {200, 201, 409}, response.content
    return "" if response.status_code != 409 else str(response.json()["code"])


def as_fact(taken: Taken, report: Report, body: dict[str, Any]) -> dict[str, Any]:
    if report.act == "line":
        node = {} if report.node is None else {"node_execution": str(taken.nodes[report.node].pk)}
        return {"kind": "log", "id": new_id(), "workflow_execution": str(taken.run.pk), **node, **body}
    if report.node is None:
        return {"kind": f"execution.{report.act}", "id": str(taken.run.pk), **body}
    new = {"id": new_id(), "node": "fetch"} if report.act == "create" else {"id": str(taken.nodes[report.node].pk)}
    return {"kind": f"node.{report.act}", "workflow_execution": str(taken.run.pk), **new, **body}


def by_events(taken: Taken, report: Report, body: dict[str, Any]) -> str:
    fact = json.loads(json.dumps(as_fact(taken, report, body), default=str))
    return "".join(each["code"] for each in send(taken.client, fact)["refusals"])


def in_process(taken: Taken, report: Report, body: dict[str, Any]) -> str:
    fact = json.loads(json.dumps(as_fact(taken, report, body), default=str))
    return "".join(each.code for each in reporting.report([fact], taken.run.workflow.owner).refusals)


def by_verb(taken: Taken, report: Report, body: dict[str, Any]) -> str:
    row: Any = taken.run if report.node is None else NodeExecution.objects.get(pk=taken.nodes[report.node].pk)
    try:
        if report.act == "create":
            taken.run.add_node(taken.nodes[0].node, **body)
        else:
            getattr(row, report.act)(**body)
    except FencedExecution:
        return "fenced"
    return ""


ENTRANCES: list[Callable[[Taken, Report, dict[str, Any]], str]] = [by_rest, by_events, in_process, by_verb]
TABLE = [
    pytest.param(entrance, report, id=f"{entrance.__name__}: {report}")
    for entrance in ENTRANCES
    for report in REPORTS
    if (entrance, report.act) != (by_verb, "line")  # the models take lines of their own process, without a token
]


@pytest.fixture
def taken(engine: Any, workflow: Workflow) -> Taken:
    run = run_with_nodes(workflow)
    nodes = list(run.node_executions.order_by("execution_order", "id"))
    run.fail("to be started under a lease")
    run.retry()
    old = begin(run, nodes)
    WorkflowExecutionLease.objects.update(expires_at=timezone.now() - timedelta(hours=1))
    assert end_overdue()[0] == 1
    run = WorkflowExecution.objects.get(pk=run.pk)
    run.retry()
    return Taken(engine, run, nodes, old, begin(run, nodes))


def begin(run: WorkflowExecution, nodes: list[NodeExecution]) -> dict[str, UUID | None]:
    """Start the run and two of its nodes. Return the tokens."""
    tokens = {"run": run.start(lease_seconds=60)}
    first, second = (NodeExecution.objects.get(pk=node.pk) for node in nodes[:2])
    tokens["node"] = first.start(lease_seconds=60)
    second.start()
    return tokens


def state(taken: Taken) -> list[Any]:
    rows = taken.run.node_executions.order_by("pk").values_list("pk", "status", "version")
    run = WorkflowExecution.objects.values_list("status", "version").get(pk=taken.run.pk)
    return [run, *rows, ExecutionLog.objects.count()]


@pytest.mark.slow
@pytest.mark.parametrize(("entrance", "report"), TABLE)
def test_an_old_token_is_refused_as_fenced_and_the_new_one_is_taken(
    taken: Taken, entrance: Callable[[Taken, Report, dict[str, Any]], str], report: Report
) -> None:
    fields, before = FIELDS.get(report.act, {}), state(taken)
    assert entrance(taken, report, fields | of_token(report, taken.old)) == "fenced"
    assert state(taken) == before
    if (report.act, report.node) == ("complete", None):
        NodeExecution.objects.filter(status="running").update(status="completed", ended_at=timezone.now())
    assert entrance(taken, report, fields | of_token(report, taken.new)) == ""


@pytest.mark.parametrize("entrance", [by_rest, by_events])
def test_a_line_with_a_token_of_nothing_is_refused(taken: Taken, entrance: Any) -> None:
    nothing = {"token": new_token(), "run_token": new_token()}
    for node, token in ((None, "token"), (0, "token"), (1, "run_token")):
        report = Report("line", token, node)
        assert entrance(taken, report, FIELDS["line"] | {token: nothing[token]}) == "fenced"
    assert not ExecutionLog.objects.exists()


def new_token() -> str:
    return "5b1c9d5e-3f0a-4f55-9d3e-0c6f7a1b2c3d"


def test_a_token_is_taken_beside_a_secret_that_is_masked(taken: Taken) -> None:
    secret = {"password": "hunter22x"}
    for report, fields in (
        (Report("line", "token", 0), {"level": "info", "message": "password=hunter22x", "data": secret}),
        (Report("line", "run_token", 1), {"level": "info", "message": "m", "data": secret}),
        (Report("create", "run_token", 2), {"input_data": secret}),
        (Report("complete", "run_token", 1), {"output_data": secret}),
    ):
        assert by_rest(taken, report, fields | of_token(report, taken.new)) == ""
    assert "hunter22x" not in str(list(ExecutionLog.objects.values_list("message", "data")))


@pytest.mark.parametrize(("attempt", "status", "stored"), [("old", 409, 0), ("new", 201, 2)])
def test_a_list_of_lines_is_stored_or_refused_as_a_whole(taken: Taken, attempt: str, status: int, stored: int) -> None:
    tokens = getattr(taken, attempt)
    lines = [
        {"level": "info", "message": "of the run", "token": taken.new["run"]},
        {"level": "info", "message": "of a node", "node_execution": taken.nodes[0].pk, "token": tokens["node"]},
    ]
    data, address = json.dumps(lines, default=str), f"/api/v1/executions/{taken.run.pk}/logs/"
    response = taken.client.post(address, data, content_type="application/json")
    assert (response.status_code, ExecutionLog.objects.count()) == (status, stored)


def test_the_run_is_locked_while_its_token_is_taken_for_a_node(workflow: Workflow) -> None:
    """A retry of the run, which leaves the attempt of a pending node as it is, has to wait until the node has moved."""
    run = WorkflowExecutionFactory(workflow=workflow)
    token = run.start(worker="one", lease_seconds=60)
    node = NodeExecutionFactory(workflow_execution=run)
    with CaptureQueriesContext(connection) as queries:
        node.start(run_token=token)
    locks = [place for place, query in enumerate(queries) if "FOR NO KEY UPDATE" in query["sql"]]
    moves = [place for place, query in enumerate(queries) if "move_node" in query["sql"]]
    assert locks[0] < moves[0]
