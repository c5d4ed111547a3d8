"""Filters by period: today, the last hours or days. An index of the time column serves each."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import ClassVar
from uuid import UUID

from django.db.models import Model, QuerySet
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from executions import partitions
from ledgerkit.admin.lists import Choice, ConstantFilter


class PeriodFilter(ConstantFilter):
    """Filter by a lower bound of the time in `column`, which its index serves."""

    title = _("date")
    parameter_name = "period"
    offered: ClassVar[Sequence[Choice]] = (
        ("today", _("Today")),
        ("1", _("Last 24 hours")),
        ("3", _("Last 3 days")),
        ("7", _("Last 7 days")),
        ("30", _("Last 30 days")),
        ("90", _("Last 90 days")),
    )
    column: ClassVar[str]

    def chosen(self, queryset: QuerySet[Model], value: str) -> QuerySet[Model]:
        return queryset.filter(**{f"{self.column}__gte": self.bound(period_start(value))})

    def bound(self, moment: datetime) -> object:
        return moment


class CreatedFilter(PeriodFilter):
    column = "created_at"


class LoggedFilter(PeriodFilter):
    column = "timestamp"


class IdTimeFilter(PeriodFilter):
    """Filter by the time in the UUIDv7 id: node executions have no index on a time column."""

    column = "id"

    def bound(self, moment: datetime) -> UUID:
        return partitions.bound(moment)


def period_start(period: str) -> datetime:
    """Return today's first midnight in the user's zone, or the time exactly that many times 24 hours ago."""
    if period == "today":
        # fold=0: where clocks are set back at midnight, the day has two midnights.
        return timezone.localtime().replace(hour=0, minute=0, second=0, microsecond=0, fold=0).astimezone(UTC)
    return timezone.now() - timedelta(days=int(period))
