"""Draw a graph as boxes and lines of an SVG, in pixels, for _preview.html and the charts of runs."""

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from operator import itemgetter
from unicodedata import east_asian_width
from uuid import UUID

from ledgerkit.db.pool import release_connection
from ledgerkit.db.read_database import read_alias

from .crossing_reduction import Spot
from .layout import Layout, layered_layout
from .models import Graph
from .natural_order import natural_key

WIDTH, HEIGHT = 188, 44  # of a box, in pixels
PITCH = 58  # distance between the middles of two boxes of a column
CHANNEL = 60  # space for lines between two columns
MARGIN, HEAD = 8, 7  # HEAD is the length of an arrowhead
LETTERS = 21  # characters of a name that fit into a box
CAPITAL = 1.25  # width of a capital letter relative to others
MOST_NODES, MOST_EDGES = 1_000, 5_000  # a larger drawing is useless
QUICK = 200  # with at most so many nodes and edges, drawing takes a few milliseconds
MAP_FROM = 50  # a drawing with so many boxes has a map
MAP_WIDTH, MAP_HEIGHTS = 144, (64, 384)  # of the map, in pixels: a long graph is compressed
PATH = re.compile(
    r"[^\s./:]+([./:]+[^\s./:]+)+"
)  # such as a function of Python, a model of dbt or a job of OpenLineage
FITS = range(700, 1_400)  # widths that may be shrunk to the page and stay readable


@dataclass
class Box:
    x: int
    y: int
    name: str

    @cached_property
    def label(self) -> str:
        return shorten(self.name)


@dataclass(frozen=True)
class Plan:
    """The part of a drawing that depends only on the graph."""

    width: int
    height: int
    places: dict[str, tuple[int, int]]  # upper left corners of the boxes, roots first, each column from its top
    lines: dict[UUID, str]  # lines from each node, as the `d` of an SVG path
    heads: str


@dataclass
class Drawing[B: Box]:
    plan: Plan
    boxes: Sequence[B]

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
        return list(self.plan.lines.values())

    @property
    def fits(self) -> bool:
        return self.width in FITS

    @property
    def map_size(self) -> tuple[int, int] | None:
        """Return width and height of the map; None if the drawing needs no map."""
        least, most = MAP_HEIGHTS
        height = round(MAP_WIDTH * self.height / self.width)
        return (MAP_WIDTH, min(max(height, least), most)) if len(self.boxes) >= MAP_FROM else None


def draw_graph(graph: Graph) -> Drawing[Box] | None:
    """Draw the graph. Return None for a graph without nodes, or one that is too large."""
    if (plan := plan_graph(graph)) is None:
        return None
    names = names_of(graph)
    return Drawing(plan, [Box(x, y, names[node]) for node, (x, y) in plan.places.items()])


def plan_graph(graph: Graph) -> Plan | None:
    """Compute the plan. Return None for a graph without nodes, or one that is too large."""
    if not 0 < len(graph.nodes) <= MOST_NODES or len(graph.edges) > MOST_EDGES:
        return None
    names = names_of(graph)
    nodes = sorted(names, key=lambda node: natural_key(names[node]))
    return _plan(tuple(nodes), tuple((edge["source_node"], edge["target_node"]) for edge in graph.edges))


def names_of(graph: Graph) -> dict[str, str]:
    """Return the names of the nodes by their ids."""
    return {node["id"]: node["name"] for node in graph.nodes}


def shorten(text: str, letters: int = LETTERS) -> str:
    """Return the text, cut to the width of so many Latin letters. A Korean letter counts as two. The end of a path is
    kept, such as `price` of `shop.tasks.price`; other names are cut in the middle, as they begin alike or end alike."""
    if _wide(text) <= letters:
        return text
    return _last_letters(text, letters) if PATH.fullmatch(text) else _without_middle(text, letters)


def _last_letters(text: str, letters: int) -> str:
    end = ""
    for letter in reversed(text):
        if _wide(letter + end) > letters - 1:
            break
        end = letter + end
    return f"…{end}"


def _without_middle(text: str, letters: int) -> str:
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
    """Compute the plan of nodes in the order of their names. Cached, because most runs of a workflow share a graph.
    Releases the database connection first."""
    if len(nodes) + len(edges) > QUICK:
        release_connection(read_alias())
    layout = layered_layout(nodes, edges)
    places = [_point(spot) for spot in layout.spots]
    width = 2 * MARGIN + layout.columns * (WIDTH + CHANNEL) - CHANNEL
    height = 2 * MARGIN + round(layout.rows * PITCH) - (PITCH - HEIGHT)
    corners = ((x, y - HEIGHT // 2) for x, y in places[: len(layout.nodes)])
    boxes = dict(sorted(zip(layout.nodes, corners, strict=True), key=itemgetter(1)))
    return Plan(width, height, boxes, _lines(layout, places), _heads(layout, places))


def _point(spot: Spot) -> tuple[int, int]:
    """Return the middle of the left edge of a spot."""
    return MARGIN + spot.column * (WIDTH + CHANNEL), MARGIN + round(spot.row * PITCH) - (PITCH - HEIGHT) // 2


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
