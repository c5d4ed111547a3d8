"""Records of deleted runs: those of upkeep are forgotten after a year, those of people never."""

from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction

from executions.audit import Through, act_as
from executions.models import Deletion, WorkflowExecution
from executions.upkeep import expired_rows

from .old_rows import days_ago, run_of

pytestmark = pytest.mark.django_db

OLD = """
INSERT INTO execution_deletions (
    through, user_id, username, happened_at, workflow_execution_id, workflow_id, trigger_type, status, attempt, made_at
) VALUES (%s, '', %s, %s, gen_random_uuid(), gen_random_uuid(), 'manual', 'completed', 1, now())
"""


def deleted(days: float, through: str = "in_process", username: str = "upkeep") -> None:
    """Insert the record of a deletion so many days ago."""
    with connection.cursor() as cursor:
        cursor.execute(OLD, [through, username, days_ago(days)])


def forget() -> int:
    return expired_rows.delete_deletion_records(lambda *_: None).rows


def test_upkeep_forgets_the_runs_that_it_deleted_a_year_ago(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expired_rows, "DELETED_AT_ONCE", 2)
    for days in (366, 367, 368, 364):
        deleted(days)
    deleted(1_000, "api", "owner")
    deleted(1_000, "api", "upkeep")
    assert expired_rows.plan_deletion_records().rows == 3
    assert forget() == 3
    assert sorted(Deletion.objects.values_list("through", flat=True)) == ["api", "api", "in_process"]
    assert forget() == 0


def test_none_means_for_ever(settings: Any) -> None:
    settings.EXECUTIONS = settings.EXECUTIONS | {"DELETION_RECORD_DAYS": None}
    deleted(5_000)
    assert forget() == expired_rows.plan_deletion_records().rows == 0


@pytest.mark.parametrize(
    ("days", "through", "username"),
    [(0.5, "in_process", "upkeep"), (500, "in_process", "shell"), (500, "sql", "upkeep")],
)
def test_the_database_lets_no_other_record_be_deleted(days: float, through: str, username: str) -> None:
    deleted(days, through, username)
    with pytest.raises(IntegrityError, match="The record of a deleted run cannot be changed"), transaction.atomic():
        Deletion.objects.all().delete()
    assert Deletion.objects.count() == 1


def test_the_record_that_upkeep_writes_is_one_that_it_forgets() -> None:
    run = run_of(1)
    with act_as(through=Through.IN_PROCESS, name="upkeep", user=None, reason="older than 180 days"):
        WorkflowExecution.objects.filter(pk=run.pk).delete()
    record = Deletion.objects.get()
    assert (record.through, record.username, record.token_id) == ("in_process", "upkeep", None)
