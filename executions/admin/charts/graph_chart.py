"""The graph of a run: a box for each node with the execution that is shown, for _graph.html."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from executions.admin import formatting, statuses
from executions.admin.statuses import PRIORITY
from workflows.drawing import Box, Drawing, names_of, plan_graph
from workflows.models import Graph

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
        return _("%(name)s: %(status)s, %(duration)s; after %(before)s") % (values | {"before": self._names_before()})

    def _names_before(self) -> str:
        names, more = ", ".join(self.before[:NAMED]), len(self.before) - NAMED
        if more <= 0:
            return names
        return ngettext("%(names)s and %(count)d more", "%(names)s and %(count)d more", more) % {
            "names": names,
            "count": more,
        }


@dataclass
class RunDrawing(Drawing[RunBox]):
    ways: set[UUID]  # nodes whose failure affected the nodes behind them

    @property
    def lines(self) -> list[str]:
        return [d for node, d in self.plan.lines.items() if node not in self.ways]

    @property
    def failure_lines(self) -> list[str]:
        """Return the lines along which a failure spread."""
        return [d for node, d in self.plan.lines.items() if node in self.ways]

    @property
    def first_shown(self) -> Any:
        """Return the box to scroll to: the first that failed, else a running one, in the order of PRIORITY."""
        rows = [box.row for box in self.boxes if box.row is not None and box.row.status in PRIORITY[:2]]
        return min(rows, key=lambda row: (PRIORITY.index(row.status), row.ended_at or row.started_at), default=None)


def draw_run(graph: Graph, rows: Iterable[object], ways: set[UUID]) -> RunDrawing | None:
    """Draw the graph with the executions of its nodes. Return None for one without nodes, or one that is too large."""
    if (plan := plan_graph(graph)) is None:
        return None
    return RunDrawing(plan, _boxes(graph, plan.places, rows), ways)


def _boxes(graph: Graph, places: Mapping[str, tuple[int, int]], rows: Iterable[Any]) -> list[RunBox]:
    names, before, found = names_of(graph), defaultdict(list), defaultdict(list)
    for edge in graph.edges:
        before[edge["target_node"]].append(names[edge["source_node"]])
    for row in rows:
        found[str(row.node_id)].append(row)
    boxes = []
    for node, (x, y) in places.items():
        shown = min(found[node], key=lambda row: PRIORITY.index(row.status), default=None)
        boxes.append(RunBox(x, y, names[node], shown, len(found[node]), before[node]))
    return boxes
