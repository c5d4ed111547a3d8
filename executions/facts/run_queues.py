"""The running and the queued runs of workflows of which only one run may run at a time."""

from collections import defaultdict
from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from django.db import connection

from executions.models import ExecutionStatus

from .locked_rows import RunRow

# The run of each workflow that keeps others from starting, and those in its queue.
TURNS = """
SELECT workflow_id, id, NULL FROM workflow_executions
WHERE workflow_id = ANY(%(ids)s) AND status = 'running' AND NOT metadata @> '{"allow_concurrent": true}'
UNION ALL
SELECT workflow_id, id, created_at FROM workflow_executions
WHERE workflow_id = ANY(%(ids)s) AND status = 'pending' AND is_queued
"""


class Turns:
    """The run of each workflow that is running, `slots`, and the pending runs of its queue."""

    def __init__(self, workflows: Collection[UUID] = ()) -> None:
        self.slots: dict[UUID, UUID] = {}
        self._queues: dict[UUID, dict[UUID, datetime]] = defaultdict(dict)
        if workflows:
            self._read(workflows)

    def _read(self, workflows: Collection[UUID]) -> None:
        with connection.cursor() as cursor:
            cursor.execute(TURNS, {"ids": [*workflows]})
            for workflow, run, queued_at in cursor.fetchall():
                if queued_at is None:
                    self.slots[workflow] = run
                else:
                    self._queues[workflow][run] = queued_at

    def follow(self, run: RunRow) -> None:
        """Update the queue with the new status of the run."""
        if run.is_queued and run.status == ExecutionStatus.PENDING and run.created_at is not None:
            self._queues[run.workflow][run.id] = run.created_at
        else:
            self._queues[run.workflow].pop(run.id, None)

    def first_ahead(self, run: RunRow) -> UUID | None:
        """Return the run that a queued run waits for, None if it may start."""
        queue = self._queues[run.workflow]
        before = [(at, id) for id, at in queue.items() if (at, id) < (run.created_at, run.id)]
        return self.slots.get(run.workflow) or min(before, default=(None, None))[1]

    def copy(self) -> "Turns":
        """Return these turns, to come back to them."""
        turns = Turns()
        turns.slots |= self.slots
        turns._queues |= {workflow: dict(queue) for workflow, queue in self._queues.items()}
        return turns


def take_turns(workflows: set[UUID]) -> None:
    """Let one call at a time start runs of these workflows, of which one may run: calls that wait for each other's runs
    would wait for ever."""
    if workflows:
        keys = [f"starts {workflow}" for workflow in sorted(workflows)]
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_advisory_xact_lock(hashtextextended(key, 0)) FROM unnest(%s::text[]) AS key", [keys]
            )
