"""Read, in steps, the rows that became visible since a cursor. No line is missed, and none is read twice.

A row stores the id of the transaction that wrote it (`written_by`, 64 bits), and a snapshot shows for each id whether
that transaction had ended. The rows between two snapshots are exactly those that the later one sees and the earlier one
does not, however late a transaction commits, and no reader waits for a transaction that stays open. The later snapshot
is taken first and the rows are read afterwards, when everything that it sees is committed. Rows of a rolled back
transaction are visible to no statement. After a crash PostgreSQL may assign ids of transactions that left nothing on
disk again: a cursor counts none of them as seen (`clamp_snapshot`).

Lines are ordered by (time, id) within each step. The first step has all lines of a run; each later step has those
committed since. A step of more than STREAM_ROWS lines is split by (transaction, time, id), the order of an index, so
that a reader that was away for an hour does not sort all lines again at each step.
"""

import asyncio
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, NamedTuple
from uuid import UUID

from django.db import connection

from executions import limits
from executions.models import NodeExecution, WorkflowExecution
from executions.querysets import WorkflowExecutionQuerySet
from executions.states import ENDED
from ledgerkit.conf import ledgerkit_settings
from ledgerkit.db.read_database import current_place

from .cursor import NOTHING, BadCursor, Cursor, clamp_snapshot

LINGER = timedelta(seconds=2)  # wait after the end of a run, whose last lines often arrive late
ALL = UUID(int=0)  # id under which the transitions of all runs are watched

SQL = Path(__file__).parent / "sql"
FIRST_LINES, NEW_LINES, LINES_AS_JSON, CHANGED_NODES, RUN_END, CHANGED_RUNS, RUN_SNAPSHOT, ALL_RUNS_SNAPSHOT = (
    (SQL / f"{name}.sql").read_text()
    for name in (
        "first_lines", "new_lines", "lines_as_json", "changed_nodes", "run_end", "changed_runs", "run_snapshot",
        "all_runs_snapshot",
    )
)  # fmt: skip

BEGINNING = ("0", "-infinity", str(UUID(int=0)))


class Line(NamedTuple):
    """A log line. `text` is its JSON as in the API; the texts `moment` (UTC) and `id` sort in the order of their
    values."""

    id: str
    moment: str
    written_by: str | None
    text: str


class Deleted(NamedTuple):
    """A deleted run and its workflow."""

    run: UUID
    workflow: UUID


@dataclass(eq=False)
class Step:
    """The events between the cursor `before` and the cursors that they reach: `after_lines` after the log lines,
    `after` after the rest. `of` is the run of the stream; `run` is the same if it changed, `end` if it has ended."""

    before: Cursor
    after: Cursor
    of: WorkflowExecution | None = None
    run: WorkflowExecution | None = None
    lines: Sequence[Line] = ()
    nodes: Sequence[NodeExecution] = ()
    runs: Sequence[WorkflowExecution] = ()
    deleted: Sequence[Deleted] = ()
    end: WorkflowExecution | None = None
    wake_in: float | None = None  # seconds until the next event that no write causes
    texts: dict[Hashable, asyncio.Task[object]] = field(default_factory=dict)  # rendered, by the renderer's key

    @property
    def after_lines(self) -> Cursor:
        return replace(self.after, moves=self.before.moves, ended=False)

    def without(self, *, nodes: bool, lines: bool) -> "Step":
        return replace(self, nodes=() if nodes else self.nodes, lines=() if lines else self.lines)

    @cached_property
    def has_events(self) -> bool:
        return bool(self.run or self.lines or self.nodes or self.runs or self.deleted or self.end)


class RunDeleted(Exception):  # not an error, but the end of the stream
    pass


def snapshot() -> str:
    """Return the current snapshot, for any source."""
    return str(_rows("SELECT pg_current_snapshot()::text", {})[0][0])


def parse_cursor(text: str) -> Cursor:
    """Return the cursor in `text`. Raises BadCursor."""
    cursor = Cursor.read(text)
    if not cursor.is_older_than(snapshot()):
        raise BadCursor(text[:100])
    return cursor


