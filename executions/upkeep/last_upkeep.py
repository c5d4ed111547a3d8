"""Time since the last upkeep ended: for the monitor, a system check, probes, and the upkeep of `manage.py serve`."""

from collections.abc import Sequence
from datetime import timedelta

from django.core import checks
from django.db import DEFAULT_DB_ALIAS, DatabaseError, connections

from executions.conf import executions_settings

from .advisory_lock import NAME

# An upkeep that holds its lock is at work while it makes progress: one that hangs holds it too. Before the first one,
# the age of the tables counts.
AGE = """
SELECT CASE WHEN (
    SELECT ended_at IS NULL AND coalesce(progressed_at, started_at) > now() - make_interval(secs => %(late)s)
    FROM upkeep_runs ORDER BY started_at DESC, id DESC LIMIT 1
) AND EXISTS (
    SELECT FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1 AND granted
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
        AND ((classid::bigint << 32) | objid::bigint) = hashtextextended(%(name)s, 0)
) THEN interval '0' ELSE greatest(interval '0', now() - coalesce(
    (SELECT ended_at FROM upkeep_runs WHERE ended_at IS NOT NULL ORDER BY started_at DESC, id DESC LIMIT 1),
    (SELECT min(applied) FROM django_migrations WHERE app = 'executions'),
    now()
)) END
"""
DO = (
    "Let `manage.py serve` do it (EXECUTIONS['UPKEEP_EVERY_SECONDS']), or schedule `manage.py upkeep`; "
    "if one of them should have run, look for its error in its log and in the admin under Upkeep. "
    "If one is at work, it makes no progress: see in pg_stat_activity what it waits for, and end it."
)


def age(using: str = DEFAULT_DB_ALIAS) -> timedelta:
    """Return the time since the last upkeep ended; zero while one is at work and makes progress."""
    with connections[using].cursor() as cursor:
        cursor.execute(AGE, {"name": NAME, "late": executions_settings.UPKEEP_LATE_SECONDS})
        found: timedelta = cursor.fetchone()[0]
    return found


def is_late(using: str = DEFAULT_DB_ALIAS) -> bool:
    return age(using) > timedelta(seconds=executions_settings.UPKEEP_LATE_SECONDS)


def check_upkeep(*, databases: Sequence[str] | None = None, **_kwargs: object) -> list[checks.CheckMessage]:
    """Warn in `check --database default` if upkeep has not run for UPKEEP_LATE_SECONDS."""
    if DEFAULT_DB_ALIAS not in (databases or ()):
        return []
    try:
        late = is_late()
    except DatabaseError:  # without tables: it is not migrated yet
        return []
    sentence = f"Upkeep has not run for {executions_settings.UPKEEP_LATE_SECONDS} seconds or longer."
    return [checks.Warning(sentence, hint=DO, id="executions.W003")] if late else []
