from pathlib import Path

from django.db import migrations

from ledgerkit.db.operations import ChangeFunction, RunSQLFile

SQL = Path(__file__).parents[1] / "sql"
RESTORES = "TG_OP = 'INSERT' AND restores_runs()"


class Migration(migrations.Migration):
    """A batch of facts leaves out what its lines do not have, and new rows without a name are not taken for restored
    ones. The functions also take the calls of the older version."""

    dependencies = [
        ("executions", "0049_queue_index"),
    ]

    operations = [
        RunSQLFile(SQL / "record_facts.sql", migrations.RunSQL.noop),
        ChangeFunction(
            "workflow_execution_named()", RESTORES, RESTORES.replace("restores", "NEW.workflow_name <> '' AND restores")
        ),
        ChangeFunction(
            "node_execution_named()", RESTORES, RESTORES.replace("restores", "NEW.node_name <> '' AND restores")
        ),
    ]
