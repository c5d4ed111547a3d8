from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.actions import delete_selected as confirm_and_delete
from django.contrib.admin.utils import model_ngettext
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.html import format_html
from django.utils.text import format_lazy
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from workflows.exceptions import HasHistory, StaleObject
from workflows.models import Workflow

from .confirming import Question, ask, is_confirmed
from .inlines import EdgeFormSet, EdgeInline, JSONMixin, NodeInline
from .lists import EVERYWHERE, ConstantFilter, StrictAdmin, StrictChangeList

if TYPE_CHECKING:
    ModelForm = forms.ModelForm[Workflow]
else:
    ModelForm = forms.ModelForm

EXECUTED = _(
    "“{workflow}” has been executed and its history is kept: it cannot be deleted. Move it to the trash instead."
)
TRASH = _("Move %(count)d %(items)s to the trash")
TRASH_EFFECT = _("The API does not find them any more, and their runs stay. They can be restored.")
RESTORE = _("Restore %(count)d %(items)s")
IN_TRASH = _("It is in the trash already.")
NOT_IN_TRASH = _("It is not in the trash.")
CHANGED_SINCE = _(
    "This workflow changed since you opened it, so nothing was saved. Reload the page and repeat your change."
)


class TrashFilter(ConstantFilter):
    title = _("state")
    parameter_name = "state"
    offered = (("deleted", _("In the trash")), ("all", _("All, with the trash")))

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        return queryset.alive() if self.value() is None else super().queryset(request, queryset)

    def chosen(self, queryset: Any, value: str) -> Any:
        return queryset if value == "all" else queryset.exclude(deleted_at=None)

    def choices(self, changelist: Any) -> Any:
        default, *others = super().choices(changelist)
        return [{**default, "display": _("In use")}, *others]


class ActiveFilter(ConstantFilter):
    title = _("active")
    parameter_name = "active"
    offered = (("yes", _("Yes")), ("no", _("No")))

    def chosen(self, queryset: Any, value: str) -> Any:
        return queryset.filter(is_active=value == "yes")


class PagesChangeList(StrictChangeList):
    """For whoever may see runs: a workflow's name leads to the page that shows them, not to the form."""

    def url_for_result(self, result: Any) -> str:
        return reverse("workflow_page", args=[result.pk])


