from pathlib import Path

from django.db import migrations, models

import ledgerkit.db.models
from ledgerkit.db.online_operations import AddIndexOnline, InTransaction, UpdateInBatches, has_column
from ledgerkit.db.operations import RunSQLFile

SQL = Path(__file__).parents[1] / "sql"
FUNCTIONS = ("count_failed_nodes(uuid)", "failed_nodes_of_run()", "failed_nodes_of_node()")
FAILED_NODES = "node_executions WHERE workflow_execution_id = workflow_executions.id AND status = 'failed'"


class Migration(migrations.Migration):
    """Adding the column rewrites nothing; the runs that have ended with failed nodes, which are few, are updated."""

    atomic = False

    dependencies = [
        ("executions", "0015_live_definers"),
        ("workflows", "0002_graphs"),
    ]

    operations = [
        InTransaction(
            [
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
                RunSQLFile(SQL / "failed_nodes.sql", f"DROP FUNCTION {', '.join(FUNCTIONS)} CASCADE"),
            ],
            tables=["workflow_executions", "node_executions"],
            done=has_column("workflow_executions", "failed_nodes"),
        ),
        UpdateInBatches(
            "workflow_executions",
            f"failed_nodes = (SELECT count(*) FROM {FAILED_NODES})",  # noqa: S608  # constants
            where=f"failed_nodes = 0 AND ended_at IS NOT NULL AND EXISTS (SELECT FROM {FAILED_NODES})",
        ),
        AddIndexOnline(
            model_name="workflowexecution",
            index=ledgerkit.db.indexes.Index(
                condition=models.Q(("failed_nodes__gt", 0)),
                fields=["-created_at", "-id"],
                name="idx_workflow_executions_failed_nodes",
            ),
        ),
    ]
