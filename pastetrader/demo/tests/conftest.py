from typing import Any

import pytest

from executions.models import NodeExecution, WorkflowExecution
from pastetrader.demo.engine import Engine
from pastetrader.demo.ledger_client import connect
from pastetrader.demo.nodes import FUNCTIONS
from pastetrader.demo.workflow import VARIABLES, get_or_make
from workflows.models import Workflow


@pytest.fixture(autouse=True)
def naps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that the engine would have slept."""
    naps: list[float] = []
    monkeypatch.setattr("pastetrader.demo.engine.sleep", naps.append)
    return naps


@pytest.fixture
def screen(transactional_db: None) -> Workflow:
    """The momentum screen, of nobody."""
    return get_or_make(None)


@pytest.fixture
def run(screen: Workflow) -> WorkflowExecution:
    """One run of the momentum screen, from start to end."""
    return execute(screen)


def execute(workflow: Workflow, functions: Any = FUNCTIONS, **values: Any) -> WorkflowExecution:
    """Execute the workflow and return its run as the ledger has it, once everything is delivered."""
    with connect(workflow.owner) as client:
        result = Engine(functions, client).execute(workflow, **{"input": VARIABLES, **values})
    return WorkflowExecution.objects.get(pk=result.run)


def node_of(run: WorkflowExecution, name: str) -> NodeExecution:
    return run.node_executions.select_related("node").get(node__name=name)


def output_of(run: WorkflowExecution, name: str) -> Any:
    return node_of(run, name).output_data


def statuses(run: WorkflowExecution) -> dict[str, str]:
    return dict(run.node_executions.values_list("node__name", "status"))
