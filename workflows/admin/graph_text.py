"""A graph as editable text: JSON in the API's format, one line per node and edge.

The text is the complete graph: a missing field has its default, so short lines are enough.
"""

import json
from collections.abc import Iterator

from django.core.exceptions import ValidationError
from django.db.models import Model
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy

from ledgerkit.db.json_validation import MAX_DEPTH, MAX_DIGITS, TOO_DEEP, TOO_LONG, iter_errors
from ledgerkit.db.models import parse_uuid
from workflows.models import Edge, Node, Workflow

from .json_errors import AROUND, refuse_syntax

type GraphLists = dict[str, list[dict[str, object]]]  # nodes and edges as the API has them

KINDS: dict[
    str, tuple[type[Node | Edge], tuple[str, ...], tuple[str, ...]]
] = {  # model, fields that are always written, other fields
    "nodes": (
        Node,
        ("id", "name", "node_type"),
        ("position_x", "position_y", "timeout_seconds", "config", "input_schema", "output_schema", "retry_config"),
    ),
    "edges": (
        Edge,
        ("source_node", "target_node"),
        ("source_handle", "target_handle", "condition", "priority", "label"),
    ),
}
EMPTY: GraphLists = {"nodes": [], "edges": []}
NOT_A_GRAPH = gettext_lazy('Expected {"nodes": [...], "edges": [...]}: an object with these two lists of objects.')
UNKNOWN = gettext_lazy("%(place)s: there is no field of this name. The fields are: %(fields)s.")
TWICE = gettext_lazy("The name “%(name)s” occurs twice in one object: remove one of them.")
UNSTORABLE = gettext_lazy("%(place)s: this JSON cannot be stored: %(reason)s")


def write_graph(workflow: Workflow | None) -> str:
    """Return the graph of the workflow as text, its nodes in creation order."""
    if workflow is None:
        return format_graph(EMPTY)
    nodes = list(workflow.nodes.current().order_by("id"))
    named = {node.pk: _node_names(node) for node in nodes}
    edges = workflow.edges.order_by("priority", "id")
    ends = [{"source_node": named[edge.source_node_id], "target_node": named[edge.target_node_id]} for edge in edges]
    return format_graph(
        {
            "nodes": [_row_fields("nodes", node, {"id": str(node.pk)}) for node in nodes],
            "edges": [_row_fields("edges", edge, ends) for edge, ends in zip(edges, ends, strict=True)],
        }
    )


def format_graph(graph: GraphLists) -> str:
    """Return the text of a graph in the format of parse_graph()."""
    lists = [f'  "{kind}": [{_lines(graph.get(kind, []))}]' for kind in KINDS]
    return "{\n" + ",\n".join(lists) + "\n}"


def parse_graph(text: str) -> GraphLists:
    """Return the parsed graph. Raises ValidationError, which names the place of the error."""
    found = _parse_json(text) if text.strip() else EMPTY
    if not isinstance(found, dict) or found.keys() - KINDS.keys():
        raise ValidationError(NOT_A_GRAPH)
    if not all(isinstance(rows, list) and all(isinstance(row, dict) for row in rows) for rows in found.values()):
        raise ValidationError(NOT_A_GRAPH)
    graph: GraphLists = EMPTY | found
    for pointer, fault in iter_errors(graph):
        raise ValidationError(UNSTORABLE, params={"place": pointer, "reason": fault})
    if unknown := list(_unknown_fields(graph)):
        raise ValidationError(unknown[:20])
    return graph


def whole(graph: GraphLists) -> GraphLists:
    """Return the graph with defaults for missing fields."""
    defaults = {kind: _defaults(kind) for kind in KINDS}
    return {kind: [defaults[kind] | row for row in rows] for kind, rows in graph.items()}


def title(kind: str, row: object) -> str:
    """Return the label of a node or an edge for error messages."""
    if not isinstance(row, dict):
        return ""
    names = [str(row.get(name, "?")) for name in (("name",) if kind == "nodes" else ("source_node", "target_node"))]
    return " → ".join(name if len(name) <= AROUND else f"{name[:AROUND]}…" for name in names)


def _node_names(node: Node) -> str:
    """Return the reference to a node in an edge: its name, or its id if the name looks like an id."""
    return node.name if parse_uuid(node.name) is None else str(node.pk)


def _row_fields(kind: str, row: Model, given: dict[str, str]) -> dict[str, object]:
    _model, always, others = KINDS[kind]
    values = {name: given[name] if name in given else getattr(row, name) for name in always}
    defaults = _defaults(kind)
    return values | {name: value for name in others if (value := getattr(row, name)) != defaults[name]}


def _defaults(kind: str) -> dict[str, object]:
    model, _always, others = KINDS[kind]
    fields = {field.name: field for field in model._meta.concrete_fields}
    return {name: fields[name].get_default() for name in others}


def _lines(rows: list[dict[str, object]]) -> str:
    if not rows:
        return "\n  "
    return "\n" + ",\n".join(f"    {json.dumps(row, ensure_ascii=False)}" for row in rows) + "\n  "


def _parse_json(text: str) -> object:
    try:
        return json.loads(text, object_pairs_hook=_once)
    except json.JSONDecodeError as error:
        raise refuse_syntax(text, error) from None
    except RecursionError:
        raise ValidationError(format_lazy(TOO_DEEP, most=MAX_DEPTH)) from None
    except ValueError:
        raise ValidationError(format_lazy(TOO_LONG, most=MAX_DIGITS)) from None


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _value in pairs]
        raise ValidationError(TWICE, params={"name": next(name for name in names if names.count(name) > 1)[:AROUND]})
    return found


def _unknown_fields(graph: GraphLists) -> Iterator[ValidationError]:
    for kind, rows in graph.items():
        known = {"id", *KINDS[kind][1], *KINDS[kind][2]}
        for index, row in enumerate(rows):
            for name in row.keys() - known:
                values = {"place": f"/{kind}/{index}/{name[:AROUND]}", "fields": ", ".join(sorted(known))}
                yield ValidationError(UNKNOWN, params=values)
