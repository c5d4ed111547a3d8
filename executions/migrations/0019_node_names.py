from pathlib import Path

from django.db import migrations, models

from ledgerkit.db.operations import RunSQLFile

SQL = Path(__file__).parents[1] / "sql"


class Migration(migrations.Migration):
    """Node executions keep the name that their node had in the run. Adding the column rewrites nothing; the rows that
    are there are updated once."""

    dependencies = [
        ("executions", "0018_names"),
        ("workflows", "0006_definition_changes"),
    ]

    operations = [
        migrations.AddField(
            model_name="nodeexecution",
            name="node_name",
            field=models.CharField(db_default="", editable=False, max_length=255, verbose_name="node name"),
        ),
        RunSQLFile(SQL / "node_names.sql", "DROP FUNCTION node_execution_named(), name_of_node(uuid, uuid) CASCADE"),
    ]
