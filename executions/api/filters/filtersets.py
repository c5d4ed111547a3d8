"""Filter sets of the lists."""

from copy import deepcopy
from datetime import timedelta
from decimal import Decimal
from functools import lru_cache, reduce
from operator import or_
from typing import Any, ClassVar
from uuid import UUID

import django_filters as df
from django.db.models import Model, QuerySet
from django.db.models.lookups import GreaterThanOrEqual, LessThanOrEqual
from django.forms import Form
from django.http import QueryDict

from executions import attention, creation_bounds, limits, run_conditions, sort_keys
from executions.error_groups import group_queries
from executions.models import ExecutionStatus, TriggerType
from executions.querysets import NodeExecutionQuerySet, WorkflowExecutionQuerySet, are_few
from ledgerkit.db.names import forms
from ledgerkit.rest.filters import (
    BooleanFilter,
    ContainsFilter,
    DateTimeFilter,
    ExcludedChoiceFilter,
    JSONKeyFilter,
    MultiChoiceFilter,
    SecondsFilter,
    TextFilter,
    UUIDFilter,
    UUIDListFilter,
    check_uuid,
    forms_of_uuid,
    name_or_number,
)
from workflows.models import Node
from workflows.querysets import User

from .range_parameters import form_of
from .visibility import is_node_hidden, sees_all, visible_groups, visible_workflows

WORKFLOWS = f"The ids of one or more workflows, {limits.FILTER_VALUES} at most."
BOUNDS = (
    "created_after", "created_before", "started_after", "started_before", "ended_after", "ended_before",
)  # fmt: skip
OF_TIMES = {"started_after", "started_before", "ended_after", "ended_before", "duration_min", "duration_max"}


class StrictFilterSet(df.FilterSet):  # type: ignore[misc]  # untyped
    """FilterSet that builds only the filters that are given or required: a form of twenty fields costs more than the
    query."""

    needed: ClassVar[tuple[str, ...]] = ()
    base_filters: dict[str, df.Filter]

    def __init__(self, data: Any = None, *args: object, **more: object) -> None:
        given_names = {*(data or ()), *self.needed}
        self.base_filters = {name: kind for name, kind in type(self).base_filters.items() if name in given_names}
        super().__init__(data, *args, **more)

    def get_form_class(self) -> type[Form]:
        return _form_class(type(self), tuple(self.base_filters))  # type: ignore[arg-type]  # mypy takes the class for an object of it


@lru_cache(maxsize=256)
def _form_class(kind: type[StrictFilterSet], names: tuple[str, ...]) -> type[Form]:
    """Return the form of these filters. To make the class takes as long as to validate with it. Its fields are of
    copies: a filter keeps its field, and other threads may be copying the filters of the class."""
    filters = deepcopy({name: kind.base_filters[name] for name in names})
    return type(f"{kind.__name__}Form", (form_of(names),), {name: each.field for name, each in filters.items()})


def error_text(user: User, given: QueryDict) -> run_conditions.ErrorText:
    """Return what the filter `error` of the list of runs searches for: without a bound of times, in the last days."""
    is_bounded = any(given.get(name) for name in BOUNDS)
    return run_conditions.ErrorText(user, str(given["error"]), None if is_bounded else run_conditions.searched_since())


