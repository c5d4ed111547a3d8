"""Attempts that ended since the last scan: none is missed and none comes twice, in whatever order transactions commit.

The history of runs is read between two snapshots, as the streams do (executions/live/reader.py). Where a scan ends is
stored with what it found, in one transaction.
"""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

from django.db import connection
from django.db.models.functions import Now

from alerts.models import Scan
from executions.live.cursor import Cursor
from executions.live.reader import AllRunsReader
from executions.states import ExecutionStatus

ENDED_ATTEMPTS = (Path(__file__).parent / "sql" / "ended_attempts.sql").read_text()
STEP = 1_000  # attempts that are read at once
BEGINNING = ("0", UUID(int=0))


class EndedAttempt(NamedTuple):
    """An attempt of a run that completed or failed, and the place of its entry in the history."""

    written_by: str
    entry: UUID
    happened_at: datetime
    status: str
    attempt: int
    run: UUID
    workflow: UUID
    workflow_name: str
    started_at: datetime | None
    ended_at: datetime | None
    error_message: str | None

    @property
    def has_failed(self) -> bool:
        return self.status == ExecutionStatus.FAILED


def read_ended(scan: Scan) -> Iterator[list[EndedAttempt]]:
    """Yield what ended since the scan's cursor, in steps, and move the cursor. The first scan finds nothing: it only
    stores where the next one begins; so does one after a restore of the database to an earlier time."""
    until, since = AllRunsReader().snapshot(), scan.cursor
    scan.cursor = until
    if not since or not Cursor.at(since).is_older_than(until):
        return
    place = BEGINNING
    while step := _read_step(since, until, place):
        yield sorted(step, key=lambda each: (each.happened_at, each.entry))
        place = step[-1].written_by, step[-1].entry


def store_place(scan: Scan) -> None:
    """Store the cursor, and that a scan has ended now."""
    Scan.objects.update(scanned_at=Now(), cursor=scan.cursor)


def _read_step(since: str, until: str, place: tuple[str, UUID]) -> list[EndedAttempt]:
    with connection.cursor() as cursor:
        values: dict[str, str | UUID | int] = {
            "since": since,
            "until": until,
            "transaction": place[0],
            "id": place[1],
            "most": STEP,
        }
        cursor.execute(ENDED_ATTEMPTS, values)
        return [EndedAttempt(*row) for row in cursor.fetchall()]
