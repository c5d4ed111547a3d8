"""The graph of a run: a box for each node with the execution that is shown, for _graph.html. A fan-out of equals is one
box, unless it is opened."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from executions.admin import formatting, statuses
from executions.admin.statuses import PRIORITY
from workflows.drawing import Box, names_of
from workflows.fan_outs import FanOut
from workflows.models import Graph

from .folded_graph import FoldedDrawing, FoldedGraph, fold_graph

NAMED = 3  # preceding nodes that are named to a screen reader


@dataclass
class RunBox(Box):
    row: Any  # the displayed node execution, or None
    count: int = 0  # number of executions of the node
    before: list[str] = field(default_factory=list)  # names of the preceding nodes

    @property
    def time(self) -> str:
        """Return the duration; without "so far", for which there is no space."""
        if self.row.status != "running":
            return formatting.duration_text(self.row)
        seconds = formatting.elapsed_seconds(self.row)
        return "–" if seconds is None else formatting.format_duration(seconds)

    @property
    def description(self) -> str:
        """Return the text for screen readers."""
        if self.row is None:
            return _("%(name)s: not reported") % {"name": self.name}
        values = {
            "name": self.name,
            "status": statuses.label(self.row.status),
            "duration": formatting.duration_text(self.row),
        }
        if not self.before:
            return _("%(name)s: %(status)s, %(duration)s") % values
        return _("%(name)s: %(status)s, %(duration)s; after %(before)s") % (values | {"before": self.names_before()})

    @property
    def rows(self) -> list[Any]:
        """Return the node executions that the box stands for."""
        return [] if self.row is None else [self.row]

    def names_before(self) -> str:
        names, more = ", ".join(self.before[:NAMED]), len(self.before) - NAMED
        if more <= 0:
            return names
        return ngettext("%(names)s and %(count)d more", "%(names)s and %(count)d more", more) % {
            "names": names,
            "count": more,
        }


@dataclass
class FanOutBox(RunBox):
    """The box of a folded fan-out. `shown` are the executions of its nodes, one of each that was reported."""

    fan_out: FanOut = field(kw_only=True)
    shown: list[Any] = field(kw_only=True)

    @property
    def rows(self) -> list[Any]:
        return self.shown

    @property
    def numbers(self) -> list[tuple[str, int]]:
        """Return the statuses with their numbers of nodes, in the order of PRIORITY; last "" for those that were not
        reported."""
        counted = Counter(row.status for row in self.shown)
        missing = len(self.fan_out.nodes) - len(self.shown)
        return [(status, counted[status]) for status in PRIORITY if counted[status]] + [("", missing)] * bool(missing)

    @property
    def description(self) -> str:
        words = [
            f"{number} {statuses.label(status) if status else _('not reported')}" for status, number in self.numbers
        ]
        values = {"name": self.name, "count": len(self.fan_out.nodes), "numbers": ", ".join(words)}
        if not self.before:
            return _("%(name)s: %(count)d equal nodes, folded; %(numbers)s") % values
        after = values | {"before": self.names_before()}
        return _("%(name)s: %(count)d equal nodes, folded; %(numbers)s; after %(before)s") % after


@dataclass
class RunDrawing(FoldedDrawing[RunBox]):
    ways: set[UUID]  # nodes whose failure affected the nodes behind them

    @property
    def lines(self) -> list[str]:
        return [d for node, d in self.plan.lines.items() if node not in self.ways]

    @property
    def failure_lines(self) -> list[str]:
        """Return the lines along which a failure spread."""
        return [d for node, d in self.plan.lines.items() if node in self.ways]

    @property
    def scroll_target(self) -> Any:
        """Return the node execution to scroll to: the first that failed, else the longest running one, or None."""
        rows = [row for box in self.boxes for row in box.rows if row.status in PRIORITY[:2]]
        return min(rows, key=lambda row: (PRIORITY.index(row.status), row.ended_at or row.started_at), default=None)


def draw_run(
    graph: Graph,
    rows: Iterable[object],
    ways: set[UUID],
    opened: Collection[str] | None = None,
    chosen: UUID | None = None,
) -> RunDrawing | None:
    """Draw the graph with the executions of its nodes, and each fan-out of equals as one box, without those whose keys
    are in `opened` and that of the execution whose id is `chosen`; None in `opened` opens all. Return None for a graph
    without nodes, or one that is too large."""
    found = _by_node(rows)
    selected = [node for node, rows in found.items() if any(row.pk == chosen for row in rows)]
    if (shown := fold_graph(graph, opened, selected)) is None:
        return None
    stand_ins = {UUID(node): UUID(each.first) for each in shown.folded for node in each.nodes}
    ways = {stand_ins.get(node, node) for node in ways}
    return RunDrawing(shown.plan, _boxes(shown, found), shown.fan_outs, shown.folded, ways)


def _by_node(rows: Iterable[Any]) -> Mapping[str, list[Any]]:
    """Return the executions of each node, the most telling first."""
    found = defaultdict(list)
    for row in sorted(rows, key=lambda row: PRIORITY.index(row.status)):
        found[str(row.node_id)].append(row)
    return found


def _boxes(shown: FoldedGraph, found: Mapping[str, list[Any]]) -> list[RunBox]:
    """Return the boxes in the order of their places."""
    names, before, folded = names_of(shown.graph), defaultdict(list), shown.by_node
    for edge in shown.graph.edges:
        before[edge["target_node"]].append(names[edge["source_node"]])
    boxes: list[RunBox] = []
    for node, (x, y) in shown.plan.places.items():
        if node in folded:
            boxes.append(_fan_out_box(folded[node], (x, y), found, before[node]))
        else:
            rows = found.get(node, [])
            boxes.append(RunBox(x, y, names[node], rows[0] if rows else None, len(rows), before[node]))
    return boxes


def _fan_out_box(
    fan_out: FanOut,
    place: tuple[int, int],
    found: Mapping[str, list[Any]],
    before: list[str],
) -> FanOutBox:
    shown = [found[node][0] for node in fan_out.nodes if node in found]
    return FanOutBox(
        *place,
        fan_out.name,
        min(shown, key=lambda row: PRIORITY.index(row.status), default=None),
        len(shown),
        before,
        fan_out=fan_out,
        shown=shown,
    )
