"""Results of a workflow's nodes in its newest runs. Each number is the length of the list that it links to."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.db.models import Count as CountOf
from django.db.models import Q
from django.urls import reverse
from django.utils.functional import cached_property
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from executions.admin import formatting
from executions.admin.charts.folded_graph import FoldedDrawing, fold_graph
from executions.admin.counts import Count
from executions.admin.duration_percentiles import DURATION, DurationPercentiles, Percentiles, PercentileTexts
from executions.admin.filters import recent_runs
from executions.admin.monitor.workflow_health import COMPLETED, OF_STATUS, success_percent
from executions.admin.types import JSON, User
from executions.models import NodeExecution
from workflows.drawing import Box, names_of
from workflows.fan_outs import FanOut
from workflows.models import Graph
from workflows.natural_order import natural_key

WORST = 3
WORST_FIRST = ("many", "some", "all", "none")  # the worst first
OFTEN = 90  # percent; below it the rate is "many"
RATES = {
    "all": gettext_lazy("all completed"),
    "some": gettext_lazy("some failed"),
    "many": gettext_lazy("many failed"),
    "none": gettext_lazy("no result yet"),
}
SHAPES = {"all": "✓", "some": "!", "many": "✕", "none": "○"}


@dataclass(frozen=True)
class NodeHealth(PercentileTexts):
    every: Count
    completed: Count
    failed: Count
    usual: DurationPercentiles | None

    @property
    def success(self) -> float | None:
        """Return the share of completed executions in percent, or None."""
        return success_percent(self.completed.number, self.failed.number)

    @property
    def rate(self) -> str:
        """Return the node's key of RATES."""
        if self.success is None:
            return "none"
        return "all" if not self.failed.number else "some" if self.success >= OFTEN else "many"

    @property
    def rate_label(self) -> str:
        return str(RATES[self.rate])

    @property
    def shape(self) -> str:
        return SHAPES[self.rate]


@dataclass(frozen=True)
class Window:
    """Newest runs of a workflow, in which node executions are counted."""

    workflow: UUID
    runs: list[UUID]

    @property
    def number(self) -> int:
        return len(self.runs)

    def address(self, node: UUID, **filters: str) -> str:
        """Return the URL of the list of a node's executions in these runs."""
        # The filter accepts no window of 0 runs.
        query = {
            "node": str(node),
            "newest_runs": recent_runs.format_value(self.workflow, max(1, self.number)),
        } | filters
        return f"{reverse('admin:executions_nodeexecution_changelist')}?{urlencode(query)}"

    def health(self, node: UUID, row: JSON) -> NodeHealth:
        """Build the results of a node from a row of count_executions(), which is empty for a node without any."""
        counts = {name: Count(row.get(name, 0), self.address(node, status=name)) for name in OF_STATUS}
        usual = DurationPercentiles.read(row.get("percentiles"), row.get("completed", 0))
        return NodeHealth(Count(row.get("every", 0), self.address(node)), **counts, usual=usual)


@dataclass(frozen=True)
class NodeBox:
    """A node of the drawn graph."""

    node: UUID
    box: Box
    health: NodeHealth
    fan_out: FanOut | None = None

    @cached_property
    def label(self) -> str:
        """Return the text for screen readers and the tooltip."""
        health = self.health
        values = {
            "name": self.box.name,
            "word": health.rate_label,
            "success": formatting.format_percent(health.success),
        }
        counted = {"number": health.completed.number, "p95": health.p95}
        if health.success is None:
            return _("%(name)s: %(word)s") % values
        return _("%(name)s: %(word)s; success %(success)s, %(number)d completed, p95 %(p95)s") % (values | counted)


@dataclass(frozen=True)
class FanOutHealthBox:
    """A folded fan-out of the drawn graph. `address` leads to the page with it opened."""

    box: Box
    fan_out: FanOut
    healths: list[NodeHealth]
    address: str

    @property
    def rate(self) -> str:
        """Return the worst rate of its nodes."""
        return self.numbers[0][0]

    @cached_property
    def numbers(self) -> list[tuple[str, str, int]]:
        """Return the rates, the worst first, with their signs and the numbers of nodes."""
        counted = Counter(each.rate for each in self.healths)
        return [(rate, SHAPES[rate], counted[rate]) for rate in WORST_FIRST if counted[rate]]

    @property
    def label(self) -> str:
        """Return the text for screen readers."""
        words = ", ".join(f"{RATES[rate]}: {number}" for rate, _shape, number in self.numbers)
        values = {"name": self.box.name, "count": len(self.fan_out.nodes), "numbers": words}
        return _("%(name)s: %(count)d equal nodes, folded; %(numbers)s") % values


def get_node_health(user: User, window: Window, nodes: Iterable[UUID]) -> dict[UUID, NodeHealth]:
    """Return the results of each node, with one query."""
    found = {row.pop("node"): row for row in count_executions(user, window)}
    return {node: window.health(node, found.get(node, {})) for node in nodes}


def count_executions(user: User, window: Window) -> Any:
    rows = NodeExecution.objects.visible_to(user).filter(workflow_execution__in=window.runs).order_by()
    took = Percentiles(DURATION, filter=Q(status=COMPLETED))
    return rows.values("node").annotate(**OF_STATUS, every=CountOf("status"), percentiles=took)


def sort_topologically(graph: Graph, found: dict[UUID, NodeHealth]) -> list[tuple[str, NodeHealth]]:
    """Return (name, results) pairs in topological order, by name within a level."""
    names, levels = {UUID(node["id"]): node["name"] for node in graph.nodes}, graph.levels()
    order = sorted(names, key=lambda node: (levels[node], natural_key(names[node])))
    return [(names[node], found[node]) for node in order]


def worst_nodes(rows: list[tuple[str, NodeHealth]]) -> list[tuple[str, NodeHealth]]:
    """Return the WORST nodes with failures, lowest success first."""
    failed = [row for row in rows if row[1].failed.number]
    return sorted(failed, key=lambda row: (row[1].success, -row[1].failed.number))[:WORST]


def draw_graph(graph: Graph, opened: Collection[str] | None) -> FoldedDrawing[Box] | None:
    """Draw the graph with its fan-outs folded, but for those in `opened`. Return None for one that is too large."""
    if (shown := fold_graph(graph, opened)) is None:
        return None
    names = names_of(shown.graph)
    boxes = [Box(x, y, names[node]) for node, (x, y) in shown.plan.places.items()]
    return FoldedDrawing(shown.plan, boxes, shown.fan_outs, shown.folded)


def build_boxes(
    drawn: FoldedDrawing[Box], found: Mapping[UUID, NodeHealth], addresses: Mapping[str, str]
) -> list[NodeBox | FanOutHealthBox]:
    """Give each box the results of its nodes. `addresses` lead to the page with a fan-out opened."""
    folded = {each.first: each for each in drawn.folded}
    boxes: list[NodeBox | FanOutHealthBox] = []
    for node, box in zip(drawn.plan.places, drawn.boxes, strict=True):
        if each := folded.get(node):
            boxes.append(FanOutHealthBox(box, each, [found[UUID(name)] for name in each.nodes], addresses[each.key]))
        else:
            boxes.append(NodeBox(UUID(node), box, found[UUID(node)]))
    return boxes