class RunReader:
    """Reader of one run's events."""

    pause: ClassVar[float] = 0.25  # seconds between two steps, with few readers

    def __init__(self, id: UUID) -> None:
        self.id = self.watch = id

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and other.id == self.id

    def __hash__(self) -> int:
        return hash((type(self), self.id))

    def snapshot(self) -> str:
        """Return the current snapshot for this run."""
        return _read_snapshot(RUN_SNAPSHOT, {"run": self.id})

    def begin(self, new: str) -> Cursor:
        """Return the cursor of the "start" or of "now"; the latter sends the current states, and no existing lines."""
        return Cursor() if new == "start" else Cursor(lines=self.snapshot())

    def read(self, before: Cursor, until: str | None = None) -> Step:
        """Return the next step towards the snapshot `until`, which defaults to the current one. Raises RunDeleted."""
        until = before.until or until or self.snapshot()
        lines, after = self._lines(before, until)
        ordered = sorted(lines, key=lambda line: (line.moment, line.id))
        run = _listed_runs([self.id]).first()
        if run is None:
            raise RunDeleted
        step = Step(before, after, run, lines=ordered)
        return step if after.until else self._with_states(step, until, run)

    def _lines(self, before: Cursor, until: str) -> tuple[list[Line], Cursor]:
        if before.lines == until:
            return [], before
        transaction, moment, id = before.after or BEGINNING
        place: dict[str, object] = {"transaction": transaction or "0", "moment": moment or "-infinity", "id": id}
        place |= {"run": self.id, "most": limits.STREAM_ROWS, "bytes": ledgerkit_settings.MAX_PAGE_BYTES}
        query = NEW_LINES if before.lines else FIRST_LINES
        values = place | {"since": before.lines, "until": until}
        rows = _rows(f"WITH lines AS MATERIALIZED ({query}) {LINES_AS_JSON}", values)
        found = [Line(*row) for *row, _of_all in rows]
        if len(found) < limits.STREAM_ROWS and (not rows or rows[0][-1] == len(found)):
            return found, replace(before, lines=until, until=NOTHING, after=(), ended=False)
        last = found[-1]
        reached = (last.written_by or "", last.moment, last.id)
        return found, replace(before, until=until, after=reached, ended=False)

    def _with_states(self, step: Step, until: str, run: WorkflowExecution) -> Step:
        nodes, moved = self._changed_nodes(step.before.moves, until)
        step = replace(step, after=replace(step.after, moves=until), nodes=nodes, run=run if moved else None)
        return self._with_end(step, run, until)

    def _changed_nodes(self, since: str, until: str) -> tuple[list[NodeExecution], bool]:
        """Return the nodes that were created or changed, in their current state, and whether the run itself changed."""
        nodes = NodeExecution.objects.filter(workflow_execution=self.id).order_by("execution_order", "id")
        if not since:
            return list(nodes.for_lists()), True
        if since == until:
            return [], False
        moved = {id for (id,) in _rows(CHANGED_NODES, {"run": self.id, "since": since, "until": until})}
        ids = moved - {None}
        return list(nodes.for_lists().filter(pk__in=ids)) if ids else [], None in moved

    def _with_end(self, step: Step, run: WorkflowExecution, until: str) -> Step:
        left = self._seconds_left(run, until)
        if left is None:
            return replace(step, after=replace(step.after, ended=False))
        if left > 0:
            return replace(step, wake_in=left)
        is_new = step.has_events or not step.before.ended
        return replace(step, after=replace(step.after, ended=True), end=run if is_new else None)

    def _seconds_left(self, run: WorkflowExecution, until: str) -> float | None:
        """Return the seconds for which lines may still arrive after the run's last change, by the clock of the
        database: `ended_at` may be the engine's time. None if the run is active, or ended after `until`, in which case
        more lines may have been committed with its end."""
        if run.status not in ENDED or run.ended_at is None:
            return None
        has_moved, ago = _rows(RUN_END, {"run": self.id, "until": until, "ended": run.updated_at})[0]
        return None if has_moved else LINGER.total_seconds() - float(ago)


class AllRunsReader:
    """Reader of the transitions of all runs: each changed run in its current state, and deleted runs. The renderer
    filters by permission."""

    pause: ClassVar[float] = 1.0
    watch = ALL

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self)

    def __hash__(self) -> int:
        return hash(type(self))

    def begin(self, new: str) -> Cursor:
        """Return the current cursor, whatever `new` is: there are too many runs to send all."""
        return Cursor.at(self.snapshot())

    def snapshot(self) -> str:
        return _read_snapshot(ALL_RUNS_SNAPSHOT, {})

    def read(self, before: Cursor, until: str | None = None) -> Step:
        until = before.until or until or self.snapshot()
        since = before.moves or until  # cursors of a run's stream may have no `moves` yet
        transaction, _moment, id = before.after or BEGINNING
        place = {"since": since, "until": until, "transaction": transaction or "0", "id": id}
        moves = _rows(CHANGED_RUNS, place | {"most": limits.STREAM_ROWS}) if since != until else []
        after = Cursor.at(until)
        if len(moves) == limits.STREAM_ROWS:
            _run, transaction, id, _workflow = moves[-1]
            after = Cursor(since, since, until, (str(transaction), "", str(id)))
        ids = list(dict.fromkeys(run for run, _transaction, _id, workflow in moves if workflow is None))
        runs = list(_listed_runs(ids).order_by("updated_at", "id")) if ids else []
        return Step(before, after, runs=runs, deleted=[Deleted(run, of) for run, _, _, of in moves if of is not None])


def _listed_runs(ids: Sequence[UUID]) -> WorkflowExecutionQuerySet:
    return WorkflowExecution.objects.filter(pk__in=ids).select_related("workflow").without_payload()


def _read_snapshot(query: str, values: Mapping[str, object]) -> str:
    """Return the current snapshot; for a page that reads the replica, an earlier one that has been replayed there. A
    snapshot of the replica itself does not show which transactions are under way."""
    snapshot, newest = _rows(query, values)[0]
    place = current_place()
    return clamp_snapshot(place.snapshot if place else snapshot, int(newest or 0))


def _rows(query: str, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(query, values)
        return list(cursor.fetchall())


type Source = RunReader | AllRunsReader
type Renderer = Callable[[Step], bytes]
