"""Filters by the id of a run, a node or a node execution, which links from other pages set."""

from collections.abc import Iterable
from uuid import UUID

from django.contrib.admin.options import IncorrectLookupParameters
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from executions.admin.types import User
from executions.models import NodeExecution, WorkflowExecution
from ledgerkit import time_zones
from ledgerkit.admin.lists import Choice, ConstantFilter, ModelAdmin
from ledgerkit.db.models import parse_uuid
from workflows.models import Node, Workflow


class LinkedFilter(ConstantFilter):
    """Filter set by links from other pages; it has a chip while it is in use, and no field."""

    field_template = ""

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin) -> Iterable[Choice]:
        value = self.value()
        return [] if value is None else [(value, self._title_of(request.user, parse_id(value)))]

    def _title_of(self, user: User, pk: UUID) -> str:
        return self.name_of(user, pk) or str(pk)

    def name_of(self, user: User, pk: UUID) -> str | None:
        """Return the name of what the id belongs to; None if there is none, or the user may not see it."""
        return None


class RunFilter(LinkedFilter):
    title = _("workflow execution")
    parameter_name = "workflow_execution"

    def name_of(self, user: User, pk: UUID) -> str | None:
        seen = WorkflowExecution.objects.visible_to(user).filter(pk=pk)
        run = seen.only("workflow_name", "created_at", "started_at").first()
        return f"{run.workflow_name} · {time_zones.clock(run.started_at or run.created_at)}" if run else None


class NodeFilter(LinkedFilter):
    title = _("node")
    parameter_name = "node"

    def name_of(self, user: User, pk: UUID) -> str | None:
        seen = Node.objects.filter(pk=pk, workflow__in=Workflow.objects.visible_to(user))
        return seen.values_list("name", flat=True).first()


class NodeExecutionFilter(LinkedFilter):
    title = _("node execution")
    parameter_name = "node_execution"

    def name_of(self, user: User, pk: UUID) -> str | None:
        return NodeExecution.objects.visible_to(user).filter(pk=pk).values_list("node_name", flat=True).first()


def parse_id(text: str) -> UUID:
    if (found := parse_uuid(text)) is None:
        raise IncorrectLookupParameters
    return found
