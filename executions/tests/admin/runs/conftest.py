"""A run of a workflow with nodes."""

from typing import Any

import pytest

from executions.models import WorkflowExecution
from executions.tests.factories import (
    run_with_nodes,
)


@pytest.fixture
def run(workflow: Any) -> WorkflowExecution:
    return run_with_nodes(workflow)
