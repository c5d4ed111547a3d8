"""Rows that the ledger has stored."""

from executions.models import ExecutionLog, NodeExecution, WorkflowExecution


def the_run() -> WorkflowExecution:
    return WorkflowExecution.objects.get()


def node_named(name: str) -> NodeExecution:
    return NodeExecution.objects.get(node__name=name)


def messages() -> list[str]:
    return list(ExecutionLog.objects.order_by("id").values_list("message", flat=True))
