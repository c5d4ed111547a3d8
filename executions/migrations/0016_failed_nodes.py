from pathlib import Path

from django.db import migrations, models

import ledgerkit.db.models
from ledgerkit.db.operations import RunSQLFile

SQL = Path(__file__).parents[1] / "sql"
FUNCTIONS = ("count_failed_nodes(uuid)", "failed_nodes_of_run()", "failed_nodes_of_node()")


class Migration(migrations.Migration):
    """Adding the column rewrites nothing; the runs that have ended with failed nodes, which are few, are updated."""

    dependencies = [
        ("executions", "0015_live_definers"),
        ("workflows", "0002_graphs"),
    ]

    operations = [
        migrations.AddField(
            model_name="workflowexecution",
            name="failed_nodes",
            field=models.PositiveIntegerField(
                db_default=0,
                default=0,
                editable=False,
                help_text="How many of its node executions failed, counted when the run ends; 0 until then.",
                verbose_name="failed nodes",
            ),
        ),
        migrations.AddIndex(
            model_name="workflowexecution",
            index=ledgerkit.db.indexes.Index(
                condition=models.Q(("failed_nodes__gt", 0)),
                fields=["-created_at", "-id"],
                name="idx_workflow_executions_failed_nodes",
            ),
        ),
        RunSQLFile(SQL / "failed_nodes.sql", f"DROP FUNCTION {', '.join(FUNCTIONS)} CASCADE"),
    ]
