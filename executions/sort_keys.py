"""Expressions that sort runs and node executions by nullable columns.

Each is shared by an index and the queries that use it. Runs without the value sort first, so that cursors work for them
too.
"""

from datetime import UTC, datetime, timedelta

from django.db.models import DateTimeField, DurationField, ExpressionWrapper, F, Q, Value
from django.db.models.functions import Coalesce

NEVER = datetime(1, 1, 1, tzinfo=UTC)
NO_TIME = timedelta(seconds=-1)

STARTED = Coalesce("started_at", Value(NEVER), output_field=DateTimeField())
DURATION = Coalesce(F("ended_at") - F("started_at"), Value(NO_TIME), output_field=DurationField())

# Of node executions, those alone that ran and ended have an index.
NODE_DURATION = ExpressionWrapper(F("ended_at") - F("started_at"), DurationField())
HAS_NODE_DURATION = Q(started_at__isnull=False, ended_at__isnull=False)
