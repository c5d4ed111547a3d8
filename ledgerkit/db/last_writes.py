"""Time of the last write of a caller, for reading its own writes: on the primary, so for all processes and machines.

A caller that writes all the time is noted once a second by each process: it may have written until GRACE after the time
that is noted.
"""

import time
from datetime import datetime, timedelta

from django.db import DEFAULT_DB_ALIAS, connections

NOTED_EVERY = 1.0  # seconds
GRACE = timedelta(seconds=NOTED_EVERY)
MAX_CALLERS = 10_000  # callers that a process remembers

READ = "SELECT at FROM last_writes WHERE caller = %s"
NOTE = """
INSERT INTO last_writes (caller, at) VALUES (%s, clock_timestamp())
ON CONFLICT (caller) DO UPDATE SET at = greatest(last_writes.at, excluded.at)
"""

_noted: dict[str, float] = {}  # monotonic times before each note


def note_write(caller: str) -> None:
    """Note that the caller has just written. Call it after the commit and before the response."""
    now = time.monotonic()
    if now - _noted.get(caller, -NOTED_EVERY) < NOTED_EVERY:
        return
    with connections[DEFAULT_DB_ALIAS].cursor() as cursor:
        cursor.execute(NOTE, [caller])
    if len(_noted) >= MAX_CALLERS:
        _noted.clear()
    _noted[caller] = now


def last_write(caller: str) -> datetime | None:
    """Return a time by the primary's clock, after which the caller has not written."""
    with connections[DEFAULT_DB_ALIAS].cursor() as cursor:
        cursor.execute(READ, [caller])
        row = cursor.fetchone()
    return None if row is None else row[0] + GRACE
