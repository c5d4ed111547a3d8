"""Filter sets of the lists."""

from datetime import datetime, timedelta
from typing import Any, ClassVar
from uuid import UUID

import django_filters as df
from django.db.models import Q
from django.db.models.lookups import GreaterThan, GreaterThanOrEqual, LessThan, LessThanOrEqual

from executions import sort_keys
from executions.models import ExecutionStatus, LogLevel, NodeExecution, TriggerType
from ledgerkit.db.names import forms
from ledgerkit.rest.filters import (
    BooleanFilter,
    ContainsFilter,
    DateTimeFilter,
    JSONKeyFilter,
    MultiChoiceFilter,
    SecondsFilter,
    UUIDFilter,
    execution_id,
    invalid_choice_messages,
    name_or_number,
)
from ledgerkit.rest.query_params import BadQuery
from workflows.models import Node

from .visibility import hidden, sees_all

MAX_PERIOD = timedelta(days=31)
PERIOD_NEEDED = {
    "required": f"Lines across runs are listed for a period: give `after` and `before`, {MAX_PERIOD.days} days at most."
}
LEVELS = LogLevel.values  # from the quietest up


class StrictFilterSet(df.FilterSet):  # type: ignore[misc]  # untyped
    """FilterSet that builds only the filters that are given or required: a form of twenty fields costs more than the
    query."""

    needed: ClassVar[tuple[str, ...]] = ()
    base_filters: dict[str, Any]

    def __init__(self, data: Any = None, *args: Any, **more: Any) -> None:
        asked = {*(data or ()), *self.needed}
        self.base_filters = {name: kind for name, kind in type(self).base_filters.items() if name in asked}
        super().__init__(data, *args, **more)


class WorkflowExecutionFilters(StrictFilterSet):
    status = MultiChoiceFilter(ExecutionStatus.choices)
    workflow = UUIDFilter(method="of_workflow")
    trigger_type = MultiChoiceFilter(TriggerType.choices)
    tag = JSONKeyFilter("metadata", "tags", lambda text: [[form] for form in forms(text)])
    correlation_id = JSONKeyFilter("metadata", "correlation_id", forms)
    triggered_by = JSONKeyFilter("metadata", "triggered_by", forms)
    schedule_id = JSONKeyFilter("metadata", "schedule_id", forms)
    priority = JSONKeyFilter("metadata", "priority", name_or_number)
    parent = JSONKeyFilter("context", "parent_execution_id", execution_id)
    created_after = DateTimeFilter(field_name="created_at", lookup_expr="gte")
    created_before = DateTimeFilter(field_name="created_at", lookup_expr="lt")
    started_after = DateTimeFilter(method="from_start")
    started_before = DateTimeFilter(method="until_start")
    ended_after = DateTimeFilter(field_name="ended_at", lookup_expr="gte")
    ended_before = DateTimeFilter(field_name="ended_at", lookup_expr="lt")
    duration_min = SecondsFilter(method="as_long")
    duration_max = SecondsFilter(method="as_short")
    has_error = BooleanFilter(field_name="error_message", lookup_expr="isnull", exclude=True)
    has_failed_nodes = BooleanFilter(method="with_failed_nodes")
    q = ContainsFilter(field_name="error_message", min_length=3)  # shorter ones have no trigram

    def of_workflow(self, queryset: Any, name: str, value: UUID) -> Any:
        return queryset.none() if hidden(self.request, queryset, pk=value) else queryset.filter(workflow=value)

    def with_failed_nodes(self, queryset: Any, name: str, value: bool) -> Any:
        return queryset.filter(failed_nodes__gt=0) if value else queryset.filter(failed_nodes=0)

    # That the column is compared too changes nothing but the planner's mind. It takes the days of start and of creation
    # for unrelated, and so would look for the runs of an early day among the newest; now it takes them for rarer.
    def from_start(self, queryset: Any, name: str, value: datetime) -> Any:
        return queryset.filter(GreaterThanOrEqual(sort_keys.STARTED, value), started_at__gte=value)

    def until_start(self, queryset: Any, name: str, value: datetime) -> Any:
        started = GreaterThan(sort_keys.STARTED, sort_keys.NEVER)
        return queryset.filter(LessThan(sort_keys.STARTED, value), started, started_at__lt=value)

    def as_long(self, queryset: Any, name: str, value: timedelta) -> Any:
        return queryset.filter(GreaterThanOrEqual(sort_keys.DURATION, value))

    def as_short(self, queryset: Any, name: str, value: timedelta) -> Any:
        return queryset.filter(
            LessThanOrEqual(sort_keys.DURATION, value), GreaterThanOrEqual(sort_keys.DURATION, timedelta(seconds=0))
        )


