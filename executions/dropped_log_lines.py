"""Log lines below the level that their workflow stores (`config["log_level"]`): they are not stored, but counted.

The count is one row for each run and source, written by one statement of a call that has dropped something. It keeps
the numbers of the lines too, which are not missing (log_gaps). A numbered line that is sent again is counted once; one
without a number is counted each time, as nothing of it is stored.
"""

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import NamedTuple
from uuid import UUID

from django.db import DEFAULT_DB_ALIAS, connections

from ledgerkit.db.models import uuid7

from .states import LogLevel

RANK = {str(level): rank for rank, level in enumerate(LogLevel)}
# In the order of the keys, so that two calls do not wait for each other in a circle.
COUNT = """
INSERT INTO execution_dropped_lines AS there (id, workflow_execution_id, source, level, number, seqs)
SELECT * FROM unnest(%s::uuid[], %s::uuid[], %s::text[], %s::text[], %s::bigint[], %s::int8multirange[])
ON CONFLICT (workflow_execution_id, source) DO UPDATE SET
    level = excluded.level, seqs = there.seqs + excluded.seqs,
    number = there.number + excluded.number - (
        SELECT coalesce(sum(upper(known) - lower(known)), 0) FROM unnest(there.seqs * excluded.seqs) AS known
    )
"""


class DroppedLine(NamedTuple):
    """A line that is not stored, because it is below the level of its workflow."""

    run: UUID
    source: str
    level: str  # of the workflow
    seq: int | None


def is_below(level: str, lowest: str | None) -> bool:
    """Return whether a line of this level is not stored. A level that does not exist is ignored."""
    return lowest in RANK and RANK[level] < RANK[lowest]


def count_dropped(lines: Iterable[DroppedLine], using: str = DEFAULT_DB_ALIAS) -> None:
    """Add the lines to the counts of their runs. The caller has locked the runs, so that none is deleted meanwhile."""
    rows = list(_rows(sorted(lines, key=_key)))
    if rows:
        with connections[using].cursor() as cursor:
            cursor.execute(COUNT, [list(column) for column in zip(*rows, strict=True)])


def _rows(lines: list[DroppedLine]) -> Iterator[tuple[UUID, UUID, str, str, int, str]]:
    for (run, source), group in groupby(lines, key=_key):
        dropped = list(group)
        numbers = {line.seq for line in dropped if line.seq is not None}
        number = len(numbers) + sum(line.seq is None for line in dropped)
        seqs = ",".join(f"[{seq},{seq}]" for seq in numbers)
        yield uuid7(), run, source, dropped[-1].level, number, f"{{{seqs}}}"


def _key(line: DroppedLine) -> tuple[UUID, str]:
    return line.run, line.source