class WorkflowExecutionFilters(StrictFilterSet):
    status = MultiChoiceFilter(ExecutionStatus.choices, help_text="One or more statuses.")
    not_status = ExcludedChoiceFilter(ExecutionStatus.choices, field_name="status", help_text="Excluded statuses.")
    workflow = UUIDListFilter(limits.FILTER_VALUES, method="filter_workflow", help_text=WORKFLOWS)
    workflow_name = TextFilter(
        method="filter_workflow_name",
        help_text="The name of the workflow, in full, as it was when the run was created.",
    )
    owner = TextFilter(method="filter_owner", help_text="The username of the owner of the workflow, or `me`.")
    trigger_type = MultiChoiceFilter(TriggerType.choices, help_text="One or more trigger types.")
    not_trigger_type = ExcludedChoiceFilter(
        TriggerType.choices, field_name="trigger_type", help_text="Excluded trigger types."
    )
    tag = JSONKeyFilter(
        "metadata",
        "tags",
        lambda text: [[form] for form in forms(text)],
        help_text="A tag in `tags` of the metadata.",
    )
    correlation_id = JSONKeyFilter(
        "metadata", "correlation_id", forms, help_text="The `correlation_id` in the metadata."
    )
    triggered_by = JSONKeyFilter("metadata", "triggered_by", forms, help_text="The `triggered_by` in the metadata.")
    schedule_id = JSONKeyFilter("metadata", "schedule_id", forms, help_text="The `schedule_id` in the metadata.")
    priority = JSONKeyFilter("metadata", "priority", name_or_number, help_text="The `priority` in the metadata.")
    parent = JSONKeyFilter(
        "context",
        "parent_execution_id",
        forms_of_uuid,
        validators=[check_uuid],
        help_text="The `parent_execution_id` in the context.",
    )
    rerun_of = JSONKeyFilter(
        "metadata",
        "rerun_of",
        forms_of_uuid,
        validators=[check_uuid],
        help_text="The run that it runs again, `rerun_of` in the metadata.",
    )
    created_after = DateTimeFilter(
        field_name="created_at", lookup_expr="gte", help_text="Created at this time or later."
    )
    created_before = DateTimeFilter(field_name="created_at", lookup_expr="lt", help_text="Created before this time.")
    started_after = DateTimeFilter(
        field_name="started_at", lookup_expr="gte", help_text="Started at this time or later."
    )
    started_before = DateTimeFilter(field_name="started_at", lookup_expr="lt", help_text="Started before this time.")
    ended_after = DateTimeFilter(field_name="ended_at", lookup_expr="gte", help_text="Ended at this time or later.")
    ended_before = DateTimeFilter(field_name="ended_at", lookup_expr="lt", help_text="Ended before this time.")
    duration_min = SecondsFilter(method="filter_duration_min", help_text="Minimum of seconds from start to end.")
    duration_max = SecondsFilter(method="filter_duration_max", help_text="Maximum of seconds from start to end.")
    has_error = BooleanFilter(
        field_name="error_message",
        lookup_expr="isnull",
        exclude=True,
        help_text="Whether there is an error message.",
    )
    has_failed_nodes = BooleanFilter(
        method="filter_has_failed_nodes",
        help_text="Whether nodes failed, also in completed runs.",
    )
    failed_node = TextFilter(
        method="filter_failed_node", help_text="The name of a node that failed, in full, as the run had it."
    )
    q = ContainsFilter(
        field_name="error_message",
        min_length=3,
        help_text="A text in the error message.",
    )  # a shorter text has no trigram
    error = TextFilter(
        method="filter_error",
        min_length=3,
        help_text=(
            "A text in the error message of the run or of one of its nodes. Only the last "
            f"{limits.SEARCHED_DAYS} days are searched, unless a bound of the creation, the start or the end is given."
        ),
    )
    overdue = BooleanFilter(
        method="filter_attention_question", help_text="Running with an expired lease or past its time-out."
    )
    unstarted = BooleanFilter(
        method="filter_attention_question",
        help_text="Pending runs whose turn in the queue came long ago and that nobody starts.",
    )
    silent = BooleanFilter(
        method="filter_attention_question", help_text="Running without a heartbeat, transition or line lately."
    )
    late = BooleanFilter(
        method="filter_attention_question", help_text="Running for longer than its workflow usually does."
    )
    error_group = UUIDFilter(
        method="filter_error_group", help_text="The id of a group of errors: runs of which an attempt failed so."
    )
    attention = BooleanFilter(method="filter_attention", help_text="Overdue, unstarted, silent or late.")
    slow = BooleanFilter(
        method="filter_slow",
        help_text="Longer, also so far, than 95 of 100 recent runs of its workflow (of the 200 busiest ones).",
    )

    def filter_error_group(self, queryset: Any, name: str, value: UUID) -> object:
        group = group_queries.find_group(visible_groups(self.request), value)
        return queryset.none() if group is None else group_queries.runs_of(group, queryset)

    def filter_error(self, queryset: QuerySet[Model], name: str, value: str) -> object:
        return queryset.filter(error_text(self.request.user, self.data).condition)

    def filter_attention_question(self, queryset: QuerySet[Model], name: str, value: bool) -> object:
        return queryset.filter(attention.run_condition(name) if value else ~attention.run_condition(name))

    def filter_attention(self, queryset: QuerySet[Model], name: str, value: bool) -> object:
        needs = reduce(or_, map(attention.run_condition, attention.QUESTIONS))
        return queryset.filter(needs if value else ~needs)

    def filter_slow(self, queryset: QuerySet[Model], name: str, value: bool) -> object:
        return queryset.filter(run_conditions.is_slow() if value else run_conditions.is_not_slow())

    def filter_workflow_name(self, queryset: QuerySet[Model], name: str, value: str) -> object:
        return queryset.filter(run_conditions.by_workflow_name(value))

    def filter_owner(self, queryset: QuerySet[Model], name: str, value: str) -> object:
        owner = run_conditions.find_owner(self.request.user, value)
        return queryset.none() if owner is None else queryset.filter(run_conditions.is_of_owner(owner))

    def filter_failed_node(self, queryset: QuerySet[Model], name: str, value: str) -> object:
        return queryset.filter(run_conditions.has_failed_node(self.request.user, [value]))

    def filter_workflow(self, queryset: WorkflowExecutionQuerySet, name: str, value: list[UUID]) -> object:
        return queryset.of_workflows(visible_workflows(self.request, queryset, value))

    def filter_has_failed_nodes(self, queryset: QuerySet[Model], name: str, value: bool) -> object:
        return queryset.filter(failed_nodes__gt=0) if value else queryset.filter(failed_nodes=0)

    def filter_duration_min(self, queryset: QuerySet[Model], name: str, value: Decimal) -> object:
        return queryset.filter(GreaterThanOrEqual(sort_keys.DURATION, timedelta(seconds=float(value))))

    def filter_duration_max(self, queryset: QuerySet[Model], name: str, value: Decimal) -> object:
        most = timedelta(seconds=float(value))
        return queryset.filter(
            LessThanOrEqual(sort_keys.DURATION, most), GreaterThanOrEqual(sort_keys.DURATION, timedelta(seconds=0))
        )

    def filter_queryset(self, queryset: QuerySet[Model]) -> object:
        """Filter. By times alone, the ids of the first runs are found in an index that includes these."""
        rows, given = super().filter_queryset(queryset), self.form.cleaned_data
        is_by_start = str(self.data.get("ordering", "")).endswith("started")
        if not (is_by_start and "workflow" in given) and given.keys().isdisjoint(OF_TIMES):
            return rows
        started = given.get("started_after"), given.get("started_before")
        rows = rows.filter(run_conditions.by_starts(*started, in_order=is_by_start))
        after = [given[name] for name in ("started_after", "ended_after") if name in given]
        before = [given[name] for name in ("started_before", "ended_before") if name in given]
        return rows.found_in(creation_bounds.parts(after, before))


