"""Failures of runs as lists show them: the node that failed first, and the first line of its error."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from executions.admin.types import User
from executions.error_groups import messages
from executions.models import NodeExecution
from executions.querysets import NodeExecutionQuerySet
from ledgerkit.db.id_lists import AnyOf

from . import formatting
from .logs import ansi


class WithError(Protocol):
    """A row with the beginning of its error."""

    @property
    def pk(self) -> UUID: ...
    @property
    def error(self) -> str | None: ...


@dataclass(frozen=True, slots=True)
class RunFailure:
    """`node` is the node execution that failed first; `line` the first line of its error, else of the run's."""

    node: NodeExecution | None
    line: str


def first_line(text: str | None) -> str:
    """Return the first line that is not blank, without ANSI sequences."""
    return messages.first_line(ansi.strip_ansi(text or ""))


def first_failures(user: User, runs: Sequence[WithError]) -> dict[UUID, RunFailure]:
    """Return the failure of each of `runs`, by the id of the run, with one query."""
    first = {row.workflow_execution_id: row for row in first_failed(user, [run.pk for run in runs])} if runs else {}
    return {run.pk: _run_failure(run, first.get(run.pk)) for run in runs}


def _run_failure(run: WithError, node: NodeExecution | None) -> RunFailure:
    # The node's error first: it is the cause, and the run's error may be empty.
    errors = (getattr(node, "error", None), run.error)
    return RunFailure(node, next(filter(None, map(first_line, errors)), ""))


def first_failed(user: User, runs: Iterable[UUID]) -> NodeExecutionQuerySet:
    """Return the node execution of each run that failed first, with the beginning of its error."""
    failed = NodeExecution.objects.visible_to(user).failed().filter(AnyOf("workflow_execution_id", runs))
    rows = failed.only("workflow_execution", "status", "node_name")
    rows = rows.annotate(error=formatting.first_characters("error_message", formatting.LINE))
    # DISTINCT ON keeps the first row of each run in this order.
    in_order = rows.order_by("workflow_execution_id", "ended_at", "execution_order", "id")
    return in_order.distinct("workflow_execution_id")
