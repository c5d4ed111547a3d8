"""Filters by the id of a run, a node or a node execution, which links from other pages set."""

from collections.abc import Iterable
from uuid import UUID

from django.contrib.admin.options import IncorrectLookupParameters
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from ledgerkit.admin.lists import Choice, ConstantFilter, ModelAdmin
from ledgerkit.db.models import parse_uuid


class LinkedFilter(ConstantFilter):
    """Filter set by links from other pages; it has a chip while it is in use, and no field."""

    field_template = ""

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin) -> Iterable[Choice]:
        value = self.value()
        return [] if value is None else [(value, str(parse_id(value)))]


class RunFilter(LinkedFilter):
    title = _("workflow execution")
    parameter_name = "workflow_execution"


class NodeFilter(LinkedFilter):
    title = _("node")
    parameter_name = "node"


class NodeExecutionFilter(LinkedFilter):
    title = _("node execution")
    parameter_name = "node_execution"


def parse_id(text: str) -> UUID:
    if (found := parse_uuid(text)) is None:
        raise IncorrectLookupParameters
    return found
