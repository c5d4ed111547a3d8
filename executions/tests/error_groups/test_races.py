"""Changes of a group that wait for a merge, each with a connection of its own."""

from collections.abc import Callable
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import transaction

from executions.error_groups import group_changes
from executions.error_groups.scan import scan
from executions.models import ErrorGroup, ErrorGroupChange
from executions.tests.error_groups.rows import group
from executions.tests.error_groups.test_recording import failed_run
from executions.tests.races.waiting import begin
from ledgerkit.db.exceptions import StaleObject
from workflows.models import Workflow
from workflows.tests.factories import WorkflowFactory

pytestmark = pytest.mark.django_db(transaction=True)  # a scan reads what is committed


@pytest.fixture(autouse=True)
def failures(transactional_db: None, workflow: Workflow) -> None:
    """Record three groups, of which "no server" has two fingerprints."""
    scan()
    for message in ("no prices", "no server", "no memory"):
        failed_run(workflow, message)
    failed_run(WorkflowFactory(owner=workflow.owner), "no server")
    scan()


def while_merged(merged: ErrorGroup, into: ErrorGroup, act: Callable[[], Any]) -> Exception | None:
    """Merge the groups in a transaction that commits as soon as the act waits for it. Return what the act raised."""
    raised: list[Exception] = []

    def attempt() -> None:
        try:
            act()
        except (ValidationError, StaleObject) as error:
            raised.append(error)

    with transaction.atomic():
        group_changes.merge(into, [merged])
        other = begin(attempt)
    other.join()
    return raised[0] if raised else None


def test_no_failures_are_merged_into_a_group_that_another_merges_at_the_same_time() -> None:
    read, other = group("no server"), group("no prices")
    raised = while_merged(group("no server"), group("no memory"), lambda: group_changes.merge(read, [other]))
    assert isinstance(raised, ValidationError)
    assert raised.messages == [str(group_changes.MERGED)]
    shown = ErrorGroup.objects.current().order_by("title").values_list("title", "seen")
    assert list(shown) == [("no memory", 3), ("no prices", 1)]


def test_a_group_that_another_merges_at_the_same_time_is_not_merged_elsewhere() -> None:
    read, other = group("no prices"), group("no server")
    raised = while_merged(group("no server"), group("no memory"), lambda: group_changes.merge(read, [other]))
    assert isinstance(raised, ValidationError)
    assert group("no server").merged_into == group("no memory")


def test_a_split_and_a_note_say_that_the_group_was_merged_meanwhile() -> None:
    read, into = group("no server"), group("no memory")
    moved = read.fingerprints.values_list("pk", flat=True)[:1]
    raised = while_merged(group("no server"), into, lambda: group_changes.split(read, list(moved)))
    assert isinstance(raised, ValidationError)
    assert raised.messages == [str(group_changes.MERGED)]
    read = group("no prices")
    assert while_merged(group("no prices"), into, lambda: group_changes.note(read, "known")) is not None
    assert not ErrorGroupChange.objects.filter(act="note").exists()


def test_a_change_of_a_group_that_was_merged_meanwhile_is_stale() -> None:
    read = group("no server")
    raised = while_merged(
        group("no server"), group("no memory"), lambda: group_changes.change(read, state="acknowledged")
    )
    assert isinstance(raised, StaleObject)
    assert group("no server").state == "open"
