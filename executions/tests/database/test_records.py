"""The contract's records: creation, defaults, ids, relations, cascades, properties, enums, JSON, known keys."""

import json
import math
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.db import DatabaseError, models, transaction
from django.utils import timezone

from executions.models import (
    ExecutionLog,
    ExecutionStatus,
    LogLevel,
    NodeExecution,
    TriggerType,
    WorkflowExecution,
)
from executions.tests.acceptance import (
    NOON,
    fresh,
    insert,
    new_node,
    new_node_execution,
    new_run,
    new_workflow,
    node_execution_in,
    run_in,
    sql,
    uuid7,
    values,
)
from workflows.models import Edge, Node, NodeType, Workflow

pytestmark = pytest.mark.django_db


# --- creation and defaults ---------------------------------------------------
def test_a_new_run_is_pending_with_empty_objects_and_no_times() -> None:
    run = fresh(new_run())
    assert run.status == ExecutionStatus.PENDING
    assert (run.input_data, run.context, run.metadata) == ({}, {}, {})
    assert (run.started_at, run.ended_at, run.output_data, run.error_message) == (None, None, None, None)


def test_a_new_node_execution_is_pending_with_no_retries_and_no_times() -> None:
    row = fresh(new_node_execution(new_run(), order=2))
    assert (row.status, row.retry_count, row.execution_order, row.input_data) == ("pending", 0, 2, {})
    assert (row.started_at, row.ended_at, row.output_data) == (None, None, None)
    assert (row.error_message, row.error_traceback) == (None, None)


def test_a_new_log_line_carries_now_and_may_stand_without_a_node() -> None:
    before = timezone.now()
    line = fresh(ExecutionLog.objects.create(workflow_execution=new_run(), level=LogLevel.INFO, message="hello"))
    assert (line.node_execution, line.data, line.message, line.level) == (None, None, "hello", "info")
    assert abs(line.timestamp - before) < timedelta(seconds=10)


def test_a_new_workflow_and_its_node_carry_the_defaults_of_the_contract() -> None:
    workflow = fresh(new_workflow())
    assert (workflow.config, workflow.variables, workflow.version, workflow.deleted_at) == ({}, {}, 1, None)
    assert workflow.is_active is True
    node = fresh(new_node(workflow))
    assert (node.config, node.timeout_seconds) == ({}, 300)
    assert node.retry_config == {"max_retries": 3, "delay": 1}


def test_two_rows_never_share_one_default_object() -> None:
    one, other = WorkflowExecution(), WorkflowExecution()
    one.context["variables"] = {"market": "KOSPI"}
    assert other.context == {}


@pytest.mark.parametrize("model", [Workflow, Node, Edge, WorkflowExecution, NodeExecution, ExecutionLog])
def test_every_id_is_a_version_7_uuid_known_before_the_row_exists(model: type[models.Model]) -> None:
    row = model()
    assert isinstance(row.pk, UUID)
    assert row.pk.version == 7
    made = datetime.fromtimestamp((row.pk.int >> 80) / 1000, UTC)
    assert abs(timezone.now() - made) < timedelta(seconds=10)


def test_an_id_known_before_saving_is_the_id_of_the_row() -> None:
    run = WorkflowExecution(workflow=new_workflow(), trigger_type=TriggerType.EVENT)
    known = run.id
    run.save()
    assert WorkflowExecution.objects.get().id == known


def test_a_caller_may_supply_the_id() -> None:
    known = uuid7()
    assert new_run(id=known).id == known
    assert WorkflowExecution.objects.filter(pk=known).exists()


def test_ids_made_later_sort_later() -> None:
    ids = [WorkflowExecution().id for _ in range(10_000)]
    assert ids == sorted(set(ids))


def test_a_log_line_with_an_id_of_another_year_is_stored() -> None:
    known = uuid7(age=timedelta(days=400))
    ExecutionLog.objects.create(id=known, workflow_execution=new_run(), level=LogLevel.INFO, message="old")
    assert ExecutionLog.objects.get(pk=known).message == "old"


# --- rows written by plain SQL -----------------------------------------------
def test_a_run_written_by_plain_sql_equals_one_written_by_the_orm() -> None:
    by_orm = new_run()
    known = uuid7()
    insert("workflow_executions", id=known, workflow_id=by_orm.workflow_id, trigger_type="manual")
    own = ("id", "created_at", "updated_at")
    one, other = values(by_orm), values(WorkflowExecution.objects.get(pk=known))
    assert {k: v for k, v in one.items() if k not in own} == {k: v for k, v in other.items() if k not in own}
    assert None not in (other["created_at"], other["updated_at"])


