"""Filters by a group of errors, which its page and the monitor link to."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from typing import ClassVar, cast
from uuid import UUID

from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import ChangeList
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils.text import Truncator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from executions.admin.filters import presets
from executions.error_groups import group_queries
from executions.models import ErrorGroup
from executions.querysets import NodeExecutionQuerySet, WorkflowExecutionQuerySet
from ledgerkit.admin.lists import Chip, Choice, ModelAdmin
from ledgerkit.db import json_validation

from .id_filters import LinkedFilter, parse_id
from .period_filters import PeriodFilter, period_start

BETWEEN = "~"
NONE = "none"
TITLE_LENGTH = 80  # of an error, in a chip
NAME_LENGTH = 255  # of a node
GROUP, FAILED = "error_group", "failed"  # parameters


class ErrorGroupFilter(LinkedFilter):
    """Filter by a group: its id. A group that was merged is the one that it is part of."""

    title = gettext_lazy("error group")
    parameter_name = GROUP

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin) -> Iterable[Choice]:
        self.group: ErrorGroup | None = None
        return [] if (value := self.value()) is None else [(value, self._title(value))]

    def _title(self, value: str) -> str:
        return self._title_of_group(parse_id(value))

    def _title_of_group(self, pk: UUID) -> str:
        self.group = group_queries.find_group(ErrorGroup.objects.visible_to(self.request.user), pk)
        if self.group is None:
            return _("There is no such group of errors.")
        return Truncator(self.group.title or _("without a message")).chars(TITLE_LENGTH)


class NodeErrorGroupFilter(ErrorGroupFilter):
    def chosen(self, queryset: QuerySet[Model], value: str) -> QuerySet[Model]:
        rows = cast("NodeExecutionQuerySet", queryset)
        return group_queries.nodes_of(self.group, rows) if self.group else rows.none()


class RunErrorGroupFilter(ErrorGroupFilter):
    """Filter by a group, by one of its nodes ("<id>~<name of the node>"), or by failed runs in no group ("none")."""

    node: str | None = None

    def _title(self, value: str) -> str:
        if value == NONE:
            return _("none")
        pk, between, node = value.partition(BETWEEN)
        title = self._title_of_group(parse_id(pk))
        if not between:
            return title
        self.node = json_validation.to_storable_text(node)[:NAME_LENGTH]
        place = self.node or _("no node")
        return _("%(error)s (%(place)s)") % {"error": title, "place": place}

    def chosen(self, queryset: QuerySet[Model], value: str) -> QuerySet[Model]:
        runs = cast("WorkflowExecutionQuerySet", queryset)
        if value == NONE:
            return group_queries.without_group(runs)
        return group_queries.runs_of(self.group, runs, self.node, self._since()) if self.group else runs.none()

    def _since(self) -> datetime | None:
        period = self.request.GET.get(FAILED)
        return period_start(period) if period in dict(PeriodFilter.offered) else None

    def chips(self, changelist: ChangeList) -> list[Chip]:
        """Return its chip, which removes the time of the failure too: the list refuses one without a group."""
        without = changelist.get_query_string(remove=[GROUP, FAILED])
        return [replace(chip, without=without) for chip in super().chips(changelist)]


class FailurePeriodFilter(PeriodFilter):
    """Filter by the time at which attempts failed with the errors of the group, which the filter by the group does."""

    field_template: ClassVar[str] = ""
    title = gettext_lazy("time of the failure")
    parameter_name = FAILED

    def chosen(self, queryset: QuerySet[Model], value: str) -> QuerySet[Model]:
        # Of a view that is being saved the parameters are not in the address, and each is checked on its own.
        address = self.request.GET
        if FAILED in address and address.get(GROUP, NONE) == NONE:
            raise IncorrectLookupParameters
        return queryset


def runs_of_group_url(group: UUID, node: str | None = None, **filters: object) -> str:
    """Return the URL of the list of the runs that failed so: at the node of this name, unless it is None."""
    value = str(group) if node is None else f"{group}{BETWEEN}{node}"
    return presets.runs_url(**{GROUP: value}, **filters)
