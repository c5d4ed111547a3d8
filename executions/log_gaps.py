"""Gaps in the numbers of log lines: a source numbers its lines from 1 (`seq`), so a number that no line has is that of
a lost line, or of one that is still under way. Nothing is stored for it: one query reads the numbers of the run in an
index (idx_execution_logs_numbered). Lines behind the last one that arrived cannot be seen to be missing.

Retention makes gaps too: absent_log_lines.missing_lines() leaves these out.
"""

from typing import NamedTuple
from uuid import UUID

from django.db import connections

from ledgerkit.db.read_database import read_alias

MAX_GAPS = 1_000  # gaps that are listed

# The first gaps, by source. Two lines of one number are no gap, nor are lines that were dropped (dropped_log_lines).
FORM = """
SELECT source, lower(gap), upper(gap) - 1 FROM (
    SELECT workflow_execution_id AS run, source, seq, {previous}
        lag(seq, 1, 0::bigint) OVER (PARTITION BY source ORDER BY seq) AS before
    FROM execution_logs WHERE workflow_execution_id = %(run)s AND seq IS NOT NULL
) AS numbered
CROSS JOIN LATERAL unnest(
    int8multirange(int8range(before + 1, seq)) - coalesce((
        SELECT seqs FROM execution_dropped_lines AS dropped
        WHERE dropped.workflow_execution_id = run AND dropped.source = coalesce(numbered.source, '')
    ), '{{}}')
) AS gap
WHERE seq - 1 > before {since}
LIMIT %(most)s
"""
GAPS = FORM.format(previous="", since="")
GAPS_SINCE = FORM.format(
    previous="lag(id) OVER (PARTITION BY source ORDER BY seq) AS previous,", since="AND previous >= %(since)s"
)


class Gap(NamedTuple):
    """Lines `first` to `last` of a source are missing."""

    source: str | None
    first: int
    last: int

    @property
    def number(self) -> int:
        return self.last - self.first + 1


class MissingLines(NamedTuple):
    gaps: list[Gap]
    is_cut: bool  # there are more


NONE = MissingLines([], is_cut=False)


def missing_lines(run: UUID, most: int = MAX_GAPS, since: UUID | None = None) -> MissingLines:
    """Return the first gaps in the numbers of the run's lines: all, or those behind a line with at least this id."""
    parameters: dict[str, UUID | int | None] = {"run": run, "most": most + 1, "since": since}
    with connections[read_alias()].cursor() as cursor:
        cursor.execute(GAPS_SINCE if since else GAPS, parameters)
        found = [Gap(*row) for row in cursor.fetchall()]
    return MissingLines(found[:most], is_cut=len(found) > most)
