"""Grid of a workflow: runs as columns, nodes as rows, and the status of each node in each run."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from itertools import groupby
from typing import Any
from uuid import UUID

from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from executions import limits
from executions.admin import formatting, statuses
from executions.admin.filters import recent_runs
from executions.admin.filters.recent_runs import ORDER
from executions.admin.pagination import NEWER, OLDER
from executions.admin.statuses import PRIORITY
from executions.admin.types import User
from executions.admin.workflow.graph_changes import Change, get_graphs
from executions.models import NodeExecution, WorkflowExecution
from ledgerkit.db import keyset
from ledgerkit.db.models import parse_uuid
from workflows import drawing
from workflows.models import Graph, Node
from workflows.natural_order import natural_key

from . import duration_chart
from .duration_chart import Axis

MAX_COLUMNS, MIN_COLUMNS = 50, 10
SQUARES = 3_000  # maximum of squares that a browser draws fast
ROWS = 400
LETTERS = 34  # characters of a node's name
UNREPORTED = "unreported"  # the node is in the run's graph but was not reported


@dataclass(frozen=True)
class Page:
    """`runs` are newest first. `older` and `newer` are the ids for the links to further runs, or None."""

    runs: list[WorkflowExecution]
    older: UUID | None = None
    newer: UUID | None = None


@dataclass(frozen=True)
class Column:
    run: Any
    height: float  # height of the bar of its duration, of 100
    change: Change | None  # the change of the definition of which the run is the first
    description: str


@dataclass(frozen=True, slots=True)
class Square:
    """`kind` is a status or UNREPORTED; for the latter `address` and `description` are empty."""

    kind: str
    word: str = ""
    address: str = ""
    description: str = ""
    again: str = ""  # the mark of a retried node or of several executions


@dataclass(frozen=True)
class Row:
    node: UUID
    name: str
    is_retired: bool
    squares: list[Square | None]  # None if the node is not part of the run

    @property
    def label(self) -> str:
        return drawing.shorten(self.name, LETTERS)


@dataclass(frozen=True)
class Day:
    day: date
    columns: int


@dataclass(frozen=True)
class Grid:
    columns: list[Column]
    days: list[Day]
    rows: list[Row]
    hidden_rows: int
    is_cut: bool  # whether node executions were left out


# --- runs --------------------------------------------------------------------
def columns_for(nodes: int) -> int:
    """Return the number of columns; fewer for workflows with many nodes."""
    return min(MAX_COLUMNS, max(MIN_COLUMNS, SQUARES // max(1, nodes)))


def grid_page(
    user: User, workflow: UUID, query: Mapping[str, str], found: list[WorkflowExecution], number: int
) -> Page:
    """Return the page of runs that the query names. The newest runs are taken from `found`, others are queried. The id
    of a deleted run leads to the newest runs."""
    name = NEWER if NEWER in query else OLDER
    seen, pk = WorkflowExecution.objects.visible_to(user), parse_uuid(query.get(name))
    place = recent_runs.get_run(user, workflow, pk) if pk else None
    if place is not None and name == OLDER:
        older = keyset.after(ORDER, keyset.key_of(ORDER, place))
        runs = list(recent_runs.first_rows(seen, workflow, older, ORDER, number + 1))
        return _page(runs[:number], older=len(runs) > number, newer=True)
    if place is not None:
        newer = keyset.before(ORDER, keyset.key_of(ORDER, place))
        runs = list(recent_runs.first_rows(seen, workflow, newer, keyset.reverse(ORDER), number + 1))
        if len(runs) > number:
            return _page(runs[:number][::-1], older=True, newer=True)
    return _page(found[:number], older=len(found) > number, newer=False)


def _page(runs: list[WorkflowExecution], *, older: bool, newer: bool) -> Page:
    return Page(runs, runs[-1].pk if runs and older else None, runs[0].pk if runs and newer else None)


# --- squares ----------------------------------------------------------------
def build_grid(user: User, runs: list[WorkflowExecution], today: Graph, found: list[Change]) -> Grid:
    """Build the grid of `runs`, newest first; its columns are oldest first. Takes two queries, and a third if a node
    was executed that is in no graph."""
    graphs = _graphs(runs)
    executions = list(node_executions_of(user, runs)[: limits.GRID_NODE_EXECUTIONS + 1])
    names = _names([*graphs.values(), today], {execution[1] for execution in executions})
    rows = _in_order(names, today, graphs.values())
    squares, columns = _squares_by_run_and_node(executions, names), _columns(runs, found)
    here = {node["id"] for node in today.nodes}
    has = {run.pk: {UUID(node["id"]) for node in graphs[run.graph_id].nodes} for run in runs if run.graph_id in graphs}
    shown = [
        Row(
            node, names[node], str(node) not in here, [_square(squares, has, column.run.pk, node) for column in columns]
        )
        for node in rows[:ROWS]
    ]
    return Grid(columns, _days(columns), shown, max(0, len(rows) - ROWS), len(executions) > limits.GRID_NODE_EXECUTIONS)


def node_executions_of(user: User, runs: Iterable[WorkflowExecution]) -> Any:
    rows = NodeExecution.objects.visible_to(user).filter(workflow_execution__in=[run.pk for run in runs]).order_by()
    return rows.values_list(
        "workflow_execution", "node", "id", "status", "attempt", "started_at", "ended_at", "node_name"
    )


def _graphs(runs: list[WorkflowExecution]) -> dict[UUID, Graph]:
    return get_graphs({run.graph_id for run in runs if run.graph_id})


def _names(graphs: Iterable[Graph], executed: set[UUID]) -> dict[UUID, str]:
    """Return the names of the nodes of all graphs, by the newest graph, and of executed nodes that are in none."""
    names = {UUID(node["id"]): node["name"] for graph in graphs for node in graph.nodes}
    if missing := executed - names.keys():
        names |= dict(Node.objects.filter(pk__in=missing).values_list("pk", "name"))
    return names


def _in_order(names: Mapping[UUID, str], today: Graph, graphs: Iterable[Graph]) -> list[UUID]:
    """Sort nodes by their level in today's graph, retired ones by that in the newest graph that has them."""
    levels: dict[UUID, int] = {}
    for graph in [*sorted(graphs, key=lambda graph: graph.pk), today]:
        levels |= graph.levels()
    return sorted(names, key=lambda node: (levels.get(node, 0), natural_key(names[node]), node))


