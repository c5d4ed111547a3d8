"""Context of a run's page. Each part takes few queries, whatever the number of nodes and lines."""

from typing import Any, cast
from uuid import UUID

from django.db.models.fields.json import KT
from django.db.models.functions import Left
from django.http import HttpRequest
from django.utils import timezone

from executions import absent_log_lines, limits, queue, run_graph
from executions.admin import attention_marks, duration_cells, formatting, log_line_rows, page_streams, statuses
from executions.admin.charts import fan_out_links, graph_chart, svg, timeline
from executions.admin.charts.graph_chart import RunDrawing
from executions.admin.curl_command import curl_command
from executions.admin.error_groups import known_errors
from executions.admin.log_line_rows import LogLine
from executions.admin.nodes import earlier_attempts, node_admin, paging
from executions.admin.run_again_links import again_url
from executions.admin.types import JSON, Attempt, Context
from executions.models import KeptRun, NodeExecution, WorkflowExecution
from executions.querysets import can_see_nodes_and_logs
from executions.states import ExecutionStatus
from ledgerkit.db.models import parse_uuid
from ledgerkit.db.timeouts import no_sort
from workflows.models import Graph

from . import adjacent_runs, compare, failure_cascade, page_header, related_runs

PAYLOADS = ("input_data", "output_data", "context", "metadata")
NAMED = {
    "parent_id": Left(KT("context__parent_execution_id"), formatting.LINE),
    "triggered_by": Left(KT("metadata__triggered_by"), formatting.LINE),
    "traceparent": Left(KT("metadata__traceparent"), formatting.LINE),
    "correlation_id": Left(KT("metadata__correlation_id"), formatting.LINE),
    "rerun_of": Left(KT("metadata__rerun_of"), formatting.LINE),
}


def page_context(request: HttpRequest, run: WorkflowExecution) -> Context:
    error = formatting.first_characters("error_message", formatting.LIMIT)
    payloads, others = formatting.payloads(run, *PAYLOADS, error=error, **NAMED)
    tries = earlier_attempts.newest_attempts(run.attempts)
    _nodes_seen, sees_lines = can_see_nodes_and_logs(request.user, run)
    removed = absent_log_lines.removed_lines(run) if sees_lines else []
    shown = {
        "sign": statuses.SIGNS[run.status],
        "previous_run": adjacent_runs.previous_run(request.user, run),
        "next_run": adjacent_runs.next_run(request.user, run),
        "progress": page_header.progress(run),
        "cancellation": page_header.cancellation(run),
        "curl": curl_command(request, "execution-detail", run.pk),
        "stream": page_streams.stream_url(run, "rows"),
        "clocks": duration_cells.clock_texts(),
        "run": run,
        "payloads": payloads,
        "attempts": tries,
        "lines": _lines(request, run),
        "missing": log_line_rows.first_missing(run, removed) if sees_lines else None,
        "lines_shown": limits.LINES,
        "removed": removed,
        "dropped": absent_log_lines.dropped_lines(run) if sees_lines else None,
        "kept": KeptRun.objects.filter(pk=run.pk).first(),
        "ahead": queue.runs_ahead(run.pk, limits.RUNS_AHEAD) if run.is_queued else [],
        "marks": attention_marks.marks_of_runs([run]).get(run.pk, []),
        "lease": run.leases.filter(attempt=run.attempt).first(),
        "statuses": _statuses(),
    }
    parts = part_context(request, run)
    of_nodes = _nodes(request, run, tries, cast("UUID | None", parts["chosen_id"]))
    cascade = cast("failure_cascade.Cascade", of_nodes["cascade"])
    known = known_errors.of_run(request.user, run, cascade.first, others["error"])
    return others | shown | parts | of_nodes | {"known": known} | _related_runs(request, run, others)


def part_context(request: HttpRequest, run: WorkflowExecution) -> Context:
    """Return the context that depends on the query: the selected node, and the comparison if it is requested."""
    node_id = request.GET.get("node", "")
    chosen = node_admin.selected_node(request, run, node_id) if node_id else None
    named = request.GET.get("compare", "")
    chosen_run = compare.chosen_run(request.user, run, named)
    then = chosen_run or compare.last_success(request.user, run)
    compares = then is not None and "compare" in request.GET
    comparison = compare.compare_with(request.user, run, then) if then and compares else None
    return {
        "again_url": again_url(request.user, run.pk),
        "chosen": chosen,
        "chosen_id": chosen and cast("NodeExecution", chosen["node"]).pk,
        "node_is_requested": bool(node_id),
        "then": then,
        "then_is_chosen": chosen_run is not None,
        "refusal": "" if chosen_run else compare.describe_refusal(run, named),
        "slower": compare.describe_change(_slower(run, then)) if then else None,
        "compares": compares,
        "comparison": comparison,
    }


