"""Page of a workflow: recent results, its newest runs as a grid, its graph with the results of each node, durations
over time, and changes of its definition. Requires permission to view runs; Django's form edits the definition.

Each section has its own queries and timeout, so that one may fail alone.
"""

from uuid import UUID

from django.contrib import admin
from django.contrib.auth import get_user_model
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.functional import cached_property
from django.utils.translation import gettext as _

from executions import limits
from executions.admin import duration_cells, page_streams, pagination, statuses
from executions.admin.charts import fan_out_links
from executions.admin.duration_percentiles import MIN_RUNS
from executions.admin.filters import presets, recent_runs
from executions.admin.filters.visible_workflows import visible_workflows
from executions.admin.monitor import notices, workflow_health
from executions.admin.runs import bulk_confirmation
from executions.admin.section_queries import query_or_none
from executions.admin.types import Context
from executions.models import ExecutionStatus, WorkflowExecution
from executions.querysets import can_see
from workflows.admin.workflow_admin import MISSING
from workflows.models import Graph, Workflow

from . import duration_chart, graph_changes, node_health, slower_nodes, status_grid

VIEWS = ("grid", "graph")
FOLDER = "admin/executions/workflow"
OF_GRAPH = fan_out_links.Place("view", (pagination.OLDER, pagination.NEWER), {"view": "graph"})
OWNER = f"owner__{get_user_model().USERNAME_FIELD}"
WORKFLOW_COLUMNS = ("name", "description", "is_active", "deleted_at", "version", "created_at", "updated_at", OWNER)


def workflow_page(request: HttpRequest, pk: UUID) -> HttpResponse:
    if not admin.site.get_model_admin(WorkflowExecution).has_view_permission(request):
        return _render(request, "forbidden", {"title": _("No access")}, status=403)
    workflow = visible_workflows(request.user).select_related("owner").only(*WORKFLOW_COLUMNS).filter(pk=pk).first()
    if workflow is None:
        raise Http404(MISSING % {"id": pk})
    # Before any query, so that the stream also sends changes made while the page is built.
    stream = page_streams.all_runs_stream_url()
    sections = Sections(request, workflow)
    context = {
        "all_runs_stream": stream,
        "workflow": workflow,
        "title": workflow.name,
        "runs_address": presets.runs_url(workflow=pk),
        "stop_address": bulk_confirmation.bulk_url("cancel") + f"?workflow={pk}",
        "notices": notices.find_notices(request.user, pk),
    }
    if sections.runs is None:
        return _render(request, "timeout", context, status=503)
    return _render(request, "page", context | sections.context())


def _render(request: HttpRequest, name: str, context: Context, status: int = 200) -> HttpResponse:
    everywhere = admin.site.each_context(request) | {"opts": Workflow._meta}
    return TemplateResponse(request, f"{FOLDER}/{name}.html", everywhere | context, status=status)


