"""Runs and log lines written to files, and recorded, before they are deleted.

Each file is one transaction: a lock, the rows read and written, the manifest, then the record in the database. A file
that was never recorded remains as it is: another ledger may have written it.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime, timedelta
from itertools import batched, chain
from typing import NamedTuple, Self
from uuid import UUID

from django.db import connection, transaction
from django.utils.text import format_lazy

from executions import partitions
from executions.models import ArchivedRun, ArchiveFile, ArchiveKind
from executions.partitions import Partition
from ledgerkit.db import locks

from . import archived_rows, files, folders
from .exceptions import ArchiveError
from .files import LineWriter, Manifest
from .folders import Folder
from .row_format import LOG, OF_RUN, SEEN

LOCK = "executions.archive"
CHECKED, READ = 10_000, 500  # runs in one statement
RUNS_IN_FILE = 50_000

# A snapshot means nothing in another cluster, into which the database was dumped and restored.
CLUSTER = "SELECT system_identifier::text FROM pg_control_system()"
STAMPED = [kind.table for kind in OF_RUN if kind.is_stamped]
LATE = """EXISTS (
    SELECT FROM {table} AS late WHERE late.workflow_execution_id = run.id
        AND NOT pg_visible_in_snapshot(late.written_by, file.snapshot::pg_snapshot)
        AND late.written_by IS DISTINCT FROM pg_current_xact_id_if_assigned()
        AND late.written_by < pg_snapshot_xmax(pg_current_snapshot())
)"""
# Differs after a row without a stamp was written. It is compared with that of the file, never with an order.
CHANGES = " + ".join(f"({kind.select_change('run.id')})" for kind in OF_RUN if kind.change)
VERSION = f"mod({CHANGES}, 2147483648)::integer"
VERSIONS = f"""
SELECT run.id, {VERSION}, run.workflow_id, run.workflow_name, run.created_at
FROM workflow_executions AS run WHERE run.id = ANY(%s)
"""  # noqa: S608  # names of our own tables
# Ended runs that are in no file as they are, or of which a row was written later.
UNARCHIVED = f"""
SELECT run.id, (run.created_at AT TIME ZONE 'UTC')::date
FROM workflow_executions AS run
LEFT JOIN execution_archived_runs AS known ON known.workflow_execution_id = run.id AND known.version = {VERSION}
LEFT JOIN execution_archive_files AS file ON file.id = known.file_id AND file.cluster = ({CLUSTER})
WHERE run.id = ANY(%s) AND run.status NOT IN ('pending', 'running')
    AND (file.id IS NULL OR {" OR ".join(LATE.format(table=table) for table in STAMPED)})
ORDER BY run.id
"""  # noqa: S608  # names of our own tables
LINES = """
SELECT t.id, {line} FROM {table} AS t
WHERE t.id >= %(start)s AND t.id < %(end)s AND {seen}
    AND NOT EXISTS (
        SELECT FROM unnest(%(earlier)s::text[]) AS earlier
        WHERE t.written_by IS NULL OR pg_visible_in_snapshot(t.written_by, earlier::pg_snapshot)
            OR t.written_by = pg_current_xact_id_if_assigned()
            OR t.written_by >= pg_snapshot_xmax(pg_current_snapshot())
    )