def _lines(request: HttpRequest, run: WorkflowExecution) -> list[LogLine]:
    """Return the newest log lines. Only those that are shown are read, however many lines the run has."""
    shows_nodes, _lines = can_see_nodes_and_logs(request.user, run)
    with no_sort():
        return log_line_rows.newest_rows(run.logs.visible_to(request.user), shows_nodes=shows_nodes)


def _nodes(request: HttpRequest, run: WorkflowExecution, tries: list[Attempt], chosen: UUID | None) -> Context:
    """Return the node executions in four forms: failure summary, graph, timeline and table."""
    found, failures = node_admin.nodes_of_run(request, run), node_admin.failed_nodes_of_run(request, run)
    rows, more = found[: limits.NODES], len(found) > limits.NODES
    graph = _graph(request, run, None if more else rows)
    pairs = graph.pairs if failures else ()
    went_wrong = failure_cascade.summarize_failure(
        failures, rows, pairs, has_failed=run.status == ExecutionStatus.FAILED
    )
    page = paging.node_page(rows, request.GET.get("nodes", ""))
    shown = {"node_page": page, "node_rows": node_admin.present_nodes(page.rows)}
    shown |= {"nodes_shown": limits.NODES, "more_nodes": more}
    shown |= {"cascade": went_wrong, "graph_nodes": len(graph.nodes)}
    opened = fan_out_links.opened_keys(request), fan_out_links.opened_by_node(request, chosen)
    drawn = graph_chart.draw_run(graph, rows, went_wrong.ways, *opened)
    return shown | _graph_context(request, drawn, chosen) | _in_time(request, run, tries, rows, chosen)


def graph_context(request: HttpRequest, run: WorkflowExecution) -> Context:
    """Return the context of the graph alone, which the page's script replaces where a fan-out is opened or folded."""
    chosen = parse_uuid(request.GET.get("node", ""))
    return _nodes(request, run, [], chosen) | {"statuses": _statuses()}


def _graph_context(request: HttpRequest, drawn: RunDrawing | None, chosen: UUID | None) -> Context:
    if drawn is None:
        return {"drawing": None}
    links = fan_out_links.fan_out_links(request, drawn, fan_out_links.ON_RUN)
    return {
        "drawing": drawn,
        "boxes": svg.render_boxes(drawn, chosen, links.to_open),
        "drawn_lines": svg.render_lines(drawn),
        "fan_outs": links,
    }


def _statuses() -> list[tuple[str, str, str]]:
    return [(status, statuses.SIGNS[status], word) for status, word in statuses.labels().items()]


def _in_time(
    request: HttpRequest, run: WorkflowExecution, tries: list[Attempt], rows: list[NodeExecution], chosen: UUID | None
) -> Context:
    """Return the timeline, with all lanes if the query asks for them."""
    in_time = timeline.build_timeline(run, tries, rows, node_admin.attempts_of_nodes(rows), timezone.now())
    if in_time is None:
        return {}
    shown = in_time.lanes if "lanes" in request.GET else in_time.choose_lanes(*filter(None, [chosen]))
    return {
        "timeline": in_time,
        "whole": svg.render_bars(in_time.run.bars),
        "lanes": svg.render_lanes(shown, chosen),
        "more_lanes": len(in_time.lanes) - len(shown),
    }


def _graph(request: HttpRequest, run: WorkflowExecution, rows: list[Any] | None) -> Graph:
    """Return the run's graph; empty for users who may not see node executions. `rows` are all executions, or None if
    they are too many."""
    sees_nodes, _lines = can_see_nodes_and_logs(request.user, run)
    executed = None if rows is None else {row.node_id: row.name for row in rows}
    return run_graph.of_run(run, executed) if sees_nodes else Graph()


def _related_runs(request: HttpRequest, run: WorkflowExecution, named: JSON) -> Context:
    children, more = related_runs.get_children(request.user, run)
    again, more_again = related_runs.get_reruns(request.user, run)
    return {
        "parent": related_runs.get_run(request.user, named["parent_id"]),
        "runs_again": related_runs.get_run(request.user, named["rerun_of"]),
        "reruns": again,
        "more_reruns": more_again,
        "children": children,
        "more_children": more,
    }


def _slower(run: WorkflowExecution, then: WorkflowExecution) -> float | None:
    if run.duration_seconds is None or then.duration_seconds is None:
        return None
    return float(run.duration_seconds - then.duration_seconds)
