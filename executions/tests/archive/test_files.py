"""Content of the files, each complete before the database says that it is there."""

import io
import json
import os
import resource
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from django.core import checks
from django.core.management import CommandError, call_command
from django.db import connection

from executions import partitions, run_notes
from executions.archive import ArchiveError, archiving, compression, ensure_archived, ensure_lines_archived, folders
from executions.archive.row_format import KINDS
from executions.models import ArchivedRun, ArchiveFile, WorkflowExecution
from executions.tests.archive.runs import EARLIER, SECRET, ids, make_runs, rows_in
from executions.tests.factories import ExecutionLogFactory, WorkflowExecutionFactory, in_state
from ledgerkit.db.models import uuid7

pytestmark = pytest.mark.django_db

NAME, SECOND = "runs-2026-05-01.0001.ndjson.zst", "runs-2026-05-01.0002.ndjson.zst"


@pytest.fixture
def timed(workflow: Any) -> WorkflowExecution:
    """Return a run of the 1st of May."""
    run = WorkflowExecutionFactory(workflow=workflow, created_at=EARLIER)
    run.start(at=EARLIER)
    run.complete({"n": 1}, at=EARLIER + timedelta(seconds=1))
    return run


def call(*arguments: str) -> tuple[str, str]:
    """Return what the command prints, and what it prints of faults."""
    out, faults = io.StringIO(), io.StringIO()
    try:
        call_command(*arguments, stdout=out, stderr=faults)
    except CommandError as error:
        faults.write(f"{error}\n")
    return out.getvalue(), faults.getvalue()


def test_nothing_is_archived_without_the_setting(timed: Any) -> None:
    ensure_archived([timed.pk])
    assert ensure_lines_archived(partitions.Partition.at(EARLIER)) == []
    assert not ArchiveFile.objects.exists()
    assert "there is no archive" in call("archive", "--verify")[1]


def test_a_file_has_all_that_is_of_its_runs_and_of_their_definitions(workflow: Any, archive: Path) -> None:
    runs = make_runs(workflow)
    ensure_archived(ids(runs))
    today = ArchiveFile.objects.get(name__contains=".0001", day__gt="2026-05-01")
    rows = rows_in(archive, today.name)
    assert {row["kind"] for row in rows} == set(KINDS)
    assert [row["run"] for row in rows if row["kind"] == "run"] == sorted(map(str, ids(runs[:3] + runs[4:])))
    (retried,) = (row for row in rows if row["kind"] == "run" and row["attempt"] == 2)
    assert retried["output_data"] == {"rows": 3}
    assert retried["created_at"] == runs[1].created_at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    of_it = [row for row in rows if row.get("run") == str(runs[1].pk)]
    assert [row["message"] for row in of_it if row["kind"] == "log"] == [str(n) for n in range(1, 30)]
    cancelled = next(row for row in rows if row["run" if "run" in row else "id"] == str(runs[2].pk))
    assert cancelled["output_data"] is None
    assert "started_at" not in cancelled


def test_a_day_has_a_file_with_a_manifest_of_its_own(timed: Any, archive: Path) -> None:
    ensure_archived([timed.pk])
    assert sorted(path.name for path in archive.iterdir()) == ["runs-2026-05-01.0001.manifest.json", NAME]
    manifest = json.loads((archive / "runs-2026-05-01.0001.manifest.json").read_text())
    assert manifest["format"] == 1
    assert manifest["rows"] == {"workflow": 1, "graph": 1, "run": 1, "history": 3}
    assert manifest["first"] == manifest["last"] == str(timed.pk)
    assert manifest["bytes"] == (archive / NAME).stat().st_size
    file = ArchiveFile.objects.get()
    assert (file.sha256, file.run_count, file.row_count) == (manifest["sha256"], 1, 6)
    known = ArchivedRun.objects.get()
    assert (known.pk, known.version, known.workflow_name) == (timed.pk, timed.version, "momentum")


