"""The retry of a failed run. Its attempt is kept; its failed nodes, and those that were skipped or cancelled because of
them, are pending again. SQL locks and writes (sql/retry_run.sql), Python decides and masks."""

import json
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, NamedTuple
from uuid import UUID

from django.conf import settings
from django.db import connection

from workflows import graph
from workflows.models import retries_in

from . import acting, graphs, reasons, vault
from .exceptions import InvalidTransition
from .states import ExecutionStatus


class Row(NamedTuple):
    """What lock_for_retry() returns of the run, or of one of its nodes."""

    id: UUID
    node_id: UUID
    node_name: str
    status: str
    attempt: int
    version: int
    has_started: bool
    settled: bool
    retry_count: int
    retry_config: str
    output_data: str | None
    error_message: str | None
    error_traceback: str | None
    encrypted_secrets: str | None
    ended_for: timedelta

    @property
    def has_failed(self) -> bool:
        return self.status == ExecutionStatus.FAILED


def retry(run: Any) -> dict[str, Any]:
    """Retry the run, within a transaction, and return the new version of its row and the time of it.

    Raises InvalidTransition where it is not failed or a failed node has no retry left, SecretsUnknown.
    """
    rows = _locked(run)
    if not rows or not rows[0].has_failed or rows[0].attempt != run.attempt:
        raise run._refusal("retry", ExecutionStatus.PENDING)
    found, *nodes = rows
    failed = [node for node in nodes if node.has_failed]
    _check_retries(found, failed)
    retried = [*failed, *_stopped_by(run, failed, nodes)]
    scrubber = vault.scrubber_of_row("retry", found.encrypted_secrets, _is_over(found), found.status, found.version)
    kept = _masked(run.pk, [found, *(node for node in retried if node.has_failed or node.has_started)], scrubber)
    note = acting.note("retry", *vault.masked_reason(scrubber))
    [(version, updated_at)] = _rows(
        "SELECT * FROM retry_run(%s, %s, %s, %s)", run.pk, [node.id for node in retried], kept, note
    )
    return {"version": version, "updated_at": updated_at}


def _locked(run: Any) -> list[Row]:
    rows = _rows("SELECT * FROM lock_for_retry(%s, %s)", run.pk, list(graphs.ids_in(run)))
    return [Row(*row) for row in rows]


def _rows(statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
    return rows


def _check_retries(run: Row, failed: Sequence[Row]) -> None:
    for node in failed:
        if node.retry_count >= (most := retries_in(json.loads(node.retry_config))):
            reason = reasons.node_out_of(node.node_name, node.retry_count, most)
            raise InvalidTransition("retry", run.status, reason, run.version)


def _stopped_by(run: Any, failed: Sequence[Row], nodes: Sequence[Row]) -> list[Row]:
    """Return the nodes that the run's own end settled, or that edges lead to from a failed node."""
    others = [node for node in nodes if node.status in {ExecutionStatus.SKIPPED, ExecutionStatus.CANCELLED}]
    if all(node.settled for node in others):
        return others
    pairs = graphs.of_run(run, {node.node_id: node.node_name for node in nodes}).pairs
    after = graph.descendants([node.node_id for node in failed], pairs)
    return [node for node in others if node.settled or node.node_id in after]


def _is_over(run: Row) -> bool:
    return run.ended_for > timedelta(seconds=settings.EXECUTIONS_SECRETS_FAILED_SECONDS)


def _masked(run: UUID, rows: Sequence[Row], scrubber: Any) -> str:
    """Return the texts of the attempts, as JSON for retry_run(), clear of what the run knows by now."""
    texts = [
        {
            "output_data": None if row.output_data is None else json.loads(row.output_data),
            "error_message": row.error_message,
            "error_traceback": row.error_traceback,
        }
        for row in rows
    ]
    vault.guard([vault.Piece(run, fields) for fields in texts], "retry", came={run: vault.Known(scrubber)})
    return json.dumps([{"id": str(row.id), **fields} for row, fields in zip(rows, texts, strict=True)])
