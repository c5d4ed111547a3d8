from pathlib import Path

from django.db import migrations, models

from ledgerkit.db.online_operations import InTransaction, UpdateInBatches, has_column
from ledgerkit.db.operations import RunSQLFile

SQL = Path(__file__).parents[1] / "sql"
ALSO_UPDATES = (
    "CREATE OR REPLACE TRIGGER node_execution_named BEFORE INSERT OR UPDATE OF node_id, node_name ON node_executions"
    " FOR EACH ROW EXECUTE FUNCTION node_execution_named()"
)


class Migration(migrations.Migration):
    """Node executions keep the name that their node had in the run. Adding the column rewrites nothing; the rows that
    are there are updated once."""

    atomic = False

    dependencies = [
        ("executions", "0018_names"),
        ("workflows", "0006_definition_changes"),
    ]

    operations = [
        InTransaction(
            [
                migrations.AddField(
                    model_name="nodeexecution",
                    name="node_name",
                    field=models.CharField(db_default="", editable=False, max_length=255, verbose_name="node name"),
                ),
                RunSQLFile(
                    SQL / "node_names.sql", "DROP FUNCTION node_execution_named(), name_of_node(uuid, uuid) CASCADE"
                ),
            ],
            tables=["node_executions"],
            done=has_column("node_executions", "node_name"),
        ),
        UpdateInBatches(
            "node_executions",
            "node_name = coalesce(name_of_node(workflow_execution_id, node_id), '')",
            where="node_name = ''",
        ),
        InTransaction(
            [migrations.RunSQL(ALSO_UPDATES, migrations.RunSQL.noop)],
            tables=["node_executions"],
            done="false",
        ),
    ]
