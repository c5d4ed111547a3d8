"""Pages of a workflow's admin: what they would send, and what they say."""

import json
from typing import Any

from django.contrib.messages import get_messages

from workflows.models import Workflow

LIST = "/admin/workflows/workflow/"

type Data = dict[str, Any]


def address(workflow: Workflow) -> str:
    return f"{LIST}{workflow.pk}/change/"


def as_sent(response: Any) -> Data:
    """Return the form data of the page as it was loaded: a browser ends lines of a text with CR and LF."""
    form = response.context["adminform"].form
    sent = {field.html_name: as_text(field.value()) for field in form if field.value() is not False}
    return {name: text.replace("\n", "\r\n") for name, text in sent.items()}


def graph_of(data: Data) -> Data:
    """Return the graph in the form."""
    graph: Data = json.loads(data["graph"])
    return graph


def with_graph(data: Data, graph: Data) -> Data:
    return data | {"graph": json.dumps(graph)}


def as_text(value: Any) -> str:
    return "on" if value is True else "" if value is None else str(value)


def add(data: Data, kind: str, **fields: Any) -> Data:
    """Add a node or an edge to the text."""
    graph = graph_of(data)
    graph[kind].append(fields)
    return with_graph(data, graph)


def without(data: Data, *names: str) -> Data:
    """Return the form data without the nodes of these names and their edges."""
    graph = graph_of(data)
    nodes = [node for node in graph["nodes"] if node["name"] not in names]
    edges = [edge for edge in graph["edges"] if not {edge["source_node"], edge["target_node"]} & set(names)]
    return with_graph(data, {"nodes": nodes, "edges": edges})


def edges_of(workflow: Workflow) -> set[str]:
    return {str(edge) for edge in workflow.edges.select_related("source_node", "target_node")}


def sentences(response: Any) -> str:
    """Return all errors on the page."""
    assert response.status_code == 200, [str(message) for message in get_messages(response.wsgi_request)]
    return str(response.context["adminform"].form.errors.as_data())
