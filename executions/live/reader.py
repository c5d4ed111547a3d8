"""Reading what became visible since a cursor, in steps. No line is missed, and none is read twice:

A row carries the number of the transaction that wrote it (`written_by`, 64 bits), and a snapshot tells of each number
whether that transaction had ended. So the rows between two snapshots are exactly those that the later one sees and the
earlier one does not, however late a transaction commits after younger ones, and nobody has to wait for one that stays
open. The later snapshot is taken first and the rows are read afterwards: by then all that it sees is committed. Rows of
a rolled back transaction are visible to no statement. After a crash PostgreSQL may assign again numbers of transactions
that left nothing on disk: a cursor counts none of them as seen (`clamp_snapshot`).

Lines come in the order of the log, (time, id), within each step. The first step has all of a run's lines in that order;
each later step has those that were committed since the step before. More than MOST lines are cut by (transaction, time,
id), which an index follows, so that they are not sorted again at each step for a reader that was away for an hour.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, NamedTuple
from uuid import UUID

from django.db import connection

from executions.models import NodeExecution, WorkflowExecution
from executions.states import ENDED
from ledgerkit.conf import ledgerkit_settings

from .cursor import NOTHING, BadCursor, Cursor, clamp_snapshot

MOST = 2_000  # lines, or moves of runs, in one step
LINGER = timedelta(seconds=2)  # after the end of a run: its last lines often come late
ALL = UUID(int=0)  # under which the moves of all runs are watched

SQL = Path(__file__).parent / "sql"
FIRST_LINES, NEW_LINES, AS_JSON, MOVED, ENDED_FOR, MOVES, KNOWN_OF_RUN, KNOWN_OF_MOVES = (
    (SQL / f"{name}.sql").read_text()
    for name in (
        "first_lines", "new_lines", "as_json", "moved", "ended_for", "moves", "known_of_run", "known_of_moves",
    )
)  # fmt: skip

BEGINNING = ("0", "-infinity", str(UUID(int=0)))


class Line(NamedTuple):
    """`text` is the line in JSON, as the API prints it; `id` and `moment`, in UTC, sort as what they stand for."""

    id: str
    moment: str
    written_by: str | None
    text: str


class Deleted(NamedTuple):
    """A run that was, and its workflow."""

    run: UUID
    workflow: UUID


@dataclass(eq=False)
class Step:
    """The next events of a reader at `before`, and the cursors that it reaches: `after_lines` with the lines, `after`
    with the rest. `of` is the run that is followed, `run` the same where it changed, `end` where it has ended."""

    before: Cursor
    after: Cursor
    of: WorkflowExecution | None = None
    run: WorkflowExecution | None = None
    lines: Sequence[Line] = ()
    nodes: Sequence[NodeExecution] = ()
    runs: Sequence[WorkflowExecution] = ()
    deleted: Sequence[Deleted] = ()
    end: WorkflowExecution | None = None
    wake_in: float | None = None  # seconds until there is something to tell though nothing is written
    texts: dict[Any, Any] = field(default_factory=dict)  # as they were rendered, by the renderer's key

    @property
    def after_lines(self) -> Cursor:
        return replace(self.after, moves=self.before.moves, ended=False)

    def without(self, *, nodes: bool, lines: bool) -> "Step":
        return replace(self, nodes=() if nodes else self.nodes, lines=() if lines else self.lines)

    @cached_property
    def tells(self) -> bool:
        return bool(self.run or self.lines or self.nodes or self.runs or self.deleted or self.end)


class RunDeleted(Exception):  # not an error: the run was deleted, and with it all that could be told of it
    pass


def snapshot() -> str:
    """Return a snapshot of now, for any source."""
    return str(_rows("SELECT pg_current_snapshot()::text", {})[0][0])


def parse_cursor(text: str) -> Cursor:
    """The cursor that `text` is. Raises BadCursor."""
    cursor = Cursor.read(text)
    if not cursor.is_older_than(snapshot()):
        raise BadCursor(text[:100])
    return cursor


class RunReader:
    """Reader of one run's events."""

    pause: ClassVar[float] = 0.25  # seconds between two steps, where there are few readers

    def __init__(self, id: UUID) -> None:
        self.id = self.watch = id

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and other.id == self.id

    def __hash__(self) -> int:
        return hash((type(self), self.id))

    def snapshot(self) -> str:
        """Return a snapshot of now for this run."""
        return _read_snapshot(KNOWN_OF_RUN, {"run": self.id})

    def begin(self, new: str) -> Cursor:
        """From the "start" or from "now", which is told what state there is, and of no line that is there."""
        return Cursor() if new == "start" else Cursor(lines=self.snapshot())

    def read(self, before: Cursor, until: str | None = None) -> Step:
        """The next step on the way to the snapshot `until`, now unless given. Raises RunDeleted."""
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
        place: dict[str, Any] = {"transaction": transaction or "0", "moment": moment or "-infinity", "id": id}
        place |= {"run": self.id, "most": MOST, "bytes": ledgerkit_settings.MAX_PAGE_BYTES}
        query = NEW_LINES if before.lines else FIRST_LINES
        values = place | {"since": before.lines, "until": until}
        rows = _rows(f"WITH lines AS MATERIALIZED ({query}) {AS_JSON}", values)
        found = [Line(*row) for *row, _of_all in rows]
        if len(found) < MOST and (not rows or rows[0][-1] == len(found)):
            return found, replace(before, lines=until, until=NOTHING, after=(), ended=False)
        last = found[-1]
        reached = (last.written_by or "", last.moment, last.id)
        return found, replace(before, until=until, after=reached, ended=False)

    def _with_states(self, step: Step, until: str, run: WorkflowExecution) -> Step:
        nodes, moved = self._changed_nodes(step.before.moves, until)
        step = replace(step, after=replace(step.after, moves=until), nodes=nodes, run=run if moved else None)
        return self._with_end(step, run, until)

    def _changed_nodes(self, since: str, until: str) -> tuple[list[NodeExecution], bool]:
        """The nodes that were made or moved, as they are now, and whether the run itself was."""
        nodes = NodeExecution.objects.filter(workflow_execution=self.id).order_by("execution_order", "id")
        if not since:
            return list(nodes.for_lists()), True
        if since == until:
            return [], False
        moved = {id for (id,) in _rows(MOVED, {"run": self.id, "since": since, "until": until})}
        ids = moved - {None}
        return list(nodes.for_lists().filter(pk__in=ids)) if ids else [], None in moved

    def _with_end(self, step: Step, run: WorkflowExecution, until: str) -> Step:
        left = self._left(run, until)
        if left is None:
            return replace(step, after=replace(step.after, ended=False))
        if left > 0:
            return replace(step, wake_in=left)
        is_new = step.tells or not step.before.ended
        return replace(step, after=replace(step.after, ended=True), end=run if is_new else None)

    def _left(self, run: WorkflowExecution, until: str) -> float | None:
        """Seconds for which lines may still come, by the clock of the database, which set the end; None where the run
        goes on. Its end may be younger than what was told, and have come with lines in one transaction."""
        if run.status not in ENDED or run.ended_at is None:
            return None
        has_moved, ago = _rows(ENDED_FOR, {"run": self.id, "until": until, "ended_at": run.ended_at})[0]
        return None if has_moved else LINGER.total_seconds() - float(ago)


