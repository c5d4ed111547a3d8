"""Checks of `/readyz`: whether this server can do its work, and what to do if it cannot."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from threading import Lock

from django.db import Error, connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder

from executions import partitions
from executions.conf import executions_settings
from executions.upkeep import last_upkeep
from ledgerkit.db.timeouts import StatementTimeout, statement_timeout
from ledgerkit.rate_limited_logging import RateLimitedLogger

LIMIT_MS = 2_000  # of a statement
PATIENCE = LIMIT_MS / 1_000 + 1  # seconds of a check: a database that hangs ends no statement
CACHE_SECONDS = 1.0  # seconds: however many ask, the database is asked once a second by each process

logger = logging.getLogger(__name__)
log_failed_check = RateLimitedLogger(logger, "Not ready: the check %s failed%s.")


@dataclass(frozen=True)
class Check:
    """`is_fine()` may raise an error of the database. `do` names no version, address or secret: strangers read it."""

    name: str
    is_fine: Callable[[], bool]
    do: str


def is_reachable() -> bool:
    return connection.is_usable()


def is_migrated() -> bool:
    """Return whether the last migration of each app is applied. A database may be ahead of this server."""
    applied = MigrationRecorder.Migration.objects.using(connection.alias).values_list("app", "name")
    return _last_migrations() <= set(applied)


def has_partitions_ahead() -> bool:
    """Return whether log lines of today and of the next period have a partition."""
    there, now = partitions.existing(), datetime.now(UTC)
    moments = (now, now + timedelta(days=executions_settings.LOG_PARTITION_DAYS))
    return all(any(moment in each for each in there) for moment in moments)


CHECKS = (
    Check("database", is_reachable, "Start the database, and see that this server can reach it: its log says why not."),
    Check("migrations", is_migrated, "Run `manage.py migrate`."),
    Check("partitions", has_partitions_ahead, "Run `manage.py upkeep`, as the owner of the tables."),
    Check("upkeep", lambda: not last_upkeep.is_late(), last_upkeep.DO),
)


class Readiness:
    """The checks, made once a second. While one thread makes them, others get what the last ones found, and with it the
    check that has been under way for longer than PATIENCE."""

    def __init__(self) -> None:
        self.lock = Lock()
        self.failed: frozenset[str] | None = None  # None: not checked yet
        self.checked_at = 0.0
        self.under_way: tuple[str, float] | None = None  # the name of a check, and since when

    def failed_checks(self) -> frozenset[str]:
        if self.failed is not None and time.monotonic() - self.checked_at < CACHE_SECONDS:
            return self.failed
        if not self.lock.acquire(timeout=PATIENCE if self.failed is None else 0):
            return (self.failed or frozenset()) | self._slow_check()
        try:
            self.failed = self._check_all()
            self.checked_at = time.monotonic()
            return self.failed
        finally:
            self.under_way = None
            self.lock.release()

    def forget(self) -> None:
        self.failed = None

    def _check_all(self) -> frozenset[str]:
        failed = set()
        for check in CHECKS:
            self.under_way = (check.name, time.monotonic())
            if not _passes(check):
                failed.add(check.name)
        return frozenset(failed)

    def _slow_check(self) -> frozenset[str]:
        """Return the name of the check that takes too long. Before the first answer the one under way is taken for it:
        who asks has waited for as long."""
        if (under_way := self.under_way) is None:
            return frozenset()
        name, since = under_way
        if self.failed is not None and time.monotonic() - since < PATIENCE:
            return frozenset()
        log_failed_check(name, f": it has not ended within {PATIENCE:.0f} seconds")
        return frozenset({name})


readiness = Readiness()


def _passes(check: Check) -> bool:
    try:
        with statement_timeout(LIMIT_MS):
            is_fine = check.is_fine()
    except (Error, StatementTimeout) as error:
        log_failed_check(check.name, f": {' '.join(str(error).split()) or 'timed out'}")
        return False
    if not is_fine:
        log_failed_check(check.name, "")
    return is_fine


@cache
def _last_migrations() -> set[tuple[str, str]]:
    return set(MigrationLoader(None).graph.leaf_nodes())