class WorkflowForm(ModelForm):
    read_version = forms.IntegerField(label=_("version"), widget=forms.HiddenInput, required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "read_version" in self.fields:
            self.fields["read_version"].initial = self.instance.version

    def clean(self) -> dict[str, Any]:
        found = super().clean() or {}
        if not self.instance._state.adding and found.get("read_version") != self.instance.version:
            raise ValidationError(CHANGED_SINCE, code="stale")
        return found


@admin.register(Workflow)
class WorkflowAdmin(JSONMixin, StrictAdmin):
    form = WorkflowForm
    list_display = ("name", "owner", "is_active", "version", "updated_at", "deleted_at")
    list_filter = (TrashFilter, ActiveFilter)
    list_select_related = ("owner",)
    list_columns = ("name", "owner__username", "is_active", "version", "updated_at", "deleted_at")
    search_fields = ("name",)
    autocomplete_fields = ("owner",)
    inlines = (NodeInline, EdgeInline)
    actions = ("move_to_trash", "restore", "delete_selected")

    def get_queryset(self, request: HttpRequest) -> Any:
        rows: Any = super().get_queryset(request)
        return rows.visible_to(request.user)

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> Any:
        return PagesChangeList if _may_see_runs(request) else super().get_changelist(request, **kwargs)

    def get_list_display(self, request: HttpRequest) -> Any:
        shown = self.list_display
        if not _may_see_runs(request):
            return shown
        return (*shown, "edit" if self.has_change_permission(request) else "definition")

    @admin.display(description=_("definition"))
    def edit(self, row: Workflow) -> str:
        return _to_form(row, gettext("Edit"))

    @admin.display(description=_("definition"))
    def definition(self, row: Workflow) -> str:
        return _to_form(row, gettext("View"))

    def get_fieldsets(self, request: HttpRequest, obj: Workflow | None = None) -> Any:
        guard = ("read_version",) if obj and self.has_change_permission(request, obj) else ()
        return (
            (None, {"fields": ("name", "owner", "description", "is_active", *guard)}),
            (_("Settings"), {"classes": ("collapse",), "fields": (("config", "variables"),)}),
        )

    def get_inlines(self, request: HttpRequest, obj: Workflow | None) -> Any:
        """Edges lead from node to node, so there is nothing to choose before the nodes are saved."""
        return self.inlines if obj else (NodeInline,)

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        return {"owner": request.user.pk} | super().get_changeform_initial_data(request)

    def _create_formsets(self, request: HttpRequest, obj: Any, change: bool) -> Any:
        formsets, inlines = super()._create_formsets(request, obj, change)  # type: ignore[misc]
        nodes = next((formset for formset in formsets if formset.model is NodeInline.model), None)
        for formset in formsets:
            if isinstance(formset, EdgeFormSet):
                formset.nodes = nodes
        return formsets, inlines

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """What somebody else did between the check of the form and its saving."""
        try:
            return super().changeform_view(request, *args, **kwargs)
        except (StaleObject, HasHistory) as refusal:
            return self._refused(request, refusal.sentence)
        except IntegrityError:
            return self._refused(
                request, gettext("Another change came in between, so nothing was saved. Repeat yours.")
            )

    def delete_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        try:
            return super().delete_view(request, object_id, extra_context)
        except HasHistory as refusal:
            return self._refused(request, refusal.sentence, request.path.removesuffix("delete/") + "change/")

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """Raises HasHistory for those that were executed. Django's would list every node and edge by itself."""
        for row in objs:
            if row.executions.exists():
                raise HasHistory(format_lazy(EXECUTED, workflow=row))
        counts = {
            model._meta.verbose_name_plural: model._default_manager.filter(workflow__in=list(objs)).count()
            for model in (inline.model for inline in self.inlines)
        }
        return [str(row) for row in objs], {self.opts.verbose_name_plural: len(objs)} | counts, set(), []

    @admin.action(permissions=["change"], description=_("Move to trash"), location=EVERYWHERE)
    def move_to_trash(self, request: HttpRequest, queryset: Any) -> HttpResponse | None:
        done = gettext("Moved %(count)d %(items)s to the trash.")
        gone = {row.pk: IN_TRASH for row in queryset if row.deleted_at}
        question = Question("move_to_trash", TRASH, TRASH_EFFECT, list(queryset), gone, takes_reason=False)
        return self._each(request, question, Workflow.soft_delete, done)

    @admin.action(permissions=["change"], description=_("Restore"), location=EVERYWHERE)
    def restore(self, request: HttpRequest, queryset: Any) -> HttpResponse | None:
        done = gettext("Restored %(count)d %(items)s.")
        there = {row.pk: NOT_IN_TRASH for row in queryset if not row.deleted_at}
        question = Question("restore", RESTORE, "", list(queryset), there, takes_reason=False)
        return self._each(request, question, Workflow.restore, done)

    @admin.action(permissions=["delete"], description=_("Delete selected %(verbose_name_plural)s"))
    def delete_selected(self, request: HttpRequest, queryset: Any) -> HttpResponse | None:
        try:
            with transaction.atomic():
                return confirm_and_delete(self, request, queryset)
        except HasHistory as refusal:
            return self._refused(request, refusal.sentence)

    def _each(
        self, request: HttpRequest, question: Question, act: Callable[[Workflow], None], done: str
    ) -> HttpResponse | None:
        """Ask, and do it once the page that asks was answered."""
        if not is_confirmed(request) or (question.rows and not question.possible):
            return ask(self, request, question)
        count = sum(self._did(request, row, act) for row in question.possible)
        if count:
            items = model_ngettext(self.opts, count)
            self.message_user(request, done % {"count": count, "items": items}, messages.SUCCESS)
        return None

    def _did(self, request: HttpRequest, row: Workflow, act: Callable[[Workflow], None]) -> bool:
        try:
            with transaction.atomic():
                act(row)
                self.log_change(request, row, act.__name__)
        except StaleObject as refusal:
            self.message_user(request, f"{row}: {refusal.sentence}", messages.ERROR)
            return False
        return True

    def _refused(self, request: HttpRequest, sentence: Any, path: str = "") -> HttpResponse:
        self.message_user(request, sentence, messages.ERROR)
        return HttpResponseRedirect(path or request.get_full_path())


def _may_see_runs(request: HttpRequest) -> bool:
    """As the admin of runs has it."""
    return any(request.user.has_perm(f"executions.{act}_workflowexecution") for act in ("view", "change"))


def _to_form(workflow: Workflow, text: str) -> str:
    named = gettext("%(act)s %(workflow)s") % {"act": text, "workflow": workflow}
    address = reverse("admin:workflows_workflow_change", args=[workflow.pk])
    return format_html('<a href="{}" aria-label="{}">{}</a>', address, named, text)
