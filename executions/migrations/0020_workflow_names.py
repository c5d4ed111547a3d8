from pathlib import Path

from django.db import migrations, models

from ledgerkit.db.operations import RunSQLFile

SQL = Path(__file__).parents[1] / "sql"


class Migration(migrations.Migration):
    """Runs keep the name that their workflow had when they were created. Adding the column rewrites nothing; the rows
    that are there are updated once. Backwards the name in a deletion stays what the run had."""

    dependencies = [
        ("executions", "0019_node_names"),
        ("workflows", "0006_definition_changes"),
    ]

    operations = [
        migrations.AddField(
            model_name="workflowexecution",
            name="workflow_name",
            field=models.CharField(db_default="", editable=False, max_length=255, verbose_name="workflow name"),
        ),
        RunSQLFile(SQL / "workflow_names.sql", "DROP FUNCTION workflow_execution_named() CASCADE"),
    ]
