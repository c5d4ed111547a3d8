"""List of bulk actions, and the page of each: its progress, and the result of every run."""

from collections.abc import Sequence
from typing import ClassVar, cast
from uuid import UUID

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Model
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST

from executions import limits
from executions.admin.base import ReadOnlyAdmin
from executions.admin.runs import bulk_action_filters
from executions.admin.types import Context
from executions.bulk import runner
from executions.bulk.bulk_verbs import VERBS
from executions.models import BulkAction, BulkActionRun, BulkState, BulkVerb, WorkflowExecution
from ledgerkit.db.models import parse_uuid
from ledgerkit.types import StrOrPromise

VIEW = "executions.view_workflowexecution"


@admin.register(BulkAction)
class BulkActionAdmin(ReadOnlyAdmin):
    headers: ClassVar[dict[str, StrOrPromise]] = {
        "time": gettext_lazy("time"),
        "action": gettext_lazy("action"),
        "progress": gettext_lazy("progress"),
        "who": gettext_lazy("who"),
        "why": gettext_lazy("reason"),
    }
    related = ()
    keyset = ("happened_at", "id")
    columns = (
        "happened_at", "verb", "number", "done", "refused", "stopped_at", "stopped_by", "ended_at", "through",
        "user_id", "username", "token_id", "token_name", "reason", "filters",
    )  # fmt: skip
    search_help_text = gettext_lazy("The id of a bulk action")

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return request.user.has_perm(VIEW)

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_module_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(VIEW)

    def get_urls(self) -> list[URLPattern]:
        stop = path("<uuid:pk>/stop/", self.admin_site.admin_view(self.stop_view), name="executions_bulkaction_stop")
        return [stop, *super().get_urls()]

    def stop_view(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        return require_POST(self._stop)(request, pk)

    def _stop(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        action = BulkAction.objects.visible_to(request.user).filter(pk=pk).first()
        if action is None:
            return self.not_found_response(request, str(pk))
        if not may_stop(request, action):
            raise PermissionDenied(VERBS[BulkVerb(action.verb)].permission)
        if runner.stop(action, request.user.get_username()):
            messages.success(request, _("It is stopped; runs whose turn had not come stay as they are."))
        else:
            messages.warning(request, _("It had ended already."))
        return redirect(reverse("admin:executions_bulkaction_change", args=[pk]))

    def page_context(self, request: HttpRequest, row: BulkAction) -> Context:
        counts = row.counts()
        state = request.GET.get("state", "")
        if state not in BulkState.values:
            state = next((each for each in (BulkState.REFUSED, BulkState.DONE) if counts[each]), BulkState.WAITING)
        rows, more = results_after(row, state, parse_uuid(request.GET.get("after")))
        return {
            "bulk": row,
            "counts": [(each, each.label, counts[each], each == state) for each in BulkState],
            "finished": row.number - counts[BulkState.WAITING],
            "rows": rows,
            "more": f"?state={state}&after={rows[-1].pk}" if more else "",
            "may_stop": row.ended_at is None and may_stop(request, row),
            "chips": bulk_action_filters.chips_of(runs_admin(), request, row.filters),
            "filters": [(name, value) for name, values in row.filters.items() for value in values],
        }


def runs_admin() -> ReadOnlyAdmin:
    return cast("ReadOnlyAdmin", admin.site.get_model_admin(WorkflowExecution))


def may_stop(request: HttpRequest, action: BulkAction) -> bool:
    return request.user.has_perm(VERBS[BulkVerb(action.verb)].permission)


def results_after(action: BulkAction, state: str, after: UUID | None) -> tuple[Sequence[BulkActionRun], bool]:
    """Return a page of the runs in this state, and whether there are more."""
    runs = action.runs.filter(state=state).order_by("id")
    found = list((runs.filter(pk__gt=after) if after else runs)[: limits.BULK_RESULTS + 1])
    return found[: limits.BULK_RESULTS], len(found) > limits.BULK_RESULTS
