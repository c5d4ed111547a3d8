"""Runs and node executions that need attention, and the evidence for it: running ones that are overdue, silent or late,
and queued runs whose turn it is and that nobody starts.

These are questions about the present, never a status: nothing is stored. They are defined in sql/attention.sql and
sql/unstarted.sql. Upkeep ends overdue attempts (upkeep/overdue_attempts.py); silent and late ones are only shown.
"""

from collections import defaultdict
from collections.abc import Collection
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple
from uuid import UUID

from django.db import connections
from django.db.models import Func, Q, UUIDField, Value

from ledgerkit.db.read_database import read_alias
from workflows.models import DEFAULT_TIMEOUT
from workflows.querysets import User, can_view_all

from . import limits, rollups
from .conf import executions_settings

type Parameter = float | str | datetime | list[UUID] | list[int] | None

QUESTIONS = ("overdue", "unstarted", "silent", "late")  # the strongest first
NO_TIME_OUT = (0, DEFAULT_TIMEOUT)  # of nodes: nobody may have chosen the default
# The function that answers each question, and its arguments after the ids that it is limited to.
RUNS = {
    "overdue": ("overdue_runs",),
    "unstarted": ("unstarted_runs", "quiet"),
    "silent": ("silent_runs", "quiet"),
    "late": ("late_runs", "counted_since", "enough", "share", "at_least"),
}
NODES = {"overdue": ("overdue_nodes", "no_time_out"), "silent": ("silent_nodes", "quiet")}


def _call(function: str, *arguments: str) -> str:
    return f"{function}({', '.join(['%(among)s::uuid[]', *(f'%({name})s' for name in arguments)])})"


# The last line of a silent row may be in any partition: it is read of the rows that are shown.
FIND_RUNS = f"""
SELECT question, run_id, NULL::uuid, CASE question WHEN 'silent' THEN greatest(since, (
    SELECT "timestamp" FROM execution_logs WHERE workflow_execution_id = run_id ORDER BY "timestamp" DESC LIMIT 1
)) ELSE since END, lease_expired, seconds, CASE question WHEN 'unstarted' THEN (
    SELECT count(*) FROM (
        SELECT FROM workflow_executions AS other
        WHERE other.workflow_id = run.workflow_id AND other.status = 'pending' AND other.is_queued
            AND other.id <> run_id
        LIMIT %(most_behind)s
    ) AS behind
) END
FROM (
    SELECT 1 AS place, 'overdue' AS question, run_id, since, lease_expired, seconds FROM {_call(*RUNS["overdue"])}
    UNION ALL SELECT 2, 'unstarted', run_id, since, NULL, NULL FROM {_call(*RUNS["unstarted"])}
    UNION ALL SELECT 3, 'silent', run_id, since, NULL, NULL FROM {_call(*RUNS["silent"])}
    UNION ALL SELECT 4, 'late', run_id, since, NULL, seconds FROM {_call(*RUNS["late"])}
) AS found
JOIN workflow_executions AS run ON run.id = run_id JOIN workflows ON workflows.id = workflow_id
WHERE %(owner)s::text IS NULL OR owner_id::text = %(owner)s
ORDER BY place, since, run_id LIMIT %(most)s
"""  # noqa: S608  # of constants
FIND_NODES = f"""
SELECT question, run_id, node_execution_id, CASE question WHEN 'silent' THEN greatest(since, (
    SELECT max("timestamp") FROM execution_logs WHERE execution_logs.node_execution_id = found.node_execution_id
)) ELSE since END, lease_expired, seconds, NULL
FROM (
    SELECT 1 AS place, 'overdue' AS question, run_id, node_execution_id, since, lease_expired, seconds
    FROM {_call(*NODES["overdue"])}
    UNION ALL SELECT 2, 'silent', run_id, node_execution_id, since, NULL, NULL FROM {_call(*NODES["silent"])}
) AS found
ORDER BY place, since, node_execution_id
"""  # noqa: S608  # of constants


class Finding(NamedTuple):
    """A row that needs attention, and the question that it answers.

    `since` is the time of the last heartbeat, transition or line of a silent row; the time when the turn of an
    unstarted run came; else the time when the limit of `seconds` was exceeded: the lease, the time-out, or the 95th
    percentile of the workflow. `behind` is the number of queued runs that wait for an unstarted one.
    """

    question: str
    run: UUID
    node: UUID | None
    since: datetime
    lease_expired: bool | None
    seconds: Decimal | None
    behind: int | None = None


type Findings = dict[UUID, list[Finding]]  # of the rows that have some, by their ids; the strongest first


def findings_of_runs(runs: Collection[UUID]) -> Findings:
    """Return the findings for these runs, running or pending."""
    found = _find(FIND_RUNS, among=[*runs], owner=None, most=None) if runs else []
    return _by_row(found)


def findings_of_nodes(nodes: Collection[UUID]) -> Findings:
    return _by_row(_find(FIND_NODES, among=[*nodes]) if nodes else [])


def find_runs(user: User, most: int) -> Findings:
    """Return the runs that the user may see and that need attention, with at most so many findings."""
    sees_all = can_view_all(user, "executions.view_workflowexecution")
    return _by_row(_find(FIND_RUNS, among=None, owner=None if sees_all else str(user.pk), most=most))


def run_condition(question: str) -> Q:
    """Return the condition of the runs that are overdue, unstarted, silent or late."""
    return Q(pk__in=_ids("run_id", *RUNS[question]))


def node_condition(question: str) -> Q:
    """Return the condition of the node executions that are overdue or silent."""
    return Q(pk__in=_ids("node_execution_id", *NODES[question]))


def _ids(column: str, function: str, *arguments: str) -> Func:
    parameters = _parameters(None)
    values = [Value(parameters[name]) for name in ("among", *arguments)]
    template = f"SELECT {column} FROM %(function)s(%(expressions)s)"  # noqa: S608  # of constants
    return Func(*values, function=function, template=template, output_field=UUIDField())


def _find(statement: str, among: list[UUID] | None, **more: Parameter) -> list[Finding]:
    with connections[read_alias()].cursor() as cursor:
        cursor.execute(statement, _parameters(among) | more)
        return [Finding(*row) for row in cursor.fetchall()]


def _parameters(among: list[UUID] | None) -> dict[str, Parameter]:
    return {
        "among": among,
        "no_time_out": list(NO_TIME_OUT),
        "quiet": executions_settings.SILENT_SECONDS,
        "most_behind": limits.RUNS_BEHIND,
        "counted_since": rollups.usual_since(),
        "enough": rollups.USUAL_RUNS,
        "share": executions_settings.LATE_PERCENT / 100,
        "at_least": executions_settings.LATE_SECONDS,
    }


def _by_row(found: list[Finding]) -> Findings:
    rows: Findings = defaultdict(list)
    for finding in found:
        rows[finding.node or finding.run].append(finding)
    return dict(rows)
