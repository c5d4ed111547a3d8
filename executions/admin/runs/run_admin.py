from collections.abc import Collection, Sequence
from functools import partial
from typing import ClassVar

from django.contrib import admin, messages
from django.contrib.admin.views.main import SEARCH_VAR, ChangeList
from django.db.models import F, Model, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from executions import limits, run_conditions
from executions.admin import archived_run, duration_cells, formatting, logs, page_streams, saved_views
from executions.admin.filters import presets, run_filters
from executions.admin.monitor.front_page import front_page
from executions.admin.saved_views import SavedViewsMixin
from executions.admin.search import list_search
from executions.admin.search.palette import find_view
from executions.admin.types import Context
from executions.models import WorkflowExecution
from ledgerkit.admin.command_palette import register_search
from ledgerkit.db.models import parse_uuid
from ledgerkit.types import StrOrPromise

from . import bulk_confirmation, changelist, history, notes, run_again, run_page
from .delete import DeleteRunMixin
from .kept_runs import KeepRunMixin
from .list_rows import RunListRow, present_runs, tags_of

PARTS = {
    "panel": ("admin/executions/_node_panel.html", run_page.part_context),
    "comparison": ("admin/executions/_comparison.html", run_page.part_context),
    "graph": ("admin/executions/_graph_section.html", run_page.graph_context),
}

register_search("admin:executions_find")