def test_a_node_execution_written_by_plain_sql_equals_one_written_by_the_orm() -> None:
    by_orm = new_node_execution(new_run())
    other_run, known = new_run(by_orm.workflow_execution.workflow), uuid7()
    columns = {"workflow_execution_id": other_run.id, "node_id": by_orm.node_id, "execution_order": 0}
    insert("node_executions", id=known, **columns)
    own = ("id", "workflow_execution_id", "created_at", "updated_at")
    one, other = values(by_orm), values(NodeExecution.objects.get(pk=known))
    assert {k: v for k, v in one.items() if k not in own} == {k: v for k, v in other.items() if k not in own}


def test_a_log_line_written_by_plain_sql_is_stamped_now() -> None:
    known = uuid7()
    insert("execution_logs", id=known, workflow_execution_id=new_run().id, level="info", message="hello")
    line = ExecutionLog.objects.get(pk=known)
    assert abs(line.timestamp - timezone.now()) < timedelta(minutes=1)
    assert (line.node_execution_id, line.data) == (None, None)


def test_a_definition_written_by_plain_sql_equals_one_written_by_the_orm() -> None:
    by_orm = new_workflow()
    workflow, nodes = uuid7(), [uuid7(), uuid7()]
    insert("workflows", id=workflow, owner_id=by_orm.owner_id, name="Momentum")
    for name, known in zip("ab", nodes, strict=True):
        columns = {"workflow_id": workflow, "name": name, "node_type": "tool", "position_x": 0, "position_y": 0}
        insert("nodes", id=known, **columns)
    insert("edges", id=uuid7(), workflow_id=workflow, source_node_id=nodes[0], target_node_id=nodes[1])
    own = ("id", "created_at", "updated_at")
    one, other = values(by_orm), values(Workflow.objects.get(pk=workflow))
    assert {k: v for k, v in one.items() if k not in own} == {k: v for k, v in other.items() if k not in own}
    node = Node.objects.get(pk=nodes[0])
    assert (node.timeout_seconds, node.retry_config, node.config) == (300, {"max_retries": 3, "delay": 1}, {})
    assert Edge.objects.get(workflow=workflow).priority == 0


# --- relations and their order -----------------------------------------------
def test_a_workflow_knows_its_executions() -> None:
    workflow = new_workflow()
    runs = {new_run(workflow), new_run(workflow)}
    new_run(new_workflow("Other"))
    assert set(workflow.executions.all()) == runs


def test_the_nodes_of_a_run_come_in_execution_order() -> None:
    run = new_run()
    for name, order in (("last", 2), ("first", 0), ("middle", 1)):
        new_node_execution(run, name, order)
    assert [row.node.name for row in run.node_executions.all()] == ["first", "middle", "last"]


def test_parallel_nodes_share_one_execution_order() -> None:
    run = new_run()
    for name in ("AAPL", "MSFT", "JPM"):
        new_node_execution(run, name, 1)
    assert list(run.node_executions.values_list("execution_order", flat=True)) == [1, 1, 1]


def test_the_lines_of_a_run_and_of_a_node_come_by_timestamp() -> None:
    run = new_run()
    node_execution = new_node_execution(run)
    for minute in (2, 0, 1):
        ExecutionLog.objects.create(
            workflow_execution=run,
            node_execution=node_execution,
            level=LogLevel.INFO,
            message=str(minute),
            timestamp=NOON + timedelta(minutes=minute),
        )
    assert [line.message for line in run.logs.all()] == ["0", "1", "2"]
    assert [line.message for line in node_execution.logs.all()] == ["0", "1", "2"]


def test_the_way_back_leads_from_line_to_node_to_run_to_workflow() -> None:
    run = new_run()
    node_execution = new_node_execution(run)
    line = ExecutionLog.objects.create(
        workflow_execution=run, node_execution=node_execution, level=LogLevel.ERROR, message="x"
    )
    assert fresh(line).node_execution == node_execution
    assert fresh(node_execution).workflow_execution == run
    assert fresh(run).workflow == run.workflow


# --- duration, is_terminal, can_retry ----------------------------------------
@pytest.mark.parametrize("model", [WorkflowExecution, NodeExecution])
def test_a_duration_is_a_float_once_both_times_are_known(model: type[WorkflowExecution | NodeExecution]) -> None:
    duration = model(started_at=NOON, ended_at=NOON + timedelta(seconds=90, milliseconds=500)).duration_seconds
    assert isinstance(duration, float)
    assert math.isclose(duration, 90.5)
    assert model(started_at=NOON, ended_at=NOON).duration_seconds == 0.0


@pytest.mark.parametrize("model", [WorkflowExecution, NodeExecution])
def test_a_duration_is_none_while_a_time_is_missing(model: type[WorkflowExecution | NodeExecution]) -> None:
    assert model().duration_seconds is None
    assert model(started_at=NOON).duration_seconds is None
    assert model(ended_at=NOON).duration_seconds is None


@pytest.mark.parametrize("status", ExecutionStatus.values)
def test_completed_failed_skipped_and_cancelled_runs_are_terminal(status: str) -> None:
    assert run_in(status).is_terminal is (status in {"completed", "failed", "skipped", "cancelled"})


