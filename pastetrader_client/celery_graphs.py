"""The nodes and edges that Celery knows of before a task runs: its chain, and the body of its chord."""

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise
from typing import Any

from .bounded_dict import remember
from .client import Client
from .graphs import TYPE

TRIES, CONFLICT = 5, 409
MOST = 1_000  # graphs that a process remembers to have defined

type Stage = tuple[str, ...]  # names of tasks that run side by side
type Edge = tuple[str, str]


class GraphDefinitions:
    """Adds nodes and edges to workflows, before the first run of each graph. Nothing is removed: the same task may be
    sent alone at one time and in a chain at another."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.defined: dict[tuple[str, tuple[Stage, ...]], None] = {}

    def define(self, name: str, chain: Sequence[Any] | None, chord: object) -> None:
        """Let the sending thread define the workflow, unless this process has done it."""
        graph = (name, tuple(stages_of(name, chain, chord)))
        if graph not in self.defined:
            remember(self.defined, graph, most=MOST)
            self.client.call_later(0, partial(self._define, graph))

    def _define(self, graph: tuple[str, tuple[Stage, ...]], http: Any) -> None:
        try:
            add_to_workflow(http, *graph)
        except Exception:
            self.defined.pop(graph, None)  # the next run tries again
            raise


def stages_of(name: str, chain: Sequence[Any] | None, chord: Any) -> list[Stage]:
    """Return the task and what follows it. Celery keeps a chain in reverse."""
    following = [tasks for each in reversed(chain or ()) for tasks in _stages(each)]
    return [(name,), *following, *(_stages(chord) if chord else [])]


def _stages(signature: Mapping[str, Any]) -> list[Stage]:
    kwargs = signature.get("kwargs") or {}
    match signature.get("task"):
        case "celery.group":
            return [_first_names(kwargs.get("tasks", ()))]
        case "celery.chord":
            header = kwargs.get("header") or {}
            tasks = (header.get("kwargs") or {}).get("tasks", ()) if isinstance(header, Mapping) else header
            return [_first_names(tasks), *_stages(kwargs.get("body") or {})]
        case "celery.chain":
            return [stage for each in kwargs.get("tasks", ()) for stage in _stages(each)]
        case str(name):
            return [(name,)]
    return []


def _first_names(tasks: Iterable[Mapping[str, Any]]) -> Stage:
    return tuple(dict.fromkeys(name for each in tasks for stage in _stages(each)[:1] for name in stage))


def add_to_workflow(http: Any, name: str, stages: Sequence[Stage]) -> None:
    """Add the nodes and edges that the workflow lacks. Raises httpx.HTTPError."""
    for _try in range(TRIES):
        row = http.post("/workflows/ensure/", json={"name": name}).raise_for_status().json()
        if (wish := change_of(row, stages)) is None:
            return
        response = http.patch(f"/workflows/{row['id']}/", json=wish)
        if response.status_code != CONFLICT:  # of another process that adds something at the same time
            response.raise_for_status()
            return
    response.raise_for_status()


def change_of(row: Mapping[str, Any], stages: Sequence[Stage]) -> dict[str, Any] | None:
    """Return the body that adds what the workflow lacks, None if it lacks nothing."""
    names = {node["id"]: node["name"] for node in row["nodes"]}
    edges = [(names[edge["source_node"]], names[edge["target_node"]]) for edge in row["edges"]]
    tasks = dict.fromkeys(task for stage in stages for task in stage)
    new_nodes = [{"name": task, "node_type": TYPE} for task in tasks if task not in names.values()]
    new_edges = [{"source_node": a, "target_node": b} for a, b in new_edges_of(edges, stages)]
    if not new_nodes and not new_edges:
        return None
    return {
        "version": row["version"], "nodes": [*row["nodes"], *new_nodes], "edges": [*row["edges"], *new_edges],
    }  # fmt: skip


def new_edges_of(edges: Sequence[Edge], stages: Sequence[Stage]) -> list[Edge]:
    """Return the edges between the stages that are missing. One that would close a cycle is left out: a task that
    appears twice in a chain is one node."""
    found = list(edges)
    for before, after in pairwise(stages):
        for edge in ((a, b) for a in before for b in after):
            if edge not in found and not closes_cycle([*found, edge]):
                found.append(edge)
    return found[len(edges) :]


def closes_cycle(edges: Iterable[Edge]) -> bool:
    sorter: TopologicalSorter[str] = TopologicalSorter()
    for before, after in edges:
        sorter.add(after, before)
    try:
        sorter.prepare()
    except CycleError:
        return True
    return False
