"""Deleting runs: for a reason that outlives them, after a page that says how much goes with them."""

from typing import Any
from uuid import UUID

from django.contrib import admin, messages
from django.contrib.admin.actions import delete_selected
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from executions.acting import acting
from executions.exceptions import InvalidTransition
from executions.models import ExecutionLog, ExecutionStatus, NodeExecution, WorkflowExecution
from executions.reasons import CANCEL_FIRST

from .acts import MAX_REASON, reason
from .ledger import LedgerAdmin

COUNTED = 1_000
SHOWN = 10  # runs of which it is said that they cannot be deleted
REASON_NEEDED = gettext_lazy("Nothing was deleted: give a reason, which is kept when the run is gone.")


class Deletes(LedgerAdmin):
    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super(LedgerAdmin, self).has_delete_permission(request, obj)

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """The runs by name, and how much goes with them; Django's would load every line of their logs to list it."""
        pks = [run.pk for run in objs]
        counts: dict[str, int | str] = {str(self.opts.verbose_name_plural): len(pks)}
        for model in (NodeExecution, ExecutionLog):
            counts[str(model._meta.verbose_name_plural)] = _counted(model, pks)
        return [str(run) for run in objs], counts, set(), []

    def delete_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        said, shown = reason(request), {"max_reason": MAX_REASON} | (extra_context or {})
        if request.method == "POST" and not said:
            messages.error(request, REASON_NEEDED)
            return HttpResponseRedirect(request.get_full_path())
        run = self.get_object(request, object_id)
        if run is not None and self._running(request, [run]):
            return HttpResponseRedirect(reverse("admin:executions_workflowexecution_change", args=[run.pk]))
        with acting(reason=said):
            return super().delete_view(request, object_id, shown)

    @admin.action(permissions=["delete"], description=gettext_lazy("Delete"))
    def delete_selected(self, request: HttpRequest, queryset: Any) -> HttpResponse | None:
        """Django's, which asks first and deletes once it is answered: with a reason."""
        if self._running(request, queryset):
            return None
        said = reason(request)
        if request.POST.get("post") and not said:
            self.message_user(request, REASON_NEEDED, messages.ERROR)
            asking = request.POST.copy()
            del asking["post"]
            request.POST = asking  # type: ignore[assignment]  # a QueryDict as well
        with acting(reason=said):
            asked: Any = delete_selected(self, request, queryset)
        if asked is not None:
            asked.context_data |= {"reason": said, "max_reason": MAX_REASON}
        return asked  # type: ignore[no-any-return]  # Any, to be given a context above

    def delete_model(self, request: HttpRequest, obj: WorkflowExecution) -> None:
        obj.delete_unless_running()

    def delete_queryset(self, request: HttpRequest, queryset: Any) -> None:
        WorkflowExecution.objects.filter(pk__in=[run.pk for run in queryset]).delete()

    def _running(self, request: HttpRequest, runs: Any) -> bool:
        """Say which of the runs are running: they are not deleted."""
        found = [run for run in runs if run.status == ExecutionStatus.RUNNING]
        for run in found[:SHOWN]:
            refusal = InvalidTransition("delete", run.status, CANCEL_FIRST)
            self.message_user(request, f"{run}: {refusal.sentence}", messages.ERROR)
        return bool(found)


def _counted(model: Any, pks: list[UUID]) -> int | str:
    count = model.objects.filter(workflow_execution__in=pks)[: COUNTED + 1].count()
    return count if count <= COUNTED else _("more than %(count)d") % {"count": COUNTED}
