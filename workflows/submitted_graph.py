"""The graph of a workflow as submitted: validated as a whole, then saved as a whole.

A node is a dict of its fields. It changes the existing node with its id, or else its name. A node that is left out is
removed from the graph; the id of a retired node brings it back. A missing field of an existing node or edge keeps its
value. Only changes are written.
An edge is a dict of its fields whose `source_node_id` and `target_node_id` are ids or names of the nodes.
"""

import json
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db.models import Model
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from ledgerkit.db.names import nfc
from workflows.conf import workflows_settings

from . import graph_algorithms
from .exceptions import CyclicGraph
from .fields import DefinitionField
from .models import Edge, Graph, Node, Workflow
from .query_plans import forget_plans

# kind ("nodes", "edges") → index in the list → field → messages
type Faults = dict[str, dict[int, dict[str, list[str]]]]
MANY = 500  # with so many new edges, cached query plans are dropped
BATCH = 200  # rows per UPDATE: Django repeats each row for every column
TOO_MANY_NODES = _("A workflow has at most %(most)d nodes, and these are %(count)d: split it into several workflows.")
TOO_MANY_EDGES = _("A workflow has at most %(most)d edges, and these are %(count)d: split it into several workflows.")
TOO_LARGE = _(
    "The nodes and edges of a workflow have at most %(most)s bytes of JSON together (DATA_UPLOAD_MAX_MEMORY_SIZE): "
    "shorten this one, or split the workflow into several."
)
ENDS = ("source_node_id", "target_node_id")
CHANGEABLE = ("condition", "priority", "label")  # fields that an existing edge may change


def too_many(kind: str, rows: object) -> str:
    """Return the error for too many nodes or edges, "" if the number is allowed."""
    most = {"nodes": workflows_settings.MAX_NODES, "edges": workflows_settings.MAX_EDGES}[kind]
    if not isinstance(rows, list) or len(rows) <= most:
        return ""
    sentence = TOO_MANY_NODES if kind == "nodes" else TOO_MANY_EDGES
    return sentence % {"most": most, "count": len(rows)}


