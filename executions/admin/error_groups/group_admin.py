"""List of the groups of errors, new ones first, and the page of each, with what people do with it."""

from collections.abc import Callable, Sequence
from copy import copy
from functools import partial
from typing import ClassVar
from uuid import UUID

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path
from django.utils.translation import gettext as text_of_django  # under this name it is not collected for our catalogue
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST

from executions.admin.actions import Offer
from executions.admin.base import ReadOnlyAdmin
from executions.admin.types import Context, LedgerRow
from executions.error_groups import group_changes
from executions.models import ErrorGroup, ErrorState
from ledgerkit.admin.confirmation import MAX_REASON, Question, confirmation_page, is_confirmed, reason, run_on_each
from ledgerkit.db.exceptions import StaleObject
from ledgerkit.db.models import parse_uuid
from ledgerkit.types import StrOrPromise

from . import filters, page
from .forms import ErrorGroupForm
from .rows import ErrorGroupRow, group_url, present_groups

MERGE_EFFECT = _("They become one group, that of the error which was seen first; later failures belong to it too.")


@admin.register(ErrorGroup)
class ErrorGroupAdmin(ReadOnlyAdmin):
    headers: ClassVar[dict[str, StrOrPromise]] = {
        "state": _("state"),
        "error": _("error"),
        "workflow": _("workflow"),
        "seen": _("failures"),
        "first_seen": _("first seen"),
        "last_seen": _("last seen"),
        "assignee": _("assignee"),
    }
    list_filter = filters.ALL
    search_help_text = _("The id of a group, or words of its error")
    actions = ("acknowledge", "resolve", "reopen", "merge")
    related = ("assignee",)
    keyset = ("opened_at", "id")
    columns = (
        "title", "state", "muted_until", "is_regression", "merged_into", "seen", "first_seen", "last_seen", "opened_at",
        "resolved_at", "version", "assignee__username",
    )  # fmt: skip

    def get_queryset(self, request: HttpRequest) -> QuerySet[Model]:
        return super().get_queryset(request).filter(merged_into=None)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Model], search_term: str
    ) -> tuple[QuerySet[Model], bool]:
        if parse_uuid(search_term.strip()):
            return super().get_search_results(request, queryset, search_term)
        return queryset.filter(title__icontains=search_term.strip()), False

    def present_rows(self, request: HttpRequest, rows: Sequence[ErrorGroup]) -> Sequence[ErrorGroupRow]:
        return present_groups(rows)

    def page_context(self, request: HttpRequest, row: ErrorGroup) -> Context:
        return page.page_context(request, row, may_change=self.has_change_permission(request)) | {
            "max_reason": MAX_REASON
        }

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Context | None = None
    ) -> HttpResponse:
        """Redirect from a group that was merged to that which has its failures now."""
        pk = parse_uuid(object_id)
        merged = ErrorGroup.objects.visible_to(request.user).filter(merged__pk=pk).first() if pk else None
        if merged is not None and self.has_view_permission(request):
            return redirect(group_url(merged.pk))
        return super().change_view(request, object_id, form_url, extra_context)

    def offers(self, request: HttpRequest, row: LedgerRow) -> list[Offer]:
        return []  # the page has a form instead

    def row_badge(self, row: LedgerRow) -> str:
        return ""

    # --- actions of the list ------------------------------------------------
    @admin.action(permissions=["change"], description=_("Acknowledge"))
    def acknowledge(self, request: HttpRequest, queryset: QuerySet[ErrorGroup]) -> HttpResponse | None:
        verb, done = _("Acknowledge %(count)d %(items)s"), _("Acknowledged %(count)d %(items)s.")
        return self._set_state(request, queryset, ErrorState.ACKNOWLEDGED, Question("acknowledge", verb), done)

    @admin.action(permissions=["change"], description=_("Resolve"))
    def resolve(self, request: HttpRequest, queryset: QuerySet[ErrorGroup]) -> HttpResponse | None:
        verb, done = _("Resolve %(count)d %(items)s"), _("Resolved %(count)d %(items)s.")
        effect = _("If one fails again, it is opened again as a regression.")
        return self._set_state(request, queryset, ErrorState.RESOLVED, Question("resolve", verb, effect), done)

    @admin.action(permissions=["change"], description=_("Open again"))
    def reopen(self, request: HttpRequest, queryset: QuerySet[ErrorGroup]) -> HttpResponse | None:
        verb, done = _("Open %(count)d %(items)s again"), _("Opened %(count)d %(items)s again.")
        return self._set_state(request, queryset, ErrorState.OPEN, Question("reopen", verb), done)

    @admin.action(permissions=["change"], description=_("Merge"))
    def merge(self, request: HttpRequest, queryset: QuerySet[ErrorGroup]) -> HttpResponse | None:
        """Merge the groups into that which was seen first."""
        groups = list(queryset.order_by("first_seen", "id"))
        if len(groups) < 2:  # as the sentence says
            self.message_user(request, group_changes.NO_OTHERS, messages.ERROR)
            return None
        question = Question("merge", _("Merge %(count)d %(items)s"), MERGE_EFFECT, groups)
        if not is_confirmed(request):
            return confirmation_page(self, request, question)
        try:
            group_changes.merge(groups[0], groups[1:], reason(request))
        except ValidationError as error:
            self.message_user(request, " ".join(error.messages), messages.ERROR)
            return None
        self.log_change(request, groups[0], "merge")
        self.message_user(request, _("The groups were merged."), messages.SUCCESS)
        return redirect(group_url(groups[0].pk))

    def _set_state(
        self,
        request: HttpRequest,
        queryset: QuerySet[ErrorGroup],
        state: ErrorState,
        question: Question,
        success: StrOrPromise,
    ) -> HttpResponse | None:
        groups = list(queryset)
        refused: dict[UUID, object] = {group.pk: _("it is in this state") for group in groups if group.state == state}
        confirmation = Question(question.action, question.verb, question.effect, groups, refused)
        return run_on_each(self, request, confirmation, partial(self._change_state, request, state), success)

    def _change_state(self, request: HttpRequest, state: ErrorState, group: ErrorGroup) -> bool:
        return self._try(request, group, lambda: group_changes.change(group, reason(request), state=state))

    # --- forms of the page --------------------------------------------------
    def get_urls(self) -> list[URLPattern]:
        views = {
            "change-state": self._change_view, "note": require_POST(self._note_view),
            "split": require_POST(self._split_view),
        }  # fmt: skip
        return [
            path(f"<uuid:pk>/{name}/", self.admin_site.admin_view(view), name=f"executions_errorgroup_{name}")
            for name, view in views.items()
        ] + super().get_urls()

    def _change_view(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """Change the group, or show its page again with the faults and what was typed. A GET is that of a reload."""
        if request.method != "POST":
            return redirect(group_url(pk))
        group = self._group(request, pk)
        form = ErrorGroupForm(group, request.POST)
        if form.is_valid() and form.change(group):
            self.log_change(request, group, str(group.state))
            self.message_user(request, _("The group was changed."), messages.SUCCESS)
            return redirect(group_url(pk))
        form.take_version_of(self._group(request, pk))
        self.message_user(request, text_of_django("Please correct the error below."), messages.ERROR)
        shown = copy(request)
        shown.method = "GET"  # Django's view would save a POST
        return self.change_view(shown, str(pk), extra_context={"sent_form": form})

    def _note_view(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        group, text = self._group(request, pk), request.POST.get("text", "")[:MAX_REASON]
        self._try(request, group, lambda: group_changes.note(group, text), _("The note was added."))
        return redirect(group_url(pk))

    def _split_view(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        group = self._group(request, pk)
        chosen = [found for text in request.POST.getlist("fingerprint") if (found := parse_uuid(text))]
        made: list[ErrorGroup] = []
        success = _("The group was split.")
        self._try(request, group, lambda: made.append(group_changes.split(group, chosen, reason(request))), success)
        return redirect(group_url(made[0].pk if made else pk))

    def _group(self, request: HttpRequest, pk: UUID) -> ErrorGroup:
        if not self.has_change_permission(request):
            raise PermissionDenied("executions.change_errorgroup")
        group = ErrorGroup.objects.visible_to(request.user).filter(pk=pk).first()
        if group is None:
            raise Http404(_("There is no such group of errors."))
        return group

    def _try(
        self, request: HttpRequest, group: ErrorGroup, act: Callable[[], object], success: StrOrPromise = ""
    ) -> bool:
        """Call `act` and show its result as a message. Return whether it succeeded."""
        try:
            act()
        except ValidationError as error:
            self._show_errors(request, error.messages)
            return False
        except StaleObject as error:
            self._show_errors(request, [str(error)])
            return False
        self.log_change(request, group, str(group.state))
        if success:
            self.message_user(request, success, messages.SUCCESS)
        return True

    def _show_errors(self, request: HttpRequest, sentences: Sequence[object]) -> None:
        for each in sentences:
            self.message_user(request, str(each), messages.ERROR)
