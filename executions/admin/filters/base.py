"""Filters of the admin lists. They offer constants or rows of a small table, and never scan the executions."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import ClassVar
from uuid import UUID

from django.contrib.admin.options import IncorrectLookupParameters
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from executions import limits, partitions
from executions.admin.pagination import FIND, NEWER, OLDER
from executions.admin.types import JSON, Runs
from executions.models import ExecutionStatus, LogLevel, TriggerType, WorkflowExecution
from ledgerkit.admin.lists import Choice, ConstantFilter, ModelAdmin
from ledgerkit.db import json_validation
from ledgerkit.db.models import parse_uuid
from workflows.history import DefinitionChange
from workflows.models import Node, Workflow

NAME_LENGTH = 255


class StatusFilter(ConstantFilter):
    title = _("status")
    parameter_name = "status"
    offered = ExecutionStatus.choices


class TriggerFilter(ConstantFilter):
    title = _("trigger")
    parameter_name = "trigger_type"
    offered = TriggerType.choices


class LevelFilter(ConstantFilter):
    title = _("level")
    parameter_name = "level"
    offered = LogLevel.choices


class PeriodFilter(ConstantFilter):
    """Filter by a lower bound of the time in `column`, which its index serves."""

    title = _("date")
    parameter_name = "period"
    offered = (
        ("today", _("Today")),
        ("1", _("Last 24 hours")),
        ("7", _("Last 7 days")),
        ("30", _("Last 30 days")),
        ("90", _("Last 90 days")),
    )
    column: ClassVar[str]

    def chosen(self, queryset: QuerySet[Model], value: str) -> QuerySet[Model]:
        return queryset.filter(**{f"{self.column}__gte": self.bound(_period_start(value))})

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


class WorkflowFilter(ConstantFilter):
    """Filter by workflow. Offers the first workflows by name, optionally those containing `?find_workflow=`, and
    always the selected one."""

    title = _("workflow")
    parameter_name = "workflow"
    template = "admin/executions/workflow_filter.html"

    def __init__(self, request: HttpRequest, params: JSON, model: type[Model], model_admin: ModelAdmin) -> None:
        self.kept = [(name, value) for name, value in request.GET.items() if name not in {FIND, OLDER, NEWER}]
        self.find = json_validation.to_storable_text(params.pop(FIND, [""])[-1])[:NAME_LENGTH].strip()
        super().__init__(request, params, model, model_admin)

    @classmethod
    def parameters(cls) -> Iterable[str]:
        return (*super().parameters(), FIND)

    def has_output(self) -> bool:
        """Render the filter also when the search matched no workflow, with a message."""
        return super().has_output() or bool(self.find)

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin) -> Iterable[Choice]:
        seen = Workflow.objects.visible_to(request.user)
        former = _former_names(self.find) if self.find else {}
        matching = Q(name__icontains=self.find) | Q(pk__in=former) if self.find else Q()
        # One more than is offered, to see whether the list is cut.
        rows = list(
            seen.alive()
            .filter(matching)
            .order_by("name", "id")[: limits.OFFERED_WORKFLOWS + 1]
            .values_list("id", "name")
        )
        self.is_cut, self.is_empty = len(rows) > limits.OFFERED_WORKFLOWS, not rows
        offered = [(str(pk), self._title(name, former.get(pk, name))) for pk, name in rows[: limits.OFFERED_WORKFLOWS]]
        others = {_parse_id(value) for value in self.selected_ids() if value not in dict(offered)}
        named = seen.filter(pk__in=others).values_list("id", "name") if others else ()
        return [*offered, *((str(pk), name) for pk, name in named)]

    def _title(self, name: str, former: str) -> str:
        """Return the name, and the former one if the search found the workflow by it alone."""
        if self.find.casefold() in name.casefold() or former == name:
            return name
        return gettext("%(name)s (formerly %(former)s)") % {"name": name, "former": former}

    def selected_ids(self) -> list[str]:
        """Return the selected ids, offered or not."""
        return [value] if (value := self.value()) is not None else []


class NodesWorkflowFilter(WorkflowFilter):
    def chosen(self, queryset: QuerySet[Model], value: str) -> QuerySet[Model]:
        # With a list of ids the planner knows how frequent each one is; with a join it does not.
        return queryset.filter(node__in=list(Node.objects.filter(workflow=UUID(value)).values_list("id", flat=True)))


class RunFieldFilter(ConstantFilter):
    """Filter rows by a column of their run. No index has them in the order of the list, so the list reads the newest
    `shown` runs alone, one by one (see KeysetChangeList): those visible to the user that match the other filters."""

    # Parameters of other filters that narrow the runs, with the field of the run.
    NARROWING: ClassVar[dict[str, str]] = {"workflow": "workflow", "workflow_execution": "pk"}
    shown: ClassVar[int]
    runs: Runs | None = None

    def chosen(self, queryset: QuerySet[Model], value: str) -> QuerySet[Model]:
        given = {name: parse_uuid(self.request.GET.get(name)) for name in self.NARROWING}
        which = {self.NARROWING[name]: pk for name, pk in given.items() if pk} | {str(self.parameter_name): value}
        seen = WorkflowExecution.objects.visible_to(self.request.user)
        runs = seen.filter(**which).order_by("-created_at", "-id")
        self.runs = WorkflowExecution.objects.filter(pk__in=runs.values("pk")[: self.shown]).order_by()
        return queryset


class NodesTriggerFilter(RunFieldFilter, TriggerFilter):
    title = _("trigger (its newest 1,000 executions)")
    shown = 1_000


class LinesWorkflowFilter(RunFieldFilter, WorkflowFilter):
    title = _("workflow (its newest 100 executions)")
    shown = 100


class LinkedFilter(ConstantFilter):
    """Filter set by links from other pages; listed only while it is in use."""

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin) -> Iterable[Choice]:
        value = self.value()
        return [] if value is None else [(value, str(_parse_id(value)))]


class RunFilter(LinkedFilter):
    title = _("workflow execution")
    parameter_name = "workflow_execution"


class NodeFilter(LinkedFilter):
    title = _("node")
    parameter_name = "node"


class NodeExecutionFilter(LinkedFilter):
    title = _("node execution")
    parameter_name = "node_execution"


def _period_start(period: str) -> datetime:
    """Return today's first midnight in the user's zone, or the time exactly that many times 24 hours ago."""
    if period == "today":
        # fold=0: where clocks are set back at midnight, the day has two midnights.
        return timezone.localtime().replace(hour=0, minute=0, second=0, microsecond=0, fold=0).astimezone(UTC)
    return timezone.now() - timedelta(days=int(period))


def _former_names(part: str) -> dict[UUID, str]:
    """Return the newest name with this part that each workflow has or had, by its id."""
    changes = DefinitionChange.of_workflows().filter(subject_name__icontains=part).order_by("happened_at")
    return dict(changes.values_list("subject_id", "subject_name"))


def _parse_id(text: str) -> UUID:
    if (found := parse_uuid(text)) is None:
        raise IncorrectLookupParameters
    return found
