"""Expressions for ordering lists of runs by columns that may be NULL, each shared by an index and its queries. A run
without the value sorts before all others, so that cursors are exact there too."""

from datetime import UTC, datetime, timedelta

from django.db.models import DateTimeField, DurationField, F, Value
from django.db.models.functions import Coalesce

NEVER = datetime(1, 1, 1, tzinfo=UTC)
NO_TIME = timedelta(seconds=-1)

STARTED = Coalesce("started_at", Value(NEVER), output_field=DateTimeField())
DURATION = Coalesce(F("ended_at") - F("started_at"), Value(NO_TIME), output_field=DurationField())
