"""Counts and durations of runs that ended lately. The database adds the stored counts of closed hours to those of the
runs that ended in other hours.

Each figure, and how hours are closed, is defined in sql/rollups.sql. Only existing runs count: a deleted run counts no
longer, a retried run only after it has ended again.
"""

from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from django.db import connection, connections
from django.utils import timezone

from ledgerkit.db.read_database import read_alias
from workflows.querysets import User, can_view_all

USUAL_DAYS = 7  # whose completed runs say how long a workflow usually takes
USUAL_RUNS = 20  # needed for that: p95 separates one of 20
COUNTED = """
SELECT run.workflow_id, workflows.name, width_bucket(hour, %(starts)s::timestamptz[]) AS place,
    sum(completed)::bigint AS completed, sum(failed)::bigint AS failed, sum(ended)::bigint AS ended
FROM ended_runs_by_hour(%(since)s) AS run JOIN workflows ON workflows.id = run.workflow_id
WHERE (%(sees_all)s OR owner_id = %(owner)s) AND (%(workflows)s::uuid[] IS NULL OR workflow_id = ANY(%(workflows)s))
GROUP BY 1, 2, 3
"""
BUSIEST = f"""
WITH counted AS ({COUNTED}), busiest AS (
    SELECT workflow_id, sum(ended) AS every FROM counted GROUP BY 1 ORDER BY every DESC, workflow_id LIMIT %(most)s
)
SELECT counted.* FROM counted JOIN busiest USING (workflow_id) ORDER BY every DESC, workflow_id
"""  # noqa: S608  # of constants
BY_PLACE = f"""
SELECT NULL::uuid, '', place, sum(completed)::bigint, sum(failed)::bigint, sum(ended)::bigint
FROM ({COUNTED}) AS counted GROUP BY place
"""  # noqa: S608  # of constants
DURATIONS = "SELECT workflow_id, completed, p50, p95 FROM usual_durations(%s, %s::uuid[]) WHERE completed >= %s"


class Counted(NamedTuple):
    """Numbers of ended runs. `place` is that of the period in which they ended, from 1."""

    workflow: UUID | None
    name: str
    place: int
    completed: int
    failed: int
    ended: int


class Durations(NamedTuple):
    """Number, median and 95th percentile, in seconds, of a workflow's completed runs."""

    workflow: UUID
    completed: int
    p50: float
    p95: float


def usual_since() -> datetime:
    """Return from when on the durations of runs say what is usual. An hour begins there: of one that began before, all
    runs would be read to leave some out."""
    return _hour_of(timezone.now()) - timedelta(days=USUAL_DAYS)


def hours_until(now: datetime, number: int) -> list[datetime]:
    """Return the starts of the hours of the last `number` hours, the first of which is not a whole one, and the end of
    the current one."""
    current, hour = _hour_of(now), timedelta(hours=1)
    return [now - hour * number, *(current + hour * (index + 1 - number) for index in range(number + 1))]


def _hour_of(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def days_until(now: datetime, number: int) -> list[datetime]:
    """Return the starts of the last `number` days, which begin with an hour, the first one at the current minute; and
    the end of the current hour."""
    hours = hours_until(now, number * 24)
    return [hours[0], *hours[24:-2:24], hours[-1]]


def count_by_period(user: User, bounds: Sequence[datetime]) -> list[Counted]:
    """Count the runs that ended in each of the periods between `bounds`. The last one has no end."""
    return _count(BY_PLACE, user, bounds)


def count_of_busiest(user: User, bounds: Sequence[datetime], most: int) -> list[Counted]:
    """Count the runs of the `most` workflows with most ended runs, the busiest first, in each of the periods."""
    return _count(BUSIEST, user, bounds, most=most)


def count_of_workflows(user: User, bounds: Sequence[datetime], workflows: Collection[UUID]) -> list[Counted]:
    """Count the runs of these workflows in each of the periods, workflow by workflow."""
    return _count(f"{COUNTED} ORDER BY 1", user, bounds, workflows=workflows)


def _count(
    sql: str, user: User, bounds: Sequence[datetime], *, workflows: Collection[UUID] | None = None, most: int = 0
) -> list[Counted]:
    sees_all = can_view_all(user, "executions.view_workflowexecution")
    with connections[read_alias()].cursor() as cursor:
        cursor.execute(
            sql,
            {
                "since": bounds[0], "starts": list(bounds[:-1]), "most": most,
                "workflows": None if workflows is None else list(workflows), "sees_all": sees_all, "owner": user.pk,
            },
        )  # fmt: skip
        return [Counted(*row) for row in cursor.fetchall()]


def usual_durations(since: datetime, at_least: int, workflows: Collection[UUID] | None = None) -> list[Durations]:
    """Return the durations of the runs completed since then, for workflows with at least so many of them."""
    with connections[read_alias()].cursor() as cursor:
        cursor.execute(DURATIONS, [since, None if workflows is None else list(workflows), at_least])
        return [Durations(*row) for row in cursor.fetchall()]


def close_hours(most: int) -> int:
    """Close at most `most` hours that are over, and return their number. An hour is first found to be over by one call,
    and closed by a later one, in another transaction."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT close_hours(%s)", [most])
        return int(cursor.fetchone()[0])