@admin.register(WorkflowExecution)
class WorkflowExecutionAdmin(KeepRunMixin, DeleteRunMixin, SavedViewsMixin):
    # The columns of the list, in place of list_display: `_row.html` renders their cells from a RunListRow.
    headers: ClassVar[dict[str, StrOrPromise]] = {
        "state": gettext_lazy("status"),
        "named_workflow": gettext_lazy("workflow"),
        "started": gettext_lazy("started"),
        "duration": gettext_lazy("duration"),
        "details": gettext_lazy("failure and tags"),
    }
    list_filter = run_filters.RUN_FILTERS
    search_help_text = gettext_lazy(
        "The id of a run, a node execution or a line; in full: a correlation id, a tag, the name of a workflow"
    )
    actions = ("cancel", "retry", "override_max_retries", "fail", "keep", "release", "compare", "delete_selected")
    exported: ClassVar[dict[str, str]] = {
        "id": "id", "workflow": "workflow_name", "workflow_id": "workflow_id", "status": "status",
        "trigger_type": "trigger_type", "attempt": "attempt", "created_at": "created_at", "started_at": "started_at",
        "ended_at": "ended_at", "failed_nodes": "failed_nodes", "error": "error_message",
        "tags": "metadata__tags", "correlation_id": "metadata__correlation_id",
    }  # fmt: skip
    related = ("workflow",)
    keyset = ("created_at", "id")
    columns = (
        "status",
        "failed_nodes",
        "is_queued",
        "trigger_type",
        "attempt",
        "version",
        "created_at",
        "started_at",
        "ended_at",
        "workflow_name",
        "workflow__name",
        "workflow__owner",
    )

    @admin.action(permissions=["view"], description=gettext_lazy("Compare"))
    def compare(self, request: HttpRequest, queryset: QuerySet[WorkflowExecution]) -> HttpResponse | None:
        """Open the page of the newer of two runs, compared with the older one."""
        found = list(queryset.order_by("-created_at", "-id")[:3])
        if len(found) != 2:  # as the sentence says
            self.message_user(request, _("Select two runs to compare them."), messages.WARNING)
            return None
        newer, older = found
        address = reverse("admin:executions_workflowexecution_change", args=[newer.pk])
        return redirect(f"{address}?compare={older.pk}#compare")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Model]:
        shown = {
            "tag_list": F("metadata__tags"),
            "error": formatting.first_characters("error_message", formatting.LINE),
        }
        rows: QuerySet[Model] = super().get_queryset(request).annotate(**shown)
        return rows

    def changelist_view(self, request: HttpRequest, extra_context: Context | None = None) -> HttpResponse:
        """Render the list; with `?part=rows` only the table, which the list's script replaces."""
        part = changelist.part_of(request)
        chosen: Context = {"presets": presets.visible_presets(request.GET), "part": part}
        chosen["clocks"] = duration_cells.clock_texts()
        if part != changelist.ROWS:
            chosen["bulk_links"] = bulk_confirmation.bulk_links(request)
            chosen["all_runs_stream"] = page_streams.all_runs_stream_url()
        response = super().changelist_view(request, chosen | (extra_context or {}))
        if part == changelist.ROWS and isinstance(response, TemplateResponse) and "cl" in (response.context_data or {}):
            return TemplateResponse(request, "admin/executions/workflowexecution/_rows.html", response.context_data)
        return response

    def get_changelist(self, request: HttpRequest, **kwargs: object) -> type[ChangeList]:
        return changelist.RunChangeList

    def get_urls(self) -> list[URLPattern]:
        stream = path(
            "<uuid:pk>/stream/", self.admin_site.admin_view(page_streams.run_stream_view), name="executions_stream"
        )
        monitor = path("monitor/", self.admin_site.admin_view(front_page), name="executions_monitor")
        bulk_view = self.admin_site.admin_view(partial(bulk_confirmation.bulk_view, self))
        bulk_action = path("bulk/<slug:verb>/", bulk_view, name="executions_bulk")
        find = path("find/", self.admin_site.admin_view(partial(find_view, self.admin_site)), name="executions_find")
        own = [find, stream, monitor, bulk_action, *run_again.urls(self), *notes.urls(self)]
        return [*own, *saved_views.urls(self), *logs.urls(self), *super().get_urls()]

    def redirect_from_list(self, request: HttpRequest) -> HttpResponse | None:
        if retired := request.GET.keys() & run_filters.RETIRED.keys():
            return self._redirect_without(request, retired)
        address = list_search.find_url(self.admin_site, request, request.GET.get(SEARCH_VAR, "").strip())
        return redirect(address) if address else super().redirect_from_list(request)

    def _redirect_without(self, request: HttpRequest, retired: Collection[str]) -> HttpResponse:
        for name in retired:
            self.message_user(request, run_filters.RETIRED[name], messages.WARNING)
        kept = {name: values for name, values in request.GET.lists() if name not in retired}
        return redirect(presets.runs_url(**(kept or presets.EVERYTHING)))

    def deleted_row_context(self, request: HttpRequest, id: str) -> Context:
        return {"deletion": list_search.find_deletion(self.admin_site, request, id)}

    def not_found_response(self, request: HttpRequest, id: str) -> HttpResponse:
        """Render the page of an archived run, if it is one."""
        if (run := archived_run.archived_run(request.user, id)) is None:
            return super().not_found_response(request, id)
        context = archived_run.archived_run_context(request, run) | self.deleted_row_context(request, id)
        return self.render_message(request, "archived_run", 410, **context)

    def present_rows(self, request: HttpRequest, rows: Sequence[WorkflowExecution]) -> Sequence[RunListRow]:
        return present_runs(request.user, rows)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Model], search_term: str
    ) -> tuple[QuerySet[Model], bool]:
        if not (term := search_term.strip()):
            return queryset, False
        # Part of the same query as the filters, so that nothing is cut before them. A rare value is found by the index
        # on metadata, a frequent one in the order of the list until a page is full.
        named = list_search.by_correlation_id_or_tag(term) | run_conditions.by_workflow_name(term)
        return queryset.filter(named | Q(pk=parse_uuid(term))), False

    def render_change_form(
        self,
        request: HttpRequest,
        context: Context,
        add: bool = False,
        change: bool = False,
        form_url: str = "",
        obj: WorkflowExecution | None = None,
    ) -> HttpResponse:
        """Render the page; with `?part=...` only that part, which the page's script replaces."""
        if (part := request.GET.get("part")) in PARTS and obj:
            template, part_context = PARTS[part]
            return TemplateResponse(request, template, {"run": obj, **part_context(request, obj)})
        return super().render_change_form(request, context, add, change, form_url, obj)

    def page_context(self, request: HttpRequest, row: WorkflowExecution) -> Context:
        entries, more = history.newest_entries(row, request.user)
        known = {"history": entries, "more_history": more, "history_shown": limits.HISTORY_ENTRIES}
        return run_page.page_context(request, row) | known | notes.notes_context(request, row) | {"tags": tags_of(row)}