ORDER BY t.id
"""


class Snapshot(NamedTuple):
    """A snapshot of PostgreSQL, and the cluster in which it has a meaning."""

    text: str
    cluster: str

    @classmethod
    def now(cls) -> Self:
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT pg_current_snapshot()::text, ({CLUSTER})")
            return cls(*cursor.fetchone())


def ensure_archived(ids: Sequence[UUID], after_file: Callable[[], object] = lambda: None) -> None:
    """Archive the ended runs among `ids`, except those that are archived as they are, and call `after_file` after each
    file. Raises ArchiveError; what was archived before remains archived. Does nothing without EXECUTIONS["ARCHIVE"].

    Call it first for many runs, so that there are few files. Call it again for each batch to delete, in the transaction
    that has locked its runs FOR UPDATE: it then archives only runs that have changed in between.
    """
    if (folder := _folder()) is None:
        return
    for day, of_day in sorted(_find_unarchived(ids).items()):
        for some in batched(of_day, RUNS_IN_FILE):
            _archive_runs(folder, day, some)
            after_file()


def ensure_lines_archived(
    partition: Partition, table: str | None = None, after_file: Callable[[], object] = lambda: None
) -> list[str]:
    """Archive the log lines of a partition, except those that are archived, and return the names of the files with its
    lines: none without EXECUTIONS["ARCHIVE"]. `table` is the partition itself once it is detached. `after_file` is
    called after each day. Raises ArchiveError."""
    if (folder := _folder()) is None:
        return []
    for start, end in _days(partition):
        _archive_lines(folder, start, end, table or partitions.TABLE)
        after_file()
    known = ArchiveFile.objects.filter(
        kind=ArchiveKind.LINES, day__gte=partition.start.date(), day__lt=partition.end.date()
    )
    return list(known.values_list("name", flat=True))


def _folder() -> Folder | None:
    """Return the folder of the archive. Raises ArchiveError if it has vanished: a new one could be beside its disk."""
    folder = folders.configured_folder()
    if folder is not None and not folder.exists() and ArchiveFile.objects.exists():
        raise ArchiveError(format_lazy(folders.NO_FOLDER, folder=str(folder)))
    return folder


def _find_unarchived(ids: Sequence[UUID]) -> dict[date, list[UUID]]:
    """Return the runs that have to be archived, by the UTC day on which they were created."""
    found: dict[date, list[UUID]] = {}
    with connection.cursor() as cursor:
        for some in batched(ids, CHECKED):
            cursor.execute(UNARCHIVED, [list(some)])
            for run, day in cursor.fetchall():
                found.setdefault(day, []).append(run)
    return found


@transaction.atomic
def _archive_runs(folder: Folder, day: date, ids: Sequence[UUID]) -> None:
    locks.lock(LOCK)
    runs = sorted(_find_unarchived(ids).get(day, ()))  # another process may have archived them meanwhile
    if not runs:
        return
    snapshot, manifest = Snapshot.now(), Manifest(_next_name(ArchiveKind.RUNS, day), ArchiveKind.RUNS, str(day))
    archived: list[ArchivedRun] = []
    with files.writing(folder, manifest) as writer:
        definitions = archived_rows.DefinitionLines()
        for some in batched(runs, READ):
            archived += _versions(some)
            _add_runs(writer, some, definitions, snapshot.text)
    file = _record(manifest, snapshot)
    for each in archived:
        each.file = file
    ArchivedRun.objects.bulk_create(
        archived, batch_size=CHECKED, update_conflicts=True, unique_fields=["workflow_execution_id"],
        update_fields=["version", "file", "workflow_id", "workflow_name", "made_at", "restored_at"],
    )  # fmt: skip


def _add_runs(
    writer: LineWriter, runs: Sequence[UUID], definitions: archived_rows.DefinitionLines, snapshot: str
) -> None:
    for kind, line in definitions.of(runs):
        writer.add(kind, line)
    for kind, line in archived_rows.of_runs(runs, snapshot):
        writer.add(kind, line)
    writer.note_id(runs[0])
    writer.note_id(runs[-1])


def _versions(runs: Sequence[UUID]) -> Iterator[ArchivedRun]:
    """Yield the records of runs. Their versions are read before the rows, so a file never has an older one."""
    with connection.cursor() as cursor:
        cursor.execute(VERSIONS, [list(runs)])
        rows = cursor.fetchall()
    for run, number, workflow, name, made_at in rows:
        yield ArchivedRun(
            workflow_execution_id=run, version=number, workflow_id=workflow, workflow_name=name, made_at=made_at
        )


@transaction.atomic
def _archive_lines(folder: Folder, start: datetime, end: datetime, table: str) -> None:
    locks.lock(LOCK)
    day = start.date()
    snapshot, manifest = Snapshot.now(), Manifest(_next_name(ArchiveKind.LINES, day), ArchiveKind.LINES, str(day))
    earlier = ArchiveFile.objects.filter(kind=ArchiveKind.LINES, day=day, cluster=snapshot.cluster)
    parameters = {
        "start": partitions.bound(start), "end": partitions.bound(end),
        "snapshot": snapshot.text, "earlier": list(earlier.values_list("snapshot", flat=True)),
    }  # fmt: skip
    statement = LINES.format(line=LOG.line(), table=connection.ops.quote_name(table), seen=SEEN)
    rows = archived_rows.select(statement, parameters)
    if (first := next(rows, None)) is None:
        return
    with files.writing(folder, manifest) as writer:
        for id, line in chain([first], rows):
            writer.add(LOG, line)
            writer.note_id(id)
    _record(manifest, snapshot)


def _days(partition: Partition) -> Iterator[tuple[datetime, datetime]]:
    start = partition.start
    while start < partition.end:
        end = min(start + timedelta(days=1), partition.end)
        yield start, end
        start = end


def _next_name(kind: ArchiveKind, day: date) -> str:
    recorded = ArchiveFile.objects.filter(kind=kind, day=day).values_list("name", flat=True)
    return files.file_name(kind, day, max(map(files.file_number, recorded), default=0) + 1)


def _record(manifest: Manifest, snapshot: Snapshot) -> ArchiveFile:
    return ArchiveFile.objects.create(
        name=manifest.name,
        kind=manifest.kind,
        day=manifest.day,
        sha256=manifest.sha256,
        size=manifest.bytes,
        run_count=manifest.run_count,
        row_count=manifest.row_count,
        snapshot=snapshot.text,
        cluster=snapshot.cluster,
    )
