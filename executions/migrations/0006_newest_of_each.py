from django.db import migrations

import workflows.base


class Migration(migrations.Migration):
    """The runs of a workflow, and the executions of a node, newest first: the order of the lists.

    Without the trailing columns the planner reads the newest rows of all until it has met enough of these, which for a
    workflow that has stopped is nearly every row. Measured on PostgreSQL 18 with 100,000 runs and 1,000,000 node
    executions, the newest 51 of a workflow whose 2,000 runs are the oldest: 26 ms and 13,964 pages before, 0.02 ms and
    5 pages after; of one of its nodes, with 2,000 executions, 1.3 ms and 403 pages before.

    They cost space: 1 MB becomes 7 MB for 100,000 runs, 10 MB become 63 MB for 1,000,000 node executions. Writing
    10,000 runs and 60,000 node executions by COPY, and moving 12,000 of them, took as long within what three rounds
    in turn differed by (medians 231, 1,311 and 351 ms before, 211 to 333, 1,201 to 1,315 and 251 to 253 ms after).
    """

    dependencies = [
        ("executions", "0004_graphs"),
    ]

    operations = [
        migrations.RemoveIndex(model_name="workflowexecution", name="idx_workflow_executions_workflow"),
        migrations.AddIndex(
            model_name="workflowexecution",
            index=workflows.base.Index(
                fields=["workflow", "-created_at", "-id"], name="idx_workflow_executions_workflow"
            ),
        ),
        migrations.RemoveIndex(model_name="nodeexecution", name="idx_node_executions_node"),
        migrations.AddIndex(
            model_name="nodeexecution",
            index=workflows.base.Index(fields=["node", "-created_at", "-id"], name="idx_node_executions_node"),
        ),
    ]
