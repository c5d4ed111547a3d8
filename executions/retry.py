"""Retry of a failed run or of one failed node. The failed attempt is kept. Failed nodes of a run become pending again,
and so do nodes that were skipped or cancelled because of them. SQL locks and writes (sql/retry_run.sql); Python
decides, and masks the attempt's texts again, because more secrets of the run may have been stored since."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import connection

from workflows import graph_algorithms

from . import audit, masking, refusal_reasons, run_graph
from .exceptions import InvalidTransition
from .secrets import run_secrets
from .states import ACTIVE, STOPPED, ExecutionStatus

if TYPE_CHECKING:
    from .models import NodeExecution, WorkflowExecution

TEXTS = ("output_data", "error_message", "error_traceback")

type Texts = dict[str, object]


type Pair = tuple[UUID, UUID]


class NodeOfRun(Protocol):
    """A node execution, stored or in memory."""

    @property
    def node_id(self) -> UUID: ...
    @property
    def status(self) -> str: ...
    @property
    def settled(self) -> bool: ...


class Row(NamedTuple):
    """Row of lock_for_retry(): the run, or one of its node executions."""

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
    ended_at: datetime | None

    @property
    def has_failed(self) -> bool:
        return self.status == ExecutionStatus.FAILED

    @property
    def texts(self) -> Texts:
        output = None if self.output_data is None else json.loads(self.output_data)
        return dict(zip(TEXTS, (output, self.error_message, self.error_traceback), strict=True))


def retry_run(run: "WorkflowExecution", override_max_retries: bool = False) -> dict[str, object]:
    """Retry a failed run inside a transaction. Return the columns that the database set.

    Raises SecretsUnknown, and InvalidTransition if the run has not failed or a failed node has no retry left. With
    `override_max_retries` none needs one, and ValidationError is raised without a reason.
    """
    _check_reason(override_max_retries)
    rows = [Row(**row) for row in _rows("SELECT * FROM lock_for_retry(%s, %s)", run.pk, list(run_graph.node_ids(run)))]
    if not rows or not rows[0].has_failed or rows[0].attempt != run.attempt:
        raise run._transition_error("retry")
    found, *nodes = rows
    failed = [node for node in nodes if node.has_failed]
    if not override_max_retries:
        _check_retries(found, failed)
    names = {node.node_id: node.node_name for node in nodes}
    retried = [*failed, *stopped_by_failure(nodes, lambda: run_graph.of_run(run, names).pairs)]
    texts = {row.id: row.texts for row in (found, *retried) if row.has_failed or row.has_started}
    kept, note = _mask_texts(run.pk, texts, _known_secrets(found))
    [moved] = _rows("SELECT * FROM retry_run(%s, %s, %s, %s)", run.pk, [node.id for node in retried], kept, note)
    return moved


def retry_node(node: "NodeExecution", override_max_retries: bool = False) -> dict[str, object]:
    """Retry a failed node of an active run, as retry_run() does with a run."""
    _check_reason(override_max_retries)
    rows = type(node).objects.filter(pk=node.pk).with_run().select_related("node").defer("input_data")
    found = rows.select_for_update(of=("workflow_execution", "self"), no_key=True).first()
    if found is None or found.workflow_execution.status not in ACTIVE or found.attempt != node.attempt:
        raise node._transition_error("retry")
    if not found.can_retry and not (override_max_retries and found.status == ExecutionStatus.FAILED):
        raise _no_retry(node, found)
    texts = {found.pk: {name: getattr(found, name) for name in TEXTS}}
    kept, note = _mask_texts(found.run_id, texts, _known_secrets(found.workflow_execution))
    [moved] = _rows("SELECT * FROM retry_nodes(%s, %s, %s)", [found.pk], kept, note)
    return moved


def _rows(statement: str, *parameters: Any) -> list[dict[str, Any]]:
    """Return the rows of a statement, by the names of its columns."""
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        names = [column.name for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def _check_reason(override_max_retries: bool) -> None:
    if override_max_retries and not audit.current().reason.strip():
        raise ValidationError({"reason": refusal_reasons.OVERRIDE_NEEDS_REASON})


def _check_retries(run: Row, failed: Sequence[Row]) -> None:
    for node in failed:
        config = json.loads(node.retry_config)
        if reason := refusal_reasons.node_out_of_retries(node.node_name, node.retry_count, config):
            raise InvalidTransition("retry", run.status, reason, run.version)


def _no_retry(node: "NodeExecution", found: "NodeExecution") -> InvalidTransition:
    if found.status != ExecutionStatus.FAILED:
        return node._transition_error("retry")
    return InvalidTransition("retry", found.status, refusal_reasons.out_of_retries(found), found.version)


def stopped_by_failure[R: NodeOfRun](nodes: Sequence[R], load_pairs: Callable[[], Iterable[Pair]]) -> list[R]:
    """Return the nodes of a failed run that stopped because of it: its end settled them, or they depend on a failed
    node by the edges of the run's graph."""
    stopped = [node for node in nodes if node.status in STOPPED]
    if all(node.settled for node in stopped):
        return stopped
    failed = [node.node_id for node in nodes if node.status == ExecutionStatus.FAILED]
    after = graph_algorithms.descendants(failed, load_pairs())
    return [node for node in stopped if node.settled or node.node_id in after]


def _known_secrets(run: "WorkflowExecution | Row") -> run_secrets.RunSecrets:
    return run_secrets.known_by("retry", *(getattr(run, name) for name in run_secrets.COLUMNS))


def _mask_texts(run: UUID, texts: Mapping[UUID, Texts], known: run_secrets.RunSecrets) -> tuple[str, str]:
    """Return the masked texts of attempts as JSON, and the masked audit note."""
    pieces = [masking.FieldValues(run, of_row) for of_row in texts.values()]
    _more, now = masking.mask(pieces, "retry", known={run: known})
    kept = json.dumps([{"id": str(id), **of_row} for id, of_row in texts.items()])
    return kept, audit.current().note(act="retry", **masking.masked_reason(now[run].scrubber))
