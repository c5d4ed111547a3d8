"""Failures of attempts of runs, as they are stored: by node, or by the run where no node failed."""

from collections.abc import Collection
from datetime import datetime
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

from django.db import connection

from executions.models import ErrorScan

SQL = Path(__file__).parents[1] / "sql"
FAILURES, ATTEMPTS = ((SQL / f"{name}.sql").read_text() for name in ("error_failures", "error_attempts"))
BEGINNING = ("0", str(UUID(int=0)))


class Failure(NamedTuple):
    """A failed node of an attempt of a run; `node` is None for the error of the run itself."""

    run: UUID
    attempt: int
    workflow: UUID
    happened_at: datetime
    has_run_failed: bool
    node: UUID | None
    node_name: str
    message: str | None
    traceback: str | None


class EndedAttempt(NamedTuple):
    """An attempt that ended with a failure, and the place of its entry in the history."""

    written_by: str
    entry: UUID
    attempt: int
    run: UUID

    @property
    def place(self) -> list[str]:
        return [self.written_by, str(self.entry)]


def read_attempts(scan: ErrorScan, not_before: datetime, most: int) -> list[EndedAttempt]:
    """Return the next attempts between the snapshots of the scan."""
    transaction, entry = scan.place or BEGINNING
    values = {
        "since": scan.since, "until": scan.until, "transaction": transaction, "id": entry, "most": most,
        "not_before": not_before,
    }  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(ATTEMPTS, values)
        return [EndedAttempt(*row) for row in cursor.fetchall()]


def read_failures(attempts: Collection[tuple[UUID, int]]) -> list[Failure]:
    """Return the failures of these attempts: runs and numbers. A run that is gone has none."""
    with connection.cursor() as cursor:
        cursor.execute(FAILURES, {"runs": [run for run, _ in attempts], "attempts": [number for _, number in attempts]})
        found = [Failure(*row) for row in cursor.fetchall()]
    return [each for each in found if each.node or each.has_run_failed]
