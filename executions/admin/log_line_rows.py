"""Rows of log lines, ready to render: for the log page, for the newest lines on other pages, and for streams."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

from django.db.models import Q

from executions import absent_log_lines, limits
from executions.absent_log_lines import Removed
from executions.admin import formatting
from executions.admin.section_queries import query_or_none
from executions.admin.types import JSON
from executions.log_gaps import MissingLines
from executions.models import NodeExecution, WorkflowExecution
from executions.states import LogLevel

MESSAGE = 4_000
GAPS = 5
LINE_COLUMNS = ("timestamp", "level", "is_cut", "attempt", "workflow_execution", "node_execution__node_name")


@dataclass(frozen=True, slots=True)
class LogLine:
    """A log line. `node_execution` is None also where the user may not see it. rows_from_json() makes no model instance
    first: that would take as long as to render the line."""

    pk: UUID
    level: str
    label: str  # of the level
    timestamp: datetime
    text: str
    has_data: bool
    is_cut: bool
    node_execution: NodeExecution | None
    attempt: int | None = None  # of the node execution, or of the run
    place: int | None = None  # in the log, counted from 0
    skipped: int = 0  # lines left out before it

    @property
    def node_execution_id(self) -> UUID | None:
        return self.node_execution.pk if self.node_execution else None


def newest_rows(lines: Any, *, shows_nodes: bool = True) -> list[LogLine]:
    """Return the newest LINES of `lines`, oldest first."""
    rows = lines.select_related("node_execution").only(*LINE_COLUMNS)
    shown = {"text": formatting.first_characters("message", MESSAGE), "has_data": Q(data__isnull=False)}
    newest = rows.annotate(**shown).order_by("-timestamp", "-id")[: limits.LINES]
    return present_lines(newest, shows_nodes=shows_nodes)[::-1]


def first_missing(run: WorkflowExecution, removed: Sequence[Removed]) -> MissingLines | None:
    """Return the first numbered lines that are missing; None if they could not be read."""
    return query_or_none("gaps", partial(absent_log_lines.missing_lines, run, removed, GAPS), limits.LOG_PAGE_MS)


def present_lines(lines: Iterable[Any], *, shows_nodes: bool = True) -> list[LogLine]:
    """Return a row for each line, which has the annotations `text` and `has_data`."""
    labels = _level_labels()
    return [
        LogLine(
            pk=line.pk,
            level=line.level,
            label=labels[line.level],
            timestamp=line.timestamp,
            text=line.text,
            has_data=line.has_data,
            is_cut=line.is_cut,
            node_execution=(node := line.node_execution if shows_nodes else None),
            attempt=line.attempt if node or line.node_execution_id is None else None,
        )
        for line in lines
    ]


def without_nodes(rows: Iterable[LogLine]) -> list[LogLine]:
    """Return the rows as a user sees them who may not see node executions."""
    return [replace(row, node_execution=None, attempt=None if row.node_execution else row.attempt) for row in rows]


def rows_from_json(lines: list[JSON], *, shows_nodes: bool) -> list[LogLine]:
    """Return rows of log lines as the API prints them."""
    executed = NodeExecution.objects.only("node_name", "node")
    found = executed.in_bulk({line["node_execution"] for line in lines} - {None} if shows_nodes else ())
    nodes = {str(pk): node for pk, node in found.items()}
    labels = _level_labels()
    return [_row_from_json(line, labels, nodes.get(line["node_execution"])) for line in lines]


def _row_from_json(line: JSON, labels: dict[str, str], node: NodeExecution | None) -> LogLine:
    return LogLine(
        pk=UUID(line["id"]),
        level=line["level"],
        label=labels[line["level"]],
        timestamp=datetime.fromisoformat(line["timestamp"]),
        text=line["message"][: MESSAGE + 1],  # one more character marks a longer message
        has_data=line["data"] is not None,
        is_cut=line["is_cut"],
        node_execution=node,
        attempt=line["attempt"] if node or line["node_execution"] is None else None,
    )


def _level_labels() -> dict[str, str]:
    """Translate each level once instead of once a line."""
    return {level: str(label) for level, label in LogLevel.choices}