def _columns(runs: list[Any], found: list[Change]) -> list[Column]:
    changed = {change.run.pk: change for change in found}
    axis = duration_chart.build_axis(runs)
    return [
        Column(run, _height(axis, formatting.elapsed_seconds(run)), changed.get(run.pk), _run_label(run))
        for run in reversed(runs)
    ]


def _height(axis: Axis | None, seconds: float | None) -> float:
    """Return the height of a bar. Any duration above zero is visible."""
    return 0.0 if axis is None or seconds is None else max(4.0, axis.at(seconds))


def _run_label(run: Any) -> str:
    return _("%(start)s, %(status)s, %(duration)s") % {
        "start": formatting.format_datetime(run.started_at or run.created_at),
        "status": statuses.row_label(run),
        "duration": formatting.duration_text(run),
    }


def _days(columns: list[Column]) -> list[Day]:
    days = groupby(timezone.localdate(column.run.created_at) for column in columns)
    return [Day(day, len(list(same))) for day, same in days]


def _squares_by_run_and_node(executions: list[Any], names: Mapping[UUID, str]) -> dict[tuple[UUID, UUID], Square]:
    """Return squares by run and node; of several executions of a node in a run the most important one. `names` are
    those of the rows."""
    found = defaultdict(list)
    for execution in executions:
        found[execution[:2]].append(execution)
    words = statuses.labels()
    return {key: _combined_square(several, names[key[1]], words) for key, several in found.items()}


def _combined_square(several: list[Any], row_name: str, words: Mapping[str, str]) -> Square:
    run, _node, pk, status, attempt, start, end, name = min(several, key=lambda each: PRIORITY.index(each[3]))
    parts = [words[status]] if name == row_name else [name, words[status]]
    if start and end:
        parts.append(formatting.format_duration((end - start).total_seconds()))
    if attempt > 1:
        parts.append(_("attempt %(number)d") % {"number": attempt})
    if len(several) > 1:
        parts.append(ngettext("%(count)d execution", "%(count)d executions", len(several)) % {"count": len(several)})
    again = "×" if len(several) > 1 else "↻" if attempt > 1 else ""
    return Square(status, words[status], f"{run}/change/?node={pk}#node", " · ".join(parts), again)


def _square(
    squares: Mapping[tuple[UUID, UUID], Square], has: Mapping[UUID, set[UUID]], run: UUID, node: UUID
) -> Square | None:
    return squares.get((run, node)) or (Square(UNREPORTED) if node in has.get(run, ()) else None)
