"""Bounds of the creation of runs that started or ended within a period.

A list is in the order of creation, and there can be no index of that and of a start. But a run starts after it was
created, and hardly any takes longer than a day, so that a period bounds the creation, too. All other runs, such as
those that an importer reports afterwards, have a partial index.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from django.db.models import DateTimeField, F, Q, Value
from django.db.models.functions import Greatest, Least
from django.db.models.lookups import GreaterThan, GreaterThanOrEqual, LessThan

EARLY = timedelta(minutes=1)  # as far as the clock of an engine may be behind
LATE = timedelta(days=1)

# NULL is neither the least nor the greatest.
DISPLACED = Q(GreaterThan(F("created_at") - Least("started_at", "ended_at"), Value(EARLY))) | Q(
    GreaterThan(Greatest("started_at", "ended_at") - F("created_at"), Value(LATE))
)


def parts(after: Iterable[datetime], before: Iterable[datetime]) -> Sequence[Q]:
    """Return conditions for runs that started or ended at or after the times `after` and before those in `before`.
    Each can use an index on the creation, and no run meets two of them."""
    # Added in the database: Python has no time after the year 9999.
    bounds = [Q(GreaterThanOrEqual(F("created_at"), _moment(time) - Value(LATE))) for time in after]
    bounds += [Q(LessThan(F("created_at"), _moment(time) + Value(EARLY))) for time in before]
    if not bounds:
        return [Q()]
    within = Q(*bounds)
    return [within, DISPLACED & ~within]


def _moment(time: datetime) -> Value:
    return Value(time, DateTimeField())
