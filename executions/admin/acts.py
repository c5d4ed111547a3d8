"""Actions: each says a verb to each row, in a transaction of its own, so that one refusal undoes no other."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ActionForm
from django.contrib.admin.utils import model_ngettext
from django.core.exceptions import ObjectDoesNotExist
from django.db import transaction
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from executions.acting import acting
from executions.exceptions import InvalidTransition
from executions.states import ExecutionStatus
from workflows.admin.lists import EVERYWHERE, StrictAdmin

DONE = {
    "fail": _("Marked %(count)d %(items)s as failed."),
    "cancel": _("Cancelled %(count)d %(items)s."),
    "retry": _("Put %(count)d %(items)s back to pending."),
    "skip": _("Skipped %(count)d %(items)s."),
}
LEADS_TO = {
    "cancel": ExecutionStatus.CANCELLED,
    "fail": ExecutionStatus.FAILED,
    "retry": ExecutionStatus.PENDING,
    "skip": ExecutionStatus.SKIPPED,
}
REASON_NEEDED = _("Nothing was marked as failed: give a reason, which becomes the error of the run.")
GONE = _("It was deleted meanwhile.")
MAX_REASON = 1_000


class SelectedOnly(ActionForm):
    """A list that does not count its rows cannot offer all of them either."""

    reason = forms.CharField(label=_("Reason:"), required=False, max_length=MAX_REASON, strip=True)

    def clean_select_across(self) -> bool:
        return False


class Acts(StrictAdmin):
    action_form = SelectedOnly

    @admin.action(
        permissions=["change"],
        description=_("Cancel"),
        description_plural=_("Cancel selected %(verbose_name_plural)s"),
        location=EVERYWHERE,
    )
    def cancel(self, request: HttpRequest, queryset: Any) -> None:
        self._say("cancel", request, queryset)

    @admin.action(
        permissions=["change"],
        description=_("Retry"),
        description_plural=_("Retry selected %(verbose_name_plural)s"),
        location=EVERYWHERE,
    )
    def retry(self, request: HttpRequest, queryset: Any) -> None:
        self._say("retry", request, queryset)

    @admin.action(
        permissions=["change"],
        description=_("Skip"),
        description_plural=_("Skip selected %(verbose_name_plural)s"),
        location=EVERYWHERE,
    )
    def skip(self, request: HttpRequest, queryset: Any) -> None:
        self._say("skip", request, queryset)

    @admin.action(
        permissions=["change"],
        description=_("Mark as failed"),
        description_plural=_("Mark selected %(verbose_name_plural)s as failed"),
        location=EVERYWHERE,
    )
    def fail(self, request: HttpRequest, queryset: Any) -> None:
        """The way out for a run whose engine is gone."""
        if error := reason(request):
            self._say("fail", request, queryset, error)
        else:
            self.message_user(request, REASON_NEEDED, messages.ERROR)

    def possible(self, request: HttpRequest, row: Any) -> list[tuple[str, Any]]:
        """Name and title of the actions that this user may take and that the row's state allows."""
        offered: Any = self.get_actions(request, action_location=admin.ActionLocation.CHANGE_FORM).values()
        return [(act.name, act.description) for act in offered if LEADS_TO[act.name] in row.TRANSITIONS[row.status]]

    def _say(self, verb: str, request: HttpRequest, queryset: Any, *said: str) -> None:
        with acting(reason=reason(request)):
            done = [pk for pk in queryset.values_list("pk", flat=True) if self._said(verb, request, pk, *said)]
        if done:
            items = model_ngettext(self.opts, len(done))
            self.message_user(request, DONE[verb] % {"count": len(done), "items": items}, messages.SUCCESS)

    def _said(self, verb: str, request: HttpRequest, pk: Any, *said: str) -> bool:
        row = None
        try:
            with transaction.atomic():
                row = self.get_queryset(request).get(pk=pk)
                getattr(row, verb)(*said)
                self.log_change(request, row, verb)
        except (InvalidTransition, ObjectDoesNotExist) as refusal:
            sentence = getattr(refusal, "sentence", GONE)
            self.message_user(request, f"{row or pk}: {sentence}", messages.ERROR)
            return False
        return True


def reason(request: HttpRequest) -> str:
    """Of the form of a list, or of a page, whose fields Django gives a prefix."""
    names = ("reason", f"{admin.ActionLocation.CHANGE_FORM.value}-reason")
    said = (request.POST.get(name, "").strip() for name in names)
    return next(filter(None, said), "")[:MAX_REASON]
