"""Facts that the ledger has acknowledged, and the comparison with what it stores."""

import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import psycopg

RUNS = "SELECT id::text, version FROM workflow_executions WHERE id = ANY (%s::uuid[])"
NODES = "SELECT id::text, version FROM node_executions WHERE id = ANY (%s::uuid[])"
LINES = "SELECT message, count(*) FROM execution_logs WHERE workflow_execution_id = ANY (%s::uuid[]) GROUP BY message"
SAME_RUNS = "SELECT context ->> 'key' FROM workflow_executions WHERE context ? 'key' GROUP BY 1 HAVING count(*) > 1"
SAME_LINES = "SELECT message FROM execution_logs GROUP BY message HAVING count(*) > 1"


@dataclass
class Record:
    """Acknowledged facts of one run: the versions of the run and its nodes, which count their moves from 1, and log
    lines by their message. `ahead` is how many moves each row may be ahead, while something is under way. `fenced` are
    the lines of a worker that was replaced."""

    run: str
    versions: dict[str, int] = field(default_factory=dict)
    lines: set[str] = field(default_factory=set)
    fenced: set[str] = field(default_factory=set)
    ahead: int = 0

    def most(self, row: str) -> int:
        return self.versions[row] + self.ahead

    def copy(self) -> "Record":
        return replace(self, versions=dict(self.versions), lines=set(self.lines), fenced=set(self.fenced))


@dataclass
class Comparison:
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    impossible: list[str] = field(default_factory=list)


class Journal:
    def __init__(self) -> None:
        self.records: list[Record] = []
        self.lock = threading.Lock()

    def add(self, record: Record) -> None:
        with self.lock:
            self.records.append(record)

    def count_acknowledged(self) -> int:
        with self.lock:
            return sum(sum(each.versions.values()) + len(each.lines) for each in self.records)

    def compare(self, connection: psycopg.Connection, newest: int = 0) -> Comparison:
        """Compare all records, or the newest ones, with the rows."""
        with self.lock:
            records = self.records[-newest:]
            before = [each.copy() for each in records]  # what is acknowledged later may be missing in what is read now
        runs = [each.run for each in before]
        rows = [row for each in before for row in each.versions]
        stored = dict(connection.execute(RUNS, [runs]).fetchall() + connection.execute(NODES, [rows]).fetchall())
        lines = Counter(dict(connection.execute(LINES, [runs]).fetchall()))
        return Comparison(
            [lost for each in before for lost in _lost(each, stored, lines)],
            [*_moved_twice(records, stored), *_stored_twice(connection)],
            [f"{line}, of a worker that was replaced" for each in before for line in each.fenced if lines[line]],
        )


def _lost(record: Record, stored: dict[str, int], lines: Counter[str]) -> Iterator[str]:
    for row, version in record.versions.items():
        if stored.get(row, 0) < version:
            yield f"{row}: version {version} was acknowledged, and {stored.get(row)} is stored"
    for line in record.lines:
        if not lines[line]:
            yield f"a line of the run {record.run}: {line}"


def _moved_twice(records: list[Record], stored: dict[str, int]) -> Iterator[str]:
    """Yield the rows with more moves than were requested up to now, since clients went on while rows were read."""
    for record in records:
        for row in list(record.versions):
            if stored.get(row, 0) > record.most(row):
                yield f"{row}: version {stored[row]} is stored, and at most {record.most(row)} was asked for"


def _stored_twice(connection: psycopg.Connection) -> Iterator[str]:
    for (key,) in connection.execute(SAME_RUNS):
        yield f"two runs: {key}"
    for (line,) in connection.execute(SAME_LINES):
        yield f"two lines: {line}"
