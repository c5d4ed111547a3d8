"""save() writes data, never a move, and never over a newer row."""

from typing import Any

import pytest
from django.core.exceptions import ValidationError

from executions.exceptions import InvalidTransition, StaleObject
from executions.models import WorkflowExecution
from executions.tests.factories import NodeExecutionFactory, WorkflowExecutionFactory, in_state
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
