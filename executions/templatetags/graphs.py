"""For the form of a workflow, which shows the graph that it holds."""

from typing import Any

from django import template

from executions.admin.charts import graph_chart
from workflows.models import Graph

register = template.Library()


@register.inclusion_tag("admin/workflows/workflow/_preview.html")
def graph_preview(graph: Graph) -> dict[str, Any]:
    """`{% graph_preview graph %}`; a graph that is too large is counted and not drawn."""
    return {"drawing": graph_chart.draw_graph(graph, [], set()), "nodes": len(graph.nodes), "edges": len(graph.edges)}
