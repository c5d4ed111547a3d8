from django.contrib.postgres.operations import ValidateConstraint
from django.db import migrations, models

import ledgerkit.db.indexes
from ledgerkit.db.online_operations import AddIndexOnline


class Migration(migrations.Migration):
    """The runs in the queue of a workflow, in their order."""

    atomic = False

    dependencies = [
        ("executions", "0048_queue"),
    ]

    operations = [
        ValidateConstraint("workflowexecution", "workflow_execution_code_of_end"),
        AddIndexOnline(
            model_name="workflowexecution",
            index=ledgerkit.db.indexes.Index(
                condition=models.Q(("is_queued", True), ("status", "pending")),
                fields=["workflow", "created_at", "id"],
                name="idx_workflow_executions_queue",
            ),
        ),
    ]