@pytest.mark.parametrize("status", ExecutionStatus.values)
def test_only_a_failed_node_can_be_retried(status: str) -> None:
    assert node_execution_in(status).can_retry is (status == "failed")


@pytest.mark.parametrize(
    ("retry_config", "retry_count", "can_retry"),
    [
        ({"max_retries": 3, "delay": 1}, 2, True),
        ({"max_retries": 3, "delay": 1}, 3, False),
        ({"max_retries": 1}, 0, True),
        ({"max_retries": 1}, 1, False),
        ({"max_retries": 0}, 0, False),
        ({"max_retries": 5}, 4, True),
        ({"max_retries": 5}, 6, False),
        ({}, 2, True),
        ({}, 3, False),
    ],
)
def test_a_failed_node_can_be_retried_below_its_max_retries(
    retry_config: dict[str, int], retry_count: int, can_retry: bool
) -> None:
    row = node_execution_in("failed")
    sql("UPDATE nodes SET retry_config = %s WHERE id = %s", json.dumps(retry_config), row.node_id)
    sql("UPDATE node_executions SET retry_count = %s WHERE id = %s", retry_count, row.id)
    assert fresh(row).can_retry is can_retry


# --- enumerations ------------------------------------------------------------
@pytest.mark.parametrize(
    ("enumeration", "stored"),
    [
        (ExecutionStatus, ["pending", "running", "completed", "failed", "skipped", "cancelled"]),
        (TriggerType, ["schedule", "event", "manual"]),
        (LogLevel, ["debug", "info", "warning", "error"]),
        (NodeType, ["trigger", "tool", "agent", "condition", "adapter", "parallel", "aggregator"]),
    ],
)
def test_the_members_of_an_enumeration_are_their_stored_values(
    enumeration: type[models.TextChoices], stored: list[str]
) -> None:
    assert issubclass(enumeration, models.TextChoices)
    assert [str(member) for member in enumeration] == stored
    assert enumeration.values == stored


@pytest.mark.parametrize("trigger", TriggerType)
def test_every_trigger_is_stored_by_its_value(trigger: TriggerType) -> None:
    run = new_run(trigger_type=trigger)
    assert sql("SELECT trigger_type FROM workflow_executions WHERE id = %s", run.id) == [(str(trigger),)]


@pytest.mark.parametrize("level", LogLevel)
def test_every_level_is_stored_by_its_value(level: LogLevel) -> None:
    line = ExecutionLog.objects.create(workflow_execution=new_run(), level=level, message="x")
    assert sql("SELECT level FROM execution_logs WHERE id = %s", line.id) == [(str(level),)]


# --- timestamps --------------------------------------------------------------
def test_all_times_are_timezone_aware() -> None:
    run = run_in("completed")
    line = ExecutionLog.objects.create(workflow_execution=run, level=LogLevel.INFO, message="x")
    times = [run.created_at, run.updated_at, run.started_at, run.ended_at, fresh(line).timestamp]
    times += [run.workflow.created_at, run.workflow.updated_at]
    assert all(time and timezone.is_aware(time) for time in times)


@pytest.mark.django_db(transaction=True)
def test_a_transition_moves_updated_at_and_leaves_created_at() -> None:
    run = new_run()
    before = values(run)
    time.sleep(0.01)
    run.start()
    after = values(run)
    assert after["updated_at"] > before["updated_at"]
    assert after["created_at"] == before["created_at"]


def test_a_log_line_has_no_created_at_and_no_updated_at() -> None:
    assert {"created_at", "updated_at"}.isdisjoint(field.name for field in ExecutionLog._meta.get_fields())


# --- a log line cannot be changed -------------------------------------------
def test_a_log_line_is_never_updated() -> None:
    line = ExecutionLog.objects.create(workflow_execution=new_run(), level=LogLevel.INFO, message="fact")
    line.message = "fiction"
    with pytest.raises((ValueError, TypeError, ValidationError, DatabaseError)):
        line.save()
    with pytest.raises((ValueError, TypeError, ValidationError, DatabaseError)):
        ExecutionLog.objects.filter(pk=line.pk).update(message="fiction")
    assert fresh(line).message == "fact"


def test_a_log_line_is_never_updated_by_plain_sql() -> None:
    line = ExecutionLog.objects.create(workflow_execution=new_run(), level=LogLevel.INFO, message="fact")
    with pytest.raises(DatabaseError):
        sql("UPDATE execution_logs SET message = 'fiction' WHERE id = %s", line.id)
    assert fresh(line).message == "fact"


# --- history and its definitions ---------------------------------------------
def test_removing_a_user_never_removes_history() -> None:
    run = new_run()
    with suppress(ValueError, DatabaseError), transaction.atomic():
        get_user_model().objects.get(username="owner").delete()
    assert fresh(run).workflow.name == "Momentum"
