"""Leases of attempts (executions/leases.py): grant them to starts, extend them by heartbeats, compare them with the
tokens of reports. The rows are locked, so upkeep ends no attempt meanwhile."""

from collections.abc import Iterable, Sequence
from uuid import UUID, uuid4

import msgspec
from django.db import connection

from executions import refusal_reasons
from executions.exceptions import FencedExecution
from executions.leases import fence_reason
from ledgerkit.db.models import uuid7

from . import fact_kinds as kinds
from .facts_by_kind import HEARTBEATS, FactsOfCall
from .rows import NodeRow, Row, RunRow

STARTS = (kinds.RunStart, kinds.NodeStart)
ENDS = (kinds.RunComplete, kinds.RunFail, kinds.NodeComplete, kinds.NodeFail)
OF_RUN_TOKEN = (kinds.NodeCreate, kinds.NodeStart, kinds.NodeSkip, kinds.NodeComplete, kinds.NodeFail)


class LeaseRow(msgspec.Struct, kw_only=True):
    """The lease of an attempt of a run or a node execution."""

    row: UUID
    is_of_node: bool
    attempt: int
    worker: str = ""
    seconds: int | None = None
    token: UUID = msgspec.field(default_factory=uuid4)
    has_lapsed: bool = False
    id: UUID = msgspec.field(default_factory=uuid7)
    is_new: bool = False
    is_changed: bool = False  # since it was read


def have_leases(facts: FactsOfCall) -> bool:
    """Return whether any of the facts grants, extends or names a lease."""
    return (
        bool(facts.of_kinds(*HEARTBEATS))
        or any(is_leased(start) for start in facts.of_kinds(*STARTS))
        or any(fact.run_token is not None for fact in facts.of_kinds(*OF_RUN_TOKEN))
        or any(fact.token is not None for fact in facts.of_kinds(*ENDS))
        or any(line.token is not None or line.run_token is not None for line in facts.of_kinds(kinds.Line))
    )


def is_leased(start: kinds.RunStart | kinds.NodeStart) -> bool:
    return bool(start.worker) or start.lease_seconds is not None or start.token is not None


def token_of_report(fact: kinds.Fact) -> UUID | None:
    """Return the token that the end of an attempt is reported with."""
    return fact.token if isinstance(fact, ENDS) else None


class Leases:
    """The leases of every attempt of some rows."""

    def __init__(self, leases: Iterable[LeaseRow] = ()) -> None:
        self._of_row: dict[UUID, list[LeaseRow]] = {}
        for lease in leases:
            self._add(lease)

    def _add(self, lease: LeaseRow) -> None:
        self._of_row.setdefault(lease.row, []).append(lease)

    def of_token(self, row: UUID, token: UUID | None) -> LeaseRow | None:
        return next((lease for lease in self._of_row.get(row, ()) if lease.token == token), None)

    def check(self, act: str, row: Row, token: UUID) -> LeaseRow:
        """Return the lease of the row's attempt. Raises FencedExecution if the token is that of another attempt, or the
        lease has lapsed."""
        lease = self.of_token(row.id, token)
        if lease is None or lease.attempt != row.attempt or lease.has_lapsed:
            raise FencedExecution(
                act, row.status, fence_reason(lease.attempt if lease else None, row.attempt), row.version
            )
        return lease

    def has_lapsed(self, row: Row, token: UUID | None) -> bool:
        lease = self.of_token(row.id, token)
        return lease is not None and lease.has_lapsed

    def grant(self, row: RunRow | NodeRow, start: kinds.RunStart | kinds.NodeStart) -> LeaseRow:
        """Add and return the lease of the attempt that has just started."""
        lease = LeaseRow(
            row=row.id, is_of_node=isinstance(row, NodeRow), attempt=row.attempt, worker=start.worker,
            seconds=start.lease_seconds, token=start.token or uuid4(), is_new=True, is_changed=True,
        )  # fmt: skip
        self._add(lease)
        return lease

    def find(self, row: Row, start: kinds.RunStart | kinds.NodeStart, attempt: int) -> LeaseRow:
        """Return the lease of an attempt whose start is reported again. Raises FencedExecution if another worker has
        started it."""
        lease = next((lease for lease in self._of_row.get(row.id, ()) if lease.attempt == attempt), None)
        if lease is None or not _is_of(lease, start):
            raise FencedExecution("start", row.status, refusal_reasons.STARTED_BY_ANOTHER, row.version)
        return lease


