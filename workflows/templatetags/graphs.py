"""Template tag that draws a workflow's graph in its form."""

from django import template

from workflows.drawing import draw_graph
from workflows.models import Graph

register = template.Library()


@register.inclusion_tag("admin/workflows/workflow/_preview.html")
def graph_preview(graph: Graph) -> dict[str, object]:
    """Render `{% graph_preview graph %}`; of a graph that is too large to draw, only the counts."""
    return {"drawing": draw_graph(graph), "nodes": len(graph.nodes), "edges": len(graph.edges)}
