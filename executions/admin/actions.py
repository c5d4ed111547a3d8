"""Admin actions cancel, retry, skip and fail: each shows a confirmation page, then changes every row in a transaction
of its own, so that one refused row does not roll back the others."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeGuard
from uuid import UUID

from django.contrib import admin, messages
from django.contrib.admin.helpers import ActionForm
from django.contrib.admin.options import Action
from django.core.exceptions import ObjectDoesNotExist
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from executions.admin import statuses
from executions.admin.types import LedgerRow
from executions.allowed_actions import refusal, refusals
from executions.audit import act_as
from executions.exceptions import InvalidTransition, SecretsUnknown
from executions.models import NodeExecution
from executions.refusal_reasons import out_of_retries
from executions.states import ACTIVE, ENDED, ExecutionStatus
from ledgerkit.admin.confirmation import (
    MAX_REASON,
    Question,
    confirmation_page,
    is_confirmed,
    reason,
    report_success,
)
from ledgerkit.admin.lists import EVERYWHERE, StrictAdmin
from ledgerkit.types import StrOrPromise

__all__ = ["MAX_REASON", "NoSelectAcrossForm", "Offer", "TransitionActionsMixin", "reason"]


@dataclass(frozen=True)
class Transition:
    """An action: its texts, and the call that changes one row. `run` takes the row and the submitted reason."""

    name: str
    confirmation: StrOrPromise
    success: StrOrPromise
    run: Callable[[Any, str], None]  # called with the row and the reason
    needs_reason: bool = False


CANCEL = Transition(
    "cancel", _("Cancel %(count)d %(items)s"), _("Cancelled %(count)d %(items)s."), lambda row, _reason: row.cancel()
)
RETRY = Transition(
    "retry",
    _("Retry %(count)d %(items)s"),
    _("Put %(count)d %(items)s back to pending."),
    lambda row, _reason: row.retry(),
)
OVERRIDE = Transition(
    "override_max_retries",
    _("Retry %(count)d %(items)s beyond max_retries"),
    _("Put %(count)d %(items)s back to pending."),
    lambda row, _reason: row.retry(override_max_retries=True),
    needs_reason=True,
)
SKIP = Transition(
    "skip", _("Skip %(count)d %(items)s"), _("Skipped %(count)d %(items)s."), lambda row, _reason: row.skip()
)
FAIL = Transition(
    "fail",
    _("Mark %(count)d %(items)s as failed"),
    _("Marked %(count)d %(items)s as failed."),
    lambda row, reason: row.fail(reason),
    needs_reason=True,
)
# Text on the confirmation page, by model name and action. An action without side effects has none.
EFFECTS = {
    ("workflowexecution", "cancel"): _("Their pending and running nodes are cancelled too. This cannot be undone."),
    ("workflowexecution", "fail"): _(
        "For runs whose engine is gone: their pending nodes are skipped, their running ones cancelled."
    ),
    ("workflowexecution", "retry"): _("Their failed nodes are retried too; completed ones do not change."),
    ("workflowexecution", "override_max_retries"): _(
        "Their failed nodes are retried once more than max_retries allows; completed ones do not change."
    ),
    ("nodeexecution", "cancel"): _("This cannot be undone."),
    ("nodeexecution", "skip"): _("This cannot be undone."),
}
# What to do instead, on the confirmation page, where the status does not allow the action.
ENDED_HINT = _("it has already ended: leave it out")
HINTS = {
    "retry": _("only what failed can be retried; to run a workflow again, record a new execution"),
    "skip": _("only what is pending can be skipped; cancel it instead"),
    "fail": _("only what is running can be marked as failed; cancel it instead"),
}
REASON_NEEDED = {
    "fail": _("Nothing was marked as failed: give a reason, which becomes the error of the run."),
    "override_max_retries": _("Nothing was retried: give a reason, which is kept in the history."),
}
DELETED = _("It was deleted meanwhile.")


class NoSelectAcrossForm(ActionForm):
    """Action form without "select all": the list does not count its rows."""

    def clean_select_across(self) -> bool:
        return False


@dataclass(frozen=True)
class Offer:
    """An action on a row's page. With a `refusal` the page shows this reason in place of the button, and a link with
    the URL `link` and the text `link_text` to the page where the user can change that."""

    name: str
    title: StrOrPromise
    refusal: object = ""
    link: str = ""
    link_text: object = ""


class TransitionActionsMixin(StrictAdmin):
    action_form = NoSelectAcrossForm

    @admin.action(permissions=["change"], description=_("Cancel"), location=EVERYWHERE)
    def cancel(self, request: HttpRequest, queryset: QuerySet[LedgerRow]) -> HttpResponse | None:
        return self._run_action(CANCEL, request, queryset)

    @admin.action(permissions=["change"], description=_("Retry"), location=EVERYWHERE)
    def retry(self, request: HttpRequest, queryset: QuerySet[LedgerRow]) -> HttpResponse | None:
        return self._run_action(RETRY, request, queryset)

    @admin.action(permissions=["change"], description=_("Skip"), location=EVERYWHERE)
    def skip(self, request: HttpRequest, queryset: QuerySet[LedgerRow]) -> HttpResponse | None:
        return self._run_action(SKIP, request, queryset)

    @admin.action(permissions=["change"], description=_("Mark as failed"), location=EVERYWHERE)
    def fail(self, request: HttpRequest, queryset: QuerySet[LedgerRow]) -> HttpResponse | None:
        """Mark runs as failed whose engine is gone. A reason is required."""
        return self._run_action(FAIL, request, queryset)

    @admin.action(
        permissions=["change"],
        description=_("Retry beyond max_retries"),
        location=admin.ActionLocation.CHANGE_FORM,
    )
    def override_max_retries(self, request: HttpRequest, queryset: QuerySet[LedgerRow]) -> HttpResponse | None:
        """Retry rows that have no retry left, once. A reason is required."""
        return self._run_action(OVERRIDE, request, queryset)

    def row_badge(self, row: LedgerRow) -> str:
        return statuses.row_badge(row)

    def offers(self, request: HttpRequest, row: LedgerRow) -> list[Offer]:
        """Return the actions that the user may run on the row, allowed ones and those refused with a reason."""
        actions = self.get_actions(request, action_location=admin.ActionLocation.CHANGE_FORM).values()
        found = [(action, refusal(action.name, row)) for action in actions if action and _is_offered(action.name, row)]
        # An error without a reason means that the status does not allow the action: it is not listed at all.
        return [self._offer(request, row, action, error) for action, error in found if error is None or error.reason]

    def _offer(self, request: HttpRequest, row: LedgerRow, action: Action, error: InvalidTransition | None) -> Offer:
        if error is None:
            return Offer(action.name, action.description)
        if isinstance(error, SecretsUnknown):
            return Offer(action.name, action.description, error.reason)
        why = out_of_retries(row) if _is_spent(row) else error.reason
        return Offer(action.name, action.description, why, *suggest_retry_of_run(request, row))

    def _run_action(
        self, transition: Transition, request: HttpRequest, queryset: QuerySet[LedgerRow]
    ) -> HttpResponse | None:
        """Render the confirmation page; once confirmed, change each row. Render it again if no row was changed."""
        if not is_confirmed(request):
            return self._confirmation_page(transition, request, queryset)
        if transition.needs_reason and not reason(request):
            return self._confirmation_page(transition, request, queryset, REASON_NEEDED[transition.name])
        pks = list(queryset.values_list("pk", flat=True))
        with act_as(reason=reason(request)):
            count = sum(self._apply(transition, request, pk) for pk in pks)
        report_success(self, request, transition.success, count)
        return None if count or not pks else self._confirmation_page(transition, request, queryset)

    def _confirmation_page(
        self, transition: Transition, request: HttpRequest, queryset: QuerySet[LedgerRow], message: StrOrPromise = ""
    ) -> HttpResponse:
        rows = list(queryset)
        effect = EFFECTS.get((str(self.opts.model_name), transition.name), "")
        refused = {pk: _why_refused(error) for pk, error in refusals(transition.name, rows).items()}
        question = Question(
            transition.name, transition.confirmation, effect, rows, refused, needs_reason=transition.needs_reason
        )
        return confirmation_page(self, request, question, message)

    def _apply(self, transition: Transition, request: HttpRequest, pk: UUID) -> bool:
        row = None
        try:
            with transaction.atomic():
                # Read again: the row may have changed, or been deleted, since the confirmation page.
                row = self.get_queryset(request).get(pk=pk)
                transition.run(row, reason(request))
                self.log_change(request, row, transition.name)
        except (InvalidTransition, ObjectDoesNotExist) as error:
            sentence = getattr(error, "sentence", DELETED)
            self.message_user(request, f"{row or pk}: {sentence}", messages.ERROR)
            return False
        return True


def _is_offered(name: str, row: LedgerRow) -> bool:
    """Return whether the page may offer the action. A retry beyond max_retries is offered if a usual retry is refused
    only because none is left."""
    if name != OVERRIDE.name:
        return True
    if isinstance(row, NodeExecution):
        return row.status == ExecutionStatus.FAILED and _is_spent(row) and row.workflow_execution.status in ACTIVE
    error = refusal("retry", row) if row.status == ExecutionStatus.FAILED else None
    return error is not None and not isinstance(error, SecretsUnknown)


def _why_refused(error: InvalidTransition) -> object:
    """Return the reason of a refusal; where the status alone is the reason, also what to do instead."""
    if error.reason:
        return error.reason
    hint = ENDED_HINT if error.state in ENDED and error.act != "retry" else HINTS.get(error.act, "")
    return InvalidTransition(error.act, error.state, hint).sentence


def _is_spent(row: LedgerRow) -> TypeGuard[NodeExecution]:
    """Return whether the row is a node without a retry left. Retrying its failed run would be refused for the same
    reason, so the page shows this reason first."""
    if not isinstance(row, NodeExecution):
        return False
    return row.workflow_execution.status in {*ACTIVE, ExecutionStatus.FAILED} and not row.can_retry


def suggest_retry_of_run(request: HttpRequest, row: LedgerRow) -> tuple[str, StrOrPromise]:
    """Return URL and text of the link to the page on which a retry becomes possible; empty if there is none."""
    run = row.workflow_execution if isinstance(row, NodeExecution) else row
    if run is not row and run.status == ExecutionStatus.FAILED and not _is_spent(row):
        return reverse("admin:executions_workflowexecution_change", args=[run.pk]), _("To the run")
    if run.status in {ExecutionStatus.COMPLETED, ExecutionStatus.CANCELLED}:
        return "", ""
    if not request.user.has_perm("workflows.change_workflow"):
        return "", ""
    return reverse("admin:workflows_workflow_change", args=[run.workflow_id]), _("To the definition")
