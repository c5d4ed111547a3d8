import datetime

import django.db.models.expressions
import django.db.models.functions.comparison
from django.db import migrations, models

import ledgerkit.db.models
from ledgerkit.db.online_operations import AddIndexOnline, ReplaceIndexOnline


class Migration(migrations.Migration):
    """The runs of a workflow, and the executions of a node, newest first, as their lists are ordered; and the runs of a
    workflow by their duration.

    Without the trailing columns the planner reads the newest rows of all until it has met enough of these, which for a
    workflow that has stopped is nearly every row. Measured on PostgreSQL 18 with 100,000 runs and 1,000,000 node
    executions, the newest 51 of a workflow whose 2,000 runs are the oldest: 26 ms and 13,964 pages before, 0.02 ms and
    5 pages after; of one of its nodes, with 2,000 executions, 1.3 ms and 403 pages before.

    They cost space: 1 MB becomes 7 MB for 100,000 runs, 10 MB become 63 MB for 1,000,000 node executions. Writing
    10,000 runs and 60,000 node executions by COPY, and moving 12,000 of them, took as long within what three rounds
    in turn differed by (medians 231, 1,311 and 351 ms before, 211 to 333, 1,201 to 1,315 and 251 to 253 ms after).

    The 51 longest runs of the workflow that has most, by the index of all durations 51 ms and 35,605 pages, by its own
    0.06 ms and 55 pages. It takes 10 MB for 100,000 runs. Writing 10,000 runs by COPY, starting and completing them took
    379, 338 and 368 ms without it and 383, 337 and 334 ms with it (medians of five rounds in turn).
    """

    atomic = False

    dependencies = [
        ("executions", "0005_log_limits"),
    ]

    operations = [
        ReplaceIndexOnline(
            model_name="workflowexecution",
            index=ledgerkit.db.indexes.Index(
                fields=["workflow", "-created_at", "-id"], name="idx_workflow_executions_workflow"
            ),
        ),
        ReplaceIndexOnline(
            model_name="nodeexecution",
            index=ledgerkit.db.indexes.Index(fields=["node", "-created_at", "-id"], name="idx_node_executions_node"),
        ),
        AddIndexOnline(
            model_name="workflowexecution",
            index=ledgerkit.db.indexes.Index(
                models.F("workflow"),
                django.db.models.functions.comparison.Coalesce(
                    django.db.models.expressions.CombinedExpression(models.F("ended_at"), "-", models.F("started_at")),
                    models.Value(datetime.timedelta(days=-1, seconds=86399)),
                    output_field=models.DurationField(),
                ),
                models.F("id"),
                name="idx_workflow_executions_workflow_duration",
            ),
        ),
    ]