class SubmittedGraph:
    def __init__(
        self, workflow: Workflow | None, nodes: list[dict[str, object]] | None, edges: list[dict[str, Any]] | None
    ) -> None:
        """Validate the submitted graph. `None` keeps the existing nodes, or edges."""
        self.changed: set[UUID] = set()  # ids of new rows, and of existing rows with changes
        self.faults: Faults = defaultdict(lambda: defaultdict(dict))
        every = list(Node.objects.filter(workflow=workflow)) if workflow else []
        self.there = {node.pk: node for node in every if node.retired_at is None}
        self.retired = {node.pk: node for node in every if node.retired_at is not None}
        self.old_edges = list(workflow.edges.all()) if workflow else []
        self.changed_nodes, self.changed_edges = nodes is not None, edges is not None
        self.nodes = list(self.there.values()) if nodes is None else self._plan_nodes(nodes)
        self.edges = self._kept_edges() if edges is None else self._resolve_edges(edges)
        if not self.faults and (self.changed_nodes or self.changed_edges):
            self._refuse_too_large()
        self.cycle = "" if self.faults else self._cycle()

    @property
    def is_new(self) -> bool:
        """Return whether saving would add, change, retire or bring back a node or an edge."""
        stored = self.there.keys() | {edge.pk for edge in self.old_edges}
        wanted = {row.pk for row in (*self.nodes, *self.edges)}
        return stored != wanted or bool(self.changed & stored)

    def as_graph(self) -> Graph:
        """Return the graph as a run would store it. It is not saved."""
        nodes = [{name: getattr(node, name) for name in Graph.NODE} for node in self.nodes]
        edges = [
            {name: getattr(edge, f"{name}_id" if f"{name}_id" in ENDS else name) for name in Graph.EDGE}
            for edge in self.edges
        ]
        return Graph(nodes=[*map(Graph.to_json, nodes)], edges=[*map(Graph.to_json, edges)])

    def save(self, workflow: Workflow) -> None:
        """Save the differences, inside the caller's transaction."""
        gone_edges = {edge.pk for edge in self.old_edges} - {edge.pk for edge in self.edges}
        if self.changed_edges and gone_edges:
            Edge.objects.filter(pk__in=gone_edges).delete()
        if gone := self.there.keys() - {node.pk for node in self.nodes}:
            Node.objects.filter(pk__in=gone).leave()
        if self.changed_nodes:
            self._save_nodes(workflow)
        if self.changed_edges:
            self._save_edges(workflow)

    def _save_nodes(self, workflow: Workflow) -> None:
        stored = self.there | self.retired
        changed = [node for node in self.nodes if node.pk in self.retired or node.pk in self.changed & stored.keys()]
        for node in changed:
            node.retired_at, node.updated_at = None, timezone.now()  # bulk_update() does not set updated_at
        fields = [f.name for f in Node._meta.concrete_fields if f.name not in {"id", "workflow", "created_at"}]
        Node.objects.bulk_update(changed, fields, batch_size=BATCH)
        Node.objects.bulk_create(_of(workflow, [node for node in self.nodes if node.pk not in stored]))

    def _save_edges(self, workflow: Workflow) -> None:
        there = {edge.pk for edge in self.old_edges}
        changed = [edge for edge in self.edges if edge.pk in self.changed]
        Edge.objects.bulk_update(changed, CHANGEABLE, batch_size=BATCH)
        new = [edge for edge in self.edges if edge.pk not in there]
        if len(new) >= MANY:
            forget_plans()
        Edge.objects.bulk_create(_of(workflow, new))

    def _plan_nodes(self, nodes: list[dict[str, object]]) -> list[Node]:
        by_name = {node.name: node for node in self.there.values()}
        self._require(nodes)
        stored: dict[object, Node] = {node.pk: node for node in (*self.there.values(), *self.retired.values())}
        found = [stored.get(fields.get("id")) or self._match_by_name(fields, by_name) for fields in nodes]
        planned = [self._fill(node, fields) for node, fields in zip(found, nodes, strict=True)]
        self._refuse_doubles("nodes", "name", [node.name for node in planned], gettext("Another node has this name."))
        self._refuse_doubles(
            "nodes", "id", [node.pk for node in planned], gettext("Another item of the list is the same node.")
        )
        return planned

    def _match_by_name(self, fields: dict[str, Any], by_name: dict[str, Node]) -> Node:
        same = by_name.get(fields.get("name", "")) if "id" not in fields else None
        return same or Node()

    def _refuse_too_large(self) -> None:
        """Refuse the first node or edge whose documents exceed the size of one API body together with those before it.
        Without this limit, a graph could grow by one body after the other, as omitted fields keep their values."""
        most = room = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        for kind, index, row in self._rows_to_measure():
            for name, size in _sizes(row):
                room -= size
                if room < 0 and index is not None:
                    return self._fault(kind, index, name, TOO_LARGE % {"most": f"{most:,}"})
        return None

    def _rows_to_measure(self) -> Iterator[tuple[str, int | None, Node | Edge]]:
        """Yield the rows with their kind and their index in the list, None for rows that are not submitted."""
        if self.changed_nodes:
            yield from (("nodes", *each) for each in enumerate(self.nodes))
        if self.changed_edges:
            yield from (("edges", *each) for each in enumerate(self.edges))

    def _kept_edges(self) -> list[Edge]:
        kept = {node.pk for node in self.nodes}
        return [edge for edge in self.old_edges if {edge.source_node_id, edge.target_node_id} <= kept]

    def _resolve_edges(self, edges: list[dict[str, Any]]) -> list[Edge]:
        resolved = self._with_ends(edges)
        for index, edge in enumerate(resolved):
            if edge.source_node_id and edge.source_node_id == edge.target_node_id:
                self._fault(
                    "edges", index, "target_node", gettext("A node cannot lead to itself: choose another target.")
                )
        identities = [edge.identity for edge in resolved]
        self._refuse_doubles("edges", "target_node", identities, gettext("The same edge occurs earlier in the list."))
        old = {edge.identity: edge for edge in self.old_edges}
        return [self._same_or(edge, old.get(edge.identity), edges[i]) for i, edge in enumerate(resolved)]

    def _with_ends(self, edges: list[dict[str, Any]]) -> list[Edge]:
        """Return new edges between the nodes that the submitted ones name."""
        find = _finder(self.nodes)
        return [
            Edge(**fields | {end: self._end(i, end, fields, find) for end in ENDS}) for i, fields in enumerate(edges)
        ]

    def _same_or(self, new: Edge, old: Edge | None, fields: dict[str, object]) -> Edge:
        """Return the existing edge with the same identity, or a new one: the same edge keeps its row."""
        return new if old is None else self._fill(old, {name: fields[name] for name in CHANGEABLE if name in fields})

    def _fill[M: Node | Edge](self, row: M, fields: dict[str, object]) -> M:
        if any(differs(row, name, value) for name, value in fields.items()):
            self.changed.add(row.pk)
        for name, value in fields.items():
            setattr(row, name, value)
        return row

    def _require(self, nodes: list[dict[str, object]]) -> None:
        """Check that new nodes have all required fields, in a partial update too."""
        ids, names = self.there.keys() | self.retired.keys(), {node.name for node in self.there.values()}
        for index, fields in enumerate(nodes):
            is_new = fields["id"] not in ids if "id" in fields else fields.get("name") not in names
            for name in ("name", "node_type"):
                if is_new and name not in fields:
                    self._fault("nodes", index, name, gettext("This field is required."))

    def _end(self, index: int, end: str, fields: dict[str, Any], find: Callable[[str], UUID | None]) -> UUID | None:
        if end not in fields:
            self._fault("edges", index, end.removesuffix("_id"), gettext("This field is required."))
            return None
        if (found := find(fields[end])) is None:
            self._fault(
                "edges", index, end.removesuffix("_id"), gettext("The workflow has no node with this id or name.")
            )
        return found

    def _refuse_doubles(self, kind: str, field: str, keys: list[Any], sentence: str) -> None:
        seen = set()
        for index, key in enumerate(keys):
            if key in seen and None not in (key if isinstance(key, tuple) else ()):
                self._fault(kind, index, field, sentence)
            seen.add(key)

    def _fault(self, kind: str, index: int, field: str, sentence: str) -> None:
        self.faults[kind][index].setdefault(field, []).append(sentence)

    def _cycle(self) -> str:
        names: dict[UUID, str] = {node.pk: node.name for node in self.nodes}
        try:
            graph_algorithms.check_acyclic(
                names.values(), [(names[edge.source_node_id], names[edge.target_node_id]) for edge in self.edges]
            )
        except CyclicGraph as error:
            return str(error.sentence)
        return ""


