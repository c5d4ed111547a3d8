"""The partitions of `execution_logs`: one for each period of EXECUTIONS["LOG_PARTITION_DAYS"], by the time in the id.

The id is a UUIDv7; its first 48 bits are the milliseconds since 1970. There is no DEFAULT partition, because it would
prevent DETACH ... CONCURRENTLY, so a partition has to exist before its lines. `make_ahead()` creates them at each
migrate and at each start of the server, `ensure()` creates those of lines outside that period.
"""

import logging
import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import DEFAULT_DB_ALIAS, IntegrityError, OperationalError, connections, transaction
from psycopg.errors import CheckViolation, DeadlockDetected, LockNotAvailable

from executions.conf import executions_settings

TABLE = "execution_logs"
FIRST, LAST = datetime(1970, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)
LAST_MILLISECOND = (LAST - FIRST) // timedelta(milliseconds=1)
EPOCH = datetime(1970, 1, 5, tzinfo=UTC)  # a Monday, so that a partition of seven days is a calendar week
HOUR = 3_600_000  # milliseconds
VERSION_AND_VARIANT = 15 << 76 | 3 << 62  # of UUIDs
BOUND = re.compile(r"'([0-9a-f-]{36})'")
CREATE = (Path(__file__).parent / "sql" / "create_partition.sql").read_text()

SHORTEST_RETENTION = timedelta(days=1)  # of EXECUTIONS["LOG_DAYS"]
# Milliseconds that each try waits for the locks of a new partition. All but the last are below deadlock_timeout (1 s).
TRIES = (50, 100, 200, 400, 800, 800, 800, 10_000)
MADE_IN_PAST = (
    "Made the missing partition %s for a log line of the past. Check the clock of its engine, unless runs are imported."
)
MADE_IN_FUTURE = (
    "Made the missing partition %s for a log line of the future. Check the clock of its engine. If its time is right, "
    "raise EXECUTIONS['LOG_PARTITIONS_AHEAD']."
)

logger = logging.getLogger(__name__)
_known: dict[str, set["Partition"]] = {}
_uncommitted: set["Partition"] = set()
_removed: dict[str, set["Partition"]] = {}  # those of which the DETACH has begun, as last read


@dataclass(frozen=True, order=True)
class Partition:
    """The period from `start` (included) to `end` (not included), both midnight UTC."""

    start: datetime
    end: datetime

    @classmethod
    def at(cls, moment: datetime) -> "Partition":
        length = timedelta(days=executions_settings.LOG_PARTITION_DAYS)
        start = EPOCH + (moment - EPOCH) // length * length
        return cls(max(FIRST, start), start + min(length, LAST - start))

    @classmethod
    def parse(cls, bounds: str) -> "Partition":
        """Parse the bounds of the catalogue: FOR VALUES FROM ('...') TO ('...')."""
        start, end = (time_of(UUID(bound), version=None) for bound in BOUND.findall(bounds))
        return cls(start, end)

    @property
    def name(self) -> str:
        return f"{TABLE}_{self.start:%Y%m%d}_{self.end:%Y%m%d}"

    def __contains__(self, moment: datetime) -> bool:
        return self.start <= moment < self.end

    def days(self) -> Iterator[datetime]:
        """Yield the start of each day."""
        for number in range((self.end - self.start).days):
            yield self.start + timedelta(days=number)

    def beside(self, others: Iterable["Partition"], moment: datetime) -> "Partition":
        """Return the part of this period around `moment` that no other partition covers: older partitions may have
        another length."""
        start = max([self.start, *(other.end for other in others if other.end <= moment)])
        end = min([self.end, *(other.start for other in others if other.start > moment)])
        return Partition(start, end)


def plan(now: datetime | None = None) -> list[Partition]:
    """Return the partitions that should exist: the current one and EXECUTIONS["LOG_PARTITIONS_AHEAD"] after it."""
    now = now or datetime.now(UTC)
    length = timedelta(days=executions_settings.LOG_PARTITION_DAYS)
    return [Partition.at(now + length * i) for i in range(executions_settings.LOG_PARTITIONS_AHEAD + 1)]


def make_ahead(using: str = DEFAULT_DB_ALIAS) -> list[Partition]:
    """Create the missing partitions of plan() and return them."""
    return list(_make((partition.start for partition in plan()), using))


