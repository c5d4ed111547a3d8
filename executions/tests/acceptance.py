"""Helpers of the tests of the contract: rows made by its names, plain SQL, and threads that race."""

import secrets
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.db.models import Model

from executions.models import NodeExecution, TriggerType, WorkflowExecution
from executions.tests.factories import in_state
from workflows.models import Edge, Node, NodeType, Workflow

NOON = datetime(2026, 1, 12, 12, tzinfo=UTC)
ARGUMENTS = {"fail": ("boom",)}


def new_workflow(name: str = "Momentum") -> Workflow:
    owner, _ = get_user_model().objects.get_or_create(username="owner")
    return Workflow.objects.create(owner=owner, name=name)


def new_node(workflow: Workflow, name: str = "load", **fields: Any) -> Node:
    values = {"node_type": NodeType.TOOL, "position_x": 0, "position_y": 0} | fields
    return Node.objects.create(workflow=workflow, name=name, **values)


def new_edge(source: Node, target: Node, **fields: Any) -> Edge:
    values = {"workflow": source.workflow, "source_node": source, "target_node": target} | fields
    return Edge.objects.create(**values)


def new_run(workflow: Workflow | None = None, **fields: Any) -> WorkflowExecution:
    values = {"trigger_type": TriggerType.MANUAL} | fields
    return WorkflowExecution.objects.create(workflow=workflow or new_workflow(), **values)


def new_node_execution(run: WorkflowExecution, name: str = "load", order: int = 0, **fields: Any) -> NodeExecution:
    node = Node.objects.filter(workflow=run.workflow, name=name).first() or new_node(run.workflow, name)
    return NodeExecution.objects.create(workflow_execution=run, node=node, execution_order=order, **fields)


def act(row: WorkflowExecution | NodeExecution, verb: str) -> None:
    getattr(row, verb)(*ARGUMENTS.get(verb, ()))


def run_in(status: str) -> WorkflowExecution:
    """Return a run that its verbs moved to a status. No verb skips a run, so SQL does."""
    run = new_run()
    if status == "skipped":
        sql("UPDATE workflow_executions SET status = 'skipped', ended_at = now() WHERE id = %s", run.id)
    else:
        in_state(run, status)
    return fresh(run)


def node_execution_in(status: str) -> NodeExecution:
    """Return a node execution of a running run that its verbs moved to a status."""
    run = new_run()
    run.start()
    return fresh(in_state(new_node_execution(run), status))


def fresh[Row: Model](row: Row) -> Row:
    return type(row)._default_manager.get(pk=row.pk)


def try_start(run: WorkflowExecution) -> bool:
    """Start the run as it is now. Return whether it was started."""
    try:
        fresh(run).start()
    except ValueError:
        return False
    return True


def values(row: Model) -> dict[str, Any]:
    """Return the columns of the row in the database."""
    return type(row)._default_manager.values().get(pk=row.pk)


def statuses(run: WorkflowExecution) -> dict[str, str]:
    return dict(NodeExecution.objects.filter(workflow_execution=run).values_list("node__name", "status"))


def sql(statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
    """Run plain SQL, deferred constraints included, and return its rows."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        rows = cursor.fetchall() if cursor.description else []
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    return rows


@contextmanager
def expect_refusal() -> Iterator[pytest.ExceptionInfo[Exception]]:
    """Expect a refusal of any class: the contract leaves the class open."""
    with pytest.raises((ValueError, ValidationError, DatabaseError)) as refusal, transaction.atomic():
        yield refusal


def insert(table: str, **columns: Any) -> None:
    marks = ", ".join(["%s"] * len(columns))
    sql(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})", *columns.values())


def uuid7(age: timedelta = timedelta()) -> UUID:
    milliseconds = int((time.time() - age.total_seconds()) * 1000)
    return UUID(int=milliseconds << 80 | 7 << 76 | secrets.randbits(12) << 64 | 2 << 62 | secrets.randbits(62))


def race(acts: Iterable[Callable[[], Any]]) -> list[Any]:
    """Run all acts at once, each in a thread and connection of its own; return their results or refusals."""
    acts = list(acts)
    gate = threading.Barrier(len(acts))

    def contend(one: Callable[[], Any]) -> Any:
        try:
            connection.ensure_connection()
            gate.wait(timeout=60)
            return one()
        except (ValueError, IntegrityError) as refusal:
            return refusal
        finally:
            connection.close()

    with ThreadPoolExecutor(len(acts)) as pool:
        return list(pool.map(contend, acts))
