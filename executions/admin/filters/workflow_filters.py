"""Filters by the workflow of a row, and by a column of its run. They never scan the executions."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import ClassVar
from uuid import UUID

from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from executions import limits, run_conditions
from executions.admin.pagination import FIND
from executions.admin.types import JSON, Runs, User
from executions.models import WorkflowExecution
from ledgerkit.admin.list_filters import SEPARATOR, SeveralFilter
from ledgerkit.admin.lists import Choice, ConstantFilter, ModelAdmin
from ledgerkit.db import json_validation
from ledgerkit.db.models import parse_uuid
from workflows.history import DefinitionChange
from workflows.models import Node, Workflow

from .choice_filters import TriggerFilter
from .id_filters import parse_id
from .text_filters import OwnerFilter, TagFilter, is_tagged

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


def _of_ids(field: str, _user: User, text: str) -> Q:
    ids = [pk for each in text.split(SEPARATOR) if (pk := parse_uuid(each))]
    return Q(**{f"{field}__in": ids}) if ids else Q()


def _of_triggers(_user: User, text: str) -> Q:
    return Q(trigger_type__in=text.split(SEPARATOR))


def _of_owner(user: User, text: str) -> Q:
    owner = None if "\0" in text else run_conditions.find_owner(user, text.strip())
    return Q() if owner is None else run_conditions.is_of_owner(owner)


class RunFieldFilter(ConstantFilter):
    """Filter rows by their run. No index has them in the order of the list, so the list reads the newest `shown` runs
    alone, one by one (see KeysetChangeList): those visible to the user that match all filters by the run."""

    # Parameters of the list that narrow the runs, with their conditions. A filter refuses what it does not accept.
    NARROWING: ClassVar[dict[str, Callable[[User, str], Q]]] = {
        "workflow": partial(_of_ids, "workflow"),
        "workflow_execution": partial(_of_ids, "pk"),
        "trigger_type": _of_triggers,
        "tag": lambda _user, text: is_tagged(text.strip()),
        "owner": _of_owner,
    }
    of_runs: ClassVar[tuple[str, ...]]  # parameters of the filters of the list that are such filters
    shown: ClassVar[int]
    runs: Runs | None = None

    def any_of(self, queryset: QuerySet[Model], values: list[str]) -> QuerySet[Model]:
        return self._select_runs(queryset)

    def chosen(self, queryset: QuerySet[Model], value: str) -> QuerySet[Model]:
        return self._select_runs(queryset)

    def _select_runs(self, queryset: QuerySet[Model]) -> QuerySet[Model]:
        """Select the runs for all such filters of the list, once: in the first of them that is in use."""
        given = self.request.GET
        if self.parameter_name != next((name for name in self.of_runs if given.get(name)), None):
            return queryset
        user = self.request.user
        conditions = [condition(user, given[name]) for name, condition in self.NARROWING.items() if given.get(name)]
        runs = WorkflowExecution.objects.visible_to(user).filter(*conditions).order_by("-created_at", "-id")
        self.runs = WorkflowExecution.objects.filter(pk__in=runs.values("pk")[: self.shown]).order_by()
        return queryset


class OfNodes(RunFieldFilter):
    of_runs = ("trigger_type", "tag", "owner")
    shown = 1_000


class OfLines(RunFieldFilter):
    of_runs = ("workflow", "trigger_type", "tag", "owner")
    shown = 100


class RunOwnerFilter(RunFieldFilter, OwnerFilter):
    def chosen(self, queryset: QuerySet[Model], value: str) -> QuerySet[Model]:
        self.owner_id(value)
        return super().chosen(queryset, value)


class NodeTriggerFilter(OfNodes, TriggerFilter):
    title = _("trigger, among the newest 1,000 runs")


class NodeTagFilter(OfNodes, TagFilter):
    title = _("tag, among the newest 1,000 runs")


class NodeOwnerFilter(OfNodes, RunOwnerFilter):
    title = _("owner of the workflow, among the newest 1,000 runs")


class LogWorkflowFilter(OfLines, WorkflowFilter):
    title = _("workflow, among the newest 100 runs")


class LogTriggerFilter(OfLines, TriggerFilter):
    title = _("trigger, among the newest 100 runs")


class LogTagFilter(OfLines, TagFilter):
    title = _("tag, among the newest 100 runs")


class LogOwnerFilter(OfLines, RunOwnerFilter):
    title = _("owner of the workflow, among the newest 100 runs")


def _former_names(part: str) -> dict[UUID, str]:
    """Return the newest name with this part that each workflow has or had, by its id."""
    changes = DefinitionChange.of_workflows().filter(subject_name__icontains=part).order_by("happened_at")
    return dict(changes.values_list("subject_id", "subject_name"))