def make_for(moments: Iterable[datetime], using: str = DEFAULT_DB_ALIAS) -> None:
    """Create the missing partitions for lines of these times."""
    for _partition in _make(moments, using):
        pass


def after_migrate(*, using: str, **_kwargs: object) -> None:
    """Create the partitions if the table exists. Receiver of post_migrate."""
    forget(using)
    with connections[using].cursor() as cursor:
        cursor.execute("SELECT to_regclass(%s) IS NOT NULL", [TABLE])
        migrated = cursor.fetchone()[0]
    if migrated:
        make_ahead(using)


def ensure(ids: Iterable[UUID], using: str = DEFAULT_DB_ALIAS) -> None:
    """Create the missing partitions for lines with these ids. Raises ValidationError for an id that is no UUIDv7,
    because its time would be arbitrary."""
    for partition in _make(map(time_of, _one_of_each_hour(ids)), using):
        logger.warning(MADE_IN_FUTURE if partition.start > datetime.now(UTC) else MADE_IN_PAST, partition.name)


def _one_of_each_hour(ids: Iterable[UUID]) -> Iterable[UUID]:
    """Return one id of each hour and version of those given, of which there are thousands: a partition is at least a
    day."""
    first: dict[int, UUID] = {}
    for id in ids:
        number = (id if id.__class__ is UUID else UUID(str(id))).int
        first.setdefault((number >> 80) // HOUR << 128 | number & VERSION_AND_VARIANT, id)
    return first.values()


def count_missing(ids: Iterable[UUID], using: str = DEFAULT_DB_ALIAS) -> int:
    """Return how many partitions would have to be created for lines with these ids."""
    there = existing(using)
    periods = {Partition.at(moment) for moment in map(time_of, ids) if not any(moment in each for each in there)}
    return len(periods)


def with_partitions[T](ids: Sequence[UUID], using: str, write: Callable[[], T]) -> T:
    """Call `write()` after creating missing partitions for these ids. If one was dropped meanwhile, recreate it and
    retry once, unless the caller's transaction is already broken."""
    ensure(ids, using)
    try:
        return write()
    except IntegrityError as error:
        if not is_missing_for(error):
            raise
        forget(using)
        if connections[using].in_atomic_block:
            raise
        ensure(ids, using)
        return write()


def is_missing_for(error: IntegrityError) -> bool:
    """Return whether lines were refused because a partition is missing. A CHECK that refuses a row has a name."""
    cause = error.__cause__
    return isinstance(cause, CheckViolation) and not cause.diag.constraint_name


def without_removed[L](lines: Sequence[L], using: str = DEFAULT_DB_ALIAS) -> Sequence[L]:
    """Leave out lines, which have an `id`, of partitions that upkeep is about to remove: since its DETACH has begun, no
    line has a place there, and PostgreSQL allows no other partition of that time. The caller has called ensure()."""
    removed = _removed.get(using)
    if not removed:
        return lines
    stored = [line for line in lines if _holding(time_of(line.id), removed) is None]  # type: ignore[attr-defined]  # of models and structs
    if len(stored) < len(lines):
        logger.warning("Left out %d log lines of a period that upkeep is removing.", len(lines) - len(stored))
    return stored


def existing(using: str = DEFAULT_DB_ALIAS) -> list[Partition]:
    """Return the partitions, also those of which the DETACH has begun."""
    with connections[using].cursor() as cursor:
        cursor.execute(
            "SELECT pg_get_expr(relpartbound, oid), inhdetachpending FROM pg_class JOIN pg_inherits ON inhrelid = oid"
            " WHERE inhparent = to_regclass(%s)",
            [TABLE],
        )
        rows = [(Partition.parse(bounds), is_detached) for bounds, is_detached in cursor.fetchall()]
    _removed[using] = {partition for partition, is_detached in rows if is_detached}
    return sorted(partition for partition, _is_detached in rows)


def forget(using: str = DEFAULT_DB_ALIAS) -> None:
    """Forget which partitions exist: another process may have dropped one."""
    _known.pop(using, None)


def time_of(id: UUID | str, version: int | None = 7) -> datetime:
    """Return the time in a UUIDv7, to the millisecond. Raises ValidationError."""
    id = id if isinstance(id, UUID) else UUID(id)
    if version is not None and id.version != version:
        raise ValidationError(f"id: expected a UUID version {version}, found {id}.", code="uuid7")
    milliseconds = id.int >> 80
    if milliseconds >= LAST_MILLISECOND:
        raise ValidationError(f"id: the time in {id} lies beyond the year 9999.", code="uuid7")
    return FIRST + timedelta(milliseconds=milliseconds)


def bound(moment: datetime) -> UUID:
    """Return the lowest id of that time."""
    return UUID(int=max(0, (moment - FIRST) // timedelta(milliseconds=1)) << 80)


def _make(moments: Iterable[datetime], using: str) -> Iterator[Partition]:
    held: Partition | None = None
    now = datetime.now(UTC)
    for moment in moments:
        if held and moment in held:  # true for nearly all lines of one call
            continue
        # A copy, because other threads may add partitions meanwhile. One whose period is over may have been dropped by
        # retention, in another process.
        held = _holding(moment, (each for each in tuple(_known.get(using, ())) if each.end > now - SHORTEST_RETENTION))
        if held is None:
            held, made = _retry_on_lock_timeout(moment, using)
            if made:
                yield held


def _retry_on_lock_timeout(moment: datetime, using: str) -> tuple[Partition, bool]:
    """Create the partition for `moment`. ATTACH waits for every transaction that has written a run, and new ones queue
    behind it. One that has written a node execution and then writes its run even waits in a circle. So, unless the
    caller has a transaction open, it gives up soon and tries again."""
    if connections[using].in_atomic_block:
        return _create_in_savepoint(moment, using)
    for milliseconds in TRIES[:-1]:
        try:
            return _create_in_savepoint(moment, using, f"{milliseconds}ms")
        except OperationalError as error:
            if not isinstance(error.__cause__, LockNotAvailable | DeadlockDetected):
                raise
            time.sleep(milliseconds / 1_000)
    return _create_in_savepoint(moment, using, f"{TRIES[-1]}ms")


def _create_in_savepoint(moment: datetime, using: str, lock_timeout: str | None = None) -> tuple[Partition, bool]:
    with transaction.atomic(using=using):
        if lock_timeout:
            with connections[using].cursor() as cursor:
                cursor.execute("SELECT set_config('lock_timeout', %s, true)", [lock_timeout])
        partition, made = _cover(moment, using)
        if made:
            _uncommitted.add(partition)
        _remember(partition, using)
    return partition, made


def _remember(partition: Partition, using: str) -> None:
    """Remember the partition; one that this transaction created only after the commit, as a rollback removes it."""
    known = _known.setdefault(using, set())
    if partition in _removed.get(using, ()):  # it is looked up again, until another can take its place
        return
    if partition not in _uncommitted:
        known.add(partition)
        return

    def remember_partition() -> None:
        _uncommitted.discard(partition)
        known.add(partition)

    transaction.on_commit(remember_partition, using=using)


def _cover(moment: datetime, using: str) -> tuple[Partition, bool]:
    """Return the partition that contains that time, and whether it was created."""
    if there := _holding(moment, existing(using)):
        return there, False
    with connections[using].cursor() as cursor:
        # If two processes need the same partition, the second waits here and then finds it.
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", [TABLE])
        others = existing(using)
        if there := _holding(moment, others):
            return there, False
        new = Partition.at(moment).beside(others, moment)
        cursor.execute(
            CREATE.format(name=_free_name(new.name, using), table=TABLE, start=bound(new.start), end=bound(new.end))
        )
    return new, True


def _free_name(name: str, using: str) -> str:
    """Return the name, with a number if a partition of it was detached and is not dropped yet."""
    with connections[using].cursor() as cursor:
        cursor.execute("SELECT relname FROM pg_class WHERE starts_with(relname, %s)", [name])
        taken = {other for (other,) in cursor.fetchall()}
    return next(free for free in (name, *(f"{name}_{number}" for number in range(2, 1_000))) if free not in taken)


def _holding(moment: datetime, partitions: Iterable[Partition]) -> Partition | None:
    return next((partition for partition in partitions if moment in partition), None)
