"""Runs and log lines brought back from files.

The rows are inserted as they are, by statements for many of one table. A note tells the triggers that they are
restored: history is that of the file, and names are those of that time. A run that is there is left as it is.
"""

import json
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.contrib.auth import get_user_model
from django.db import connection, transaction
from django.db.models.functions import Now

from executions import audit, partitions
from executions.models import ArchivedRun, ArchiveKind, KeptRun, WorkflowExecution
from ledgerkit.db import locks
from ledgerkit.db.audit import audit_writes

from . import files, verification
from .files import Manifest
from .folders import Folder
from .row_format import DEFINITIONS, GRAPH, KINDS, LOG, NODE, OF_RUN, RUN_ROW, WORKFLOW, Kind

LOCK = "executions.archive.restore"
BATCH_RUNS, BATCH_BYTES = 500, 4_194_304
RESTORES: dict[str, object] = {"act": "create", "facts": True, "restore": True}  # no new history; names as they were

type Line = dict[str, Any]


@dataclass
class Restored:
    """Counts of runs, and of lines of a file of lines. `newer` runs are in a newer file, by its name."""

    runs: int = 0
    there: int = 0
    lines: int | None = None
    newer: dict[str, int] = field(default_factory=dict)


@dataclass
class _Batch:
    """Lines that are inserted by one call of _insert()."""

    lines: dict[str, list[str]] = field(default_factory=dict)
    parsed: dict[str, list[Line]] = field(default_factory=dict)
    size: int = 0

    def add(self, kind: str, text: str, line: Line) -> None:
        self.lines.setdefault(kind, []).append(text)
        self.parsed.setdefault(kind, []).append(line)
        self.size += len(text)

    def without_runs(self, runs: Collection[str]) -> "_Batch":
        kept = _Batch()
        for kind, texts in self.lines.items():
            for text, line in zip(texts, self.parsed[kind], strict=True):
                if line.get("run") not in runs:
                    kept.add(kind, text, line)
        return kept

    @property
    def runs(self) -> list[str]:
        return [line["run"] for line in self.parsed.get(RUN_ROW.name, ())]


def restore(folder: Folder, name: str, only: Collection[UUID] = ()) -> Restored:
    """Restore the runs of a file, or the lines of a file of lines whose runs are there; with `only`, of these runs.
    Raises ArchiveError if the file is not as it was written."""
    manifest = Manifest.read(folder, name)
    verification.check_digest(folder, manifest)
    partitions.make_for(datetime.fromisoformat(day).replace(tzinfo=UTC) for day in manifest.log_days)
    wanted = {str(run) for run in only}
    lines = (line for line in _read(folder, name) if not wanted or line[2].get("run", "") in wanted | {""})
    if manifest.kind == ArchiveKind.LINES:
        return _restore_lines(lines)
    return _RunRestorer(name).restore(lines)


def _read(folder: Folder, name: str) -> Iterator[tuple[str, str, Line]]:
    """Yield kind, text and content of each line. Kinds that are not known are left out."""
    for number, text in enumerate(files.lines(folder, name), 1):
        line = verification.parse(name, number, text)
        if line["kind"] in KINDS:
            yield line["kind"], text.decode(), line


def _restore_lines(lines: Iterable[tuple[str, str, Line]]) -> Restored:
    count = 0
    for batch in _batches(lines):
        runs = {line["run"] for line in batch.parsed[LOG.name]}
        there = {str(run) for run in WorkflowExecution.objects.filter(pk__in=runs).values_list("pk", flat=True)}
        with transaction.atomic():
            count += _insert(LOG, batch.without_runs(runs - there))
    return Restored(lines=count)


def _batches(lines: Iterable[tuple[str, str, Line]]) -> Iterator[_Batch]:
    batch = _Batch()
    for line in lines:
        batch.add(*line)
        if batch.size >= BATCH_BYTES:
            yield batch
            batch = _Batch()
    if batch.size:
        yield batch


