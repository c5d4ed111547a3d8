"""Measure what upkeep costs those who write: a partition of the log is dropped, and old runs are deleted, while eight
clients record runs, nodes and lines.

`python -m benches.upkeep [--lines 10000000] [--runs 100000] [--writers 8]` uses a database of its own. It fails if a
statement of a writer failed or was lost, or took longer than 200 ms while the partition was dropped. It also fails if
the 99th percentile of the statements was more than five times its quiet value while runs were deleted.
"""

import argparse
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from uuid import UUID

import django
from django.apps import apps

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "pastetrader.settings")
if not apps.ready:  # a second call would remove the handlers of the logs
    django.setup()

import psycopg  # must come after django.setup()
from django.db import connection

from benches.ledger import scratch_database
from benches.migrations import FILL, WRITE, Client
from benches.output import out
from executions import partitions
from executions.partitions import Partition
from executions.upkeep import log_retention, run_retention
from executions.upkeep.task import Result
from ledgerkit.db.timeouts import no_limit

LONGEST_MS = 200
MOST_TIMES = 5
# Lines of one run in the partition of that time. Their foreign keys are not checked, which would take most of the time.
FILL_LINES = """
SET session_replication_role = replica;
INSERT INTO execution_logs (id, workflow_execution_id, level, message)
    SELECT (lpad(to_hex({milliseconds} + n / 100), 12, '0') || '7' || substr(md5(n::text), 1, 3) || '8'
        || substr(md5(n::text), 4, 15))::uuid, runs.id, 'info', 'loaded the rows of day ' || n
    FROM generate_series(1, {lines}) AS n, (SELECT id FROM workflow_executions LIMIT 1) AS runs;
SET session_replication_role = origin;
"""
AGE = """
SET session_replication_role = replica;
UPDATE workflow_executions SET ended_at = now() - interval '400 days', started_at = now() - interval '400 days';
SET session_replication_role = origin;
"""


class Writer(Client):
    """A client that records, in a loop, a run with a node and a line, and keeps the durations of its statements."""

    written = 0  # lines

    def restart(self) -> None:
        super().restart()
        self.durations: list[float] = []

    def _send(self, client: psycopg.Connection, statement: str, values: dict[str, UUID]) -> None:
        before = len(self.faults)
        super()._send(client, statement, values)
        self.durations.append(time.monotonic() - self._since)
        if "execution_logs" in statement and len(self.faults) == before:
            self.written += 1


class Figures:
    """Durations of all statements of the writers, in milliseconds."""

    def __init__(self, writers: list[Writer]) -> None:
        self.sorted = sorted(1_000 * seconds for writer in writers for seconds in writer.durations)
        self.faults = [fault for writer in writers for fault in writer.faults]
        self.longest = 1_000 * max(writer.longest for writer in writers)

    def percentile(self, part: float) -> float:
        return self.sorted[int(part * (len(self.sorted) - 1))]

    def __str__(self) -> str:
        p50, p99 = self.percentile(0.5), self.percentile(0.99)
        return f"{len(self.sorted):,} statements, p50 {p50:.1f} ms, p99 {p99:.1f} ms, longest {self.longest:.0f} ms"


@contextmanager
def writers(number: int) -> Iterator[list[Writer]]:
    """Let so many clients write for as long as the block lasts."""
    every = [Writer(WRITE) for _ in range(number)]
    for writer in every:
        writer.start()
    time.sleep(1)
    try:
        yield every
    finally:
        for writer in every:
            writer.is_stopped.set()
        for writer in every:
            writer.join()


def while_writing(every: list[Writer], work: Callable[[], object]) -> tuple[Figures, float]:
    """Call `work` while the clients write. Return their figures, and its seconds."""
    for writer in every:
        writer.restart()
    began = time.monotonic()
    work()
    return Figures(every), time.monotonic() - began


def fill(runs: int, lines: int) -> None:
    old = Partition.at(datetime.now(UTC) - timedelta(days=60))
    with no_limit(), connection.cursor() as cursor:
        cursor.execute(FILL.format(runs=runs))
        cursor.execute(AGE)
        create = partitions.CREATE.format(
            name=old.name, table=partitions.TABLE, start=partitions.bound(old.start), end=partitions.bound(old.end)
        )
        cursor.execute(create)
        milliseconds = (old.start - partitions.FIRST) // timedelta(milliseconds=1)
        cursor.execute(FILL_LINES.format(milliseconds=milliseconds, lines=lines))
        cursor.execute(f"ANALYZE {old.name}")


def count_stored() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM execution_logs WHERE message = 'a line'")
        return int(cursor.fetchone()[0])


def measure(options: argparse.Namespace) -> list[str]:
    """Print the figures; return what went wrong."""
    done: list[Result] = []
    with no_limit(), writers(options.writers) as every:
        quiet, _seconds = while_writing(every, lambda: time.sleep(options.seconds))
        out(f"quiet: {quiet}")
        dropping, seconds = while_writing(every, lambda: done.append(log_retention.apply(_nothing)))
        out(f"{done[0].rows:,} lines dropped in {seconds:.2f} s: {dropping}")
        deleting, seconds = while_writing(every, lambda: done.append(run_retention.apply(_nothing)))
        out(f"{done[1].rows:,} runs deleted in {seconds:.0f} s: {deleting}")
    return [*_faults(options, quiet, dropping, deleting), *_lost(sum(writer.written for writer in every))]


def _faults(options: argparse.Namespace, quiet: Figures, dropping: Figures, deleting: Figures) -> Iterator[str]:
    yield from (*dropping.faults, *deleting.faults)
    if dropping.longest > LONGEST_MS:
        yield f"a statement took {dropping.longest:.0f} ms while {options.lines:,} lines were dropped"
    before, meanwhile = quiet.percentile(0.99), deleting.percentile(0.99)
    if meanwhile > MOST_TIMES * before:
        yield f"p99 was {meanwhile:.1f} ms while runs were deleted, {before:.1f} ms before"


def _lost(written: int) -> Iterator[str]:
    if (there := count_stored()) != written:
        yield f"{written:,} lines were written, {there:,} are stored"


def _nothing(_done: int, _expected: int) -> None:
    """Show no progress."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lines", type=int, default=10_000_000)
    parser.add_argument("--runs", type=int, default=100_000)
    parser.add_argument("--writers", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=10.0, help="of the quiet measurement")
    options = parser.parse_args()
    with scratch_database():
        fill(options.runs, options.lines)
        if faults := measure(options):
            raise SystemExit("\n".join(faults))


if __name__ == "__main__":
    main()
