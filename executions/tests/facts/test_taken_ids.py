"""Facts with ids that other rows have, of the same call or of other owners: they are refused, the others applied."""

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from executions import partitions
from executions.models import ExecutionLog, NodeExecution, WorkflowExecution
from executions.tests.factories import NodeExecutionFactory, WorkflowExecutionFactory
from executions.tests.facts.reporting import line, new_id, run_facts, send
from workflows.models import Workflow
from workflows.tests.factories import WorkflowFactory

pytestmark = pytest.mark.django_db

TAKEN = "exists_with_other_content"
CONCURRENT = {"metadata": {"allow_concurrent": True}}


@pytest.fixture
def hidden(stranger: Any) -> NodeExecution:
    """Return a node execution, and with it a run, that the engine may not see."""
    run = WorkflowExecutionFactory(workflow=WorkflowFactory(owner=stranger, chain=["fetch"]))
    return NodeExecutionFactory(workflow_execution=run)


def refusals_in(answer: Any) -> list[tuple[int, str]]:
    return [(refusal["index"], refusal["code"]) for refusal in answer["refusals"]]


def test_the_id_of_a_run_that_the_caller_does_not_see(engine: Any, workflow: Workflow, hidden: NodeExecution) -> None:
    facts = run_facts(workflow, str(hidden.workflow_execution_id))
    answer = send(engine, *facts, *run_facts(workflow, new_id()))
    assert (refusals_in(answer), answer["applied"], answer["refused"]) == ([(0, TAKEN)], 3, 3)
    assert WorkflowExecution.objects.get(pk=hidden.workflow_execution_id).status == "pending"


def test_the_id_of_a_node_of_another_run(engine: Any, workflow: Workflow, hidden: NodeExecution) -> None:
    own = NodeExecutionFactory(workflow_execution=WorkflowExecutionFactory(workflow=workflow))
    first, second, third = new_id(), new_id(), new_id()
    answer = send(
        engine,
        *run_facts(workflow, first, {"fetch": str(hidden.pk)}, **CONCURRENT),
        *run_facts(workflow, second, {"fetch": str(own.pk)}, **CONCURRENT),
        *run_facts(workflow, third, {"fetch": new_id()}, **CONCURRENT),
    )
    assert (refusals_in(answer), answer["applied"]) == ([(2, TAKEN), (8, TAKEN)], 6)
    assert not WorkflowExecution.objects.filter(pk__in=[first, second]).exists()


def test_a_node_id_in_two_runs_of_a_call_is_refused(engine: Any, workflow: Workflow) -> None:
    node = new_id()
    first, second, third = (run_facts(workflow, new_id(), {"fetch": node}, **CONCURRENT) for _number in range(3))
    first[-1] |= {"kind": "execution.retry", "output_data": None}
    del first[-1]["output_data"]
    answer = send(engine, *first, *second, *third)
    assert refusals_in(answer) == [(5, "invalid_transition"), (14, TAKEN)]  # the first run's node is free again
    assert answer["applied"] == 6


def test_a_line_id_in_two_runs_of_a_call_is_refused(engine: Any, workflow: Workflow) -> None:
    id = new_id()
    first, second = ([*run_facts(workflow, run, **CONCURRENT), line(run, "one", id=id)] for run in (new_id(), new_id()))
    answer = send(engine, *first, *second)
    assert (refusals_in(answer), answer["applied"]) == ([(7, TAKEN)], 4)
    assert ExecutionLog.objects.count() == 1


def test_rows_of_others_are_not_locked(engine: Any, workflow: Workflow, hidden: NodeExecution) -> None:
    own, their_run = WorkflowExecutionFactory(workflow=workflow).pk, hidden.workflow_execution_id
    fact = {"kind": "node.complete", "id": str(hidden.pk), "workflow_execution": str(own)}
    theirs = {"kind": "node.complete", "id": str(hidden.pk), "workflow_execution": str(their_run)}
    with CaptureQueriesContext(connection) as captured:
        answer = send(engine, fact, theirs)
    assert refusals_in(answer) == [(0, "not_found"), (1, "not_found")]
    locking = [query["sql"] for query in captured if "FOR NO KEY UPDATE" in query["sql"]]
    assert all(their_run.hex not in sql for sql in locking)
    of_nodes = [sql for sql in locking if 'FROM "node_executions"' in sql]
    assert all(f"'{own.hex}'" in sql for sql in of_nodes)


def test_no_partition_is_made_for_a_run_that_is_not_the_callers(api: Any, owner: Any, hidden: NodeExecution) -> None:
    importer = api(owner, scopes=["executions:report", "executions:import"])
    before = partitions.existing()
    old = line(str(hidden.workflow_execution_id), "years ago", id="00c3f000-0000-7000-8000-000000000000")
    assert refusals_in(send(importer, old)) == [(0, "not_found")]
    assert partitions.existing() == before


def test_a_call_may_make_a_hundred_partitions(api: Any, owner: Any, workflow: Workflow) -> None:
    importer = api(owner, scopes=["executions:report", "executions:import"])
    run = str(WorkflowExecutionFactory(workflow=workflow).pk)
    before = partitions.existing()
    lines = [line(run, "old", id=f"00{year:04x}00-0000-7000-8000-000000000000") for year in range(0x1000, 0x2000, 32)]
    assert "100 in one call" in send(importer, *lines, status=400)["detail"]
    assert partitions.existing() == before
    assert send(importer, *lines[:2])["applied"] == 2
