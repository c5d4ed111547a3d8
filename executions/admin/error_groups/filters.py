"""Filters of the list of groups."""

from uuid import UUID

from django.db.models import Exists, Model, OuterRef, QuerySet
from django.utils.translation import gettext_lazy as _

from executions.admin.filters.period_filters import PeriodFilter
from executions.admin.filters.workflow_filters import WorkflowFilter
from executions.models import ErrorFingerprint, ErrorState
from ledgerkit.admin.list_filters import SeveralFilter
from ledgerkit.admin.lists import ConstantFilter


class ErrorStateFilter(SeveralFilter):
    title = _("state")
    field_template = "admin/ledgerkit/filters/toggles.html"
    parameter_name = "state"
    offered = ErrorState.choices


class RegressionFilter(ConstantFilter):
    title = _("regression")
    parameter_name = "regression"
    offered = (("yes", _("Came back after they were resolved")),)

    def chosen(self, queryset: QuerySet[Model], value: str) -> QuerySet[Model]:
        return queryset.filter(is_regression=True)


class AssigneeFilter(ConstantFilter):
    title = _("assignee")
    parameter_name = "assignee"
    offered = (("me", _("Me")), ("nobody", _("Nobody")))

    def chosen(self, queryset: QuerySet[Model], value: str) -> QuerySet[Model]:
        return queryset.filter(assignee=self.request.user.pk if value == "me" else None)


class LastSeenFilter(PeriodFilter):
    title = _("last seen")
    column = "last_seen"


class FirstSeenFilter(PeriodFilter):
    title = _("first seen")
    parameter_name = "first_seen"
    column = "first_seen"


class ErrorWorkflowFilter(WorkflowFilter):
    def any_of(self, queryset: QuerySet[Model], values: list[str]) -> QuerySet[Model]:
        among = ErrorFingerprint.objects.filter(group=OuterRef("pk"), workflow__in=[UUID(value) for value in values])
        return queryset.filter(Exists(among))


ALL = (
    ErrorStateFilter, RegressionFilter, AssigneeFilter, LastSeenFilter, FirstSeenFilter, ErrorWorkflowFilter,
)  # fmt: skip