class NodeExecutionFilters(StrictFilterSet):
    status = MultiChoiceFilter(ExecutionStatus.choices)
    node = UUIDFilter(method="of_node")
    workflow = UUIDFilter(method="of_workflow")
    created_after = DateTimeFilter(field_name="created_at", lookup_expr="gte")
    created_before = DateTimeFilter(field_name="created_at", lookup_expr="lt")

    def of_node(self, queryset: Any, name: str, value: UUID) -> Any:
        if hidden(self.request, queryset, nodes=value):
            return queryset.none()
        return queryset.of_nodes([value])

    def of_workflow(self, queryset: Any, name: str, value: UUID) -> Any:
        if hidden(self.request, queryset, pk=value):
            return queryset.none()
        # As a list of ids the planner knows how common each of them is; of a join it does not.
        nodes = Node.objects.filter(workflow=value).values_list("id", flat=True)
        rows = queryset.of_nodes(list(nodes))
        # An owner's rows are joined with their runs anyway: only with those of this workflow, then.
        return rows if sees_all(rows, self.request.user) else rows.filter(workflow_execution__workflow=value)

    def filter_queryset(self, queryset: Any) -> Any:
        """Most executions are completed: those of any other state are few, and found by that."""
        rows, status = super().filter_queryset(queryset), self.form.cleaned_data.get("status")
        return rows.unmerged() if status and ExecutionStatus.COMPLETED not in status else rows


class LevelFilters(StrictFilterSet):
    level = MultiChoiceFilter(LogLevel.choices)
    level_min = df.ChoiceFilter(
        choices=LogLevel.choices, error_messages=invalid_choice_messages(LogLevel.choices), method="from_level"
    )

    def from_level(self, queryset: Any, name: str, value: str) -> Any:
        return queryset.filter(level__in=LEVELS[LEVELS.index(value) :])


class LogsOfExecutionFilters(LevelFilters):
    """`node` is a node or a node execution; `q` is looked for in the lines of this one run."""

    node = UUIDFilter(method="of_node")
    q = ContainsFilter(field_name="message")
    after = DateTimeFilter(field_name="timestamp", lookup_expr="gte")
    before = DateTimeFilter(field_name="timestamp", lookup_expr="lt")

    def of_node(self, queryset: Any, name: str, value: UUID) -> Any:
        run = self.request.parser_context["kwargs"]["execution_id"]
        nodes = NodeExecution.objects.filter(Q(pk=value) | Q(node=value), workflow_execution=run)
        return queryset.filter(node_execution__in=list(nodes.values_list("id", flat=True)))


class LogFilters(LevelFilters):
    """Across runs, only within a period."""

    needed = ("after", "before")
    after = DateTimeFilter(field_name="timestamp", lookup_expr="gte", required=True, error_messages=PERIOD_NEEDED)
    before = DateTimeFilter(field_name="timestamp", lookup_expr="lt", required=True, error_messages=PERIOD_NEEDED)

    def filter_queryset(self, queryset: Any) -> Any:
        after, before = self.form.cleaned_data["after"], self.form.cleaned_data["before"]
        if not after < before <= after + MAX_PERIOD:
            raise BadQuery("before", f"Expected a time later than `after`, by at most {MAX_PERIOD.days} days.")
        return super().filter_queryset(queryset)
