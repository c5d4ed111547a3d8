import re
from pathlib import Path

from django.contrib.postgres.operations import AddConstraintNotValid
from django.db import migrations, models

from ledgerkit.db.online_operations import LockTables
from ledgerkit.db.operations import RunSQLFile

SQL = Path(__file__).parents[1] / "sql"
BACK = "DROP FUNCTION runs_ahead(uuid)"
ADDED = re.compile(
    r"\n\s+AND \(target <> 'running' OR NOT is_queued .*| OR code <> ''|, is_queued|,\s+coalesce\(is_queued, false\)"
)


def replace(name: str) -> RunSQLFile:
    """Return the operation that replaces the functions of a file. It is reverted by the same ones without the queue."""
    return RunSQLFile(SQL / name, ADDED.sub("", (SQL / name).read_text()))


class Migration(migrations.Migration):
    """Runs that wait in the queue of their workflow, and why upkeep cancelled a run. Adding the column rewrites nothing."""

    dependencies = [
        ("executions", "0047_failed_runs"),
    ]

    operations = [
        LockTables("workflow_executions"),
        migrations.AddField(
            model_name="workflowexecution",
            name="is_queued",
            field=models.BooleanField(db_default=False, default=False, editable=False, verbose_name="queued"),
        ),
        migrations.RemoveConstraint(model_name="workflowexecution", name="workflow_execution_code_of_failure"),
        AddConstraintNotValid(
            model_name="workflowexecution",
            constraint=models.CheckConstraint(
                condition=models.Q(("error_code", ""), ("status__in", ["failed", "cancelled"]), _connector="OR"),
                name="workflow_execution_code_of_end",
            ),
        ),
        RunSQLFile(SQL / "queue.sql", BACK),
        replace("transitions.sql"),
        replace("record_facts.sql"),
    ]