class NodeExecutionFilters(StrictFilterSet):
    status = MultiChoiceFilter(ExecutionStatus.choices, help_text="One or more statuses.")
    node = UUIDFilter(method="filter_node", help_text="The id of a node.")
    workflow = UUIDListFilter(limits.FILTER_VALUES, method="filter_workflow", help_text=WORKFLOWS)
    created_after = DateTimeFilter(
        field_name="created_at", lookup_expr="gte", help_text="Created at this time or later."
    )
    created_before = DateTimeFilter(field_name="created_at", lookup_expr="lt", help_text="Created before this time.")
    q = ContainsFilter(
        field_name="error_message",
        min_length=3,
        help_text="A text in the error message.",
    )  # a shorter text has no trigram
    duration_min = SecondsFilter(method="filter_duration_min", help_text="Minimum of seconds from start to end.")
    duration_max = SecondsFilter(method="filter_duration_max", help_text="Maximum of seconds from start to end.")
    overdue = BooleanFilter(
        method="filter_attention_question", help_text="Running with an expired lease or past its time-out."
    )
    silent = BooleanFilter(method="filter_attention_question", help_text="Running without a heartbeat or line lately.")
    error_group = UUIDFilter(
        method="filter_error_group",
        help_text="The id of a group of errors: the first node of each attempt that failed so.",
    )

    def filter_error_group(self, queryset: Any, name: str, value: UUID) -> object:
        group = group_queries.find_group(visible_groups(self.request), value)
        return queryset.none() if group is None else group_queries.nodes_of(group, queryset)

    def filter_attention_question(self, queryset: QuerySet[Model], name: str, value: bool) -> object:
        return queryset.filter(attention.node_condition(name) if value else ~attention.node_condition(name))

    def filter_duration_min(self, queryset: QuerySet[Model], name: str, value: Decimal) -> object:
        least = GreaterThanOrEqual(sort_keys.NODE_DURATION, timedelta(seconds=float(value)))
        return queryset.filter(sort_keys.HAS_NODE_DURATION, least)

    def filter_duration_max(self, queryset: QuerySet[Model], name: str, value: Decimal) -> object:
        most = LessThanOrEqual(sort_keys.NODE_DURATION, timedelta(seconds=float(value)))
        return queryset.filter(sort_keys.HAS_NODE_DURATION, most)

    def filter_node(self, queryset: Any, name: str, value: UUID) -> object:
        if is_node_hidden(self.request, queryset, value):
            return queryset.none()
        return queryset.of_nodes([value])

    def filter_workflow(self, queryset: NodeExecutionQuerySet, name: str, value: list[UUID]) -> object:
        seen = visible_workflows(self.request, queryset, value)
        # With a list of ids the planner knows how common each one is; with a join it does not, but the list is long.
        ids = Node.objects.filter(workflow__in=seen).values_list("id", flat=True)
        nodes = list(ids if len(seen) == 1 else ids[: limits.NAMED_NODES + 1])
        are_named = len(seen) == 1 or len(nodes) <= limits.NAMED_NODES
        rows = queryset.of_nodes(nodes) if are_named else queryset.filter(node__workflow__in=seen)
        if are_few(nodes) or sees_all(rows, self.request.user):
            return rows
        # The rows of an owner are joined with their runs anyway, so only the runs of these workflows are joined.
        return rows.filter(workflow_execution__workflow__in=seen)

    def filter_queryset(self, queryset: QuerySet[Model]) -> object:
        """Filter. Most executions are completed, and the failed ones have an index by node; few are in another state,
        and are found by an index on the status."""
        rows, status = super().filter_queryset(queryset), self.form.cleaned_data.get("status")
        has_index = not status or ExecutionStatus.COMPLETED in status or status == [ExecutionStatus.FAILED]
        return rows if has_index else rows.found_by(None)
