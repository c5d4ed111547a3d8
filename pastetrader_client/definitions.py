"""Definitions of workflows that this process has reported. Each is a fact before the first run that needs it, and is
reported once; one that the ledger refuses is reported again with the next run."""

import json
from collections.abc import Mapping

from .bounded_dict import remember
from .documents import capture, document
from .encoding import Fact, fact_of
from .graphs import Graph, Stages, addition, definition

MOST_WORKFLOWS, MOST_GRAPHS, MOST_STAGES = 1_000, 20, 1_000  # graphs and stages of each workflow that are remembered


class Definitions:
    """The graphs that were declared, and the stages that were added, by workflow."""

    def __init__(self) -> None:
        self.graphs: dict[str, tuple[object, ...] | None] = {}
        self.stages: dict[str, dict[Stages, None] | None] = {}

    def declare(self, workflow: str, graph: Graph) -> Fact | None:
        """Return the fact that the workflow has this graph, None if an equal one was declared."""
        known = self.graphs.get(workflow) or ()
        if (list(graph) if isinstance(graph, tuple) else graph) in known:
            return None
        fact = _fact(definition(workflow, graph))  # raises what a graph of another form leads to
        captured, _size = capture(graph)
        remember(self.graphs, workflow, (*known[-MOST_GRAPHS:], captured), most=MOST_WORKFLOWS)
        return fact

    def add(self, workflow: str, stages: Stages) -> Fact | None:
        """Return the fact that adds to the workflow what it lacks of these stages, None if they were added."""
        known = self.stages.get(workflow) or {}
        if stages in known:
            return None
        remember(known, stages, most=MOST_STAGES)
        remember(self.stages, workflow, known, most=MOST_WORKFLOWS)
        return _fact(addition(workflow, stages))

    def forget(self, body: bytes) -> None:
        """Forget what was reported of the workflow of a refused definition."""
        wish = json.loads(body).get("workflow")
        name = wish.get("name") if isinstance(wish, dict) else None
        if isinstance(name, str):
            self.graphs.pop(name, None)
            self.stages.pop(name, None)


def _fact(body: Mapping[str, object]) -> Fact:
    return fact_of("", "workflow.ensure", "", {"workflow": document(body)})
