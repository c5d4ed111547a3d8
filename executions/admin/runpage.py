"""All that a run's page shows: each part by few queries, whatever the number of its nodes and lines."""

from typing import Any

from django.db.models.fields.json import KT
from django.db.models.functions import Left
from django.http import HttpRequest
from django.utils import timezone

from executions import graphs
from executions.states import ExecutionStatus
from pastetrader.postgres.unsorted import unsorted
from workflows.models import Graph
from workflows.querysets import may_see_all

from . import attempts, cascade, comparing, drawing, family, logs, nodes, streams, texts, timeline

PAYLOADS = ("input_data", "output_data", "context", "metadata")
NAMED = {
    "parent_id": Left(KT("context__parent_execution_id"), texts.LINE),
    "triggered_by": Left(KT("metadata__triggered_by"), texts.LINE),
    "correlation_id": Left(KT("metadata__correlation_id"), texts.LINE),
}


def of(request: HttpRequest, run: Any) -> dict[str, Any]:
    payloads, others = texts.payloads(run, *PAYLOADS, error=texts.head("error_message", texts.LIMIT), **NAMED)
    shown = {
        "stream": streams.address(run, "rows"),
        "run": attempts.with_duration(run),
        "payloads": payloads,
        "attempts": attempts.newest(run.attempts),
        "lines": _lines(request, run),
        "lines_shown": logs.LINES,
    }
    return (
        others | shown | _nodes(request, run, shown["attempts"]) | _family(request, run, others) | parts(request, run)
    )


def parts(request: HttpRequest, run: Any) -> dict[str, Any]:
    """What depends on the query: the node that was chosen, and the comparison once it is asked for."""
    asked = request.GET.get("node", "")
    chosen = nodes.chosen(request, run, asked) if asked else None
    then = comparing.last_success(request.user, run)
    comparison = comparing.compared(request.user, run, then) if then and "compare" in request.GET else None
    return {
        "chosen": chosen,
        "chosen_id": chosen and chosen["node"].pk,
        "asked": asked,
        "then": then,
        "slower": comparing.change(_slower(run, then)) if then else None,
        "comparison": comparison,
    }


def _lines(request: HttpRequest, run: Any) -> list[Any]:
    """As many are read as are shown, however many lines the run has, and while it writes them."""
    with unsorted():
        return logs.newest(run.logs.visible_to(request.user))


def _nodes(request: HttpRequest, run: Any, tries: list[Any]) -> dict[str, Any]:
    """The same rows four times: as what went wrong, as graph, in time, and as a table."""
    graph = _graph(request, run)
    rows, failures = nodes.of_run(request, run), nodes.failed_of_run(request, run)
    has_failed = run.status == ExecutionStatus.FAILED
    went_wrong = cascade.of(failures, rows, graph.pairs, has_failed=has_failed)
    return {
        "nodes": rows,
        "nodes_shown": nodes.SHOWN,
        "cascade": went_wrong,
        "drawing": drawing.drawn(graph, rows, went_wrong.ways),
        "timeline": timeline.of_run(run, tries, rows, timezone.now()),
        "graph_nodes": len(graph.nodes),
    }


def _graph(request: HttpRequest, run: Any) -> Graph:
    """Empty for those who may not see what the run executed."""
    may_see = may_see_all(request.user, "executions.view_nodeexecution") or run.workflow.owner_id == request.user.pk
    return graphs.of_run(run) if may_see else Graph()


def _family(request: HttpRequest, run: Any, named: dict[str, Any]) -> dict[str, Any]:
    children, more = family.children_of(request.user, run)
    return {"parent": family.parent_of(request.user, named["parent_id"]), "children": children, "more_children": more}


def _slower(run: Any, then: Any) -> float | None:
    if run.duration_seconds is None or then.duration_seconds is None:
        return None
    return float(run.duration_seconds - then.duration_seconds)
