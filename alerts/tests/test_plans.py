"""Plans of the scan: a start that is missing is looked for among few runs, however many the ledger has."""

from datetime import UTC, datetime, time, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from alerts.missed_expectations import find_missed
from alerts.models import Expectation
from alerts.tests.factories import expect
from executions.models import WorkflowExecution
from workflows.history import DefinitionChange
from workflows.models import Workflow
from workflows.tests.factories import WorkflowFactory

pytestmark = pytest.mark.usefixtures("statistics", "db")
NOW = datetime(2026, 11, 30, 1, 0, tzinfo=UTC)  # 10:00 on a Monday in Seoul
RUNS = 3_000
EVERY = timedelta(minutes=10)


def runs_until_the_day_before(workflow: Workflow) -> list[WorkflowExecution]:
    times = [NOW - timedelta(days=1) - number * EVERY for number in range(RUNS)]
    return [
        WorkflowExecution(
            workflow=workflow, trigger_type="schedule", status="completed", created_at=each, started_at=each,
            ended_at=each,
        )
        for each in times
    ]  # fmt: skip


@pytest.mark.slow
def test_a_missing_start_is_found_without_reading_all_runs(workflow: Workflow) -> None:
    for each in (workflow, WorkflowFactory()):
        WorkflowExecution.objects.bulk_create(runs_until_the_day_before(each))
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE workflow_executions")
    expect(workflow, "starts_by", time=time(9, 10), time_zone="Asia/Seoul", days="weekdays")
    expectation = Expectation.objects.current().get()
    with CaptureQueriesContext(connection) as asked:
        assert find_missed(expectation, None, NOW) is not None
    plans = [explained(each["sql"]) for each in asked if 'FROM "workflow_executions"' in each["sql"]]
    assert plans
    for plan in plans:
        assert "Seq Scan on workflow_executions" not in plan
        assert "idx_workflow_executions_started" in plan or "(never executed)" in plan


def test_when_a_workflow_was_switched_on_is_found_without_reading_its_history(workflow: Workflow) -> None:
    expect(workflow, "ends_within", seconds=60)
    changed = {"kind": "workflow", "act": "change", "subject_id": workflow.pk, "through": "sql"}
    changes = [{"name": "momentum", "act": "change", "fields": {"description": ["", str(n)]}} for n in range(RUNS)]
    DefinitionChange.objects.bulk_create(DefinitionChange(**changed, rows=[change]) for change in changes)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE definition_changes")
    with CaptureQueriesContext(connection) as asked:
        assert len(Expectation.objects.current()) == 1
    (plan,) = [explained(each["sql"]) for each in asked]
    assert "using idx_definition_changes_switches" in plan


def explained(statement: str) -> str:
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN ANALYZE {statement}")
        return "\n".join(line for (line,) in cursor.fetchall())
