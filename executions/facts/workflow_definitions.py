"""The workflows, nodes and graphs that facts name, by id or by name."""

import json
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import Q

from executions import run_graph
from ledgerkit.db.models import parse_uuid
from ledgerkit.db.names import nfc
from workflows.models import Graph, Node

from .caller import Caller
from .refusals import NotFacts
from .rows import RunRow

MAX_WORKFLOWS = 100  # definitions in one call: each is a transaction
MAX_OF_ONE = 10  # definitions with one name in one call: each loads and checks the whole stored graph
MAX_PARTS = 2_000  # nodes and edges of several definitions in one call: 20,000 nodes take tens of seconds
CACHED = 256  # graphs of a process; a graph never changes


@dataclass(frozen=True, slots=True)
class WorkflowRow:
    id: UUID
    owner: Any
    is_active: bool
    log_level: str | None
    graph: UUID


class GraphOfRuns:
    """Lookups in a run's stored graph."""

    def __init__(self, stored: Graph) -> None:
        self.stored = stored

    @cached_property
    def by_name(self) -> dict[str, UUID]:
        return {nfc(node["name"]): UUID(node["id"]) for node in reversed(self.stored.nodes)}

    @cached_property
    def names(self) -> dict[UUID, str]:
        return {UUID(node["id"]): node["name"] for node in self.stored.nodes}

    def has(self, wanted: str) -> bool:
        """Return whether the graph has a node with this name or id."""
        return wanted in self.by_name or nfc(wanted) in self.by_name or parse_uuid(wanted) in self.names

    @cached_property
    def levels(self) -> dict[UUID, int]:
        return self.stored.levels()


_graphs: dict[UUID, GraphOfRuns] = {}


# Find visible workflows by id, and the caller's own by name. Store graphs that are not stored yet, in the order of the
# rows, as run_graph.current() does.
WORKFLOWS = """
SELECT clock_timestamp(), name, id, owner_id, is_active, config ->> 'log_level', graph_of(id) FROM workflows
WHERE deleted_at IS NULL AND (%(all)s OR owner_id = %(user)s) AND (
    id = ANY(%(ids)s)
    OR name = ANY(%(names)s) AND (owner_id = %(user)s OR %(user)s IS NULL AND owner_id IS NULL)
)
ORDER BY id DESC
"""


def find_workflows(caller: Caller, wanted: Collection[str]) -> tuple[datetime | None, dict[str, WorkflowRow]]:
    """Return the time by the database's clock, and the visible workflows with these ids or names. If several have one
    name, the oldest counts."""
    if not wanted:
        return None, {}
    ids = {id for name in wanted if (id := parse_uuid(name))}
    names = {nfc(name) for name in wanted} if len(ids) < len(wanted) else ()
    values = {"ids": list(ids), "names": list(names), "user": caller.user, "all": caller.sees_all_workflows}
    with connection.cursor() as cursor:
        cursor.execute(WORKFLOWS, values)
        rows = cursor.fetchall()
    by_id: dict[str, WorkflowRow] = {}
    by_name: dict[str, WorkflowRow] = {}
    for _now, name, *columns in rows:
        if caller.is_bound_to((found := WorkflowRow(*columns)).id):
            if found.id in ids:
                by_id[str(found.id)] = found
            if found.owner == caller.user:
                by_name[name] = found
    return (rows[0][0] if rows else None), by_name | by_id


def find_named(workflows: Mapping[str, WorkflowRow], wanted: str) -> WorkflowRow | None:
    """Return the workflow with this id or name from the result of find_workflows()."""
    id = parse_uuid(wanted)
    return (workflows.get(str(id)) if id else None) or workflows.get(nfc(wanted))


def names_workflow_of(run: RunRow, wanted: str, found: WorkflowRow | None) -> bool:
    """Return whether this id or name belongs to the run's workflow, now or when the run was created: a fact that is
    sent again after the workflow was renamed is not refused. `found` is the workflow that has the name now."""
    if parse_uuid(wanted) == run.workflow or (found is not None and found.id == run.workflow):
        return True
    return nfc(wanted) == run.workflow_name and (found is None or found.owner == run.owner)


