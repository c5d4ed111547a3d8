"""Filters of the list of runs. Each number of the monitor is the length of a list with such filters."""

from collections.abc import Iterable
from datetime import datetime

from django.contrib.admin.options import IncorrectLookupParameters
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from executions import run_conditions
from ledgerkit import time_zones
from ledgerkit.admin.lists import Choice, ConstantFilter, ModelAdmin

from .attention_filters import RunAttentionFilter
from .choice_filters import StatusFilter, TriggerFilter
from .error_group_filters import FailurePeriodFilter, RunErrorGroupFilter
from .exclude import ExcludableFilterMixin
from .id_filters import LinkedFilter
from .order_and_columns import RunColumnsFilter, RunOrderFilter
from .period_filters import CreatedFilter, PeriodFilter
from .text_filters import FailedNodeFilter, OwnerFilter, RunErrorFilter, TagFilter
from .time_filters import DurationFilter, FromToFilter, parse_local
from .workflow_filters import WorkflowFilter

BETWEEN = "~"


class RunStatusFilter(ExcludableFilterMixin, StatusFilter):
    pass


class RunTriggerFilter(ExcludableFilterMixin, TriggerFilter):
    pass


class RunWorkflowFilter(ExcludableFilterMixin, WorkflowFilter):
    field_template = WorkflowFilter.field_template

    def selected_ids(self) -> list[str]:
        return [*super().selected_ids(), *self.excluded]


class RunCreatedFilter(CreatedFilter):
    title = _("time of creation")


class EndedFilter(PeriodFilter):
    is_common = False
    title = _("time of the end")
    parameter_name = "ended"
    column = "ended_at"


class EndedBetweenFilter(LinkedFilter):
    """Filter by an interval of the end, excluding its end, as for a bar of a chart."""

    title = _("exact time of the end")
    parameter_name = "ended_between"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin) -> Iterable[Choice]:
        if (value := self.value()) is None:
            return []
        return [(value, " – ".join(map(time_zones.clock, _parse_interval(value))))]

    def chosen(self, queryset: QuerySet[Model], value: str) -> QuerySet[Model]:
        since, until = _parse_interval(value)
        return queryset.filter(ended_at__gte=since, ended_at__lt=until)


class FailedNodesFilter(ConstantFilter):
    is_common = False
    title = _("failed nodes")
    parameter_name = "has_failed_nodes"
    offered = (("true", _("With failed nodes")), ("false", _("Without")))

    def chosen(self, queryset: QuerySet[Model], value: str) -> QuerySet[Model]:
        return queryset.filter(failed_nodes__gt=0) if value == "true" else queryset.filter(failed_nodes=0)


class PaceFilter(ConstantFilter):
    """Filter slow runs among those of the last days, from which the percentiles come."""

    is_common = False
    title = _("pace")
    parameter_name = "pace"
    offered = (("slow", _("Slower than 95 of 100 runs of its workflow (of the 200 busiest workflows)")),)

    def chosen(self, queryset: QuerySet[Model], value: str) -> QuerySet[Model]:
        return queryset.filter(run_conditions.is_slow())


RUN_FILTERS = (
    RunStatusFilter,
    RunErrorFilter,
    TagFilter,
    RunCreatedFilter,
    RunWorkflowFilter,
    RunTriggerFilter,
    RunAttentionFilter,
    FromToFilter,
    FailedNodeFilter,
    DurationFilter,
    OwnerFilter,
    FailedNodesFilter,
    EndedFilter,
    EndedBetweenFilter,
    PaceFilter,
    RunErrorGroupFilter,
    FailurePeriodFilter,
    RunOrderFilter,
    RunColumnsFilter,
)


# Filters that are gone, with what to do instead. Views and bookmarks may have them.
RETIRED = {
    "cause": _("The filter “cause” is gone, so the list is shown without it. Groups of errors are in its place."),
}


def format_interval(since: datetime, until: datetime) -> str:
    """Return the value of EndedBetweenFilter in a link."""
    return f"{since.isoformat()}{BETWEEN}{until.isoformat()}"


def _parse_interval(text: str) -> tuple[datetime, datetime]:
    """Parse two times that PostgreSQL and the user's time zone can represent. Raises IncorrectLookupParameters."""
    try:
        since, until = (parse_local(each) for each in text.split(BETWEEN))
    except (ValueError, OverflowError):
        raise IncorrectLookupParameters from None
    return since, until
