"""Ending of attempts whose lease expired or whose time-out is exceeded, and retry of their nodes after the delay. Runs
that nobody starts are cancelled, if a setting says after which time.

Each attempt is ended in a transaction of its own, by the transition that an engine would report. Its run is locked
first; one that somebody holds is left for the next call. The lease is marked by an UPDATE that matches only while it is
expired: a heartbeat that came before saves the attempt, one that comes later is refused. The transition matches the
status and the attempt, so an attempt that has ended meanwhile stays as it is.
"""

import logging
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from functools import partial
from typing import NamedTuple
from uuid import UUID

from django.db import connection, transaction
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import gettext as _

from executions import leases
from executions.attention import NO_TIME_OUT
from executions.audit import Through, act_as
from executions.conf import executions_settings
from executions.exceptions import InvalidTransition, SecretsUnknown
from executions.metrics import OVERDUE
from executions.models import ErrorCode, ExecutionStatus, NodeExecution, WorkflowExecution
from executions.models.base import Execution
from executions.models.lease import NodeExecutionLease
from workflows import retry_config

from .error_logging import UnchangedRuns
from .interruption import was_interrupted
from .task import Progress, Result

ACTOR = "upkeep"
logger = logging.getLogger(__name__)
# By the same definition as the pages and the API: sql/attention.sql.
RUNS = "SELECT run_id, NULL::uuid, attempt, lease_expired FROM overdue_runs(NULL) ORDER BY run_id"
NODES = """
SELECT run_id, node_execution_id, attempt, lease_expired FROM overdue_nodes(NULL, %(no_time_out)s)
ORDER BY node_execution_id
"""
LAPSED = """
SELECT execution.workflow_execution_id, execution.id, execution.attempt, false
FROM workflow_executions AS run
JOIN node_executions AS execution ON execution.workflow_execution_id = run.id
WHERE run.status = 'running' AND execution.status = 'failed' AND execution.error_code <> ''
ORDER BY execution.id
"""

# The time of a queued run is that since its turn (sql/turns.sql), without the time for which others took the slot. That
# of several at once counts once: deleted runs may have allowed others. CASE has the first of each queue found before
# its turn is computed. Of its workflow, as there, the 1,000 ended runs created last and the 1,000 deleted last are
# looked at, by the indexes of the workflow.
PENDING = """
WITH heads AS MATERIALIZED (
    SELECT DISTINCT ON (workflow_id) id FROM workflow_executions
    WHERE status = 'pending' AND is_queued ORDER BY workflow_id, created_at, id
)
SELECT id, NULL::uuid, attempt, NULL
FROM workflow_executions AS run, LATERAL (SELECT now() - make_interval(secs => %(seconds)s) AS until) AS clock
WHERE status = 'pending' AND created_at < until AND updated_at < until AND CASE
    WHEN NOT is_queued THEN true
    WHEN id NOT IN (SELECT id FROM heads) OR EXISTS (SELECT FROM runs_ahead(run.id)) THEN false
    ELSE (
        SELECT since + coalesce((
            SELECT sum(upper(taken) - lower(taken)) FROM unnest((
                SELECT range_agg(tstzrange(greatest(started_at, since), ended_at)) FROM (
                    (SELECT started_at, ended_at, metadata @> '{"allow_concurrent": true}' AS is_beside
                    FROM workflow_executions AS other
                    WHERE other.workflow_id = run.workflow_id AND other.ended_at IS NOT NULL
                    ORDER BY other.created_at DESC, other.id DESC LIMIT 1000)
                    UNION ALL
                    (SELECT started_at, coalesce(ended_at, happened_at), false
                    FROM execution_deletions AS record
                    WHERE record.workflow_id = run.workflow_id AND happened_at > since
                        AND NOT (through = 'in_process' AND username = 'upkeep')
                    ORDER BY happened_at DESC LIMIT 1000)
                ) AS other
                WHERE ended_at > since AND started_at < ended_at AND NOT is_beside
            )) AS taken
        ), interval '0') < until
        FROM turn_since(run.id) AS since
    )
END
ORDER BY created_at, id LIMIT %(most)s
"""
AT_ONCE = 1_000


class Overdue(NamedTuple):
    """An attempt of a run, or of a node if it has one, whose lease expired or whose time-out is exceeded."""

    run: UUID
    node: UUID | None
    attempt: int
    has_expired: bool | None  # its lease; else the time-out is exceeded


def plan() -> Result:
    return Result(rows=len(_overdue()))


def apply(progress: Progress) -> Result:
    ended, retried = end_overdue(progress)
    return Result(rows=ended, notes=[_("%(n)d nodes were retried.") % {"n": retried}] if retried else [])


def end_overdue(progress: Progress = lambda _done, _of: None) -> tuple[int, int]:
    """Fail what is over time, and retry the nodes that may be. Return the numbers of both."""
    with act_as(through=Through.IN_PROCESS, name=ACTOR, user=None, reason=""):
        return _each(_overdue(), _end, progress), _each(_find(LAPSED), _retry_if_due, progress)


def plan_pending() -> Result:
    return Result(rows=len(_find_unstarted()))


