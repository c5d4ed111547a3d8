import datetime

from django.db import migrations, models
from django.db.models import F, Q, Value
from django.db.models.functions import Coalesce, Greatest, Least
from django.db.models.lookups import GreaterThan

from ledgerkit.db.indexes import Index
from ledgerkit.db.online_operations import AddIndexOnline, ReplaceIndexOnline

NO_TIME = datetime.timedelta(seconds=-1)
TIMES = ("started_at", "ended_at")
EARLY = GreaterThan(F("created_at") - Least(*TIMES), Value(datetime.timedelta(minutes=1)))
LATE = GreaterThan(Greatest(*TIMES) - F("created_at"), Value(datetime.timedelta(days=1)))
# What the planner knows of expressions: how many runs meet a condition on them.
STATISTICS = {
    "workflow_execution_error_text": "upper(error_message)",
    "workflow_execution_early": "created_at - LEAST(started_at, ended_at)",
    "workflow_execution_late": "GREATEST(started_at, ended_at) - created_at",
}
NEW = "CREATE STATISTICS IF NOT EXISTS {} ON ({}) FROM workflow_executions"


class Migration(migrations.Migration):
    """Lists filtered by times read rows only for what they show; failures are counted and listed by indexes."""

    atomic = False

    dependencies = [
        ("executions", "0045_attention"),
    ]

    operations = [
        ReplaceIndexOnline(
            "workflowexecution",
            Index(fields=["-created_at", "-id"], name="idx_workflow_executions_created", include=TIMES),
        ),
        ReplaceIndexOnline(
            "workflowexecution",
            Index(fields=["workflow", "-created_at", "-id"], name="idx_workflow_executions_workflow", include=TIMES),
        ),
        ReplaceIndexOnline(
            "workflowexecution",
            Index(
                Coalesce(F("ended_at") - F("started_at"), Value(NO_TIME), output_field=models.DurationField()),
                F("id"),
                name="idx_workflow_executions_duration",
                include=("created_at", *TIMES),
            ),
        ),
        AddIndexOnline(
            "workflowexecution",
            Index(
                fields=["-created_at", "-id"],
                name="idx_workflow_executions_displaced",
                include=TIMES,
                condition=Q(EARLY) | Q(LATE),
            ),
        ),
        AddIndexOnline(
            "workflowexecution",
            Index(
                fields=["ended_at"],
                name="idx_workflow_executions_completed_failed_nodes",
                condition=Q(status="completed", failed_nodes__gt=0),
            ),
        ),
        AddIndexOnline(
            "nodeexecution",
            Index(
                fields=["node", "-created_at", "-id"],
                name="idx_node_executions_failed",
                condition=Q(status="failed"),
            ),
        ),
        migrations.RunSQL(
            [NEW.format(name, expression) for name, expression in STATISTICS.items()],
            [f"DROP STATISTICS IF EXISTS {name}" for name in STATISTICS],
        ),
        # Short runs are few: a histogram of 100 parts is too coarse for them.
        migrations.RunSQL(
            [
                "ALTER INDEX idx_workflow_executions_duration ALTER COLUMN 1 SET STATISTICS 300",
                "ANALYZE workflow_executions",
            ],
            migrations.RunSQL.noop,
        ),
    ]
