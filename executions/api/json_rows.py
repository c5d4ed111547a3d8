"""Rows of the ledger as JSON objects, one function for each kind: for lists, and in full.

Serializers describe the same fields and validate requests. REST framework's own rendering calls each field for each
row. The functions of lists take the columns of a row, `vars()` of an object or what plain_rows.read() returns: to make
an object of each row takes as long as to read it. A value that the query did not read is null. Ids, times and documents
stay as they are until the renderer writes them.
"""

from collections.abc import Iterable
from datetime import UTC

import msgspec

from executions import error_excerpts
from executions.models import BulkAction, ExecutionLog, NodeExecution, NodeExecutionAttempt, WorkflowExecution
from executions.models.attempt import Attempt
from executions.querysets import NODES_RETRY_CONFIG
from executions.states import ExecutionStatus
from executions.unsaved_log_lines import UnsavedLine
from ledgerkit.db.plain_rows import Columns
from workflows.retry_config import retries_in

type Row = dict[str, object]

RESPONSE_NAMES = {"workflow_execution_id": "workflow_execution", "node_execution_id": "node_execution"}


def run_row(run: Columns) -> Row:
    return _run(run, error_excerpts.head(run), "metadata")


def run_detail(run: WorkflowExecution) -> Row:
    columns = vars(run)
    error = {"error_message": columns.get("error_message")}
    row = _run(columns, error, "input_data", "output_data", "context", "metadata")
    return row | {"queue": columns.get("is_queued")}


def _run(run: Columns, error: Row, *payloads: str) -> Row:
    return {
        "id": run["id"],
        "workflow": run["workflow_id"],
        "workflow_name": run["workflow_name"],
        "trigger_type": run["trigger_type"],
        **_state(run),
        **error,
        "failed_nodes": run["failed_nodes"],
        **{name: run.get(name) for name in payloads},
        "attempt": run["attempt"],
        "version": run["version"],
        "created_at": run["created_at"].astimezone(UTC),
        "updated_at": run["updated_at"].astimezone(UTC),
    }


def node_row(node: Columns) -> Row:
    """Return a row of NodeExecutionQuerySet.for_lists()."""
    is_failed = node["status"] == ExecutionStatus.FAILED
    can_retry = is_failed and node["retry_count"] < retries_in(_parse(node[NODES_RETRY_CONFIG]))
    return _node(node, error_excerpts.head(node), can_retry=can_retry)


def node_detail(node: NodeExecution) -> Row:
    columns = vars(node)
    row = _node(columns, _values(columns, "error_message"), can_retry=node.can_retry)
    return row | _values(columns, "input_data", "output_data", "error_traceback")


def _node(node: Columns, error: Row, *, can_retry: bool) -> Row:
    return {
        "id": node["id"],
        "workflow_execution": node["workflow_execution_id"],
        "node": node["node_id"],
        "node_name": node["node_name"],
        "execution_order": node["execution_order"],
        **_state(node),
        **error,
        "retry_count": node["retry_count"],
        "can_retry": can_retry,
        "attempt": node["attempt"],
        "version": node["version"],
        "created_at": node["created_at"].astimezone(UTC),
        "updated_at": node["updated_at"].astimezone(UTC),
    }


def attempt_row(attempt: Columns) -> Row:
    return {"id": attempt["id"], "number": attempt["number"], **_state(attempt), **error_excerpts.head(attempt)}


def run_attempt_detail(attempt: Attempt) -> Row:
    columns = vars(attempt)
    payloads = _values(columns, "error_message", "output_data")
    return {"id": attempt.pk, "number": attempt.number, **_state(columns), **payloads}


def node_attempt_detail(attempt: NodeExecutionAttempt) -> Row:
    return run_attempt_detail(attempt) | _values(vars(attempt), "error_traceback")


def log_row(line: Columns) -> Row:
    return {
        "id": line["id"],
        "workflow_execution": line["workflow_execution_id"],
        "node_execution": line["node_execution_id"],
        "level": line["level"],
        "message": line.get("message"),
        "data": line.get("data"),
        "timestamp": line["timestamp"].astimezone(UTC),
        "is_cut": line["is_cut"],
        "source": line.get("source"),
        "seq": line.get("seq"),
        "attempt": line.get("attempt"),
    }


class ListedLine(msgspec.Struct, gc=False, rename=RESPONSE_NAMES):
    """The row of a log line in a list, from columns that are read as they stand in the response."""

    id: object
    workflow_execution_id: object
    node_execution_id: object
    level: object
    message: object
    data: object
    timestamp: object
    is_cut: object
    source: object
    seq: object
    attempt: object


def listed_lines_of(lines: Iterable[ExecutionLog | UnsavedLine]) -> list[ListedLine]:
    """Return the rows of log_row()."""
    return [
        ListedLine(
            line.id, line.workflow_execution_id, line.node_execution_id, line.level, line.message, line.data,
            line.timestamp.astimezone(UTC), line.is_cut, line.source, line.seq, line.attempt,
        )
        for line in lines
    ]  # fmt: skip


def history_row(entry: Columns) -> Row:
    return {
        "id": entry["id"],
        "workflow_execution": entry["workflow_execution_id"],
        "node_execution": entry["node_execution_id"],
        **_values(entry, "attempt", "act", "from_status", "to_status", "through", "username", "token_name", "reason"),
        "request_id": entry.get("request_id"),
        "happened_at": entry["happened_at"].astimezone(UTC),
    }


def bulk_action_row(found: Columns | BulkAction) -> Row:
    action = found if not isinstance(found, BulkAction) else _columns_of(found)
    ended = "ended" if action["ended_at"] else "open"
    return {
        "id": action["id"],
        "action": action["verb"],
        "filter": _parse(action["filters"]),
        "state": "stopped" if action["stopped_at"] else ended,
        **_values(action, "number", "done", "refused", "reason", "username", "token_name", "through", "request_id"),
        "created_at": action["happened_at"].astimezone(UTC),
        "stopped_at": action["stopped_at"] and action["stopped_at"].astimezone(UTC),
        "stopped_by": action["stopped_by"],
        "ended_at": action["ended_at"] and action["ended_at"].astimezone(UTC),
    }


def _columns_of(row: BulkAction) -> Columns:
    """Return its columns. Those that the request did not name are read now."""
    return {field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields}


def bulk_action_run_row(run: Columns) -> Row:
    return {
        "id": run["id"],
        "workflow_execution": run["workflow_execution_id"],
        **_values(run, "workflow_name", "state", "answer"),
        "done_at": run["done_at"] and run["done_at"].astimezone(UTC),
    }


def _state(row: Columns) -> Row:
    started, ended = row["started_at"], row["ended_at"]
    return {
        "status": row["status"],
        "started_at": started and started.astimezone(UTC),
        "ended_at": ended and ended.astimezone(UTC),
        "duration_seconds": started and ended and (ended - started).total_seconds(),
        "error_code": row["error_code"],
    }


def _parse(document: object) -> object:
    """Parse a document that was read as it is stored."""
    return msgspec.json.decode(document) if isinstance(document, msgspec.Raw) else document


def _values(row: Columns, *names: str) -> Row:
    return {name: row.get(name) for name in names}