class AllRunsReader:
    """The moves of all runs: each run that has moved, as it is now, and those that were deleted. Who may see it is for
    the renderer."""

    pause: ClassVar[float] = 1.0
    watch = ALL

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self)

    def __hash__(self) -> int:
        return hash(type(self))

    def begin(self, new: str) -> Cursor:
        """Return a cursor of now, whatever `new` is: there are too many runs to begin at the start."""
        return Cursor.at(self.snapshot())

    def snapshot(self) -> str:
        return _read_snapshot(KNOWN_OF_MOVES, {})

    def read(self, before: Cursor, until: str | None = None) -> Step:
        until = before.until or until or self.snapshot()
        since = before.moves or until  # a run's stream gives out cursors in which no move has been told yet
        transaction, _moment, id = before.after or BEGINNING
        place = {"since": since, "until": until, "transaction": transaction or "0", "id": id, "most": MOST}
        moves = _rows(MOVES, place) if since != until else []
        after = Cursor.at(until)
        if len(moves) == MOST:
            _run, transaction, id, _workflow = moves[-1]
            after = Cursor(since, since, until, (str(transaction), "", str(id)))
        ids = list(dict.fromkeys(run for run, _transaction, _id, workflow in moves if workflow is None))
        runs = list(_listed_runs(ids).order_by("updated_at", "id")) if ids else []
        return Step(before, after, runs=runs, deleted=[Deleted(run, of) for run, _, _, of in moves if of is not None])


def _listed_runs(ids: Sequence[UUID]) -> Any:
    return WorkflowExecution.objects.filter(pk__in=ids).select_related("workflow").without_payload()


def _read_snapshot(query: str, values: dict[str, Any]) -> str:
    snapshot, newest = _rows(query, values)[0]
    return clamp_snapshot(snapshot, int(newest or 0))


def _rows(query: str, values: dict[str, Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(query, values)
        return list(cursor.fetchall())


type Source = RunReader | AllRunsReader
type Renderer = Callable[[Step], bytes]
