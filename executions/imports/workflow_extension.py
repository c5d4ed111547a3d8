"""Add the nodes and edges that events name, in any order, to their workflows. Nothing is removed."""

import json
from collections.abc import Callable, Mapping
from itertools import chain
from typing import Any

from django.db import transaction

from executions.facts.record_in_process import MAX_DETAIL, lock_workflow_name
from workflows import graph_algorithms
from workflows.api.serializers import EnsureSerializer, WorkflowSerializer
from workflows.exceptions import CyclicGraph
from workflows.models import Workflow

from .conversion import NotImportable
from .openlineage import Definition

INFERRED = "inferred"  # label of an edge that follows from a dataset which one node writes and the other reads
KEPT = 200  # datasets of a node
SIDES = ("inputs", "outputs")

type Pair = tuple[str, str]


@transaction.atomic
def extend(name: str, wanted: Definition, owner: object, may_write: Callable[[Workflow | None], None]) -> None:
    """Add missing nodes and edges to the owner's workflow of this name, or create it. Calls `may_write` with it before
    it is changed. Raises NotImportable."""
    locked = lock_workflow_name(name, owner)
    row = Workflow.objects.with_graph().get(pk=locked.pk) if locked else None
    stored: Any = WorkflowSerializer(row).data if row else {"nodes": [], "edges": []}
    nodes, is_new = _nodes(stored["nodes"], wanted)
    edges, has_new = _edges(stored, nodes, wanted)
    if row is not None and not (is_new or has_new):
        return
    may_write(row)
    body = {"nodes": list(nodes.values()), "edges": edges}
    serializer = (
        WorkflowSerializer(row, data=body, partial=True) if row else EnsureSerializer(data={"name": name, **body})
    )
    if not serializer.is_valid():
        raise NotImportable(f"workflow {name}: {json.dumps(serializer.errors, default=str)[:MAX_DETAIL]}")
    serializer.save(**({} if row else {"owner": owner}))


def _nodes(there: list[Any], wanted: Definition) -> tuple[dict[str, Any], bool]:
    """Return the nodes by name with all their datasets, and whether something is new."""
    nodes = {node["name"]: {"id": node["id"], "name": node["name"], "config": node["config"]} for node in there}
    is_new = False
    for name, datasets in wanted.nodes.items():
        node = nodes.get(name) or {"name": name, "node_type": "tool", "config": {}}
        config = dict(node["config"])
        for side, more in zip(SIDES, datasets, strict=True):
            if more:
                config[side] = sorted(more.union(_datasets(node, side)))[:KEPT]
        is_new |= name not in nodes or config != node["config"]
        nodes[name] = {**node, "config": config}
    return nodes, is_new


def _datasets(node: Mapping[str, Any], side: str) -> set[str]:
    listed = node["config"].get(side)
    return {each for each in listed if isinstance(each, str)} if isinstance(listed, list) else set()


def _edges(there: Any, nodes: dict[str, Any], wanted: Definition) -> tuple[list[Any], bool]:
    """Return all edges, and whether they differ from the stored ones. Inferred edges are computed again."""
    names = {node["id"]: node["name"] for node in there["nodes"]}
    stored = {(names[edge["source_node"]], names[edge["target_node"]]): edge for edge in there["edges"]}
    stated = {pair: {**edge, **_ends(pair)} for pair, edge in stored.items() if edge["label"] != INFERRED}
    for pair in sorted(wanted.edges - stated.keys()):
        if pair[0] != pair[1]:
            stated[pair] = _ends(pair)
    inferred = _without_cycles(_infer_edges(nodes) - stated.keys(), set(stated))
    edges = [{key: value for key, value in edge.items() if key != "id"} for edge in stated.values()]
    edges += [{**_ends(pair), "label": INFERRED} for pair in sorted(inferred)]
    return edges, (stated.keys() | inferred) != stored.keys()


def _ends(pair: Pair) -> dict[str, str]:
    return {"source_node": pair[0], "target_node": pair[1]}


def _infer_edges(nodes: dict[str, Any]) -> set[Pair]:
    """Return a pair for each node that writes a dataset and another node that reads it."""
    readers: dict[str, set[str]] = {}
    for name, node in nodes.items():
        for dataset in _datasets(node, "inputs"):
            readers.setdefault(dataset, set()).add(name)
    return {
        (name, reader)
        for name, node in nodes.items()
        for dataset in _datasets(node, "outputs")
        for reader in readers.get(dataset, ())
        if reader != name
    }


def _without_cycles(pairs: set[Pair], stated: set[Pair]) -> set[Pair]:
    """Return the pairs that are in no cycle. The order of the events does not matter."""
    every = pairs | stated
    try:
        graph_algorithms.check_acyclic(set(chain.from_iterable(every)), every)
    except CyclicGraph:
        return {pair for pair in pairs if pair[0] not in graph_algorithms.descendants([pair[1]], every)}
    return pairs
