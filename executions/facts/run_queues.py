"""The running and the queued runs of workflows of which only one run may run at a time."""

from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Callable, Collection
from datetime import datetime
from uuid import UUID

from django.db import connection

from executions.models import ExecutionStatus

from .rows import RunRow

# The run of each workflow that keeps others from starting, and the first of those in its queue.
TURNS = """
SELECT workflow_id, id, NULL FROM workflow_executions
WHERE workflow_id = ANY(%(ids)s) AND status = 'running' AND NOT metadata @> '{"allow_concurrent": true}'
UNION ALL
SELECT workflow, first.id, first.created_at FROM unnest(%(ids)s) AS workflow, LATERAL (
    SELECT id, created_at FROM workflow_executions
    WHERE workflow_id = workflow AND status = 'pending' AND is_queued
    ORDER BY created_at, id LIMIT %(most)s
) AS first
"""

type Place = tuple[datetime, UUID]  # in a queue: when the run was created, and its id


class Turns:
    """The run of each workflow that is running, and the first pending runs of its queue in order: more of them than the
    call has runs, since each of these leaves the queue once at most while it is applied."""

    def __init__(self, workflows: Collection[UUID] = (), runs: int = 0) -> None:
        self._slots: dict[UUID, UUID] = {}
        self._queues: dict[UUID, list[Place]] = defaultdict(list)
        self._undo: list[Callable[[], object]] = []
        if workflows:
            self._read(workflows, runs + 1)

    def _read(self, workflows: Collection[UUID], most: int) -> None:
        with connection.cursor() as cursor:
            cursor.execute(TURNS, {"ids": [*workflows], "most": most})
            for workflow, run, queued_at in cursor.fetchall():
                if queued_at is None:
                    self._slots[workflow] = run
                else:
                    insort(self._queues[workflow], (queued_at, run))

    def take_slot(self, run: RunRow) -> bool:
        """Let the run be the one that is running. Return False if another one is."""
        if run.workflow in self._slots:
            return self._slots[run.workflow] == run.id
        self._slots[run.workflow] = run.id
        self._undo.append(lambda: self._slots.pop(run.workflow))
        return True

    def free_slot(self, run: RunRow) -> None:
        """Let another run start, if this is the one that is running."""
        if self._slots.get(run.workflow) == run.id:
            del self._slots[run.workflow]
            self._undo.append(lambda: self._slots.__setitem__(run.workflow, run.id))

    def follow(self, run: RunRow) -> None:
        """Update the queue with the new status of the run."""
        if run.created_at is None:
            return
        queue, place = self._queues[run.workflow], (run.created_at, run.id)
        index = bisect_left(queue, place)
        is_there = queue[index : index + 1] == [place]
        belongs = run.is_queued and run.status == ExecutionStatus.PENDING
        if belongs and not is_there:
            queue.insert(index, place)
            self._undo.append(lambda: queue.pop(bisect_left(queue, place)))
        elif is_there and not belongs:
            del queue[index]
            self._undo.append(lambda: insort(queue, place))

    def first_ahead(self, run: RunRow) -> UUID | None:
        """Return the run that a queued run waits for, None if it may start."""
        if (running := self._slots.get(run.workflow)) is not None:
            return running
        first = next(iter(self._queues[run.workflow]), None)
        return first[1] if first is not None and first < (run.created_at, run.id) else None

    def keep(self) -> None:
        """Keep what was changed."""
        self._undo.clear()

    def undo(self) -> None:
        """Undo what was changed since keep()."""
        while self._undo:
            self._undo.pop()()


def take_turns(workflows: set[UUID]) -> None:
    """Let one call at a time start runs of these workflows, of which one may run: calls that wait for each other's runs
    would wait for ever."""
    if workflows:
        keys = [f"starts {workflow}" for workflow in sorted(workflows)]
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_advisory_xact_lock(hashtextextended(key, 0)) FROM unnest(%s::text[]) AS key", [keys]
            )
