from collections.abc import Callable, Sequence
from typing import Any, cast

from django import forms
from django.contrib import admin, messages
from django.contrib.admin import helpers
from django.contrib.admin.models import LogEntry
from django.contrib.admin.views.main import ChangeList
from django.contrib.auth import get_user_model
from django.db import IntegrityError, transaction
from django.db.models import Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.text import format_lazy
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from ledgerkit.admin.confirmation import Question, run_on_each
from ledgerkit.admin.history import ChangesMixin
from ledgerkit.admin.lists import EVERYWHERE, StrictAdmin
from ledgerkit.db.exceptions import StaleObject
from ledgerkit.types import Context
from workflows.exceptions import HasHistory
from workflows.models import Edge, Node, NodeType, Workflow
from workflows.querysets import User

from . import graph_text
from .changelist import ColumnsOfRuns, PagesChangeList
from .fields import JSONMixin
from .filters import ActiveFilter, TrashFilter
from .forms import WorkflowForm
from .quick_add import ADDED, with_additions

EXECUTED = _(
    "“{workflow}” has been executed and its history is kept: it cannot be deleted. Move it to the trash instead."
)
TRASH = _("Move %(count)d %(items)s to the trash")
TRASH_EFFECT = _("The API does not find them any more, and their runs stay. They can be restored.")
DELETE = _("Delete %(count)d %(items)s")
DELETE_EFFECT = _("Their nodes and edges are deleted too. This cannot be undone.")
RESTORE = _("Restore %(count)d %(items)s")
IN_TRASH = _("It is in the trash already.")
NOT_IN_TRASH = _("It is not in the trash.")
BETWEEN = _("Another change came in between, so nothing was saved. Repeat yours.")
MISSING = _("There is no workflow with the id %(id)s, or you may not see it. Perhaps it was deleted.")
PREVIEW = "_preview"
LESS_IMPORTANT = ("version", "updated_at")  # less important than the columns about runs
OWNER_NAME = f"owner__{get_user_model().USERNAME_FIELD}"


