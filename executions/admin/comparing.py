"""A run beside the last success of its workflow before it: what took longer, and where the two begin to differ."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db.models import Case, CharField, F, Func, IntegerField, TextField, When
from django.db.models.functions import MD5, Cast
from django.db.models.lookups import LessThan
from django.utils.functional import cached_property
from django.utils.translation import gettext as _

from executions.models import ExecutionStatus, NodeExecution, WorkflowExecution

from . import texts
from .attempts import with_duration
from .difference import Difference, differences, parsed

BACK = timedelta(days=90)  # so far a success is looked for
NODES = 1_000
LARGE = 100_000  # bytes as stored: a payload beyond is not read to be compared
COLUMNS = ("status", "created_at", "started_at", "ended_at")
PAYLOADS = ("input_data", "output_data")


@dataclass
class Compared:
    """One JSON field of both."""

    label: Any
    found: list[Difference] | None  # None where it is too large
    more: bool = False


@dataclass
class Pair:
    """The executions of one node in both runs; one of them may be None. `longest` is that of all, in seconds."""

    name: str
    now: Any
    then: Any
    longest: float = 0.0

    @property
    def differs(self) -> bool:
        if self.now is None or self.then is None or self.now.status != self.then.status:
            return True
        return any(getattr(self.now, f"{name}_digest") != getattr(self.then, f"{name}_digest") for name in PAYLOADS)

    @property
    def slower(self) -> float | None:
        """Seconds more than then; None where one of the two did not end."""
        now, then = _seconds(self.now), _seconds(self.then)
        return None if now is None or then is None else now - then

    @property
    def change(self) -> str:
        return change(self.slower)

    @property
    def bars(self) -> list[float]:
        """Now and then, in parts of a hundred."""
        return [round(100 * (_seconds(row) or 0) / (self.longest or 1), 2) for row in (self.now, self.then)]


@dataclass
class Comparison:
    run: Any
    then: Any
    pairs: list[Pair]

    @cached_property
    def differing(self) -> Pair | None:
        """The first node, in the order of the nodes, that did not do the same."""
        return next((pair for pair in self.pairs if pair.differs), None)

    @cached_property
    def of_runs(self) -> list[Compared]:
        return _payloads(self.run, self.then)

    @cached_property
    def of_nodes(self) -> list[Compared]:
        """What the first node that differs took and gave."""
        pair = self.differing
        return _payloads(pair.now, pair.then) if pair and pair.now and pair.then else []


def last_success(user: Any, run: Any) -> Any:
    """The newest completed run of the workflow that was made before this one, or None."""
    found = successes(user, run).first()
    return with_duration(found) if found else None


def successes(user: Any, run: Any) -> Any:
    """The newest first, by the index on the runs of a workflow."""
    rows = WorkflowExecution.objects.visible_to(user).filter(
        workflow=run.workflow_id,
        status=ExecutionStatus.COMPLETED,
        created_at__lt=run.created_at,
        created_at__gte=run.created_at - BACK,
    )
    return rows.only(*COLUMNS, "workflow").order_by("-created_at", "-id")


def compared(user: Any, run: Any, then: Any) -> Comparison:
    """In two queries, and four more for what the documents hold."""
    now, before = _nodes(user, run.pk), _nodes(user, then.pk)
    pairs = [Pair(row.node.name, row, before.pop(node, None)) for node, row in now.items()]
    pairs += [Pair(row.node.name, None, row) for row in before.values()]
    longest = max((_seconds(row) or 0.0 for pair in pairs for row in (pair.now, pair.then)), default=0.0)
    for pair in pairs:
        pair.longest = longest
    return Comparison(run, then, pairs)


def change(slower: float | None) -> str:
    """ "1.2 s longer", "40 ms shorter", "as long"; nothing is said of what has not ended."""
    if slower is None:
        return "–"
    if not slower:
        return _("as long")
    words = _("%(duration)s longer") if slower > 0 else _("%(duration)s shorter")
    return words % {"duration": texts.human(abs(slower))}


def _nodes(user: Any, run: UUID) -> dict[UUID, Any]:
    """The last execution of each node of a run, in their order, with a digest of what it took and gave."""
    rows = NodeExecution.objects.visible_to(user).filter(workflow_execution=run).select_related("node")
    rows = rows.only(*COLUMNS, "node__name").annotate(**{f"{name}_digest": _digest(name) for name in PAYLOADS})
    return {row.node_id: with_duration(row) for row in rows.order_by("execution_order", "id")[:NODES]}


def _digest(name: str) -> Case:
    """Of what is small; equal documents have equal texts in the database. What is large counts as unchanged."""
    stored = Func(F(name), function="pg_column_size", output_field=IntegerField())
    return Case(When(LessThan(stored, LARGE), then=MD5(Cast(F(name), TextField()))), output_field=CharField())


def _payloads(now: Any, then: Any) -> list[Compared]:
    texts_now, _nothing = texts.payloads(now, *PAYLOADS)
    texts_then, _nothing = texts.payloads(then, *PAYLOADS)
    return [_compared(a, b) for a, b in zip(texts_then, texts_now, strict=True)]


def _compared(then: texts.Payload, now: texts.Payload) -> Compared:
    if then.too_long or now.too_long:
        return Compared(now.label, None)
    try:
        return Compared(now.label, *differences(parsed(then.text or "null"), parsed(now.text or "null")))
    except RecursionError:  # deeper than anybody reads
        return Compared(now.label, None)


def _seconds(row: Any) -> float | None:
    return None if row is None else row.duration_seconds
