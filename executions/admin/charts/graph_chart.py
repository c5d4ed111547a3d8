"""The graph of a run as boxes and lines of an SVG, in pixels, for _graph.html."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any
from unicodedata import east_asian_width
from uuid import UUID

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from executions.admin import formatting, statuses
from executions.admin.statuses import PRIORITY
from ledgerkit.db.pool import release_connection
from workflows.crossings import Spot
from workflows.layout import Layout, layered_layout
from workflows.models import Graph

WIDTH, HEIGHT = 188, 44  # of a box, in pixels
PITCH = 58  # distance between the middles of two boxes of a column
CHANNEL = 60  # space for lines between two columns
MARGIN, HEAD = 8, 7  # HEAD is the length of an arrowhead
LETTERS = 21  # characters of a name that fit into a box
CAPITAL = 1.25  # width of a capital letter relative to others
MOST, MOST_EDGES = 1_000, 5_000  # maximum of nodes and edges; a larger drawing is useless
QUICK = 200  # up to so many nodes and edges, drawing takes a few milliseconds
NAMED = 3  # preceding nodes that are named to a screen reader
FITS = range(700, 1_400)  # widths that may be shrunk to the page and stay readable


@dataclass
class Box:
    x: int
    y: int
    name: str
    row: Any  # the displayed node execution, or None
    count: int = 0  # number of executions of the node
    before: list[str] = field(default_factory=list)  # names of the preceding nodes

    @cached_property
    def label(self) -> str:
        return shorten(self.name)

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
            "status": statuses.word(self.row.status),
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


@dataclass(frozen=True)
class Plan:
    """The part of a drawing that depends only on the graph."""

    width: int
    height: int
    places: list[tuple[int, int]]  # upper left corners of the boxes
    lines: dict[UUID, str]  # lines from each node, as the `d` of an SVG path
    heads: str


@dataclass
class Drawing:
    plan: Plan
    boxes: list[Box]
    ways: set[UUID]  # nodes whose failure affected the nodes behind them

    @property
    def width(self) -> int:
        return self.plan.width

    @property
    def height(self) -> int:
        return self.plan.height

    @property
    def heads(self) -> str:
        return self.plan.heads

    @property
    def lines(self) -> list[str]:
        return [d for node, d in self.plan.lines.items() if node not in self.ways]

    @property
    def fallen(self) -> list[str]:
        """Return the lines along which a failure spread."""
        return [d for node, d in self.plan.lines.items() if node in self.ways]

    @property
    def telling(self) -> Any:
        """Return the box to scroll to: the first that failed, else a running one, in the order of PRIORITY."""
        rows = [box.row for box in self.boxes if box.row is not None and box.row.status in PRIORITY[:2]]
        return min(rows, key=lambda row: (PRIORITY.index(row.status), row.ended_at or row.started_at), default=None)

    @property
    def fits(self) -> bool:
        return self.width in FITS


def draw_graph(graph: Graph, rows: Iterable[object], ways: set[UUID]) -> Drawing | None:
    """Draw the graph. Return None for a graph without nodes, or one that is too large."""
    if not 0 < len(graph.nodes) <= MOST or len(graph.edges) > MOST_EDGES:
        return None
    nodes = tuple(node["id"] for node in graph.nodes)
    plan = _plan(nodes, tuple((edge["source_node"], edge["target_node"]) for edge in graph.edges))
    return Drawing(plan, _boxes(graph, plan.places, rows), ways)


def shorten(text: str, letters: int = LETTERS) -> str:
    """Return the text, cut in its middle to the width of so many Latin letters, because names often begin alike and
    differ at the end. A Korean letter counts as two."""
    if _wide(text) <= letters:
        return text
    start, end = "", ""
    for first, last in zip(text, reversed(text), strict=True):
        if _wide(start + first + end) > letters - 1:
            break
        start += first
        if _wide(start + last + end) > letters - 1:
            break
        end = last + end
    return f"{start}…{end}"


def _wide(text: str) -> float:
    if text.isascii():
        return len(text) + (CAPITAL - 1) * sum(map(str.isupper, text))
    return sum(2 if east_asian_width(letter) in {"W", "F"} else CAPITAL if letter.isupper() else 1 for letter in text)


@lru_cache(maxsize=32)
def _plan(nodes: tuple[str, ...], edges: tuple[tuple[str, str], ...]) -> Plan:
    """Compute the plan. Cached, because most runs of a workflow share a graph. Releases the database connection
    first."""
    if len(nodes) + len(edges) > QUICK:
        release_connection()
    layout = layered_layout(nodes, edges)
    places = [_point(spot) for spot in layout.spots]
    width = 2 * MARGIN + layout.columns * (WIDTH + CHANNEL) - CHANNEL
    height = 2 * MARGIN + round(layout.rows * PITCH) - (PITCH - HEIGHT)
    corners = [(x, y - HEIGHT // 2) for x, y in places[: len(layout.nodes)]]
    return Plan(width, height, corners, _lines(layout, places), _heads(layout, places))


def _point(spot: Spot) -> tuple[int, int]:
    """Return the middle of the left edge of a spot."""
    return MARGIN + spot.column * (WIDTH + CHANNEL), MARGIN + round(spot.row * PITCH) - (PITCH - HEIGHT) // 2


def _boxes(graph: Graph, places: list[tuple[int, int]], rows: Iterable[Any]) -> list[Box]:
    names = {node["id"]: node["name"] for node in graph.nodes}
    before = defaultdict(list)
    for edge in graph.edges:
        before[edge["target_node"]].append(names[edge["source_node"]])
    found = defaultdict(list)
    for row in rows:
        found[str(row.node_id)].append(row)
    boxes = []
    for node, (x, y) in zip(dict.fromkeys(names), places, strict=True):
        telling = min(found[node], key=lambda row: PRIORITY.index(row.status), default=None)
        boxes.append(Box(x, y, names[node], telling, len(found[node]), before[node]))
    return boxes


def _lines(layout: Layout[str], places: list[tuple[int, int]]) -> dict[UUID, str]:
    """Return the lines from each node as one path."""
    lines: dict[int, list[str]] = defaultdict(list)
    for spot, (x, y) in zip(layout.spots, places, strict=True):
        if spot.is_bend:
            lines[spot.source].append(f"M{x} {y}h{WIDTH}")
        for other in spot.after:
            end = places[other][0] - (0 if layout.spots[other].is_bend else HEAD - 1)
            lines[spot.source].append(_curve(x + WIDTH, y, end - x - WIDTH, places[other][1] - y))
    for a, b in layout.direct:
        (x, y), (end, below) = places[a], places[b]
        lines[a].append(_curve(x + WIDTH, y, end - HEAD + 1 - x - WIDTH, below - y))
    return {UUID(layout.nodes[source]): "".join(parts) for source, parts in lines.items()}


def _curve(x: int, y: int, across: int, down: int) -> str:
    middle = across // 2
    return f"M{x} {y}" + (f"c{middle} 0 {middle} {down} {across} {down}" if down else f"h{across}")


def _heads(layout: Layout[str], places: list[tuple[int, int]]) -> str:
    led_to = {b for _a, b in layout.direct} | {place for place, spot in enumerate(layout.spots) if spot.before}
    ends = [places[place] for place in sorted(led_to) if not layout.spots[place].is_bend]
    return "".join(f"M{x} {y}l-{HEAD} -4v8z" for x, y in ends)
