"""Deletion of runs, with a reason that is kept, after a confirmation page that counts the rows."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.contrib import admin, messages
from django.db import transaction
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from executions import limits
from executions.admin.actions import MAX_REASON, reason
from executions.admin.base import ReadOnlyAdmin
from executions.admin.types import Context
from executions.audit import act_as
from executions.exceptions import InvalidTransition
from executions.models import ExecutionLog, ExecutionStatus, NodeExecution, WorkflowExecution
from executions.refusal_reasons import CANCEL_FIRST
from ledgerkit.admin.confirmation import Question, confirmation_page, is_confirmed, report_success

MAX_NAMED_RUNS = 10  # running runs that are named as not deletable
OWN = (NodeExecution, ExecutionLog)
IS_RUNNING = Q(status=ExecutionStatus.RUNNING)
DELETE = gettext_lazy("Delete %(count)d %(items)s")
DELETED = gettext_lazy("Deleted %(count)d %(items)s.")
REASON_NEEDED = gettext_lazy("Nothing was deleted: give a reason, which is kept when the run is gone.")


class DeleteRunMixin(ReadOnlyAdmin):
    can_delete = True

    def get_deleted_objects(
        self, objs: Sequence[WorkflowExecution] | QuerySet[WorkflowExecution], request: HttpRequest
    ) -> tuple[list[str], dict[str, int], set[str], list[str]]:
        """Return the names of the runs and the numbers of their rows. Django would load every log line to list it."""
        pks = [run.pk for run in objs]
        counts: dict[str, int | str] = {str(self.opts.verbose_name_plural): len(pks)}
        for model in OWN:
            counts[str(model._meta.verbose_name_plural)] = _count_rows(model, pks)
        return [str(run) for run in objs], counts, set(), []  # type: ignore[return-value]  # a count may be "more than 1,000"

    def delete_row_view(
        self, request: HttpRequest, object_id: str, extra_context: Context | None = None
    ) -> HttpResponse:
        given_reason, shown = reason(request), {"max_reason": MAX_REASON} | (extra_context or {})
        if request.method == "POST" and not given_reason:
            messages.error(request, REASON_NEEDED)
            return HttpResponseRedirect(request.get_full_path())
        run = self.get_object(request, object_id)
        if run.status == ExecutionStatus.RUNNING:
            return self._to_page(request, object_id, InvalidTransition("delete", run.status, CANCEL_FIRST))
        try:
            with act_as(reason=given_reason):
                return super().delete_row_view(request, object_id, shown)
        except InvalidTransition as refusal:  # the run was started meanwhile
            return self._to_page(request, object_id, refusal)

    def _to_page(self, request: HttpRequest, pk: str, refusal: InvalidTransition) -> HttpResponse:
        self.message_user(request, refusal.sentence, messages.ERROR)
        return HttpResponseRedirect(reverse("admin:executions_workflowexecution_change", args=[pk]))

    @admin.action(permissions=["delete"], description=gettext_lazy("Delete"))
    def delete_selected(self, request: HttpRequest, queryset: QuerySet[WorkflowExecution]) -> HttpResponse | None:
        """Render the confirmation page; once confirmed, delete the runs that are not running."""
        runs = list(queryset)
        if not is_confirmed(request) or not reason(request):
            return confirmation_page(
                self, request, self._question(runs), REASON_NEEDED if is_confirmed(request) else ""
            )
        with transaction.atomic(), act_as(reason=reason(request)):
            WorkflowExecution.objects.filter(pk__in=[run.pk for run in runs]).exclude(IS_RUNNING).delete()
            left = list(WorkflowExecution.objects.filter(pk__in=[run.pk for run in runs]))
            gone = [run for run in runs if run.pk not in {each.pk for each in left}]
            self.log_deletions(request, gone)  # type: ignore[arg-type]  # it only iterates over them
        self._refuse(request, left)
        report_success(self, request, DELETED, len(gone))
        return confirmation_page(self, request, self._question(left)) if left and not gone else None

    def _question(self, runs: list[WorkflowExecution]) -> Question:
        """Return the confirmation of all runs, with the reason why running ones are left out."""
        refused = {run.pk: CANCEL_FIRST for run in runs if run.status == ExecutionStatus.RUNNING}
        pks = [run.pk for run in runs if run.pk not in refused]
        what = ", ".join(f"{model._meta.verbose_name_plural}: {_count_rows(model, pks)}" for model in OWN)
        effect = gettext_lazy("Also deleted: %(what)s.") % {"what": what}
        return Question("delete_selected", DELETE, effect, runs, refused, needs_reason=True)

    def delete_model(self, request: HttpRequest, obj: WorkflowExecution) -> None:
        obj.delete_unless_running()

    def _refuse(self, request: HttpRequest, runs: list[WorkflowExecution]) -> None:
        """Show a message for the first running runs, which are not deleted."""
        for run in runs[:MAX_NAMED_RUNS]:
            refusal = InvalidTransition("delete", run.status, CANCEL_FIRST)
            self.message_user(request, f"{run}: {refusal.sentence}", messages.ERROR)


def _count_rows(model: Any, pks: list[UUID]) -> int | str:
    count = model.objects.filter(workflow_execution__in=pks)[: limits.COUNTED_ROWS + 1].count()
    return count if count <= limits.COUNTED_ROWS else _("more than %(count)d") % {"count": limits.COUNTED_ROWS}
