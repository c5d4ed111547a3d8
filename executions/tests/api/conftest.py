"""Fixtures of the tests of the API."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction

from executions.models import WorkflowExecution
from executions.tests.api.fixtures import World
from executions.tests.api.list_requests import DAY
from executions.tests.factories import ExecutionLogFactory, NodeExecutionFactory, WorkflowExecutionFactory, in_state
from workflows.models import Workflow


@pytest.fixture(scope="module")
def world(django_db_setup: None, django_db_blocker: Any) -> Iterator[World]:
    """Yield the rows of all tests of a module, each of which works in a savepoint."""
    with django_db_blocker.unblock(), transaction.atomic():
        yield World()
        transaction.set_rollback(True)


@pytest.fixture
def run(workflow: Workflow) -> WorkflowExecution:
    return in_state(WorkflowExecutionFactory(workflow=workflow), "running")


@pytest.fixture
def lines(workflow: Workflow) -> Any:
    """Return the lines of a run, oldest first: a debug, an info of `rank`, a warning, an error."""
    run = WorkflowExecutionFactory(workflow=workflow)
    node = NodeExecutionFactory(workflow_execution=run, node=workflow.nodes.get(name="rank"))
    kinds = [("debug", None, "one"), ("info", node, "two 100%"), ("warning", None, "THREE"), ("error", None, "four")]
    return [
        ExecutionLogFactory(
            workflow_execution=run,
            level=level,
            node_execution=of,
            message=text,
            timestamp=DAY + timedelta(minutes=minute),
        )
        for minute, (level, of, text) in enumerate(kinds)
    ]