class Sections:
    """Sections of the page; each is None if its queries failed or timed out."""

    def __init__(self, request: HttpRequest, workflow: Workflow) -> None:
        self.request, self.user, self.workflow = request, request.user, workflow

    @cached_property
    def may_see_nodes(self) -> bool:
        return can_see(self.user, "nodeexecution", self.workflow.owner_id)

    @cached_property
    def runs(self) -> list[WorkflowExecution] | None:
        """Return the newest runs; None if the query failed or took too long."""
        return query_or_none(
            "runs", lambda: recent_runs.newest_runs(self.user, self.workflow.pk), limits.WORKFLOW_PAGE_MS
        )

    @cached_property
    def changes(self) -> list[graph_changes.Change]:
        return graph_changes.find_changes(self.runs or [])

    @cached_property
    def today(self) -> Graph | None:
        return query_or_none("graph", self.workflow.graph_now, limits.WORKFLOW_PAGE_MS)

    @cached_property
    def health(self) -> list[workflow_health.Health] | None:
        """Return a list of one Health, or an empty list if no run ended recently."""

        def load() -> list[workflow_health.Health]:
            found = workflow_health.workflow_health(self.user, self.workflow.pk)
            return [found] if found else []

        return query_or_none("health", load, limits.WORKFLOW_PAGE_MS)

    def context(self) -> Context:
        runs, view = self.runs or [], self.request.GET.get("view", "")
        usual = self.health[0].usual if self.health else None
        return {
            "view": view if view in VIEWS else VIEWS[0],
            "health": self.health,
            "runs": runs,
            "last": (last := next(iter(runs), None)),
            "last_ago": duration_cells.format_ago(last.started_at or last.created_at) if last else "",
            "last_success": next((run for run in runs if run.status == ExecutionStatus.COMPLETED), None),
            "chart": duration_chart.build_chart(runs, self.changes, usual),
            "statuses": statuses.labels().items(),
            "dot_statuses": [(status, dot, statuses.label(status)) for status, dot in statuses.DOTS.items()],
            "clocks": duration_cells.clock_texts(),
            "usual_runs": MIN_RUNS,
            "may_see_nodes": self.may_see_nodes,
        } | (self._node_sections() if self.may_see_nodes else {})

    def _node_sections(self) -> Context:
        found = query_or_none(
            "changes",
            lambda: graph_changes.describe_changes(self.changes, graph_changes.load_graphs(self.changes)),
            limits.WORKFLOW_PAGE_MS,
        )
        return {
            "changes": found,
            "more_changes": len(self.changes) - limits.DESCRIBED_CHANGES,
            "graph": self._graph(),
            "grid": self._grid(),
            "weeks": self._weeks(),
            "today": self.today,
        }

    def _graph(self) -> Context | None:
        """Return the graph with the results of its nodes; `drawing` is None if it is too large to draw."""
        if (today := self.today) is None:
            return None
        nodes = [UUID(node["id"]) for node in today.nodes]
        runs = [run.pk for run in (self.runs or [])[: recent_runs.window_size(len(nodes))]]
        window = node_health.Window(self.workflow.pk, runs)
        found = query_or_none(
            "nodes", lambda: node_health.get_node_health(self.user, window, nodes), limits.WORKFLOW_PAGE_MS
        )
        return None if found is None else _with_node_health(self.request, today, found) | {"number": window.number}

    def _weeks(self) -> slower_nodes.Weeks | None:
        number = len(self.today.nodes) if self.today else 0
        return query_or_none(
            "slower nodes",
            lambda: slower_nodes.slower_nodes(self.user, self.workflow.pk, number),
            limits.WORKFLOW_PAGE_MS,
        )

    def _grid(self) -> Context | None:
        if (today := self.today) is None:
            return None
        return query_or_none("grid", lambda: self._build_grid(today), limits.WORKFLOW_PAGE_MS)

    def _build_grid(self, today: Graph) -> Context:
        number = status_grid.columns_for(len(today.nodes))
        found = status_grid.grid_page(self.user, self.workflow.pk, self.request.GET, self.runs or [], number)
        # An older page of the grid has runs whose changes are not among the newest ones.
        known = graph_changes.find_changes(found.runs) if found.newer else self.changes
        drawn = status_grid.build_grid(self.user, found.runs, today, known)
        return {"page": found, "drawn": drawn}


def _with_node_health(request: HttpRequest, today: Graph, found: dict[UUID, node_health.NodeHealth]) -> Context:
    drawn = node_health.draw_graph(today, fan_out_links.opened_keys(request))
    links = fan_out_links.fan_out_links(request, drawn, OF_GRAPH) if drawn else None
    rows = node_health.sort_topologically(today, found)
    return {
        "drawing": drawn,
        "fan_outs": links,
        "boxes": node_health.build_boxes(drawn, found, links.to_open) if drawn and links else [],
        "rows": rows,
        "worst": node_health.worst_nodes(rows),
        "rates": [(rate, node_health.SHAPES[rate], word) for rate, word in node_health.RATES.items()],
        "often": node_health.OFTEN,
    }