def test_what_is_archived_is_not_archived_again_until_a_line_comes_late(timed: Any, archive: Path) -> None:
    ensure_archived([timed.pk])
    ensure_archived([timed.pk])
    assert ArchiveFile.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_late_line_is_archived_before_its_run_is_deleted(timed: Any, archive: Path) -> None:
    ensure_archived([timed.pk])
    ExecutionLogFactory(workflow_execution=timed, message="late")
    ensure_archived([timed.pk])
    file = ArchivedRun.objects.get().file
    assert file.name == "runs-2026-05-01.0002.ndjson.zst"
    assert "late" in [row.get("message") for row in rows_in(archive, file.name)]


def test_a_run_that_changed_is_archived_again(workflow: Any, archive: Path) -> None:
    run = in_state(WorkflowExecutionFactory(workflow=workflow), "failed")
    ensure_archived([run.pk])
    run.retry()
    in_state(run, "running")
    ensure_archived([run.pk])  # not while it is running
    assert ArchiveFile.objects.count() == 1
    run.complete()
    ensure_archived([run.pk])
    assert ArchivedRun.objects.get().version == WorkflowExecution.objects.get().version
    assert ArchiveFile.objects.count() == 2


def test_what_an_interrupted_pass_left_remains(timed: Any, archive: Path, monkeypatch: Any) -> None:
    def killed(*_arguments: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(archiving, "_record", killed)
        with pytest.raises(KeyboardInterrupt):
            ensure_archived([timed.pk])
    assert (archive / NAME).exists()
    assert f"{NAME} is not recorded" in call("archive", "--verify")[0]
    ensure_archived([timed.pk])
    assert ArchiveFile.objects.get().name == SECOND
    printed, faults = call("archive", "--verify")
    assert (printed.splitlines()[1], faults) == ("2 files are as they were written.", "")


@pytest.mark.parametrize("url", ["{folder}", "local://{folder}"])
def test_no_file_of_another_ledger_is_replaced(url: str, timed: Any, tmp_path: Path, settings: Any) -> None:
    """One that is complete, the manifest of one, and one that is being written."""
    settings.EXECUTIONS = settings.EXECUTIONS | {"ARCHIVE": url.format(folder=tmp_path)}
    names = [NAME, "runs-2026-05-01.0004.manifest.json", ".runs-2026-05-01.0005.ndjson.zst.part"]
    for name in names:
        (tmp_path / name).write_text("of another ledger")
    ensure_archived([timed.pk])
    assert {(tmp_path / name).read_text() for name in names} == {"of another ledger"}
    written = 6 if url == "{folder}" else 5
    assert ArchiveFile.objects.get().name == f"runs-2026-05-01.{written:04}.ndjson.zst"


def test_the_next_file_has_a_number_above_all_that_are_recorded(timed: Any, archive: Path) -> None:
    archive.mkdir()
    (archive / NAME).write_text("of another ledger")
    for n in range(3):
        timed.refresh_from_db()
        run_notes.write(timed.pk, str(n))
        ensure_archived([timed.pk])
        (archive / NAME).unlink(missing_ok=True)
    assert [name[16:20] for name in ArchiveFile.objects.values_list("name", flat=True)] == ["0002", "0003", "0004"]


def test_one_of_two_ledgers_gets_a_name(archive: Path) -> None:
    """The second one looks before the file is complete, or has looked before and reserves afterwards."""
    first, second = folders.LocalFolder(archive), folders.LocalFolder(archive)
    assert [folder.reserve(NAME) for folder in (first, second)] == [True, False]
    with first.write(NAME) as stream:
        stream.write(b"of the first")
        assert not second.reserve(NAME)
    assert not second.reserve(NAME)
    assert (archive / NAME).read_bytes() == b"of the first"
    assert [path.name for path in archive.iterdir()] == [NAME]


def test_a_file_that_another_ledger_completes_meanwhile_is_not_replaced_in_a_bucket(tmp_path: Path) -> None:
    folder = folders.RemoteFolder(f"local://{tmp_path}")
    assert folder.reserve(NAME)
    with pytest.raises(FileExistsError, match="another ledger"), folder.write(NAME):
        (tmp_path / NAME).write_bytes(b"of another ledger")
    assert (tmp_path / NAME).read_bytes() == b"of another ledger"


def test_incomplete_files_are_removed_after_a_day(archive: Path) -> None:
    archive.mkdir()
    for name, age in (("old", 90_000), ("new", 3_600)):
        (part := archive / f".{name}.part").touch()
        os.utime(part, (time.time() - age,) * 2)
    folders.LocalFolder(archive).reserve(NAME)
    assert sorted(path.name for path in archive.iterdir()) == [".new.part", f".{NAME}.part"]


def test_no_secret_is_in_a_file(workflow: Any, archive: Path) -> None:
    runs = make_runs(workflow)
    assert WorkflowExecution.objects.get(pk=runs[4].pk).encrypted_secrets
    ensure_archived(ids(runs))
    for file in ArchiveFile.objects.all():
        texts = json.dumps(rows_in(archive, file.name))
        assert SECRET not in texts
        assert "encrypted_secrets" not in texts


def damage(path: Path, how: str) -> None:
    content = path.read_bytes()
    if how == "other":
        path.write_bytes(content[:40] + bytes([content[40] ^ 1]) + content[41:])
    elif how == "truncated":
        path.write_bytes(content[:-20])
    elif how == "gone":
        path.unlink()
    elif how == "manifest":
        path.with_name(path.name.replace(".ndjson.zst", ".manifest.json")).unlink()


@pytest.mark.parametrize(
    ("how", "sentence"),
    [
        ("other", "it is not the file that was written"),
        ("truncated", "it is not the file that was written"),
        ("gone", "it cannot be read: "),
        ("manifest", "there is no manifest beside it"),
    ],
)
def test_a_damaged_file_is_named(how: str, sentence: str, timed: Any, archive: Path) -> None:
    ensure_archived([timed.pk])
    damage(archive / NAME, how)
    _out, faults = call("archive", "--verify")
    assert faults.startswith(f"{NAME}: {sentence}")
    assert faults.endswith("1 file is bad.\n")


def forge(path: Path, content: bytes) -> None:
    """Replace a file, with the manifest that is right for its bytes."""
    packed = compression.zstd().compress(content)
    path.write_bytes(packed)
    place = path.with_name(path.name.replace(".ndjson.zst", ".manifest.json"))
    known = {"sha256": sha256(packed).hexdigest(), "bytes": len(packed)}
    place.write_text(json.dumps(json.loads(place.read_text()) | known))


def test_rows_that_are_no_json_and_other_counts_are_named(timed: Any, archive: Path) -> None:
    ensure_archived([timed.pk])
    forge(archive / NAME, b'{"kind":"run"}\nno json\n')
    assert "line 2 is no row of an archive" in call("archive", "--verify", str(archive / NAME))[1]
    forge(archive / NAME, b'{"kind":"run"}\n')
    faults = call("archive", "--verify", str(archive / NAME))[1]
    assert "it has 1 rows, and its manifest counts 6" in faults
    assert "the database has recorded another file" in faults


@contextmanager
def full_disk() -> Iterator[None]:
    """No file of this process grows beyond a few bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_nothing_is_recorded_where_the_disk_is_full(timed: Any, archive: Path) -> None:
    with full_disk(), pytest.raises(ArchiveError, match=r"The archive .+ cannot be written: File too large"):
        ensure_archived([timed.pk])
    assert not ArchivedRun.objects.exists()
    assert list(archive.iterdir()) == []


def test_nothing_is_recorded_where_the_folder_cannot_be_written(timed: Any, archive: Path) -> None:
    archive.write_text("no folder")
    with pytest.raises(ArchiveError, match="cannot be written: File exists"):
        ensure_archived([timed.pk])
    assert not ArchivedRun.objects.exists()


@pytest.mark.parametrize("url", ["memory://ledger/archive", "local://{folder}", "file://{folder}"])
def test_the_archive_may_be_where_fsspec_writes(url: str, timed: Any, tmp_path: Path, settings: Any) -> None:
    url = url.format(folder=tmp_path / "there")
    settings.EXECUTIONS = settings.EXECUTIONS | {"ARCHIVE": url}
    ensure_archived([timed.pk])
    assert NAME in folders.require_folder().names()
    assert call("archive", "--verify") == ("1 file is as it was written.\n", "")
    assert NAME in call("archive", "--list")[0]


def test_nothing_is_recorded_where_the_folder_has_vanished(timed: Any, archive: Path, workflow: Any) -> None:
    ensure_archived([timed.pk])
    shutil.rmtree(archive)
    other = in_state(WorkflowExecutionFactory(workflow=workflow), "completed")
    with pytest.raises(ArchiveError, match="is not there, and the database has recorded files in it"):
        ensure_archived([other.pk])
    with pytest.raises(ArchiveError, match="is not there"):
        ensure_lines_archived(partitions.Partition.at(EARLIER))
    assert not archive.exists()
    assert ArchivedRun.objects.get().pk == timed.pk


def test_a_file_that_is_being_written_is_not_bad(timed: Any, archive: Path) -> None:
    ensure_archived([timed.pk])
    (archive / "runs-2026-05-02.0001.ndjson.zst").write_bytes(b"so far")
    printed, faults = call("archive", "--verify")
    assert printed.startswith("runs-2026-05-02.0001.ndjson.zst is not recorded")
    assert faults == ""


def test_a_missing_package_is_named(timed: Any, archive: Path, monkeypatch: Any, settings: Any) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(compression, "MODULES", ("no_such_module",))
        with pytest.raises(ArchiveError, match=r"needs the package backports\.zstd"):
            ensure_archived([timed.pk])
    settings.EXECUTIONS = settings.EXECUTIONS | {"ARCHIVE": "s3://bucket/ledger"}
    with pytest.raises(ArchiveError, match="s3fs"):
        ensure_archived([timed.pk])
    assert [error.msg for error in checks.run_checks() if error.id == "executions.E001"] == [
        "The archive s3://bucket/ledger cannot be written: Install s3fs to access S3."
    ]


def test_the_lines_of_a_partition_are_archived_day_by_day(archive: Path) -> None:
    partition = partitions.Partition.at(EARLIER)
    moments = [partition.start, partition.start + timedelta(hours=23), partition.end - timedelta(milliseconds=1)]
    run = WorkflowExecutionFactory()
    lines = [ExecutionLogFactory(workflow_execution=run, id=_id_at(moment)) for moment in moments]
    ExecutionLogFactory(workflow_execution=run)
    made = ensure_lines_archived(partition)
    assert made == [f"lines-{day:%Y-%m-%d}.0001.ndjson.zst" for day in (partition.start, moments[2])]
    assert [row["id"] for name in made for row in rows_in(archive, name)] == [str(line.pk) for line in lines]
    assert ensure_lines_archived(partition) == made


def _id_at(moment: Any) -> Any:
    lowest = partitions.bound(moment)
    return type(lowest)(int=lowest.int | uuid7().int & (1 << 80) - 1)


@pytest.mark.django_db(transaction=True)
def test_a_line_that_comes_after_its_partition_was_archived_has_a_file_of_its_own(archive: Path) -> None:
    run = WorkflowExecutionFactory()
    first, late = (_id_at(EARLIER) for _ in range(2))
    ExecutionLogFactory(workflow_execution=run, id=first)
    partition = partitions.Partition.at(EARLIER)
    ensure_lines_archived(partition)
    ExecutionLogFactory(workflow_execution=run, id=late)
    names = ensure_lines_archived(partition, partition.name)
    assert names == ["lines-2026-05-01.0001.ndjson.zst", "lines-2026-05-01.0002.ndjson.zst"]
    assert [row["id"] for name in names for row in rows_in(archive, name)] == [str(first), str(late)]
    with connection.cursor() as cursor:
        cursor.execute(f"DROP TABLE {partition.name}")
    partitions.forget()
