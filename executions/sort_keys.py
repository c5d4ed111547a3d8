"""What lists of runs are ordered by where a column may be null: each is the expression of an index and of the questions
that it answers. A run without the value stands before any that has it, so a cursor is exact there too."""

from datetime import UTC, datetime, timedelta

from django.db.models import DateTimeField, DurationField, F, Value
from django.db.models.functions import Coalesce

NEVER = datetime(1, 1, 1, tzinfo=UTC)
NO_TIME = timedelta(seconds=-1)

STARTED = Coalesce("started_at", Value(NEVER), output_field=DateTimeField())
DURATION = Coalesce(F("ended_at") - F("started_at"), Value(NO_TIME), output_field=DurationField())