def expire_pending(progress: Progress) -> Result:
    """Cancel the runs that were not started within EXECUTIONS["PENDING_EXPIRE_SECONDS"]."""
    done = 0
    with act_as(through=Through.IN_PROCESS, name=ACTOR, user=None, reason=""):
        while expired := _each(_find_unstarted(), _expire, progress):
            done += expired
    return Result(rows=done)


def _find_unstarted() -> list[Overdue]:
    if (seconds := executions_settings.PENDING_EXPIRE_SECONDS) is None:
        return []
    return _find(PENDING, {"seconds": seconds, "most": AT_ONCE})


@transaction.atomic
def _expire(unstarted: Overdue) -> bool:
    run = _lock(unstarted)
    if not isinstance(run, WorkflowExecution) or run.status != ExecutionStatus.PENDING:
        return False  # somebody has started it
    run.expire(f"Nobody started it within {executions_settings.PENDING_EXPIRE_SECONDS} seconds.")
    _count(run, ErrorCode.EXPIRED)
    return True


def _overdue() -> list[Overdue]:
    """Return runs before nodes: the failure of a run ends its nodes."""
    return [*_find(RUNS), *_find(NODES, {"no_time_out": [*NO_TIME_OUT]})]


def _find(statement: str, parameters: Mapping[str, int | list[int]] | None = None) -> list[Overdue]:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return [Overdue(*row) for row in cursor.fetchall()]


def _each(found: Iterable[Overdue], change: Callable[[Overdue], bool], progress: Progress) -> int:
    """Apply `change` to each row. Return how many it changed; rows that a worker changes meanwhile are left, and so are
    those that cannot be changed: none holds up the others."""
    rows, done, unchanged = list(found), 0, UnchangedRuns(change.__name__)
    for row in rows:
        try:
            done += change(row)
        except SecretsUnknown:
            logger.warning("The run %s is not ended: its secrets are unknown, so none of its texts is stored.", row.run)
            continue
        except InvalidTransition:
            continue
        except Exception as error:
            if was_interrupted(error) or not connection.is_usable():
                raise
            unchanged.add(row.run, error)
            continue
        progress(done, len(rows))
    unchanged.log()
    return done


@transaction.atomic
def _end(overdue: Overdue) -> bool:
    row = _lock(overdue)
    if row is None:
        return False
    if not overdue.has_expired:
        row.leases_of_attempts().filter(attempt=overdue.attempt).update(lapsed_at=Now())
        _fail(row, ErrorCode.TIMED_OUT, _time_out_message(row))
        return True
    lease = row.leases_of_attempts().filter(attempt=overdue.attempt, lapsed_at=None, expires_at__lt=Now())
    found = lease.first()
    if found is None or not lease.update(lapsed_at=Now()):
        return False  # a heartbeat came
    _fail(row, ErrorCode.LEASE_EXPIRED, leases.expired_message(found))
    return True


def _fail(row: Execution, code: ErrorCode, message: str) -> None:
    _end_leases_of_nodes(row)
    row.fail_overdue(code, message)
    _count(row, code)
    line = "Upkeep ended attempt %s of %s %s: %s."
    transaction.on_commit(partial(logger.warning, line, row.attempt, type(row).__name__, row.pk, code), robust=True)


def _count(row: Execution, code: ErrorCode) -> None:
    transaction.on_commit(OVERDUE.labels(row._meta.model_name, str(code)).inc, robust=True)


def _end_leases_of_nodes(row: Execution) -> None:
    """End the leases of the nodes that end with their run: their workers have to stop too."""
    if isinstance(row, WorkflowExecution):
        nodes = row.node_executions.filter(status=ExecutionStatus.RUNNING)
        NodeExecutionLease.objects.filter(node_execution__in=nodes, lapsed_at=None).update(lapsed_at=Now())


@transaction.atomic
def _retry_if_due(lapsed: Overdue) -> bool:
    node = _lock(lapsed)
    if not isinstance(node, NodeExecution) or not node.can_retry or node.ended_at is None:
        return False
    delay = retry_config.delay_before(node.node.retry_config, node.retry_count, of=str(node.pk))
    if node.ended_at + timedelta(seconds=delay) > timezone.now():
        return False
    node.retry()
    return True


def _lock(overdue: Overdue) -> Execution | None:
    """Return the run or its node, with the run locked; None if somebody holds it, or the attempt was replaced."""
    run = WorkflowExecution.objects.select_for_update(skip_locked=True, no_key=True).filter(pk=overdue.run).first()
    row: Execution | None = run
    if run is not None and overdue.node is not None:
        row = run.node_executions.select_related("node").filter(pk=overdue.node).first()
    return row if row is not None and row.attempt == overdue.attempt else None


def _time_out_message(row: Execution) -> str:
    """Return the error message of an attempt whose time-out is exceeded. It is stored, so it is in English."""
    if isinstance(row, NodeExecution):
        seconds: object = row.node.timeout_seconds
    else:
        seconds = WorkflowExecution.objects.values_list("metadata__timeout_seconds", flat=True).get(pk=row.pk)
    return f"The time-out of {seconds} seconds was exceeded."
