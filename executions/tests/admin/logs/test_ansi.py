"""Colours that an engine's terminal knows: shown where there is room, left out in the cells of tables, raw nowhere."""

from typing import Any

import pytest

from executions.models import NodeExecution
from executions.tests.factories import ExecutionLogFactory, NodeExecutionFactory, in_state

pytestmark = pytest.mark.django_db

RED = "\x1b[31mKeyError\x1b[0m: close"
COLOURED = '<span class="ansi-red">KeyError</span>: close'
RUNS, NODES = "/admin/executions/workflowexecution/", "/admin/executions/nodeexecution/"


@pytest.fixture
def failed_node() -> NodeExecution:
    node = in_state(NodeExecutionFactory(), "running")
    ExecutionLogFactory(workflow_execution=node.workflow_execution, node_execution=node, message=RED)
    node.fail(RED, f"Traceback\n{RED}")
    node.workflow_execution.fail(f"it was {RED}")
    return node


def test_terminal_colours_are_shown_where_there_is_room(failed_node: NodeExecution, staff: Any, client: Any) -> None:
    client.force_login(staff)
    run = failed_node.workflow_execution_id
    for address in (f"{RUNS}{run}/change/", f"{NODES}{failed_node.pk}/change/", f"{RUNS}{run}/logs/"):
        page = client.get(address).content.decode()
        assert COLOURED in page, address
        assert "\u241b" not in page, address  # the picture of an escape


def test_colours_of_a_terminal_are_left_out_of_cells(failed_node: NodeExecution, staff: Any, client: Any) -> None:
    client.force_login(staff)
    for address in (RUNS, "/admin/"):
        page = client.get(address).content.decode()
        assert "KeyError: close" in page, address
        assert "\u241b" not in page, address