def graphs(ids: Iterable[UUID | None]) -> dict[UUID, GraphOfRuns]:
    """Return these graphs. Each is read once in a process."""
    wanted = {id for id in ids if id is not None}
    found = {id: graph for id in wanted if (graph := _graphs.get(id)) is not None}
    if missing := wanted - found.keys():
        read = {graph.pk: GraphOfRuns(graph) for graph in Graph.objects.filter(pk__in=missing)}
        if len(_graphs) + len(read) > CACHED:
            _graphs.clear()
        _graphs.update(read)
        found |= read
    return found


def graphs_of_today(workflows: Collection[UUID]) -> dict[UUID, GraphOfRuns]:
    """Return the current graphs of these workflows, by workflow."""
    current = run_graph.current(workflows)
    found = graphs(current.values())
    return {workflow: found[graph] for workflow, graph in current.items()}


def distinct_definitions(definitions: list[tuple[int, dict[str, object]]]) -> list[tuple[list[int], dict[str, object]]]:
    """Return the distinct definitions in the order of their names, each with its indices in the call. Raises NotFacts
    if they are too many."""
    places: dict[str, list[int]] = defaultdict(list)
    bodies = dict(definitions)
    for index, body in definitions:
        places[json.dumps(body, sort_keys=True)].append(index)
    if len(places) > MAX_WORKFLOWS:
        raise NotFacts(
            f"Expected at most {MAX_WORKFLOWS} different definitions of workflows in one call; found {len(places)}."
        )
    distinct = [(indexes, bodies[indexes[0]]) for indexes in places.values()]
    names = Counter(nfc(str(body.get("name"))) for _places, body in distinct)
    if max(names.values(), default=0) > MAX_OF_ONE:
        raise NotFacts(
            f"Expected at most {MAX_OF_ONE} different definitions of one workflow in one call; "
            f"found {max(names.values())}. Send several calls."
        )
    return sorted(distinct, key=lambda definition: str(definition[1].get("name")))


def check_total(definitions: Sequence[tuple[list[int], Mapping[str, object]]]) -> None:
    """Raise NotFacts if the definitions have too many nodes and edges together; a single definition has limits of its
    own."""
    lists = [body.get(name) for _places, body in definitions for name in ("nodes", "edges")]
    total = sum(len(each) for each in lists if isinstance(each, list))
    if len(definitions) > 1 and total > MAX_PARTS:
        raise NotFacts(
            f"Expected at most {MAX_PARTS} nodes and edges in the definitions of one call; found {total}. "
            "Send several calls."
        )


class Nodes:
    """Lookups of the nodes of these workflows by the names and ids in facts."""

    def __init__(self, workflows: Collection[UUID], wanted: Collection[str], within: Iterable[GraphOfRuns]) -> None:
        self._were_read = bool(workflows)
        self._by_id: dict[tuple[UUID, UUID], tuple[str, object]] = {}
        self._by_name: dict[tuple[UUID, str], UUID] = {}
        if not wanted or not workflows:
            return
        names = {nfc(name) for name in wanted}
        ids = {id for name in wanted if (id := parse_uuid(name))}
        ids |= {graph.by_name[name] for graph in within for name in names if name in graph.by_name}
        among = Q(pk__in=ids) | Q(name__in=names, retired_at=None)
        rows = Node.objects.filter(among, workflow__in=workflows).order_by()
        columns = ("workflow_id", "id", "name", "retired_at", "retry_config")
        for workflow, id, name, retired_at, retry_config in rows.values_list(*columns):
            self._by_id[workflow, id] = name, retry_config
            if retired_at is None:
                self._by_name[workflow, name] = id

    def find(self, workflow: UUID, graph: GraphOfRuns | None, wanted: str) -> UUID | None:
        """Return the id of the node, None if there is none. A name is looked up in the run's graph first, then in the
        current one. If nodes were not read, the graph is enough: if the node was deleted since, the foreign key
        fails."""
        name, id = nfc(wanted), parse_uuid(wanted)
        if graph is not None and not self._were_read:
            return id if id in graph.names else graph.by_name.get(name)
        choices = (id, graph.by_name.get(name) if graph else None, self._by_name.get((workflow, name)))
        return next((each for each in choices if each is not None and (workflow, each) in self._by_id), None)

    def name_and_retries(self, workflow: UUID, node: UUID, graph: GraphOfRuns | None) -> tuple[str, object]:
        """Return the name and the retry_config of a node that find() has returned. The retry_config is None if nodes
        were not read: then the call retries nothing."""
        if graph is not None and not self._were_read:
            return graph.names[node], None
        return self._by_id[workflow, node]