def differs(row: Model, name: str, value: object) -> bool:
    """Return whether storing `value` would change the field: secrets are masked and keys are unordered when stored."""
    field = row._meta.get_field(name)
    stored = field.as_stored(value) if isinstance(field, DefinitionField) else value
    return _text(getattr(row, name)) != _text(stored)


def _text(value: object) -> str:
    """Return the value as JSON, in which 1 and true differ; in Python they are equal."""
    return json.dumps(value, sort_keys=True, default=str)


def _of[M: Node | Edge](workflow: Workflow, rows: list[M]) -> list[M]:
    for row in rows:
        row.workflow = workflow
    return rows


def _finder(nodes: list[Node]) -> Callable[[str], UUID | None]:
    by_name = {nfc(node.name): node.pk for node in nodes}
    by_id = {str(node.pk): node.pk for node in nodes}
    return lambda text: by_id.get(text.lower()) or by_name.get(nfc(text))


def _sizes(row: Model) -> Iterator[tuple[str, int]]:
    """Yield the name and the size in bytes, as JSON, of each document of a node or an edge."""
    for field in row._meta.concrete_fields:
        if isinstance(field, DefinitionField) and (value := getattr(row, field.attname)):
            written = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
            yield field.name, len(written.encode("utf-8", "surrogatepass"))
