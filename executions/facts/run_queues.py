"""The running and the queued runs of workflows that run one at a time."""

from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Callable, Collection
from datetime import datetime
from uuid import UUID

from django.db import connection

from executions.models import ExecutionStatus

from .rows import RunRow

# The running run of each workflow, which keeps others from starting, and the first runs in its queue.
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

type Place = tuple[datetime, UUID]  # order in a queue: creation time and id of the run


class Turns:
    """The running run of each workflow, and the first pending runs of its queue, in order. One more than the call has
    runs is enough: each run of the call leaves the queue at most once."""

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
        """Let the run take the slot of its workflow. Return False if another run has it."""
        if run.workflow in self._slots:
            return self._slots[run.workflow] == run.id
        self._slots[run.workflow] = run.id
        self._undo.append(lambda: self._slots.pop(run.workflow))
        return True

    def free_slot(self, run: RunRow) -> None:
        """Free the slot of the workflow if the run has it."""
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
        """Return the run that this queued run waits for, None if it may start."""
        if (running := self._slots.get(run.workflow)) is not None:
            return running
        first = next(iter(self._queues[run.workflow]), None)
        return first[1] if first is not None and first < (run.created_at, run.id) else None

    def keep(self) -> None:
        """Keep the changes."""
        self._undo.clear()

    def undo(self) -> None:
        """Undo the changes since keep()."""
        while self._undo:
            self._undo.pop()()


def take_turns(workflows: set[UUID]) -> None:
    """Take a lock for each workflow, so that one call at a time starts its runs. Without it, two calls could wait for
    each other's runs and deadlock."""
    if workflows:
        keys = [f"starts {workflow}" for workflow in sorted(workflows)]
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_advisory_xact_lock(hashtextextended(key, 0)) FROM unnest(%s::text[]) AS key", [keys]
            )
