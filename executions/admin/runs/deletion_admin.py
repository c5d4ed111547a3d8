"""List of deleted runs: who deleted them, through which interface, when and why. Read-only for everybody."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from executions.admin.base import ReadOnlyAdmin
from executions.admin.filters.period_filters import PeriodFilter
from executions.models import ArchivedRun, Deletion
from ledgerkit.types import StrOrPromise


@dataclass(frozen=True, slots=True)
class DeletionRow:
    """A deletion in the list. `archived` is the record of the run in the archive, None if it is not there."""

    deletion: Deletion
    archived: ArchivedRun | None


class DeletedAtFilter(PeriodFilter):
    title = _("time of the deletion")
    column = "happened_at"


@admin.register(Deletion)
class DeletionAdmin(ReadOnlyAdmin):
    headers: ClassVar[dict[str, StrOrPromise]] = {
        "time": _("time"),
        "state": _("status"),
        "run": _("workflow execution"),
        "who": _("who"),
        "why": _("reason"),
    }
    list_filter = (DeletedAtFilter,)
    search_help_text = _("The id of the run that was deleted")
    id_columns = ("workflow_execution_id",)
    related = ()
    keyset = ("happened_at", "id")
    columns = (
        "happened_at", "status", "workflow_name", "workflow_execution_id", "made_at", "username", "token_name",
        "through", "reason", "request_id",
    )  # fmt: skip

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def present_rows(self, request: HttpRequest, rows: Sequence[Deletion]) -> Sequence[DeletionRow]:
        runs = ArchivedRun.objects.select_related("file").in_bulk([row.workflow_execution_id for row in rows])
        return [DeletionRow(row, runs.get(row.workflow_execution_id)) for row in rows]

    def change_view(self, request: HttpRequest, object_id: str, *args: object, **kwargs: object) -> HttpResponse:
        """Redirect to the list, which contains everything."""
        return redirect(reverse(f"{self.admin_site.name}:executions_deletion_changelist"))
