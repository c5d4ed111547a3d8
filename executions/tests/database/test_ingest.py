"""Many rows at once, by COPY."""

from datetime import UTC, datetime

import pytest
from django.apps import apps
from django.core.exceptions import ValidationError
from django.db import IntegrityError

from executions import ingest, partitions
from executions.models import ExecutionLog, NodeExecution, WorkflowExecution
from executions.secrets.scrubber import MASK
from executions.tests.factories import NodeExecutionFactory, WorkflowExecutionFactory
from ledgerkit.db.models import uuid7

pytestmark = pytest.mark.django_db

AWKWARD = 'tab\there, new\nline, back\\slash, \\N, "quotes", 체결 🎉'


def test_a_row_that_was_copied_reads_as_it_was_given() -> None:
    workflow = WorkflowExecutionFactory().workflow
    new, moment = uuid7(), datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
    document = {"text": AWKWARD, "list": [1, 2.5, None, True], "empty": {}}
    fields = ("id", "workflow", "trigger_type", "created_at", "input_data", "output_data", "error_message")
    ingest.copy(WorkflowExecution, fields, [(new, workflow.pk, "event", moment, document, "a text", AWKWARD)])
    row = WorkflowExecution.objects.get(pk=new)
    assert (row.created_at, row.input_data, row.output_data, row.error_message) == (moment, document, "a text", AWKWARD)
    assert (row.status, row.version, row.context) == ("pending", 1, {}), "the rest is the database's defaults"


def test_none_in_a_json_field_is_null_and_encoded_text_is_stored_as_it_is() -> None:
    run = WorkflowExecutionFactory()
    ids = [uuid7(), uuid7()]
    rows = [(ids[0], run.workflow_id, "event", None), (ids[1], run.workflow_id, "event", ingest.Encoded('{"a": 1}'))]
    ingest.copy(WorkflowExecution, ("id", "workflow", "trigger_type", "output_data"), rows)
    assert [WorkflowExecution.objects.get(pk=pk).output_data for pk in ids] == [None, {"a": 1}]


def test_what_is_copied_is_masked_by_its_keys_and_lines_in_their_texts_too() -> None:
    run, new, secret = (
        WorkflowExecutionFactory(context={"secrets": {"a": "hunter2-hunter2"}}),
        uuid7(),
        "hunter2-hunter2",
    )
    rows = [(new, run.workflow_id, "event", {"secrets": {"a": secret}}, {"list": [{"api_key": secret}]})]
    ingest.copy(WorkflowExecution, ("id", "workflow", "trigger_type", "context", "output_data"), rows)
    copied = WorkflowExecution.objects.get(pk=new)
    assert (copied.context, copied.output_data) == ({"secrets": {"a": MASK}}, {"list": [{"api_key": MASK}]})
    line = ExecutionLog(workflow_execution=run, level="info", message=f"with {secret}", data=[secret, {"token": "1"}])
    ingest.write_lines([line])
    assert ExecutionLog.objects.values_list("message", "data").get() == (f"with {MASK}", [MASK, {"token": MASK}])


def test_with_one_bad_row_no_row_is_stored() -> None:
    run = WorkflowExecutionFactory()
    rows = [(uuid7(), run.workflow_id, trigger) for trigger in ("event", "manual", "whim")]
    with pytest.raises(IntegrityError, match="workflow_execution_trigger_known"):
        ingest.copy(WorkflowExecution, ("id", "workflow", "trigger_type"), rows)
    assert list(WorkflowExecution.objects.all()) == [run]


def test_lines_are_written_and_their_objects_are_saved_ones() -> None:
    node = NodeExecutionFactory()
    run = node.workflow_execution
    lines = [
        ExecutionLog(workflow_execution=run, node_execution=node, level="info", message=AWKWARD, data={"n": 1}),
        ExecutionLog(workflow_execution=run, level="error", message="NUL \x00 is escaped"),
    ]
    assert ingest.write_lines(lines) == lines
    first, second = run.logs.order_by("id")
    assert (first.message, first.data, first.node_execution, first.timestamp) == (
        AWKWARD,
        {"n": 1},
        node,
        lines[0].timestamp,
    )
    assert (second.message, second.data, second.node_execution) == ("NUL \\x00 is escaped", None, None)
    assert not any(line._state.adding for line in lines)


def test_a_line_that_is_not_json_is_refused_before_anything_is_written() -> None:
    run = WorkflowExecutionFactory()
    good, bad = (
        ExecutionLog(workflow_execution=run, level="info", message="x", data=data) for data in (1, float("nan"))
    )
    with pytest.raises(ValidationError, match="finite"):
        ingest.write_lines([good, bad])
    assert not ExecutionLog.objects.exists()


def test_a_line_whose_node_belongs_to_another_run_is_refused() -> None:
    line = ExecutionLog(
        workflow_execution=WorkflowExecutionFactory(), node_execution=NodeExecutionFactory(), level="info", message="x"
    )
    with pytest.raises(IntegrityError, match="execution_log_node_execution"):
        ingest.write_lines([line])


def test_the_partition_of_an_old_line_is_made() -> None:
    old = datetime(2001, 2, 3, tzinfo=UTC)
    lowest = partitions.bound(old).int | 7 << 76 | 2 << 62
    line = ExecutionLog(
        id=type(uuid7())(int=lowest), workflow_execution=WorkflowExecutionFactory(), level="info", message="x"
    )
    ingest.write_lines([line])
    assert ExecutionLog.objects.get().id == line.id
    assert any(old in partition for partition in partitions.existing())


@pytest.mark.django_db(transaction=True)
def test_emptying_leaves_nothing_of_the_tables() -> None:
    NodeExecutionFactory()
    ingest.empty(apps.get_app_config("executions").get_models())
    assert not WorkflowExecution.objects.exists()
    assert not NodeExecution.objects.exists()