@admin.register(Workflow)
class WorkflowAdmin(JSONMixin, ChangesMixin, StrictAdmin):
    form = WorkflowForm
    list_display = ("name", "owner", "is_active", "version", "updated_at", "deleted_at")
    list_filter = (TrashFilter, ActiveFilter)
    list_select_related = ("owner",)
    list_columns = (
        "name",
        OWNER_NAME,
        "is_active",
        "version",
        "updated_at",
        "deleted_at",
    )
    search_fields = ("name",)
    autocompletes = ("owner",)
    actions = ("move_to_trash", "restore", "delete_selected")
    page_view: Callable[..., HttpResponse] | None = None  # the page of a workflow's runs, set by the app that has them
    run_columns: Callable[[User], ColumnsOfRuns] | None = None  # called with the user; set by the same app

    @property
    def media(self) -> forms.Media:
        of_runs = getattr(self.run_columns, "css", ())
        return super().media + forms.Media(css={"all": of_runs})

    def get_urls(self) -> list[URLPattern]:
        if self.page_view is None:
            return super().get_urls()
        page = path("<uuid:pk>/", self.admin_site.admin_view(self.page_view), name="workflows_workflow_page")
        return [page, *super().get_urls()]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Model]:
        rows: Any = super().get_queryset(request)
        seen: QuerySet[Model] = rows.visible_to(request.user)
        return seen

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Workflow | None:
        """Return the row. Raises Http404; Django's own views would redirect to the front page."""
        row: Workflow | None = super().get_object(request, object_id, from_field)
        if row is None and self.has_view_or_change_permission(request):
            raise Http404(MISSING % {"id": object_id})
        return row

    def get_changelist(self, request: HttpRequest, **kwargs: object) -> type[ChangeList]:
        return PagesChangeList if _may_see_runs(request) else super().get_changelist(request, **kwargs)

    def get_list_display(self, request: HttpRequest) -> tuple[str | Callable[[Workflow], str], ...]:
        shows_trash = TrashFilter.parameter_name in request.GET
        shown = [name for name in self.list_display if name != "deleted_at" or shows_trash]
        if not _may_see_runs(request):
            return tuple(shown)
        of_runs = self.run_columns(request.user).columns if self.run_columns else ()
        if of_runs:  # the table has no room for all columns
            shown = [name for name in shown if name not in LESS_IMPORTANT]
        return (shown[0], *of_runs, *shown[1:], "edit" if self.has_change_permission(request) else "definition")

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
            (None, {"fields": ("graph",), "classes": ("graph-field",)}),
        )

    def get_readonly_fields(self, request: HttpRequest, obj: Workflow | None = None) -> tuple[str, ...]:
        return () if _may_edit_graph(request) else ("graph",)

    @admin.display(description=_("graph"))
    def graph(self, row: Workflow) -> str:
        """Render the graph for users without the permission to change it."""
        return format_html('<pre class="graph-text" tabindex="0">{}</pre>', graph_text.write_graph(row))

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        return {"owner": request.user.pk} | super().get_changeform_initial_data(request)

    def get_form(self, request: HttpRequest, obj: object = None, change: bool = False, **kwargs: object) -> Any:
        """Return a new class per request, which holds the request's parameters."""
        form: Any = super().get_form(request, obj, change, **kwargs)
        form.is_preview = PREVIEW in request.POST
        form.refusal = getattr(request, "refusal", "")
        return form

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: Context | None = None,
    ) -> HttpResponse:
        """Render the form again, as it was typed, if another user saved a change between validation and saving."""
        if request.method == "POST" and "graph" in request.POST:
            request.POST = with_additions(request.POST)  # type: ignore[assignment]  # a QueryDict as well
        try:
            return super().changeform_view(request, object_id, form_url, extra_context)
        except (StaleObject, HasHistory, IntegrityError) as refusal:
            request.refusal = getattr(refusal, "sentence", BETWEEN)  # type: ignore[attr-defined]  # for get_form()
        return super().changeform_view(request, object_id, form_url, extra_context)

    def render_change_form(
        self,
        request: HttpRequest,
        context: Context,
        add: bool = False,
        change: bool = False,
        form_url: str = "",
        obj: Workflow | None = None,
    ) -> HttpResponse:
        form = cast("WorkflowForm", cast("helpers.AdminForm", context["adminform"]).form)
        added = {name: request.POST.get(name, "") for name in ADDED}
        context |= {
            "shown_graph": form.graph_to_draw(),
            "is_preview": form.is_bound,
            "added": added,
            "node_types": NodeType.choices,
        }
        return super().render_change_form(request, context, add, change, form_url, obj)

    def save_model(self, request: HttpRequest, obj: Workflow, form: WorkflowForm, change: bool) -> None:
        """Save only a form that changes something, so that the version is kept otherwise."""
        if change and not form.changes:
            return
        super().save_model(request, obj, form, change)
        if form.definition is not None:
            form.definition.save(obj)

    def construct_change_message(self, request: HttpRequest, form: Any, formsets: Any, add: bool = False) -> Any:
        request.changed_nothing = not add and not form.changes  # type: ignore[attr-defined]  # for what comes after
        return super().construct_change_message(request, form, formsets, add)

    def log_change(self, request: HttpRequest, obj: Model, message: object) -> LogEntry | None:  # type: ignore[override]  # no entry if nothing changed
        return None if getattr(request, "changed_nothing", False) else super().log_change(request, obj, message)

    def response_change(self, request: HttpRequest, obj: Model) -> HttpResponse:
        if not getattr(request, "changed_nothing", False):
            return super().response_change(request, obj)
        self.message_user(request, gettext("Nothing was changed."), messages.INFO)
        return (
            HttpResponseRedirect(request.path)
            if "_continue" in request.POST
            else self.response_post_save_change(request, obj)
        )

    def delete_view(self, request: HttpRequest, object_id: str, extra_context: Context | None = None) -> HttpResponse:
        try:
            return super().delete_view(request, object_id, extra_context)
        except HasHistory as refusal:
            return self._redirect_with_error(
                request, refusal.sentence, request.path.removesuffix("delete/") + "change/"
            )

    def get_deleted_objects(
        self, objs: Sequence[Workflow] | QuerySet[Workflow], request: HttpRequest
    ) -> tuple[list[str], dict[str, int], set[str], list[str]]:
        """Return the workflows to delete. Raises HasHistory if one was executed. Django's method would list each node
        and edge."""
        for row in objs:
            if row.executions.exists():
                raise HasHistory(format_lazy(EXECUTED, workflow=row))
        counts = {
            str(model._meta.verbose_name_plural): model._default_manager.filter(workflow__in=list(objs)).count()
            for model in (Node, Edge)
        }
        return [str(row) for row in objs], {str(self.opts.verbose_name_plural): len(objs)} | counts, set(), []

    def can_act(self, action: str, row: Workflow) -> bool:
        return {"move_to_trash": row.deleted_at is None, "restore": row.deleted_at is not None}.get(action, True)

    @admin.action(permissions=["change"], description=_("Move to trash"), location=EVERYWHERE)
    def move_to_trash(self, request: HttpRequest, queryset: QuerySet[Workflow]) -> HttpResponse | None:
        done = gettext("Moved %(count)d %(items)s to the trash.")
        gone = {row.pk: IN_TRASH for row in queryset if row.deleted_at}
        question = Question("move_to_trash", TRASH, TRASH_EFFECT, list(queryset), gone, takes_reason=False)
        return self._each(request, question, Workflow.soft_delete, done)

    @admin.action(permissions=["change"], description=_("Restore"), location=EVERYWHERE)
    def restore(self, request: HttpRequest, queryset: QuerySet[Workflow]) -> HttpResponse | None:
        done = gettext("Restored %(count)d %(items)s.")
        there = {row.pk: NOT_IN_TRASH for row in queryset if not row.deleted_at}
        question = Question("restore", RESTORE, "", list(queryset), there, takes_reason=False)
        return self._each(request, question, Workflow.restore, done)

    @admin.action(permissions=["delete"], description=_("Delete"))
    def delete_selected(self, request: HttpRequest, queryset: QuerySet[Workflow]) -> HttpResponse | None:
        done = gettext("Deleted %(count)d %(items)s.")
        rows = list(queryset)
        executed = {row.pk: format_lazy(EXECUTED, workflow=row) for row in rows if row.executions.exists()}
        question = Question("delete_selected", DELETE, DELETE_EFFECT, rows, executed, takes_reason=False)
        return self._each(request, question, Workflow.delete, done)

    def _each(
        self, request: HttpRequest, question: Question, act: Callable[[Workflow], object], done: str
    ) -> HttpResponse | None:
        return run_on_each(self, request, question, lambda row: self._did(request, row, act), done)

    def _did(self, request: HttpRequest, row: Workflow, act: Callable[[Workflow], object]) -> bool:
        try:
            with transaction.atomic():
                if act is Workflow.delete:
                    self.log_deletions(request, Workflow.objects.filter(pk=row.pk))
                else:
                    self.log_change(request, row, act.__name__)
                act(row)
        except (StaleObject, HasHistory) as refusal:
            self.message_user(request, f"{row}: {refusal.sentence}", messages.ERROR)
            return False
        return True

    def _redirect_with_error(self, request: HttpRequest, sentence: object, path: str = "") -> HttpResponse:
        self.message_user(request, str(sentence), messages.ERROR)
        return HttpResponseRedirect(path or request.get_full_path())


def _may_edit_graph(request: HttpRequest) -> bool:
    acts = [f"workflows.{act}_{model}" for act in ("add", "change", "delete") for model in ("node", "edge")]
    return all(map(request.user.has_perm, acts))


def _may_see_runs(request: HttpRequest) -> bool:
    """Return whether the user may see runs, by the rule of their admin."""
    return any(request.user.has_perm(f"executions.{act}_workflowexecution") for act in ("view", "change"))


def _to_form(workflow: Workflow, text: str) -> str:
    named = gettext("%(act)s %(workflow)s") % {"act": text, "workflow": workflow}
    address = reverse("admin:workflows_workflow_change", args=[workflow.pk])
    return format_html('<a href="{}" aria-label="{}">{}</a>', address, named, text)
