"""Rows of the ledger for tests. `in_state(row, "failed")` moves one by its verbs, as an engine would."""

from typing import Any

import factory
from factory.django import DjangoModelFactory

from executions.models import (
    ExecutionLog,
    LogLevel,
    NodeExecution,
    NodeExecutionAttempt,
    TriggerType,
    WorkflowExecution,
    WorkflowExecutionAttempt,
)
from workflows.models import Workflow
from workflows.tests.factories import NodeFactory, WorkflowFactory


class WorkflowExecutionFactory(DjangoModelFactory):
    class Meta:
        model = WorkflowExecution

    workflow = factory.SubFactory(WorkflowFactory)
    trigger_type = TriggerType.MANUAL


class NodeExecutionFactory(DjangoModelFactory):
    class Meta:
        model = NodeExecution

    workflow_execution = factory.SubFactory(WorkflowExecutionFactory)
    node = factory.SubFactory(NodeFactory, workflow=factory.SelfAttribute("..workflow_execution.workflow"))
    execution_order = 0


class ExecutionLogFactory(DjangoModelFactory):
    class Meta:
        model = ExecutionLog

    workflow_execution = factory.SubFactory(WorkflowExecutionFactory)
    level = LogLevel.INFO
    message = factory.Sequence("line {}".format)


class WorkflowExecutionAttemptFactory(DjangoModelFactory):
    class Meta:
        model = WorkflowExecutionAttempt

    workflow_execution = factory.SubFactory(WorkflowExecutionFactory)
    number = factory.Sequence(lambda n: n + 1)
    status = "failed"


class NodeExecutionAttemptFactory(DjangoModelFactory):
    class Meta:
        model = NodeExecutionAttempt

    node_execution = factory.SubFactory(NodeExecutionFactory)
    number = factory.Sequence(lambda n: n + 1)
    status = "failed"


PATHS: dict[str, list[tuple[Any, ...]]] = {
    "pending": [],
    "running": [("start",)],
    "completed": [("start",), ("complete",)],
    "failed": [("start",), ("fail", "went wrong")],
    "cancelled": [("cancel",)],
    "skipped": [("skip",)],
}


def in_state[E: WorkflowExecution | NodeExecution](execution: E, state: str) -> E:
    """Return the same row, moved from pending to `state`. A run has no verb that skips it."""
    for verb, *arguments in PATHS[state]:
        if verb == "start":
            startable(execution)
        getattr(execution, verb)(*arguments)
    return execution


def startable[E: WorkflowExecution | NodeExecution](execution: E) -> E:
    """Return the same row, which may be started: the run of a node is running."""
    if isinstance(execution, NodeExecution) and execution.workflow_execution.status == "pending":
        execution.workflow_execution.start()
    return execution


def run_with_nodes(workflow: Workflow, **fields: Any) -> WorkflowExecution:
    """Return a running run of `workflow` with a pending execution of each node."""
    run = in_state(WorkflowExecutionFactory(workflow=workflow, **fields), "running")
    levels = workflow.levels()
    for node in workflow.nodes.all():
        NodeExecutionFactory(workflow_execution=run, node=node, execution_order=levels[node.pk])
    return run
