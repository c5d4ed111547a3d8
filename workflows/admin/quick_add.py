"""The node and the edge that the small inputs of the workflow form add to its graph."""

from django.core.exceptions import ValidationError
from django.http import QueryDict

from workflows.models import NodeType

from . import graph_text

ADDED = ("add_name", "add_type", "add_source", "add_target")  # the fields of the form


def with_additions(sent: QueryDict) -> QueryDict:
    """Return the POST data with the node and edge of the small inputs added to the graph text. If the text has errors,
    return the data unchanged."""
    name, kind, source, target = (sent.get(field, "").strip() for field in ADDED)
    try:
        graph = graph_text.parse_graph(str(sent["graph"])) if name or (source and target) else None
    except ValidationError:
        return sent
    if graph is None:
        return sent
    nodes: list[dict[str, object]] = [{"name": name, "node_type": kind or NodeType.TOOL.value}] if name else []
    edges: list[dict[str, object]] = [{"source_node": source, "target_node": target}] if source and target else []
    more = {"nodes": [*graph["nodes"], *nodes], "edges": [*graph["edges"], *edges]}
    changed = sent.copy()
    changed["graph"] = graph_text.format_graph(more)
    for field in (ADDED[:2] if nodes else ()) + (ADDED[2:] if edges else ()):
        changed[field] = ""
    return changed
