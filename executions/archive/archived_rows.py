"""The rows that a file is made of, read by cursors of the server: neither a day nor a run has to fit in memory."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from uuid import UUID

from django.db import connection

from executions.models import NodeExecution, WorkflowExecution

from .row_format import DEFINITIONS, GRAPH, NODE, OF_RUN, WORKFLOW, Kind

FETCHED = 100  # rows of one table in memory; each may be megabytes long

type Row = tuple[UUID, str]


class DefinitionLines:
    """The definitions that runs refer to, each once in a file."""

    def __init__(self) -> None:
        self.written: set[UUID] = set()

    def of(self, runs: Sequence[UUID]) -> Iterator[tuple[Kind, str]]:
        rows = WorkflowExecution.objects.filter(pk__in=runs)
        nodes = NodeExecution.objects.filter(workflow_execution__in=runs).order_by()
        ids = {
            WORKFLOW: rows.order_by().values_list("workflow_id", flat=True).distinct(),
            NODE: nodes.values_list("node_id", flat=True).distinct(),
            GRAPH: rows.order_by().exclude(graph=None).values_list("graph_id", flat=True).distinct(),
        }
        for kind in DEFINITIONS:
            new = set(ids[kind]) - self.written
            self.written |= new
            for _id, line in select(kind.select_of_ids(), {"ids": sorted(new)}):
                yield kind, line


def of_runs(runs: Sequence[UUID], snapshot: str) -> Iterator[tuple[Kind, str]]:
    """Yield the lines of each run after another, in the order of `runs`, which are sorted."""
    parameters = {"ids": list(runs), "snapshot": snapshot}
    tables = [(kind, _ByRun(select(kind.select_of_runs(), parameters))) for kind in OF_RUN]
    for run in runs:
        for kind, rows in tables:
            for line in rows.of(run):
                yield kind, line


def select(statement: str, parameters: Mapping[str, Any]) -> Iterator[Row]:
    """Yield rows of a statement as they are read, within a transaction."""
    with connection.chunked_cursor() as cursor:
        cursor.execute(statement, parameters)
        while rows := cursor.fetchmany(FETCHED):
            yield from rows


class _ByRun:
    """Rows in the order of their runs, which are read one run after another."""

    def __init__(self, rows: Iterator[Row]) -> None:
        self.rows = rows
        self.next = next(rows, None)

    def of(self, run: UUID) -> Iterator[str]:
        while self.next is not None and self.next[0] == run:
            yield self.next[1]
            self.next = next(self.rows, None)
