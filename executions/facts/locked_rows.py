"""The rows that facts are about: read, locked in the order of their ids, and as they are changed in memory."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, ClassVar
from uuid import UUID

from django.db import connection
from django.db.models import F, Q

from executions import states
from executions.models import ExecutionLog, ExecutionStatus, HistoryEntry, NodeExecution, WorkflowExecution
from executions.secrets import run_secrets
from executions.states import Transitions

KEPT: Any = object()  # in place of a value that is stored and stays as it is
CONCURRENT = {"allow_concurrent": True}

type Secrets = dict[UUID, run_secrets.RunSecrets | Exception]


@dataclass(slots=True, kw_only=True)
class Row:
    """A run or a node execution, as far as transitions need it. `moves` counts the changes since it was read."""

    id: UUID
    status: str = ExecutionStatus.PENDING
    attempt: int = 1
    version: int = 1
    started_at: datetime | None = None
    ended_at: datetime | None = None
    output_data: Any = KEPT
    error_message: Any = KEPT
    is_new: bool = False
    moves: int = 0
    created_at: datetime | None = None
    input_data: Any = None


@dataclass(slots=True, kw_only=True)
class RunRow(Row):
    TRANSITIONS: ClassVar[Transitions] = states.WORKFLOW_EXECUTION

    workflow: UUID
    owner: Any = None
    graph: UUID | None = None
    allow_concurrent: bool = False
    log_level: str | None = None
    failed_nodes: int = 0
    encrypted_secrets: str | None = None
    has_new_secrets: bool = False
    trigger_type: str = ""
    context: Any = None
    metadata: Any = None


@dataclass(slots=True, kw_only=True)
class NodeRow(Row):
    TRANSITIONS: ClassVar[Transitions] = states.NODE_EXECUTION

    run: UUID
    node: UUID
    node_name: str = ""
    execution_order: int = 0
    retry_count: int = 0
    retry_config: Any = None
    settled: bool = False
    error_traceback: Any = KEPT

    @property
    def node_id(self) -> UUID:
        return self.node


@dataclass(slots=True)
class Entry:
    """An entry of the history."""

    run: UUID
    node: UUID | None
    attempt: int
    from_status: str | None
    to_status: str
    act: str
    reason: str = ""


@dataclass(slots=True)
class Ended:
    """An attempt that a retry has replaced."""

    row: UUID
    number: int
    status: str
    started_at: datetime | None
    ended_at: datetime | None
    texts: dict[str, Any] = field(default_factory=dict)


MOVED = ("id", "status", "attempt", "version", "started_at", "ended_at", "created_at")
TEXTS = ("output_data", "error_message")


def find_runs(visible: Any, ids: Collection[UUID]) -> tuple[dict[UUID, RunRow], Secrets]:
    """Return those of these runs that the caller may see, and what is known of their secrets. Nothing is locked."""
    if not ids:
        return {}, {}
    columns = (*MOVED, "failed_nodes", "encrypted_secrets")
    found = visible.filter(pk__in=ids).annotate(owner_id=F("workflow__owner_id"))
    more = ("workflow_id", "owner_id", "graph_id", "metadata__allow_concurrent", "workflow__config__log_level")
    runs: dict[UUID, RunRow] = {}
    secrets: Secrets = {}
    for values in found.values_list(*columns, *more):
        row = dict(zip(columns, values, strict=False))
        workflow, owner, graph, concurrent, level = values[len(columns) :]
        run = RunRow(**row, workflow=workflow, owner=owner, graph=graph, allow_concurrent=concurrent is True)
        run.log_level = level
        runs[run.id] = run
        secrets[run.id] = _known_secrets(run)
    return runs, secrets


def _known_secrets(run: RunRow) -> run_secrets.RunSecrets | Exception:
    try:
        return run_secrets.known_by("report", run.encrypted_secrets, run.status, run.ended_at, run.version)
    except ValueError as error:  # SecretsUnknown: said where a text would be stored
        return error


def lock_runs(runs: dict[UUID, RunRow], ids: Iterable[UUID], *, texts: bool) -> bool:
    """Lock these runs and update what is known of them. Return False if a run was deleted or its secrets changed."""
    columns = (*MOVED, "failed_nodes", "encrypted_secrets", *(TEXTS if texts else ()))
    locked = WorkflowExecution.objects.filter(pk__in=list(ids)).order_by("pk").select_for_update(no_key=True)
    found = list(locked.values_list(*columns))
    for values in found:
        now = dict(zip(columns, values, strict=True))
        run = runs[now["id"]]
        if run.encrypted_secrets != now["encrypted_secrets"]:
            return False
        for name, value in now.items():
            setattr(run, name, value)
    return len(found) == len(set(ids))


def keep_secrets(runs: dict[UUID, RunRow], ids: Collection[UUID]) -> bool:
    """Lock these runs against new secrets until the transaction ends. Return False if a run was deleted or its secrets
    changed. Calls with lines do not wait for each other, as the locks are shared."""
    statement = "SELECT id, encrypted_secrets FROM workflow_executions WHERE id = ANY(%s) ORDER BY id FOR SHARE"
    with connection.cursor() as cursor:
        cursor.execute(statement, [list(ids)])
        found = dict(cursor.fetchall())
    return len(found) == len(ids) and all(runs[id].encrypted_secrets == now for id, now in found.items())


def lock_nodes(
    ids: Collection[UUID], of_runs: Collection[UUID], whole: Collection[UUID], *, texts: bool
) -> dict[UUID, NodeRow]:
    """Lock and return those node executions of these runs that have one of these ids, and every one of the runs
    `whole`."""
    if not ((ids and of_runs) or whole):
        return {}
    columns = (*MOVED, "retry_count", "settled", "node_name", *((*TEXTS, "error_traceback") if texts else ()))
    among = Q(pk__in=ids, workflow_execution__in=of_runs) if ids else Q()
    if whole:
        among |= Q(workflow_execution__in=whole)
    rows = NodeExecution.objects.filter(among).order_by("pk").select_for_update(no_key=True, of=("self",))
    config = ("node__retry_config",) if texts else ()
    found: dict[UUID, NodeRow] = {}
    for run, node, *values in rows.values_list("workflow_execution_id", "node_id", *columns, *config):
        row = NodeRow(run=run, node=node, **dict(zip(columns, values, strict=False)))
        row.retry_config = values[-1] if texts else None
        found[row.id] = row
    return found


def runs_of_nodes(ids: Collection[UUID]) -> dict[UUID, UUID]:
    """Return the runs of those of these node executions that exist. Nothing is locked."""
    return dict(NodeExecution.objects.filter(pk__in=ids).values_list("pk", "workflow_execution_id")) if ids else {}


def nodes_of_lines(ids: Collection[UUID]) -> dict[UUID, tuple[UUID, int]]:
    """Return the run and the current attempt of node executions that lines name."""
    rows = NodeExecution.objects.filter(pk__in=ids).values_list("pk", "workflow_execution_id", "attempt")
    return {id: (run, attempt) for id, run, attempt in rows} if ids else {}


def running(workflows: Collection[UUID]) -> dict[UUID, UUID]:
    """Return the run of each workflow that keeps others from starting."""
    rows = WorkflowExecution.objects.running().filter(workflow__in=workflows).exclude(metadata__contains=CONCURRENT)
    return dict(rows.order_by().values_list("workflow_id", "pk")) if workflows else {}


def stored_lines(ids: Collection[UUID]) -> dict[UUID, UUID]:
    """Return the runs of those of these lines that are stored already."""
    return dict(ExecutionLog.objects.filter(pk__in=ids).values_list("pk", "workflow_execution_id"))


def taken_runs(ids: Collection[UUID]) -> set[UUID]:
    """Return those of these ids that a run has, whoever may see it."""
    return set(WorkflowExecution.objects.filter(pk__in=ids).values_list("pk", flat=True)) if ids else set()


type History = dict[UUID, list[tuple[UUID | None, int, str, str]]]


def history_of(runs: Collection[UUID]) -> History:
    """Return node, attempt, act and new state of every entry of these runs, in order."""
    found: History = {run: [] for run in runs}
    entries = HistoryEntry.objects.filter(workflow_execution__in=runs)
    columns = ("workflow_execution_id", "node_execution_id", "attempt", "act", "to_status")
    for run, node, attempt, act, to in entries.values_list(*columns):
        found[run].append((node, attempt, act, to))
    return found


def database_time(note: str) -> datetime:
    """Return the time by the database's clock. The same statement says who acts, to the triggers of the history."""
    noted = ", ledger_noted(now(), %s)" if note else ""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT clock_timestamp(){noted}", [note] if note else [])
        now: datetime = cursor.fetchone()[0]
    return now.astimezone(UTC)


def take_turns(workflows: set[UUID]) -> None:
    """Let one call at a time start runs of these workflows, of which one may run: calls that wait for each other's runs
    would wait for ever."""
    if workflows:
        keys = [f"starts {workflow}" for workflow in sorted(workflows)]
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_advisory_xact_lock(hashtextextended(key, 0)) FROM unnest(%s::text[]) AS key", [keys]
            )
