"""Filters by the workflow of a row, and by a column of its run. They never scan the executions."""

from collections.abc import Iterable
from typing import ClassVar
from uuid import UUID

from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from executions import limits
from executions.admin.pagination import FIND
from executions.admin.types import JSON, Runs
from executions.models import WorkflowExecution
from ledgerkit.admin.list_filters import SEPARATOR, SeveralFilter
from ledgerkit.admin.lists import Choice, ModelAdmin
from ledgerkit.db import json_validation
from ledgerkit.db.models import parse_uuid
from workflows.history import DefinitionChange
from workflows.models import Node, Workflow

from .choice_filters import TriggerFilter
from .linked_filters import parse_id

NAME_LENGTH = 255


class WorkflowFilter(SeveralFilter):
    """Filter by workflows. Offers the first workflows by name, optionally those containing `?find_workflow=`, and
    always the selected ones."""

    title = _("workflow")
    parameter_name = "workflow"
    field_template = "admin/executions/workflow_filter.html"

    def __init__(self, request: HttpRequest, params: JSON, model: type[Model], model_admin: ModelAdmin) -> None:
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
        others = {parse_id(value) for value in self.selected_ids() if value not in dict(offered)}
        named = seen.filter(pk__in=others).values_list("id", "name") if others else ()
        return [*offered, *((str(pk), name) for pk, name in named)]

    def _title(self, name: str, former: str) -> str:
        """Return the name, and the former one if the search found the workflow by it alone."""
        if self.find.casefold() in name.casefold() or former == name:
            return name
        return gettext("%(name)s (formerly %(former)s)") % {"name": name, "former": former}

    @property
    def has_search(self) -> bool:
        return bool(self.find) or len(self.lookup_choices) >= limits.SEARCHED_WORKFLOWS or self.is_cut

    def selected_ids(self) -> list[str]:
        """Return the selected ids, offered or not."""
        return self.values


class NodeWorkflowFilter(WorkflowFilter):
    def any_of(self, queryset: QuerySet[Model], values: list[str]) -> QuerySet[Model]:
        # With a list of ids the planner knows how frequent each one is; with a join it does not.
        nodes = Node.objects.filter(workflow__in=[UUID(value) for value in values])
        return queryset.filter(node__in=list(nodes.values_list("id", flat=True)))


class RunFieldFilter(SeveralFilter):
    """Filter rows by a column of their run. No index has them in the order of the list, so the list reads the newest
    `shown` runs alone, one by one (see KeysetChangeList): those visible to the user that match the other filters."""

    # Parameters of other filters that narrow the runs, with the field of the run.
    NARROWING: ClassVar[dict[str, str]] = {"workflow": "workflow", "workflow_execution": "pk"}
    shown: ClassVar[int]
    runs: Runs | None = None

    def any_of(self, queryset: QuerySet[Model], values: list[str]) -> QuerySet[Model]:
        given = {name: self.request.GET.get(name, "").split(SEPARATOR) for name in self.NARROWING}
        ids = {name: [pk for text in texts if (pk := parse_uuid(text))] for name, texts in given.items()}
        which: dict[str, object] = {f"{self.NARROWING[name]}__in": found for name, found in ids.items() if found}
        which[f"{self.parameter_name}__in"] = values
        seen = WorkflowExecution.objects.visible_to(self.request.user)
        runs = seen.filter(**which).order_by("-created_at", "-id")
        self.runs = WorkflowExecution.objects.filter(pk__in=runs.values("pk")[: self.shown]).order_by()
        return queryset


class NodeTriggerFilter(RunFieldFilter, TriggerFilter):
    title = _("trigger (its newest 1,000 executions)")
    shown = 1_000


class LogWorkflowFilter(RunFieldFilter, WorkflowFilter):
    title = _("workflow (its newest 100 executions)")
    shown = 100


def _former_names(part: str) -> dict[UUID, str]:
    """Return the newest name with this part that each workflow has or had, by its id."""
    changes = DefinitionChange.of_workflows().filter(subject_name__icontains=part).order_by("happened_at")
    return dict(changes.values_list("subject_id", "subject_name"))
