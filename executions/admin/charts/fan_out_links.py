"""Links that open and fold the fan-outs of a graph, of a run or a workflow. What is open is in the address:
`?open=1a2b3c4d,...`, or `?open=all`. In an address without it, the fan-out of the selected node is open."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlencode
from uuid import UUID

from django.http import HttpRequest

from workflows.drawing import Box
from workflows.fan_outs import FanOut

from .folded_graph import FoldedDrawing

OPEN, EVERY = "open", "all"
MAX_FOLD_LINKS = 20  # links that fold one; another one folds all


@dataclass(frozen=True)
class Place:
    """Position of a graph: the parameters of the page that links keep, others that they set, and the anchor."""

    anchor: str
    kept: tuple[str, ...]
    given: Mapping[str, str] = field(default_factory=dict)

    def address(self, request: HttpRequest, opened: Iterable[str]) -> str:
        """Return the address with these opened. `open` comes first: "?node=" begins the links of nodes."""
        others = {**{name: request.GET[name] for name in self.kept if name in request.GET}, **self.given}
        more = f"&{urlencode(others)}" if others else ""
        return f"?{OPEN}={','.join(sorted(opened))}{more}#{self.anchor}"


ON_RUN = Place("graph", ("node", "nodes", "lanes", "compare"))


@dataclass(frozen=True)
class FoldLink:
    """An opened fan-out, and the address of the page with it folded."""

    fan_out: FanOut
    address: str

    @property
    def last(self) -> str:
        return self.fan_out.names[-1]

    @property
    def count(self) -> int:
        return len(self.fan_out.nodes)


@dataclass(frozen=True)
class FanOutLinks:
    """`to_open` leads from the key of a folded fan-out to the page with it opened. `to_all` opens all, or folds all if
    none is folded; it is empty where there is no fan-out. `opened` are the keys of those that are open."""

    to_open: dict[str, str]
    to_fold: list[FoldLink]
    to_all: str
    opened: str


def opened_keys(request: HttpRequest) -> Collection[str] | None:
    """Return the keys of the opened fan-outs, None for all."""
    keys = request.GET.get(OPEN, "").split(",")
    return None if EVERY in keys else keys


def opened_by_node(request: HttpRequest, chosen: UUID | None) -> UUID | None:
    """Return the selected execution, whose fan-out is opened; None if the address says what is open."""
    return None if OPEN in request.GET else chosen


def fan_out_links[B: Box](request: HttpRequest, drawn: FoldedDrawing[B], place: Place) -> FanOutLinks:
    folded = {each.key for each in drawn.folded}
    opened = [each for each in drawn.fan_outs if each.key not in folded]
    keys = {each.key for each in opened}
    return FanOutLinks(
        {key: place.address(request, keys | {key}) for key in folded},
        [FoldLink(each, place.address(request, keys - {each.key})) for each in opened[:MAX_FOLD_LINKS]],
        place.address(request, [EVERY] if folded else []) if drawn.fan_outs else "",
        ",".join(sorted(keys)),
    )
