"""Read the rows that facts are about, and lock them in the order of their ids."""

from collections.abc import Callable, Collection
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import Q

from executions.models import ExecutionLog, HistoryEntry, NodeExecution, WorkflowExecution
from executions.secrets import run_secrets

from .rows import NodeRow, RunRow

type Secrets = dict[UUID, run_secrets.RunSecrets | Exception]

MOVED = ("id", "status", "attempt", "version", "started_at", "ended_at", "created_at", "error_code")
TEXTS = ("output_data", "error_message")
RUNS = """
SELECT
    clock_timestamp(), workflow_id, owner_id, graph_id, workflow_name,
    metadata @> '{"allow_concurrent": true}', is_queued, config ->> 'log_level',
    run.id, run.status, run.attempt, run.version, started_at, ended_at, run.created_at, error_code,
    failed_nodes, encrypted_secrets
FROM workflow_executions AS run
JOIN workflows ON workflows.id = workflow_id
WHERE run.id = ANY(%s)
"""


def find_runs(
    sees: Callable[[UUID, Any], bool], ids: Collection[UUID]
) -> tuple[datetime | None, dict[UUID, RunRow], Secrets]:
    """Return the time by the database's clock, the runs that the caller sees, and their secrets. Nothing is locked."""
    runs: dict[UUID, RunRow] = {}
    rows = _rows(RUNS, [*ids]) if ids else []
    columns = (
        "workflow_name",
        "allow_concurrent",
        "is_queued",
        "log_level",
        *MOVED,
        "failed_nodes",
        "encrypted_secrets",
    )
    for _now, workflow, owner, graph, *values in rows:
        if sees(workflow, owner):
            run = RunRow(workflow=workflow, owner=owner, graph=graph, **dict(zip(columns, values, strict=True)))
            runs[run.id] = run
    return (rows[0][0] if rows else None), runs, {id: known_secrets(run) for id, run in runs.items()}


def _rows(statement: str, ids: list[UUID]) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(statement, [ids])
        rows: list[Any] = cursor.fetchall()
    return rows


def known_secrets(run: RunRow) -> run_secrets.RunSecrets | Exception:
    try:
        return run_secrets.known_by("report", run.encrypted_secrets, run.status, run.ended_at, run.version)
    except ValueError as error:  # SecretsUnknown: raised where a text would be stored
        return error


def lock_runs(runs: dict[UUID, RunRow], ids: Collection[UUID], *, texts: bool) -> set[UUID]:
    """Lock these runs and update their rows in `runs`. Return the runs whose secrets have changed. Deleted runs are
    removed from `runs`."""
    columns = (*MOVED, "failed_nodes", "encrypted_secrets", *(TEXTS if texts else ()))
    locked = WorkflowExecution.objects.filter(pk__in=ids).order_by("pk").select_for_update(no_key=True)
    return _update(runs, ids, [dict(zip(columns, values, strict=True)) for values in locked.values_list(*columns)])


def keep_secrets(runs: dict[UUID, RunRow], ids: Collection[UUID]) -> set[UUID]:
    """Do as lock_runs(), but only prevent new secrets: the locks are shared, so calls with lines do not wait for each
    other."""
    columns = ("id", "status", "attempt", "version", "encrypted_secrets")
    statement = f"SELECT {', '.join(columns)} FROM workflow_executions WHERE id = ANY(%s) ORDER BY id FOR SHARE"  # noqa: S608  # of constants
    return _update(runs, ids, [dict(zip(columns, values, strict=True)) for values in _rows(statement, [*ids])])


def _update(runs: dict[UUID, RunRow], ids: Collection[UUID], rows: list[dict[str, Any]]) -> set[UUID]:
    changed: set[UUID] = set()
    for values in rows:
        run = runs[values["id"]]
        if run.encrypted_secrets != values["encrypted_secrets"]:
            changed.add(run.id)
        for name, value in values.items():
            setattr(run, name, value)
    for gone in set(ids) - {values["id"] for values in rows}:
        del runs[gone]
    return changed


def lock_nodes(
    ids: Collection[UUID], of_runs: Collection[UUID], whole: Collection[UUID], *, texts: bool
) -> dict[UUID, NodeRow]:
    """Lock and return the node executions with these ids in `of_runs`, and all node executions of the runs `whole`."""
    if not ((ids and of_runs) or whole):
        return {}
    columns = (*MOVED, "retry_count", "settled", "node_name", *((*TEXTS, "error_traceback") if texts else ()))
    condition = Q(pk__in=ids, workflow_execution__in=of_runs) if ids else Q()
    if whole:
        condition |= Q(workflow_execution__in=whole)
    rows = NodeExecution.objects.filter(condition).order_by("pk").select_for_update(no_key=True, of=("self",))
    config = ("node__retry_config",) if texts else ()
    nodes: dict[UUID, NodeRow] = {}
    for run, node, *values in rows.values_list("workflow_execution_id", "node_id", *columns, *config):
        row = NodeRow(run=run, node=node, **dict(zip(columns, values, strict=False)))
        row.retry_config = values[-1] if texts else None
        nodes[row.id] = row
    return nodes


def runs_of_nodes(ids: Collection[UUID]) -> dict[UUID, UUID]:
    """Return the run of each node execution that exists. Nothing is locked."""
    return dict(NodeExecution.objects.filter(pk__in=ids).values_list("pk", "workflow_execution_id")) if ids else {}


def read_nodes(ids: Collection[UUID]) -> dict[UUID, NodeRow]:
    """Return the node executions with these ids, for lines and heartbeats. Nothing is locked."""
    if not ids:
        return {}
    columns = ("pk", "workflow_execution_id", "node_id", "status", "attempt", "version")
    rows = NodeExecution.objects.filter(pk__in=ids).values_list(*columns)
    return {
        id: NodeRow(id=id, run=run, node=node, status=status, attempt=attempt, version=version)
        for id, run, node, status, attempt, version in rows
    }


def stored_lines(ids: Collection[UUID]) -> dict[UUID, UUID]:
    """Return the run of each line that is stored already."""
    return dict(ExecutionLog.objects.filter(pk__in=ids).values_list("pk", "workflow_execution_id"))


def taken_runs(ids: Collection[UUID]) -> set[UUID]:
    """Return the ids of existing runs, also of runs that the caller does not see."""
    return set(WorkflowExecution.objects.filter(pk__in=ids).values_list("pk", flat=True)) if ids else set()


type History = dict[UUID, list[tuple[UUID | None, int, str, str]]]


def history_of(runs: Collection[UUID], nodes: Collection[UUID], acts: Collection[str]) -> History:
    """Return the entries of these acts in the history of the runs and of these nodes, in order: node, attempt, act, new
    state."""
    found: History = {run: [] for run in runs}
    of_rows = Q(node_execution=None) | Q(node_execution__in=nodes)
    entries = HistoryEntry.objects.filter(of_rows, workflow_execution__in=runs, act__in=acts)
    columns = ("workflow_execution_id", "node_execution_id", "attempt", "act", "to_status")
    for run, node, attempt, act, to in entries.values_list(*columns):
        found[run].append((node, attempt, act, to))
    return found
