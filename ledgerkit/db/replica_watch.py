"""Replication position of the streaming replica, polled once a second by a thread of each process, never by a request.

It notes the primary's time, snapshot and place in the WAL, and which of these places the replica has reached: whatever
was committed before the newest one that it has reached is visible there.
"""

import logging
import threading
import time
from datetime import datetime
from typing import NamedTuple

import psycopg
from django.db import DEFAULT_DB_ALIAS, Error, connections
from psycopg.conninfo import make_conninfo

from ledgerkit.conf import ledgerkit_settings

from .libpq import libpq_parameters

EVERY = 1.0  # seconds
IDLE = 60.0  # seconds without a request that asks, after which the thread ends
IN_TIME = {"connect_timeout": "2"}  # seconds

# In this order: what was committed before the time, or is visible in the snapshot, comes before the place in the WAL.
PRIMARY = """
SELECT system_identifier, clock_timestamp(), pg_current_snapshot()::text,
    pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint
FROM pg_control_system()
"""
REPLICA = """
SELECT system_identifier, pg_is_in_recovery(), pg_wal_lsn_diff(pg_last_wal_replay_lsn(), '0/0')::bigint
FROM pg_control_system()
"""

logger = logging.getLogger(__name__)


class Place(NamedTuple):
    """A place in the WAL of the primary."""

    noted_at: float  # by this process's monotonic clock
    system: int
    time: datetime  # by the primary's clock
    snapshot: str
    lsn: int


class NotReadable(Exception):
    """The replica answers, but may not be read."""


class ReplicaWatch:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._began_at = self._requested_at = 0.0
        self._connection: psycopg.Connection | None = None
        self._is_read: bool | None = None  # None before the first answer
        self._places: list[Place] = []
        self._reached: Place | None = None

    def reached_place(self) -> Place | None:
        """Return the newest known place that the replica has reached; None while it may not be read."""
        self._requested_at = time.monotonic()
        if self._thread is None or not self._thread.is_alive():  # also in a process that was forked
            self._start()
        place = self._reached
        return place if place and _is_recent(place.noted_at) else None

    def lose(self, error: Exception) -> None:
        """Stop reading the replica until it answers the thread again."""
        self._reached = None
        self._report(is_read=False, reason=str(error))

    def _start(self) -> None:
        with self._lock:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="replica-watch", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        self._began_at = time.monotonic()
        self._reached, self._connection = None, None  # a process that was forked must not use its parent's connection
        while time.monotonic() - self._requested_at < IDLE:
            self._look()
            connections.close_all()  # gives that of the primary back to the pool
            time.sleep(EVERY)
        self._reached = None
        self._disconnect()

    def _look(self) -> None:
        """Ask the primary and the replica once."""
        try:
            place = _note_place()
            self._places = [each for each in self._places if _is_recent(each.noted_at)] + [place]
            self._reached = self._newest_up_to(self._replay_place(place.system))
        except NotReadable as error:
            self.lose(error)
        except (psycopg.Error, Error, OSError) as error:
            self.lose(error)
            self._disconnect()
            _close_pool()
        else:
            if self._reached is not None:
                self._report(is_read=True)

    def _replay_place(self, system: int) -> int:
        """Return how far the replica has replayed. Raises NotReadable."""
        if self._connection is None:
            self._connection = _connect()
        row = self._connection.execute(REPLICA).fetchone()
        its_system, is_replica, replayed = row or (None, False, None)
        if its_system != system:
            raise NotReadable("it is not a replica of this database")
        if not is_replica or replayed is None:
            raise NotReadable("it is not a replica any more")
        return int(replayed)

    def _newest_up_to(self, replayed: int) -> Place | None:
        """Return the newest recent place up to `replayed`, None if there is none yet. Raises NotReadable."""
        reached = [place for place in self._places if place.lsn <= replayed]
        if reached:
            self._places = self._places[len(reached) - 1 :]
            return reached[-1]
        if _is_recent(self._began_at):
            return None
        raise NotReadable(f"it is more than {ledgerkit_settings.REPLICA_MAX_LAG_SECONDS} seconds behind")

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _report(self, *, is_read: bool, reason: str = "") -> None:
        """Log when reading ends, and when it begins again."""
        with self._lock:
            was_read, self._is_read = self._is_read, is_read
        if was_read is not False and not is_read:
            logger.warning("The primary is read, as the replica cannot be: %s", " ".join(reason.split()))
        elif was_read is False and is_read:
            logger.warning("The replica is read again.")


def _is_recent(moment: float) -> bool:
    return time.monotonic() - moment <= ledgerkit_settings.REPLICA_MAX_LAG_SECONDS


def _note_place() -> Place:
    noted_at = time.monotonic()
    with connections[DEFAULT_DB_ALIAS].cursor() as cursor:
        cursor.execute(PRIMARY)
        return Place(noted_at, *cursor.fetchone())


def _connect() -> psycopg.Connection:
    parameters = IN_TIME | libpq_parameters(str(ledgerkit_settings.REPLICA))
    return psycopg.connect(make_conninfo(**parameters), autocommit=True)


def _close_pool() -> None:
    """Close the connections of requests to a replica that is gone: the pool would try again and again to connect."""
    connections[str(ledgerkit_settings.REPLICA)].close_pool()  # type: ignore[attr-defined]  # of PostgreSQL's wrapper


watch = ReplicaWatch()
