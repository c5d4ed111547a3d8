"""Sizes of input are limited by settings; larger input is refused at its field, through every entrance."""

import json
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import transaction

from executions import ingest
from executions.models import ExecutionLog, NodeExecution, WorkflowExecution
from executions.tests.factories import NodeExecutionFactory, WorkflowExecutionFactory
from workflows.models import Node, Workflow

API = "/api/v1/"
LIMIT = 20_000
LARGE = {"x": "y" * LIMIT}


@pytest.fixture(autouse=True)
def _limit(settings: Any) -> None:
    settings.LEDGERKIT = settings.LEDGERKIT | {"MAX_DOCUMENT_BYTES": LIMIT}


@pytest.fixture
def node(workflow: Workflow) -> NodeExecution:
    run = WorkflowExecutionFactory(workflow=workflow)
    run.start()
    made: NodeExecution = NodeExecutionFactory(workflow_execution=run)
    made.start()
    return made


RUN = {"workflow": "", "trigger_type": "manual"}
LINE = {"level": "info", "message": "x"}
SENT: list[tuple[str, Any, str]] = [
    ("executions/", RUN | {"input_data": LARGE}, "/input_data"),
    ("executions/", RUN | {"context": LARGE}, "/context"),
    ("executions/", RUN | {"metadata": LARGE}, "/metadata"),
    ("executions/{run}/complete/", {"output_data": LARGE}, "/output_data"),
    ("executions/{run}/nodes/", {"node": "fetch", "input_data": LARGE}, "/input_data"),
    ("node-executions/{node}/complete/", {"output_data": "z" * LIMIT}, "/output_data"),
    ("executions/{run}/logs/", LINE | {"data": LARGE}, "/data"),
    ("executions/{run}/logs/", [LINE, LINE | {"data": LARGE}], "/1/data"),
    ("workflows/", {"name": "x", "config": LARGE}, "/config"),
    ("workflows/", {"name": "x", "variables": LARGE}, "/variables"),
    ("workflows/", {"name": "x", "description": "y" * LIMIT}, "/description"),
    ("workflows/", {"name": "x", "nodes": [{"name": "a", "node_type": "tool", "config": LARGE}]}, "/nodes/0/config"),
    ("workflows/", {"name": "x", "nodes": [{"name": "a", "node_type": "tool", "input_schema": LARGE}]},
     "/nodes/0/input_schema"),
    ("workflows/", {"name": "x", "nodes": [{"name": n, "node_type": "tool"} for n in "ab"],
                    "edges": [{"source_node": "a", "target_node": "b", "condition": LARGE}]}, "/edges/0/condition"),
]  # fmt: skip


@pytest.mark.parametrize(("path", "body", "pointer"), SENT)
def test_a_document_over_the_limit_is_400_with_its_place(
    api: Any, owner: Any, node: NodeExecution, path: str, body: Any, pointer: str
) -> None:
    ids = {"run": node.workflow_execution_id, "node": node.pk}
    if isinstance(body, dict) and "workflow" in body:
        body = body | {"workflow": str(node.node.workflow_id)}
    answer = api(owner).post(API + path.format(**ids), body, format="json")
    errors = answer.json()["errors"]
    assert (answer.status_code, [error["pointer"] for error in errors]) == (400, [pointer])
    assert errors[0]["code"] == "too_large"
    assert f"at most {LIMIT:,} are stored (LEDGERKIT['MAX_DOCUMENT_BYTES'])" in errors[0]["detail"]


@pytest.mark.parametrize("letters", ["y", "é", "한"])
def test_the_limit_is_of_bytes(workflow: Workflow, letters: str) -> None:
    room = LIMIT - len('{"x":""}')
    fits = letters * (room // len(letters.encode()))
    WorkflowExecutionFactory(workflow=workflow, metadata={"x": fits})
    with pytest.raises(ValidationError, match="metadata: too large"):
        WorkflowExecutionFactory(workflow=workflow, metadata={"x": fits + letters})


def test_in_process_every_way_in_refuses_it(node: NodeExecution) -> None:
    run = node.workflow_execution
    line = ExecutionLog(workflow_execution=run, level="info", message="x", data=LARGE)
    run.metadata = LARGE
    entrances: list[tuple[str, Any]] = [
        ("metadata", run.save),
        ("metadata", lambda: WorkflowExecution.objects.bulk_create([run])),
        ("metadata", lambda: WorkflowExecution.objects.filter(pk=run.pk).update(metadata=LARGE)),
        ("output_data", lambda: node.complete(LARGE)),
        ("data", line.save),
        ("data", lambda: ExecutionLog.objects.bulk_create([line])),
        ("data", lambda: ingest.write_lines([line])),
        ("config", lambda: Workflow(name="x", config=LARGE).save()),
        ("config", lambda: Node.objects.filter(pk=node.node_id).update(config=LARGE)),
        ("config", lambda: Workflow(name="x", config=LARGE).full_clean()),
    ]
    for field, write in entrances:
        with pytest.raises(ValidationError) as refused, transaction.atomic():
            write()
        assert list(refused.value.message_dict) == [field]
    assert NodeExecution.objects.get(pk=node.pk).status == "running"


def test_a_body_within_the_limit_is_stored_whole(api: Any, owner: Any, workflow: Workflow) -> None:
    context = {"x": "y" * (LIMIT - len(json.dumps({"x": ""}, separators=(",", ":"))))}
    body = {"workflow": str(workflow.pk), "trigger_type": "manual", "context": context}
    assert api(owner).post(f"{API}executions/", body, format="json").status_code == 201
    assert WorkflowExecution.objects.get().context == context
