"""The lines of a file. Each is one row of one table, as a JSON object: `kind`, for all but definitions `run`, then the
columns by their names. A column that is NULL is absent, so `null` is the JSON value; times are ISO 8601 in UTC.

PostgreSQL writes and reads the JSON, so that a number in a document stays as it is.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from django.db import connection, models

from executions.models import (
    DroppedLines,
    ExecutionLog,
    HistoryEntry,
    NodeExecution,
    NodeExecutionAttempt,
    NodeExecutionLease,
    RunNote,
    WorkflowExecution,
    WorkflowExecutionAttempt,
    WorkflowExecutionLease,
)
from workflows.models import Graph, Node, Workflow

FORMAT = 1
TIME = """to_json(to_char(t.{column} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'))"""
RUN = "workflow_execution"  # its column is `run` in a line
HEARTBEATS = "sum((extract(epoch FROM t.heartbeat_at) * 1000000)::bigint)"
NEVER = {"encrypted_secrets", "token"}
# Rows that this transaction has written are in no snapshot of its own. Ids of transactions that are still to come are
# those of another cluster, from which the rows were dumped.
SEEN = """(
    t.written_by IS NULL OR pg_visible_in_snapshot(t.written_by, %(snapshot)s::pg_snapshot)
    OR t.written_by = pg_current_xact_id_if_assigned() OR t.written_by >= pg_snapshot_xmax(pg_current_snapshot())
)"""


@dataclass(frozen=True)
class Kind:
    """A table. `run` is the SQL of the id of a row's run, `order` that of the rows of one run. `is_stamped` is true
    where rows have the id of the transaction that wrote them (executions/live). `change` is the SQL of a number that
    differs after a row of a run was added or changed, needed where neither a stamp nor another kind's number does."""

    name: str
    model: Any
    run: str = "t.workflow_execution_id"
    order: str = "t.id"
    join: str = ""
    is_stamped: bool = False
    change: str = ""

    @cached_property
    def fields(self) -> list[Any]:
        return [field for field in self.model._meta.concrete_fields if field.name not in NEVER]

    @property
    def table(self) -> str:
        return str(self.model._meta.db_table)

    @property
    def is_definition(self) -> bool:
        return not self.run

    def key(self, field: Any) -> str:
        """Return the name of a column in a line."""
        return "run" if field.name == RUN else str(field.column)

    def line(self) -> str:
        """Return the SQL of a row `t` as a line."""
        names = {self.key(field): _json(field) for field in self.fields}
        if not self.is_definition:
            names = {"run": f"to_json({self.run})"} | names
        members = ", ".join(f"""'"{name}":' || {value}::text""" for name, value in names.items())
        return f"""concat('{{', concat_ws(',', '"kind":"{self.name}"', {members}), '}}')"""

    def select_of_runs(self) -> str:
        """Return the statement that reads the lines of the runs `ids`, run by run."""
        seen = f" AND {SEEN}" if self.is_stamped else ""
        return (
            f"SELECT {self.run}, {self.line()} FROM {self.table} AS t {self.join}"  # noqa: S608  # names of our own tables
            f" WHERE {self.run} = ANY(%(ids)s){seen} ORDER BY {self.run}, {self.order}"
        )

    def select_change(self, run: str) -> str:
        """Return the statement that reads `change` of one run, whose id is the SQL `run`."""
        return (
            f"SELECT coalesce({self.change}, 0) FROM {self.table} AS t {self.join}"  # noqa: S608  # names of our own tables
            f" WHERE {self.run} = {run}"
        )

    def select_of_ids(self) -> str:
        return f"SELECT t.id, {self.line()} FROM {self.table} AS t WHERE t.id = ANY(%(ids)s) ORDER BY t.id"  # noqa: S608  # names of our own tables

    def insert(self, rows: Sequence[dict[str, Any]]) -> str:
        """Return the statement that inserts lines, of which `rows` are parsed. A column that no line has, because it is
        newer than the file, gets its default. Rows that exist are left as they are."""
        present = set().union(*rows)
        fields = [field for field in self.fields if field.null or self.key(field) in present]
        columns, values = [field.column for field in fields], [_value(field, self.key(field)) for field in fields]
        if self.is_stamped:  # or open streams would report the rows as new
            columns, values = [*columns, "written_by"], [*values, "NULL"]
        names = ", ".join(map(connection.ops.quote_name, columns))
        return (
            f"INSERT INTO {self.table} ({names}) SELECT {', '.join(values)}"  # noqa: S608  # names of our own tables
            " FROM jsonb_array_elements(%s::jsonb) AS line ON CONFLICT (id) DO NOTHING"
        )


def _json(field: Any) -> str:
    column = connection.ops.quote_name(field.column)
    if isinstance(field, models.DateTimeField):
        return TIME.format(column=column)
    return f"t.{column}" if isinstance(field, models.JSONField) else f"to_json(t.{column})"


def _value(field: Any, key: str) -> str:
    """Return the SQL of a column's value in a parsed `line`."""
    if isinstance(field, models.JSONField):
        return f"line -> '{key}'"
    if isinstance(field, models.CharField | models.TextField):
        return f"line ->> '{key}'"  # without a cast, which would cut it
    return f"(line ->> '{key}')::{field.rel_db_type(connection) if field.is_relation else field.db_type(connection)}"


WORKFLOW = Kind("workflow", Workflow, run="")
NODE = Kind("node", Node, run="")
GRAPH = Kind("graph", Graph, run="")
RUN_ROW = Kind("run", WorkflowExecution, run="t.id", change="sum(t.version)")
LOG = Kind("log", ExecutionLog, order="t.timestamp, t.id", is_stamped=True)
DEFINITIONS = (WORKFLOW, NODE, GRAPH)
OF_RUN = (
    RUN_ROW,
    # Engines may report the start of a node after the end of its run, which changes the node alone.
    Kind("node_execution", NodeExecution, order="t.execution_order, t.id", is_stamped=True, change="sum(t.version)"),
    Kind("attempt", WorkflowExecutionAttempt, order="t.number"),
    Kind(
        "node_attempt", NodeExecutionAttempt, run="node_executions.workflow_execution_id",
        order="t.node_execution_id, t.number", join="JOIN node_executions ON node_executions.id = t.node_execution_id",
    ),
    Kind("lease", WorkflowExecutionLease, order="t.attempt", change=HEARTBEATS),
    Kind(
        "node_lease", NodeExecutionLease, run="node_executions.workflow_execution_id",
        order="t.node_execution_id, t.attempt", join="JOIN node_executions ON node_executions.id = t.node_execution_id",
        change=HEARTBEATS,
    ),
    Kind("history", HistoryEntry, order="t.happened_at, t.id", is_stamped=True),
    Kind("dropped_lines", DroppedLines, change="sum(t.number)"),
    Kind("note", RunNote, order="t.number, t.id", change="count(*)"),
    LOG,
)  # fmt: skip
KINDS = {kind.name: kind for kind in (*DEFINITIONS, *OF_RUN)}  # in the order in which rows can be inserted
