"""Filters by what needs attention."""

from functools import reduce
from operator import or_

from django.db.models import Model, QuerySet
from django.utils.translation import gettext_lazy as _

from executions import attention
from ledgerkit.admin.lists import ConstantFilter

OVERDUE = ("overdue", _("Overdue: its lease expired, or its time-out passed"))
SILENT = ("silent", _("Silent: no heartbeat or log line lately"))


class RunAttentionFilter(ConstantFilter):
    is_common = False
    title = _("needs attention")
    parameter_name = "attention"
    offered = (
        ("any", _("Overdue, not started, silent or late")),
        OVERDUE,
        ("unstarted", _("Not started: it is its turn in the queue, but no engine starts it")),
        SILENT,
        ("late", _("Late: it takes longer than its workflow usually does")),
    )

    def chosen(self, queryset: QuerySet[Model], value: str) -> QuerySet[Model]:
        questions = attention.QUESTIONS if value == "any" else (value,)
        return queryset.filter(reduce(or_, map(attention.run_condition, questions)))


class NodeAttentionFilter(ConstantFilter):
    is_common = False
    title = _("needs attention")
    parameter_name = "attention"
    offered = (OVERDUE, SILENT)

    def chosen(self, queryset: QuerySet[Model], value: str) -> QuerySet[Model]:
        return queryset.filter(attention.node_condition(value))
