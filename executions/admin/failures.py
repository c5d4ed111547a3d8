"""What failed lately, and why: runs of one workflow that failed at one node with the same words have one cause."""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.utils import timezone

from executions.models import NodeExecution, WorkflowExecution

from . import ansi, cells, presets, texts

PERIOD = timedelta(days=1)
SHOWN = 1_000  # the newest failures of the period, among which causes are looked for

QUOTED = re.compile(r"""(?<!\w)(?:'[^']*'|"[^"]*"|`[^`]*`)(?!\w)|“[^”]*”|‘[^’]*’|«[^»]*»""")
# A word with a digit in it: a number, an id, a date, a piece of hex; also several of them with signs in between.
COUNTED = re.compile(r"[+-]?\w*\d\w*(?:[.,:/+-]\w*\d\w*)*")
HEX = re.compile(r"\b[0-9a-fA-F]{8}(?:(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})?\b|\b[0-9a-fA-F]{8,}\b")


@dataclass
class Cause:
    """`runs` are newest first."""

    key: str
    workflow: Any
    node: str | None
    line: str
    runs: list[Any] = field(default_factory=list)

    @property
    def newest(self) -> Any:
        return self.runs[0]

    @property
    def ago(self) -> str:
        return cells.ago(self.newest.ended_at)

    @property
    def address(self) -> str:
        """Of the list of its runs."""
        return presets.runs(cause=self.key)


def first_line(text: str | None) -> str:
    """Return the first line that says something, without colours."""
    return next((line.strip() for line in ansi.plain(text or "").splitlines() if line.strip()), "")


def kind(text: str | None) -> str:
    """What is the same in two messages that differ by numbers, ids and what they quote."""
    line = HEX.sub("#", QUOTED.sub("“…”", first_line(text)))
    return " ".join(COUNTED.sub("#", line).split())


def recent(user: Any) -> list[Any]:
    """The newest failed runs of the period, each with `failure`, the node execution that failed first, or None."""
    runs = WorkflowExecution.objects.visible_to(user).failed().filter(ended_at__gte=timezone.now() - PERIOD)
    columns = ("status", "workflow__name", "created_at", "started_at", "ended_at")
    rows = runs.select_related("workflow").only(*columns).annotate(error=texts.head("error_message", texts.LINE))
    return with_failures(user, list(rows.order_by("-ended_at", "-id")[:SHOWN]))


def with_failures(user: Any, runs: list[Any]) -> list[Any]:
    """The same runs; the first failed node of all of them comes by one question."""
    first = {row.workflow_execution_id: row for row in first_failed(user, [run.pk for run in runs])} if runs else {}
    for run in runs:
        run.failure = first.get(run.pk)
        run.line = first_line(run.failure.error if run.failure else None) or first_line(run.error)
    return runs


def first_failed(user: Any, runs: Iterable[UUID]) -> Any:
    failed = NodeExecution.objects.visible_to(user).failed().filter(workflow_execution__in=runs)
    rows = failed.select_related("node").only("workflow_execution", "status", "node__name")
    rows = rows.annotate(error=texts.head("error_message", texts.LINE))
    in_order = rows.order_by("workflow_execution_id", "ended_at", "execution_order", "id")
    return in_order.distinct("workflow_execution_id")


def causes(runs: list[Any]) -> list[Cause]:
    """In the order of `runs`."""
    found: dict[str, Cause] = {}
    for run in runs:
        node = run.failure.node.name if run.failure else None
        key = _key(run.workflow_id, node, kind(run.line))
        found.setdefault(key, Cause(key, run.workflow, node, run.line)).runs.append(run)
    return list(found.values())


def _key(*parts: Any) -> str:
    """Stands in an address."""
    return hashlib.blake2s("\0".join(map(str, parts)).encode(), digest_size=8).hexdigest()
