"""Newest runs of a workflow, as its page shows them, and the filter that selects the same runs in a list."""

from collections.abc import Iterable, Sequence
from uuid import UUID

from django.contrib.admin.options import IncorrectLookupParameters
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from executions import limits
from executions.admin.types import Runs, User
from executions.models import WorkflowExecution
from ledgerkit.admin.lists import Choice, ModelAdmin
from ledgerkit.db import keyset
from ledgerkit.db.models import parse_uuid
from workflows.models import Workflow

from .id_filters import LinkedFilter

SEPARATOR = "~"
RUN_COLUMNS = (
    "status", "failed_nodes", "trigger_type", "attempt", "created_at", "started_at", "ended_at", "graph", "workflow",
)  # fmt: skip


ORDER = ("-created_at", "-id")


def newest_runs(user: User, workflow: UUID) -> list[WorkflowExecution]:
    """Return the newest RECENT_RUNS visible runs of the workflow, newest first."""
    return list(first_rows(WorkflowExecution.objects.visible_to(user), workflow, Q(), ORDER, limits.RECENT_RUNS))


def first_rows(seen: Runs, workflow: UUID, where: Q, order: Sequence[str], number: int) -> Runs:
    """Return the first runs of `seen` in this order, from the index on the runs of a workflow."""
    workflows = Workflow.objects.filter(pk=workflow)
    found = keyset.first_of_each(workflows, seen.filter(where), "workflow", order, number)
    return WorkflowExecution.objects.filter(pk__in=found).only(*RUN_COLUMNS).order_by(*order)


def get_run(user: User, workflow: UUID, pk: UUID) -> WorkflowExecution | None:
    """Return the run; None if the workflow has no such run visible to the user."""
    return WorkflowExecution.objects.visible_to(user).filter(workflow=workflow, pk=pk).only(*RUN_COLUMNS).first()


def window_size(nodes: int) -> int:
    """Return in how many runs node executions are counted; fewer for workflows with many nodes."""
    return min(limits.RECENT_RUNS, max(20, limits.RECENT_NODE_EXECUTIONS // max(1, nodes)))


class NewestRunsFilter(LinkedFilter):
    """Filter by the newest runs of a workflow, each read on its own (see KeysetChangeList)."""

    title = gettext_lazy("newest executions of a workflow")
    parameter_name = "newest_runs"
    runs: Runs | None = None

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin) -> Iterable[Choice]:
        if (value := self.value()) is None:
            return []
        workflow, number = _parse_value(value)
        return [(value, _("The newest %(number)d of %(workflow)s") % {"number": number, "workflow": workflow})]

    def chosen(self, queryset: QuerySet[Model], value: str) -> QuerySet[Model]:
        workflow, number = _parse_value(value)
        self.runs = first_rows(WorkflowExecution.objects.all(), workflow, Q(), ORDER, number).order_by()
        return queryset


def format_value(workflow: UUID, number: int) -> str:
    """Return the value of NewestRunsFilter in a link."""
    return f"{workflow}{SEPARATOR}{number}"


def _parse_value(text: str) -> tuple[UUID, int]:
    named, _sign, digits = text.partition(SEPARATOR)
    workflow = parse_uuid(named)
    # The slice bounds the work of int(), which is quadratic.
    if workflow is None or not (digits.isascii() and digits.isdigit()) or not 0 < int(digits[:9]) <= limits.RECENT_RUNS:
        raise IncorrectLookupParameters
    return workflow, int(digits[:9])
