import datetime

from django.db import migrations, models
from django.db.models import F, Q, Value
from django.db.models.functions import Coalesce

from ledgerkit.db.indexes import Index
from ledgerkit.db.online_operations import AddIndexOnline

NO_TIME = datetime.timedelta(seconds=-1)


class Migration(migrations.Migration):
    """The shortest failed runs are found without those that never ran."""

    atomic = False

    dependencies = [
        ("executions", "0050_cheaper_facts"),
    ]

    operations = [
        AddIndexOnline(
            "workflowexecution",
            Index(
                Coalesce(F("ended_at") - F("started_at"), Value(NO_TIME), output_field=models.DurationField()),
                F("id"),
                name="idx_workflow_executions_failed_duration",
                condition=Q(status="failed"),
            ),
        ),
    ]