class _RunRestorer:
    """The restoring of one file of runs. A transaction holds whole runs: many small ones, or a large one."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.total = Restored()
        self.definitions: dict[str, list[Line]] = {kind.name: [] for kind in DEFINITIONS}  # those that are gone

    def restore(self, lines: Iterable[tuple[str, str, Line]]) -> Restored:
        rest = _Lookahead(lines)
        while rest.has_more:
            with transaction.atomic():
                self._restore_some(rest)
        return self.total

    def _restore_some(self, lines: "_Lookahead") -> None:
        locks.lock(LOCK)
        with connection.cursor() as cursor:
            cursor.execute(audit.NOTE, [audit.current().note(**RESTORES)])
        skipped: set[str] = set()
        for batch in lines.whole_runs():
            self._keep_definitions(batch)
            skipped |= self._skip(batch.runs)
            new = batch.without_runs(skipped)
            self._insert_definitions({line["workflow_id"] for line in new.parsed.get(RUN_ROW.name, ())})
            for kind in OF_RUN:
                _insert(kind, new)
            self._mark(new.runs)

    def _skip(self, runs: list[str]) -> set[str]:
        """Return the runs that are there, or in a newer file."""
        there = {str(run) for run in WorkflowExecution.objects.filter(pk__in=runs).values_list("pk", flat=True)}
        absent = [run for run in runs if run not in there]
        known = ArchivedRun.objects.filter(pk__in=absent).exclude(file__name=self.name)
        newer = {str(run): file for run, file in known.values_list("pk", "file__name") if file > self.name}
        for file in newer.values():
            self.total.newer[file] = self.total.newer.get(file, 0) + 1
        self.total.there += len(there)
        return there | newer.keys()

    def _mark(self, runs: list[str]) -> None:
        """Keep the runs, which the next upkeep would remove again, and record that they were restored."""
        self.total.runs += len(runs)
        kept = {"username": audit.current().name, "reason": f"restored from {self.name}"}
        KeptRun.objects.bulk_create((KeptRun(workflow_execution_id=run, **kept) for run in runs), ignore_conflicts=True)
        ArchivedRun.objects.filter(pk__in=runs).update(restored_at=Now())

    def _keep_definitions(self, batch: _Batch) -> None:
        """Keep the definitions of a batch that are not in the database."""
        for kind in DEFINITIONS:
            lines = batch.parsed.get(kind.name, ())
            rows = kind.model._base_manager.filter(pk__in=[line["id"] for line in lines])
            there = {str(id) for id in rows.values_list("pk", flat=True)}
            self.definitions[kind.name] += [line for line in lines if line["id"] not in there]

    def _insert_definitions(self, workflows: Collection[str]) -> None:
        """Insert what is gone of these workflows. A workflow is restored as a deleted one, its nodes as retired ones:
        they are there for the runs that refer to them."""
        for kind in DEFINITIONS:
            lines = self.definitions[kind.name]
            wanted = [line for line in lines if line["id" if kind is WORKFLOW else "workflow_id"] in workflows]
            if wanted:
                self.definitions[kind.name] = [line for line in lines if line not in wanted]
                batch = _Batch()
                for line in map(AS_REMOVED[kind.name], wanted):
                    batch.add(kind.name, json.dumps(line), line)
                with audit_writes():
                    _insert(kind, batch)


class _Lookahead:
    """The lines of a file, of which the next one is known."""

    def __init__(self, lines: Iterable[tuple[str, str, Line]]) -> None:
        self.lines = iter(lines)
        self.next = next(self.lines, None)

    @property
    def has_more(self) -> bool:
        return self.next is not None

    def whole_runs(self) -> Iterator[_Batch]:
        """Yield batches of bounded size until a run has ended and there are enough."""
        batch, runs, size = _Batch(), 0, 0
        while self.next is not None:
            kind, text, line = self.next
            if kind == RUN_ROW.name:
                if runs >= BATCH_RUNS or size >= BATCH_BYTES:
                    break
                runs += 1
            elif batch.size >= BATCH_BYTES:
                yield batch
                batch = _Batch()
            batch.add(kind, text, line)
            size += len(text)
            self.next = next(self.lines, None)
        yield batch


def _removed_workflow(line: Line) -> Line:
    owner = line.get("owner_id")
    is_there = owner is not None and get_user_model()._base_manager.filter(pk=owner).exists()
    kept = line if is_there else {name: value for name, value in line.items() if name != "owner_id"}
    return {"deleted_at": _now()} | kept


def _retired_node(line: Line) -> Line:
    return {"retired_at": _now()} | line


def _older_graph(line: Line) -> Line:
    return line | {"is_current": False}


def _now() -> str:
    return datetime.now(UTC).isoformat()


AS_REMOVED = {WORKFLOW.name: _removed_workflow, NODE.name: _retired_node, GRAPH.name: _older_graph}


def _insert(kind: Kind, batch: _Batch) -> int:
    """Insert the lines of one kind. Return how many were new."""
    if not (lines := batch.lines.get(kind.name)):
        return 0
    with connection.cursor() as cursor:
        cursor.execute(kind.insert(batch.parsed[kind.name]), [f"[{','.join(lines)}]"])
        return int(cursor.rowcount)
