"""Changes of a workflow's definition between its runs: differences between the graphs stored with them."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any
from uuid import UUID

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from executions import limits
from executions.admin.types import JSON
from executions.models import WorkflowExecution
from workflows.models import Graph

MAX_NAMES = 30  # names listed for one kind of difference

type Rows = Mapping[Any, dict[str, Any]]

ADDED = gettext_lazy("Nodes added")
RETIRED = gettext_lazy("Nodes retired")
RENAMED = gettext_lazy("Nodes renamed")
TYPED = gettext_lazy("Types of nodes changed")
JOINED = gettext_lazy("Edges added")
PARTED = gettext_lazy("Edges removed")
EDGED = gettext_lazy("Edges changed")


@dataclass(frozen=True)
class Difference:
    """One kind of difference: at most MAX_NAMES names, and the number of further ones."""

    title: Any
    names: list[str]
    more: int = 0


@dataclass(frozen=True)
class Change:
    """A change of the graph. `run` is the first run with graph `after`; the newest change has the highest number."""

    number: int
    run: WorkflowExecution
    before: UUID
    after: UUID


@dataclass(frozen=True)
class ChangeDescription:
    change: Change
    differences: list[Difference]


def find_changes(runs: Iterable[Any]) -> list[Change]:
    """Return the changes among `runs`, newest first like the runs. Skips runs without a stored graph."""
    # Oldest first, so that each run is compared with the one before it.
    known = [run for run in reversed(list(runs)) if run.graph_id is not None]
    found = [(run, before.graph_id) for before, run in pairwise(known) if before.graph_id != run.graph_id]
    return [Change(number, run, before, run.graph_id) for number, (run, before) in enumerate(found, start=1)][::-1]


def load_graphs(found: list[Change]) -> dict[UUID, Graph]:
    """Load the graphs for describe_changes() with one query."""
    return get_graphs({pk for change in found[: limits.DESCRIBED_CHANGES] for pk in (change.before, change.after)})


def get_graphs(pks: Collection[UUID]) -> dict[UUID, Graph]:
    return {graph.pk: graph for graph in Graph.objects.filter(pk__in=pks).only("nodes", "edges")}


def describe_changes(found: list[Change], known: Mapping[UUID, Graph]) -> list[ChangeDescription]:
    return [
        ChangeDescription(change, describe_difference(known[change.before], known[change.after]))
        for change in found[: limits.DESCRIBED_CHANGES]
    ]


def describe_difference(before: Graph, after: Graph) -> list[Difference]:
    """Return the differences; empty if only the positions of nodes in the editor changed."""
    old, new = _nodes(before), _nodes(after)
    found = [
        (ADDED, [node["name"] for pk, node in new.items() if pk not in old]),
        (RETIRED, [node["name"] for pk, node in old.items() if pk not in new]),
        (RENAMED, [f"{a['name']} → {b['name']}" for a, b in _common_rows(old, new) if a["name"] != b["name"]]),
        (TYPED, [_describe_type(a, b) for a, b in _common_rows(old, new) if a["node_type"] != b["node_type"]]),
        *_edge_differences(before, after, _name_lookup(old, new)),
    ]
    return [Difference(title, names[:MAX_NAMES], max(0, len(names) - MAX_NAMES)) for title, names in found if names]


def _edge_differences(before: Graph, after: Graph, name: Callable[[str], str]) -> list[tuple[Any, list[str]]]:
    old, new = _edges(before), _edges(after)
    changed = [(b, differing) for a, b in _common_rows(old, new) if (differing := _changed_fields(a, b))]
    return [
        (JOINED, [_describe_edge(edge, name) for key, edge in new.items() if key not in old]),
        (PARTED, [_describe_edge(edge, name) for key, edge in old.items() if key not in new]),
        (EDGED, [f"{_describe_edge(edge, name)} ({', '.join(fields)})" for edge, fields in changed]),
    ]


def _nodes(graph: Graph) -> Rows:
    return {node["id"]: node for node in graph.nodes}


def _edges(graph: Graph) -> Rows:
    """Return the edges by identity: their ends and handles, as in Edge.identity."""
    ends, handles = ("source_node", "target_node"), ("source_handle", "target_handle")
    return {(*(edge[end] for end in ends), *(edge[each] or "" for each in handles)): edge for edge in graph.edges}


def _common_rows(old: Rows, new: Rows) -> list[tuple[dict[str, Any], dict[str, object]]]:
    return [(old[key], row) for key, row in new.items() if key in old]


def _name_lookup(old: Rows, new: Rows) -> Callable[[str], str]:
    return lambda pk: str((new.get(pk) or old[pk])["name"])


def _describe_type(before: JSON, after: JSON) -> str:
    return _("%(name)s: %(before)s → %(after)s") % {
        "name": after["name"],
        "before": before["node_type"],
        "after": after["node_type"],
    }


def _describe_edge(edge: JSON, name: Callable[[str], str]) -> str:
    return f"{name(edge['source_node'])} → {name(edge['target_node'])}"


def _changed_fields(before: JSON, after: JSON) -> list[str]:
    labels = {"condition": _("condition"), "priority": _("priority"), "label": _("label")}
    return [label for field, label in labels.items() if before[field] != after[field]]