def _is_of(lease: LeaseRow, start: kinds.RunStart | kinds.NodeStart) -> bool:
    """Return whether this start was granted the lease: compare the token if the start has one, else the worker. A start
    with neither could be that of any worker."""
    if start.token is None:
        return bool(start.worker) and lease.worker == start.worker
    return lease.token == start.token


LEASES = """
SELECT workflow_execution_id, false, attempt, worker, seconds, token, lapsed_at IS NOT NULL, id
FROM workflow_execution_leases WHERE workflow_execution_id = ANY(%s)
UNION ALL
SELECT node_execution_id, true, attempt, worker, seconds, token, lapsed_at IS NOT NULL, id
FROM node_execution_leases WHERE node_execution_id = ANY(%s)
"""
COLUMNS = ("row", "is_of_node", "attempt", "worker", "seconds", "token", "has_lapsed", "id")


def read_leases(facts: FactsOfCall, runs: Iterable[UUID], nodes: Iterable[UUID]) -> Leases:
    """Return the leases of these runs and node executions, none if no fact is about leases."""
    if not have_leases(facts):
        return Leases()
    with connection.cursor() as cursor:
        cursor.execute(LEASES, [[*runs], [*nodes]])
        return Leases(LeaseRow(**dict(zip(COLUMNS, values, strict=True))) for values in cursor.fetchall())


# Write the rows of both tables in one statement. Lock leases in the order of their ids: two calls that extend the same
# leases do not deadlock. A lease expires `seconds` after this statement, whatever the time of the fact.
OF_ONE_TABLE = """
new_{name} AS (
    INSERT INTO {table} (id, {row}, attempt, token, worker, seconds, heartbeat_at, expires_at)
    SELECT id, "row", attempt, token, worker, seconds, statement_timestamp(),
        statement_timestamp() + make_interval(secs => seconds)
    FROM given WHERE is_new AND is_of_node = {is_of_node}
), locked_{name} AS (
    SELECT lease.id, given.seconds FROM {table} AS lease JOIN given USING (id)
    WHERE NOT is_new AND is_of_node = {is_of_node} ORDER BY lease.id FOR NO KEY UPDATE OF lease
), extended_{name} AS (
    UPDATE {table} AS lease SET
        heartbeat_at = statement_timestamp(), seconds = locked.seconds,
        expires_at = statement_timestamp() + make_interval(secs => locked.seconds)
    FROM locked_{name} AS locked WHERE lease.id = locked.id
)
"""
STORE = f"""
WITH given AS (
    SELECT * FROM json_to_recordset(%s) AS given (
        id uuid, "row" uuid, is_of_node boolean, attempt integer, token uuid, worker text, seconds integer,
        is_new boolean
    )
),
{
    OF_ONE_TABLE.format(
        name="of_runs", table="workflow_execution_leases", row="workflow_execution_id", is_of_node="false"
    )
},
{OF_ONE_TABLE.format(name="of_nodes", table="node_execution_leases", row="node_execution_id", is_of_node="true")}
SELECT 1
"""  # noqa: S608  # of constants


def store_leases(leases: Sequence[LeaseRow]) -> None:
    """Store leases that were granted or extended. Their runs and node executions must be stored before."""
    if leases:
        with connection.cursor() as cursor:
            cursor.execute(STORE, [msgspec.json.encode(leases).decode()])
