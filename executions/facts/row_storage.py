"""Store the changes of plans. The number of statements does not depend on the number of changes."""

import json
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from django.db import connection

from executions import ingest
from executions.models import (
    ExecutionStatus,
    NodeExecution,
    NodeExecutionAttempt,
    WorkflowExecution,
    WorkflowExecutionAttempt,
)
from executions.secrets.encryption import encrypt
from ledgerkit.db.json_validation import to_json
from ledgerkit.db.models import uuid7

from .line_copy import copy_lines
from .locked_rows import KEPT, Ended, NodeRow, Row, RunRow
from .planned_changes import Plan

SQL = Path(__file__).parents[1] / "sql"
STATE = ("id", "status", "attempt", "version", "started_at", "ended_at", "created_at")
NEW_RUN = (*STATE, "workflow", "graph", "trigger_type", "failed_nodes", "encrypted_secrets", "error_message")
NEW_NODE = (
    *STATE, "workflow_execution", "node", "execution_order", "retry_count", "settled", "error_message",
    "error_traceback",
)  # fmt: skip
RUN_DOCUMENTS = ("input_data", "output_data", "context", "metadata")
NODE_DOCUMENTS = ("input_data", "output_data")
ATTEMPT = ("id", "number", "status", "started_at", "ended_at", "output_data", "error_message")
COLUMNS = {"workflow_execution": "run"}  # of models, and what rows in memory call them


def store(plans: Sequence[Plan], *, is_noted: bool) -> None:
    """Store what the plans changed, within a transaction, and the history of it. `is_noted` is true where the
    statement that reads the time has set the actor for the triggers (database_time())."""
    runs = [plan.run for plan in plans if plan.run is not None]
    nodes = [node for plan in plans for node in plan.nodes.values()]
    for plan in plans:
        _take_secrets(plan)
    # A run that ends makes room for one that starts.
    _update(
        "runs_of_facts", [_changed_run(run) for run in _changed_rows(runs) if run.status != ExecutionStatus.RUNNING]
    )
    _insert(WorkflowExecution, NEW_RUN, RUN_DOCUMENTS, [run for run in runs if run.is_new])
    _update(
        "runs_of_facts", [_changed_run(run) for run in _changed_rows(runs) if run.status == ExecutionStatus.RUNNING]
    )
    _insert(NodeExecution, NEW_NODE, NODE_DOCUMENTS, [node for node in nodes if node.is_new])
    _update("nodes_of_facts", [_changed_node(node) for node in _changed_rows(nodes)])
    _insert_attempts(WorkflowExecutionAttempt, "workflow_execution", [e for plan in plans for e in plan.ended[True]])
    _insert_attempts(NodeExecutionAttempt, "node_execution", [e for plan in plans for e in plan.ended[False]])
    if is_noted:
        _write_history(plans)
    copy_lines([line for plan in plans for line in plan.lines])


def _changed_rows[R: Row](rows: Iterable[R]) -> list[R]:
    return [row for row in rows if not row.is_new and (row.moves or getattr(row, "has_new_secrets", False))]


def _take_secrets(plan: Plan) -> None:
    """Keep the secrets that facts brought, encrypted, with their run."""
    run = plan.run
    if run is None or plan.secrets.scrubber.values <= plan.secrets_before:
        return
    run.encrypted_secrets = encrypt(plan.secrets.scrubber.values)
    run.has_new_secrets = True


def _insert(model: Any, fields: Sequence[str], documents: Sequence[str], rows: list[Any]) -> None:
    if not rows:
        return
    names = [COLUMNS.get(name, name) for name in fields]
    values = (
        [getattr(row, name) for name in names] + [_encode_document(getattr(row, name)) for name in documents]
        for row in sorted(rows, key=lambda row: row.id)
    )
    ingest.copy_rows(model, (*fields, *documents), values)


def _insert_attempts(model: Any, parent: str, attempts: list[Ended]) -> None:
    if not attempts:
        return
    fields = (*ATTEMPT, parent, *(("error_traceback",) if parent == "node_execution" else ()))
    ingest.copy_rows(model, fields, (_attempt(each, fields) for each in attempts))


def _attempt(each: Ended, fields: Sequence[str]) -> list[object]:
    values: dict[str, Any] = {
        "id": uuid7(), "number": each.number, "status": each.status, "started_at": each.started_at,
        "ended_at": each.ended_at, "workflow_execution": each.row, "node_execution": each.row, **each.texts,
    }  # fmt: skip
    values["output_data"] = _encode_document(values.get("output_data"))
    return [values.get(name) for name in fields]


def _encode_document(value: object) -> ingest.Encoded | None:
    """Return a document as JSON: it was masked before."""
    if value is None:
        return None
    return ingest.Encoded(to_json(value))


def _changed_run(run: RunRow) -> dict[str, object]:
    return _state(run) | {
        "failed_nodes": run.failed_nodes,
        "encrypted_secrets": run.encrypted_secrets,
        "sets_secrets": run.has_new_secrets,
    }


def _changed_node(node: NodeRow) -> dict[str, object]:
    return _state(node) | {
        "retry_count": node.retry_count,
        "settled": node.settled,
        "sets_traceback": node.error_traceback is not KEPT,
        "error_traceback": _kept_as_null(node.error_traceback),
    }


def _state(row: Row) -> dict[str, Any]:
    return {
        "id": str(row.id),
        "status": str(row.status),
        "attempt": row.attempt,
        "moves": row.moves,
        "started_at": _time(row.started_at),
        "ended_at": _time(row.ended_at),
        "created_at": _time(row.created_at),
        "sets_output": row.output_data is not KEPT,
        "output_data": _kept_as_null(row.output_data),
        "sets_error": row.error_message is not KEPT,
        "error_message": _kept_as_null(row.error_message),
    }


def _kept_as_null(value: object) -> object:
    return None if value is KEPT else value


def _time(moment: Any) -> str | None:
    return None if moment is None else moment.isoformat()


def _update(name: str, rows: list[dict[str, object]]) -> None:
    if rows:
        _execute(_statement(name), json.dumps(rows, ensure_ascii=False))


@cache
def _statement(name: str) -> str:
    return (SQL / f"{name}.sql").read_text().replace("%", "%%").replace(":rows", "%s")


def _write_history(plans: Sequence[Plan]) -> None:
    entries = [
        {
            "id": str(uuid7()), "run": str(entry.run), "node": entry.node and str(entry.node), "attempt": entry.attempt,
            "from_status": entry.from_status, "to_status": entry.to_status, "act": entry.act, "reason": entry.reason,
        }
        for plan in plans
        for entry in plan.entries
    ]  # fmt: skip
    _execute("SELECT write_history_of_facts(%s)", json.dumps(entries, ensure_ascii=False))


def _execute(statement: str, parameter: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, [parameter])
