"""`manage.py check_ledger`: what verbs and facts write passes, and each kind of damage is found."""

from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from executions.facts import record
from executions.ledger_checks import Finding, check_ledger
from executions.models import NodeExecution, WorkflowExecution
from executions.rollups import close_hours
from executions.tests.acceptance import sql
from executions.tests.facts.reporting import new_id, run_facts
from workflows.models import Workflow
from workflows.tests.factories import NodeFactory, WorkflowFactory

pytestmark = pytest.mark.django_db(transaction=True)
TABLES = ("workflow_executions", "node_executions", "execution_history")


@contextmanager
def without_triggers() -> Iterator[None]:
    for table in TABLES:
        sql(f"ALTER TABLE {table} DISABLE TRIGGER USER")
    yield
    for table in TABLES:
        sql(f"ALTER TABLE {table} ENABLE TRIGGER USER")


def damage(statement: str, *parameters: object) -> None:
    """Change rows as no client can: past the triggers, as a broken disk or a wrong restore would."""
    with without_triggers():
        sql(statement, *parameters)


def found(*, strict: bool = False) -> dict[str, list[str]]:
    return {each.name: [v.text for v in each.violations] for each in check_ledger(strict=strict) if each.number}


@pytest.fixture
def workflow() -> Workflow:
    workflow = WorkflowFactory()
    for name in ("one", "two"):
        NodeFactory(workflow=workflow, name=name, retry_config={"max_retries": 3})
    return workflow


@pytest.fixture
def run(workflow: Workflow) -> WorkflowExecution:
    """Return a run that failed with a failed and a skipped node, was retried, and completed in its second attempt."""
    run = WorkflowExecution.objects.create(workflow=workflow, trigger_type="manual")
    one, _two = [
        NodeExecution.objects.create(workflow_execution=run, node=node, execution_order=0)
        for node in workflow.nodes.order_by("name")
    ]
    run.start()
    one.start()
    one.fail("broke")
    run.fail("broke")
    run.retry()
    run.start()
    for node in run.node_executions.order_by("id"):
        node.start()
        node.complete()
    run.complete()
    return run


def test_a_ledger_of_verbs_and_facts_passes(run: WorkflowExecution, workflow: Workflow) -> None:
    runs = [new_id(), new_id()]
    facts = [fact for id in runs for fact in run_facts(workflow, id, {"one": new_id()}, lines=2)]
    waiting = {"kind": "execution.create", "id": new_id(), "workflow": str(workflow.pk), "trigger_type": "manual"}
    outcome = record([*facts, waiting, {"kind": "execution.start", "id": waiting["id"]}], user=workflow.owner)
    assert (outcome.refused, WorkflowExecution.objects.count()) == (0, 4)
    assert found(strict=True) == {}


def test_a_run_that_ends_by_facts_makes_room_for_the_next(workflow: Workflow) -> None:
    first, second = new_id(), new_id()
    of = {"workflow": str(workflow.pk), "trigger_type": "manual"}
    create = [{"kind": "execution.create", "id": id, **of} for id in (first, second)]
    record([*create, {"kind": "execution.start", "id": first}], user=workflow.owner)
    record(
        [{"kind": "execution.start", "id": second}, {"kind": "execution.complete", "id": first}], user=workflow.owner
    )
    assert WorkflowExecution.objects.get(pk=second).status == "running"
    assert found(strict=True) == {}


