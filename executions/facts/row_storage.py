"""Store the changes of plans, in one call of the database."""

from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from operator import attrgetter

import msgspec
from django.db import IntegrityError, connection, transaction
from psycopg.errors import ForeignKeyViolation, UniqueViolation

from executions import partitions, run_graph
from executions.metrics import TRANSITIONS
from executions.models import WorkflowExecution
from executions.secrets.encryption import encrypt
from executions.states import ExecutionStatus

from .rows import Row
from .run_plan import Plan

ONE_RUNS = "one_running_execution_per_workflow"
# In the order of the function's parameters (sql/record_facts.sql).
RECORD = "SELECT record_facts(%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"

REMEMBER = """
UPDATE workflow_executions AS run SET graph_id = given.graph
FROM unnest(%s::uuid[], %s::uuid[]) AS given(run, graph) WHERE run.id = given.run
"""


def store(plans: Sequence[Plan], note: str | None) -> None:
    """Store the changes of the plans, and their history with this audit note. `note` is None if no transition was
    made."""
    for plan in plans:
        _take_secrets(plan)
    runs = [plan.run for plan in plans if plan.run is not None]
    changed = _changed_rows(runs)
    nodes = [node for plan in plans for node in plan.nodes.values()]
    rows: tuple[Sequence[msgspec.Struct], ...] = (
        [run for run in changed if run.status != ExecutionStatus.RUNNING],
        # In the order of the ids in every call, so that calls do not deadlock.
        sorted((run for run in runs if run.is_new), key=BY_ID),
        [run for run in changed if run.status == ExecutionStatus.RUNNING],
        sorted((node for node in nodes if node.is_new), key=BY_ID),
        _changed_rows(nodes),
        [ended for plan in plans for ended in plan.ended_runs],
        [ended for plan in plans for ended in plan.ended_nodes],
        [entry for plan in plans for entry in plan.entries],
        sorted(partitions.without_removed([line for plan in plans for line in plan.lines]), key=BY_ID),
    )
    if any(rows):
        with connection.cursor() as cursor:
            cursor.execute(RECORD, [note, *map(as_json, rows)])


def count_transitions(plans: Sequence[Plan]) -> None:
    """Count the transitions in the history, for Prometheus."""
    entries = (entry for plan in plans for entry in plan.entries)
    moves = Counter((each.node is None, each.to_status) for each in entries if each.from_status)
    for (is_of_run, to), number in moves.items():
        TRANSITIONS.labels("workflowexecution" if is_of_run else "nodeexecution", to).inc(number)


BY_ID = attrgetter("id.int")


def _changed_rows[R: Row](rows: Iterable[R]) -> list[R]:
    return [row for row in rows if not row.is_new and (row.moves or getattr(row, "has_new_secrets", False))]


def _take_secrets(plan: Plan) -> None:
    """Encrypt the secrets that facts brought, and store them with their run."""
    run = plan.run
    if run is None or plan.secrets.scrubber.values <= plan.secrets_before:
        return
    run.encrypted_secrets = encrypt(plan.secrets.scrubber.values)
    run.has_new_secrets = True


def as_json(rows: Sequence[msgspec.Struct]) -> str | None:
    """Return the rows as JSON for the database. Documents were checked and masked before."""
    return msgspec.json.encode(rows).decode() if rows else None


def remember_nodes(plans: Sequence[Plan]) -> None:
    """Add nodes to the graphs of runs that were created before the nodes."""
    late = {plan.id: plan.late_nodes for plan in plans}
    today = {workflow: graph.stored for workflow, graph in plans[0].known.read_graphs_of_today().items()}
    runs = WorkflowExecution.objects.select_related("graph").only("workflow", "graph").filter(pk__in=late)
    graphs = run_graph.with_late_nodes(runs, late, today)
    with connection.cursor() as cursor:
        cursor.execute(REMEMBER, [[*graphs], [graph.pk for graph in graphs.values()]])


def was_overtaken(error: IntegrityError) -> bool:
    """Return whether a concurrent call caused the error: it has stored a row with the same id, started a run, or
    deleted a row that was read."""
    cause = error.__cause__
    if isinstance(cause, UniqueViolation):
        name = cause.diag.constraint_name or ""
        return name.endswith("_pkey") or name == ONE_RUNS
    return isinstance(cause, ForeignKeyViolation)


def transaction_if(*, is_needed: bool) -> AbstractContextManager[None]:
    """Return a transaction if locks have to last until rows are stored; a single statement needs none. Inside the
    caller's transaction it is a savepoint, because a try may fail."""
    return transaction.atomic() if is_needed or connection.in_atomic_block else nullcontext()
