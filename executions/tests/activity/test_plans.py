"""Plans of the activity: merged from the indexes on ids, and a user's part from an index of what people did."""

import json
import re
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from executions.api.filters.activity_filters import ActivityFilters
from executions.models import (
    Activity,
    Deletion,
    ErrorGroup,
    ErrorGroupChange,
    HistoryEntry,
    RecordedAct,
    RunNote,
)
from executions.tests.activity.test_activity import done_by
from executions.tests.factories import WorkflowExecutionFactory
from executions.tests.filtered_lists import filter_queryset
from ledgerkit.db.models import uuid7
from tokens.models import Token
from workflows.tests.factories import UserFactory

pytestmark = pytest.mark.usefixtures("statistics", "db")
ENTRIES = 5_000


def indexes(user: Any, **filters: Any) -> set[str]:
    rows = Activity.objects.visible_to(user).filter(**filters)
    rows = rows.exclude(username="") if "username" in filters else rows
    found = json.loads(rows.order_by("-id")[:51].explain(format="json"))
    return set(re.findall(r"'Index Name': '(\w+)'", str(found)))


def test_all_is_merged_from_the_ids_and_what_people_did_has_indexes(staff: Any) -> None:
    run, ann = WorkflowExecutionFactory(), UserFactory(username="ann")
    token = Token.objects.issue(user=staff, name="engine", scopes=["executions:read"])[0]
    reported = {"through": "api", "username": "engine", "token_id": token.pk, "token_name": "engine"}
    HistoryEntry.objects.bulk_create(
        HistoryEntry(workflow_execution=run, attempt=1, to_status="running", act="start", **reported)
        for _ in range(ENTRIES)
    )
    done_by(ann)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE execution_history")
    assert "execution_history_pkey" in indexes(staff)
    assert "idx_execution_history_username" in indexes(staff, username="ann", token_id=None)
    assert "idx_execution_history_by_hand" in indexes(staff, through__in=["admin"])
    assert "idx_execution_history_username" in indexes_of_query("user=ann")
    assert "idx_execution_history_by_hand" in indexes_of_query("through=admin,command")
    assert "execution_history_pkey" in indexes_of_query("after=2026-01-01&before=2026-01-02")


def test_the_notes_and_deletions_of_a_user_have_indexes(staff: Any) -> None:
    run = WorkflowExecutionFactory()
    by_ben = {"through": "admin", "username": "ben"}
    RunNote.objects.bulk_create(
        RunNote(workflow_execution=run, number=number, act="note", **by_ben) for number in range(ENTRIES)
    )
    gone = {"workflow_id": run.workflow_id, "trigger_type": "manual", "status": "failed", "attempt": 1}
    by_upkeep = {"through": "in_process", "username": "upkeep", "made_at": run.created_at}
    Deletion.objects.bulk_create(Deletion(workflow_execution_id=uuid7(), **gone, **by_upkeep) for _ in range(ENTRIES))
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE execution_notes, execution_deletions")
    found = indexes_of_query("user=ann")
    assert {"idx_execution_notes_username", "idx_execution_deletions_username"} <= found
    assert not {"execution_notes_pkey", "execution_deletions_pkey"} & found


def test_the_history_of_groups_is_merged_from_its_ids_and_that_of_a_user_has_an_index(staff: Any) -> None:
    now = timezone.now()
    group = ErrorGroup.objects.create(first_seen=now, last_seen=now)
    rows = {"upkeep": "new", "ben": "note"}
    ErrorGroupChange.objects.bulk_create(
        ErrorGroupChange(group=group, through="in_process", username=name, act=act)
        for name, act in rows.items()
        for _ in range(ENTRIES)
    )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE error_group_changes")
    assert "error_group_changes_pkey" in indexes(staff)
    assert "error_group_changes_pkey" in indexes_of_query("kind=error_group")
    assert "idx_error_group_changes_username" in indexes_of_query("user=ann")


def test_the_acts_on_kept_runs_and_bulk_actions_have_indexes(staff: Any) -> None:
    by_ben = {"through": "admin", "username": "ben", "kind": "execution", "act": "keep"}
    RecordedAct.objects.bulk_create(RecordedAct(workflow_execution_id=uuid7(), **by_ben) for _ in range(ENTRIES))
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE recorded_acts")
    assert "recorded_acts_pkey" in indexes(staff)
    assert "idx_recorded_acts_kind" in indexes_of_query("kind=bulk_action")
    assert "idx_recorded_acts_username" in indexes_of_query("user=ann")
    assert "idx_recorded_acts_workflow_execution" in indexes_of_query(f"workflow_execution={uuid7()}")


def test_no_part_is_sorted_as_a_whole(staff: Any) -> None:
    plan = Activity.objects.visible_to(staff).order_by("-id")[:51].explain()
    assert "Merge Append" in plan
    assert "Subquery Scan" not in plan


def test_the_part_of_a_workflow_looks_for_the_run_of_each_row_by_its_key(staff: Any) -> None:
    run = WorkflowExecutionFactory()
    rows = Activity.objects.visible_to(staff).of_workflows([run.workflow_id]).order_by("-id")[:51]
    found = str(json.loads(rows.explain(format="json")))
    assert "workflow_executions_pkey" in found
    assert "hashed SubPlan" not in found


def indexes_of_query(query: str) -> set[str]:
    """Return the indexes that answer a filter of the API."""
    rows = filter_queryset(ActivityFilters, Activity.objects.all(), query)
    return set(re.findall(r"'Index Name': '(\w+)'", str(json.loads(rows.order_by("-id")[:51].explain(format="json")))))
