"""save() writes data, never a move, and never over a newer row."""

from typing import Any

import pytest
from django.core.exceptions import ValidationError

from executions.exceptions import ConcurrentExecution, InvalidTransition, StaleObject
from executions.models import WorkflowExecution
from executions.tests.factories import NodeExecutionFactory, WorkflowExecutionFactory, in_state, startable
from workflows.tests.factories import WorkflowFactory

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("factory", [WorkflowFactory, WorkflowExecutionFactory, NodeExecutionFactory])
def test_a_stale_object_does_not_overwrite_a_newer_row(factory: Any) -> None:
    row = factory()
    stale = type(row).objects.get(pk=row.pk)
    row.save()
    with pytest.raises(StaleObject, match="changed since it was read \\(version 1, now 2\\)"):
        stale.save()
    with pytest.raises(ValueError, match="version 1, now 2"):
        stale.save(update_fields=["updated_at"])
    row.save()
    assert (row.version, type(row).objects.get(pk=row.pk).version) == (3, 3)


def test_what_another_connection_moved_is_not_undone_by_save() -> None:
    run = WorkflowExecutionFactory()
    stale = WorkflowExecution.objects.get(pk=run.pk)
    run.start()
    stale.metadata = {"tags": ["late"]}
    with pytest.raises(StaleObject):
        stale.save()
    run.refresh_from_db()
    assert (str(run.status), run.metadata) == ("running", {})


def test_a_saved_object_is_as_new_as_its_row() -> None:
    run = WorkflowExecutionFactory()
    run.metadata = {"priority": "high"}
    run.save()
    stored = WorkflowExecution.objects.get(pk=run.pk)
    assert (run.version, run.updated_at, run.metadata) == (stored.version, stored.updated_at, stored.metadata)
    run.start()
    run.complete()


def test_a_row_that_was_deleted_does_not_come_back() -> None:
    run = WorkflowExecutionFactory()
    WorkflowExecution.objects.filter(pk=run.pk).delete()
    with pytest.raises(StaleObject, match="it was deleted since it was read"):
        run.save()
    assert not WorkflowExecution.objects.exists()


@pytest.mark.parametrize("factory", [WorkflowExecutionFactory, NodeExecutionFactory])
def test_a_status_that_was_assigned_is_not_saved(factory: Any) -> None:
    row = in_state(factory(), "running")
    row.status = "pending"
    with pytest.raises(InvalidTransition, match=r"use its verbs, such as start\(\)"):
        row.save()
    assert type(row).objects.get(pk=row.pk).status == "running"


def test_an_update_of_many_rows_makes_stale_objects_stale_too() -> None:
    run = WorkflowExecutionFactory()
    WorkflowExecution.objects.update(metadata={"tags": ["swept"]})
    with pytest.raises(StaleObject):
        run.save()


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("metadata", {"tags": "x"}, "metadata.tags: expected a list of strings"),
        ("metadata", {"tags": [1]}, "metadata.tags: expected a list of strings"),
        ("metadata", {"allow_concurrent": "yes"}, "metadata.allow_concurrent: expected true or false"),
        ("metadata", {"timeout_seconds": "1"}, "metadata.timeout_seconds: expected a number"),
        ("metadata", {"timeout_seconds": True}, "metadata.timeout_seconds: expected a number"),
        ("metadata", [], "metadata: expected an object"),
        ("context", {"parent_execution_id": "x"}, "context.parent_execution_id: expected a UUID"),
        ("context", {"secrets": []}, "context.secrets: expected an object"),
        ("context", {"retry_info": {"attempt": 1.5}}, "context.retry_info.attempt: expected a whole number"),
    ],
)
def test_a_known_key_of_the_wrong_type_is_refused_with_its_path(field: str, value: Any, sentence: str) -> None:
    with pytest.raises(ValidationError, match=sentence):
        WorkflowExecutionFactory(**{field: value})


def test_unknown_keys_and_nulls_are_kept() -> None:
    kept = {"tags": None, "colour": {"of": ["anything"]}}
    assert WorkflowExecution.objects.get(pk=WorkflowExecutionFactory(metadata=kept).pk).metadata == kept


@pytest.mark.parametrize("factory", [WorkflowExecutionFactory, NodeExecutionFactory])
def test_a_move_does_not_make_a_stale_object_fresh(factory: Any) -> None:
    row = startable(factory())
    stale = type(row).objects.get(pk=row.pk)
    row.input_data = {"newer": True}
    row.save()
    stale.start()
    with pytest.raises(StaleObject):
        stale.save()
    stored = type(row).objects.get(pk=row.pk)
    assert (str(stored.status), stored.input_data) == ("running", {"newer": True})


def test_an_object_read_without_its_version_is_not_saved() -> None:
    run = WorkflowExecutionFactory()
    for partly in (WorkflowExecution.objects.only("input_data"), WorkflowExecution.objects.defer("version")):
        with pytest.raises(StaleObject, match="read without its version"):
            partly.get(pk=run.pk).save()


def test_a_second_running_run_is_refused_by_every_door_of_the_orm() -> None:
    first = in_state(WorkflowExecutionFactory(), "running")
    with pytest.raises(ConcurrentExecution, match="Cannot save execution in running state: another execution"):
        WorkflowExecutionFactory(workflow=first.workflow, status="running", started_at="2026-01-01T00:00Z")
    both = WorkflowExecutionFactory(workflow=first.workflow, metadata={"allow_concurrent": True})
    both.start()
    both.metadata = {}
    with pytest.raises(ConcurrentExecution):
        both.save()
    assert WorkflowExecution.objects.running().count() == 2


def test_many_rows_at_once_are_held_to_the_same_keys() -> None:
    run = WorkflowExecutionFactory.build(workflow=WorkflowFactory(), metadata={"tags": "x"})
    with pytest.raises(ValidationError, match=r"metadata\.tags: expected a list of strings"):
        WorkflowExecution.objects.bulk_create([run])


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "a\x00b", "\ud800", {"k\x00": 1}])
def test_what_is_not_json_is_refused_with_its_place_and_nothing_moves(value: Any) -> None:
    with pytest.raises(ValidationError, match=r"input_data\.a\.0"):
        WorkflowExecutionFactory(input_data={"a": [value]})
    run = in_state(WorkflowExecutionFactory(), "running")
    with pytest.raises(ValidationError, match=r"output_data\.a\.0"):
        run.complete({"a": [value]})
    run.complete({"a": [0]})
    with pytest.raises(ValidationError, match=r"data\.0"):
        run.logs.create(level="info", message="", data=[value])


def test_many_stale_objects_are_not_saved_at_once() -> None:
    run = WorkflowExecutionFactory()
    with pytest.raises(TypeError, match="cannot tell which objects are stale"):
        WorkflowExecution.objects.bulk_update([run], ["metadata"])