RUN_MOVE = """
    INSERT INTO execution_history (workflow_execution_id, attempt, from_status, to_status, happened_at, through)
    VALUES (%s, {attempt}, {before}, '{to}', now(), 'sql')
"""
DAMAGES: dict[str, tuple[str, set[str]]] = {
    "a status without a move": (
        "UPDATE workflow_executions SET status = 'cancelled' WHERE id = %s", {"rows are where their last move led"},
    ),
    "a lost version": (
        "UPDATE workflow_executions SET version = 3 WHERE id = %s", {"versions count the moves"},
    ),
    "a version too many": (
        "UPDATE workflow_executions SET version = version + 1 WHERE id = %s", {"versions count the moves"},
    ),
    "a lost move": (
        "DELETE FROM execution_history WHERE workflow_execution_id = %s AND act = 'fail' AND node_execution_id IS NULL",
        {"moves follow from each other", "versions count the moves", "one run of a workflow at a time"},
    ),
    "a move twice": (
        RUN_MOVE.format(attempt=2, before="'running'", to="completed"),
        {"moves follow from each other", "versions count the moves"},
    ),
    "a move out of an end": (
        RUN_MOVE.format(attempt=2, before="'completed'", to="running"),
        {"moves are allowed", "rows are where their last move led", "versions count the moves"},
    ),
    "a lost attempt": (
        "DELETE FROM workflow_execution_attempts WHERE workflow_execution_id = %s", {"attempts are in order"},
    ),
    "a node that runs in an ended run": (
        "UPDATE node_executions SET status = 'running', ended_at = NULL WHERE workflow_execution_id = %s",
        {"nodes fit their run", "rows are where their last move led"},
    ),
    "a failed node that is not counted": (
        "UPDATE workflow_executions SET failed_nodes = 1 WHERE id = %s", {"nodes fit their run"},
    ),
    "a pending run that has ended": (
        "UPDATE workflow_executions SET status = 'pending' WHERE id = %s",
        {"ends are after starts", "rows are where their last move led"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", DAMAGES)
def test_damage_is_found(name: str, run: WorkflowExecution) -> None:
    statement, expected = DAMAGES[name]
    damage(statement, run.pk)
    assert found(strict=True).keys() == expected


def test_two_runs_at_once_are_found_in_the_history(run: WorkflowExecution, workflow: Workflow) -> None:
    other = WorkflowExecution.objects.create(workflow=workflow, trigger_type="manual")
    other.start()
    other.complete()
    damage(
        "UPDATE execution_history SET happened_at = (SELECT max(happened_at) FROM execution_history)"
        " WHERE workflow_execution_id = %s AND to_status = 'completed' AND node_execution_id IS NULL",
        run.pk,
    )
    assert found().keys() == {"one run of a workflow at a time"}


def test_two_runs_at_once_are_found_in_the_rows(workflow: Workflow) -> None:
    allowed = {"metadata": {"allow_concurrent": True}}
    for _ in range(2):
        WorkflowExecution.objects.create(workflow=workflow, trigger_type="manual", **allowed).start()
    assert found() == {}
    sql("DROP INDEX one_running_execution_per_workflow")
    try:
        damage("UPDATE workflow_executions SET metadata = '{}'")
        assert len(found()["one run of a workflow at a time"]) == 2
    finally:
        sql("DELETE FROM workflow_executions")
        sql(
            "CREATE UNIQUE INDEX one_running_execution_per_workflow ON workflow_executions (workflow_id)"
            " WHERE NOT metadata @> '{\"allow_concurrent\": true}' AND status = 'running'"
        )


def test_a_rollup_that_is_not_the_count_of_its_runs_is_found(run: WorkflowExecution) -> None:
    sql("UPDATE workflow_executions SET ended_at = ended_at - interval '3 hours', started_at = NULL")
    sql("DELETE FROM rollup_periods")
    close_hours(0)
    while close_hours(24):
        pass
    assert found() == {}
    sql("UPDATE rollup_results SET completed = completed + 1")
    assert found().keys() == {"rollups are the counts of their runs"}


def test_the_end_that_lineage_corrects_is_a_violation_only_if_one_is_strict(run: WorkflowExecution) -> None:
    damage(RUN_MOVE.format(attempt=2, before="'completed'", to="failed"), run.pk)
    assert "moves are allowed" not in found()
    assert "moves are allowed" in found(strict=True)


def test_the_command_names_the_rows_and_fails(run: WorkflowExecution) -> None:
    out = StringIO()
    call_command("check_ledger", stdout=out)
    assert "moves are allowed: 0" in out.getvalue()
    damage("UPDATE workflow_executions SET status = 'cancelled' WHERE id = %s", run.pk)
    with pytest.raises(CommandError, match="1 violation was found"):
        call_command("check_ledger", stdout=out)
    assert f"run {run.pk}: it is cancelled in attempt 2, but its last move led to completed" in out.getvalue()


def test_very_many_violations_are_counted_and_the_first_listed(workflow: Workflow) -> None:
    for _ in range(25):
        WorkflowExecution.objects.create(workflow=workflow, trigger_type="manual")
    damage("DELETE FROM execution_history")
    findings: dict[str, Finding] = {each.name: each for each in check_ledger()}
    finding: Any = findings["rows are where their last move led"]
    assert (finding.number, len(finding.violations)) == (25, 20)


def test_rows_that_sql_inserted_as_ended_are_violations_only_if_one_is_strict(workflow: Workflow) -> None:
    run = WorkflowExecution.objects.create(workflow=workflow, trigger_type="manual")
    node = NodeExecution.objects.create(workflow_execution=run, node=workflow.nodes.first(), execution_order=0)
    damage("UPDATE node_executions SET status = 'skipped', ended_at = now() WHERE id = %s", node.pk)
    assert found() == {}
    assert found(strict=True).keys() == {"rows are where their last move led"}
