"""The queue of a workflow: runs that were created to wait until no other run of it is running.

A pending run with `is_queued` is in the queue, in the order of creation. start() refuses it while another run of its
workflow runs or one before it waits (QueuedExecution, sql/transitions.sql). The end of a run writes nothing to those
that wait: `sql/queue.sql` computes the next run when asked.
"""

from typing import NamedTuple
from uuid import UUID

from django.db import connections

from ledgerkit.db.read_database import read_alias

AHEAD = "SELECT id, status FROM runs_ahead(%s) LIMIT %s"


class RunAhead(NamedTuple):
    """A run that a queued run waits for."""

    id: UUID
    status: str


def runs_ahead(run: UUID, most: int) -> list[RunAhead]:
    """Return the first `most` runs that the queued run waits for, the running one first; none if it may start."""
    with connections[read_alias()].cursor() as cursor:
        cursor.execute(AHEAD, [run, most])
        return [RunAhead(*row) for row in cursor.fetchall()]


def first_ahead(run: UUID) -> UUID | None:
    """Return the run that is running, or whose turn is before that of the queued run."""
    return next((each.id for each in runs_ahead(run, 1)), None)
