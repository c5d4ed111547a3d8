from pathlib import Path

from django.db import migrations, models

from ledgerkit.db.online_operations import InTransaction, UpdateInBatches, has_column
from ledgerkit.db.operations import RunSQLFile

SQL = Path(__file__).parents[1] / "sql"
ALSO_UPDATES = (
    "CREATE OR REPLACE TRIGGER workflow_execution_named BEFORE INSERT OR UPDATE OF workflow_id, workflow_name"
    " ON workflow_executions FOR EACH ROW EXECUTE FUNCTION workflow_execution_named()"
)


class Migration(migrations.Migration):
    """Runs keep the name that their workflow had when they were created. Adding the column rewrites nothing; the rows
    that are there are updated once. Backwards the name in a deletion stays what the run had."""

    atomic = False

    dependencies = [
        ("executions", "0019_node_names"),
        ("workflows", "0006_definition_changes"),
    ]

    operations = [
        InTransaction(
            [
                migrations.AddField(
                    model_name="workflowexecution",
                    name="workflow_name",
                    field=models.CharField(db_default="", editable=False, max_length=255, verbose_name="workflow name"),
                ),
                RunSQLFile(SQL / "workflow_names.sql", "DROP FUNCTION workflow_execution_named() CASCADE"),
            ],
            tables=["workflow_executions"],
            done=has_column("workflow_executions", "workflow_name"),
        ),
        # Former names of workflows are unknown for older runs: they get the current name.
        UpdateInBatches(
            "workflow_executions",
            "workflow_name = (SELECT name FROM workflows WHERE workflows.id = workflow_id)",
            where="workflow_name = ''",
        ),
        InTransaction(
            [migrations.RunSQL(ALSO_UPDATES, migrations.RunSQL.noop)],
            tables=["workflow_executions"],
            done="false",
        ),
    ]
