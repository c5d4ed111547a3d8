"""Runs that were archived and deleted come back as they were."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from executions import partitions
from executions.archive import ensure_archived, ensure_lines_archived, restoring
from executions.archive.row_format import OF_RUN
from executions.audit import act_as
from executions.models import (
    ArchivedRun,
    ArchiveFile,
    Deletion,
    ErrorOccurrence,
    ExecutionLog,
    HistoryEntry,
    KeptRun,
    NodeExecution,
    WorkflowExecution,
)
from executions.tests.archive.runs import addresses, answers, ids, make_runs, rows_in
from executions.tests.archive.test_files import forge
from executions.tests.factories import ExecutionLogFactory, WorkflowExecutionFactory, in_state
from workflows.models import Graph, Node, Workflow
from workflows.tests.factories import UserFactory

pytestmark = pytest.mark.django_db


def restore(*arguments: str) -> str:
    out = io.StringIO()
    call_command("restore_archive", *arguments, stdout=out, stderr=out)
    return out.getvalue()


def names() -> list[str]:
    return list(ArchiveFile.objects.values_list("name", flat=True))


def delete(runs: list[WorkflowExecution]) -> None:
    with act_as(reason="older than 180 days"):
        WorkflowExecution.objects.filter(pk__in=ids(runs)).delete()


NOT_ARCHIVED = ["written_by", "encrypted_secrets", "token"]


def rows(*tables: str) -> dict[str, list[Any]]:
    """Return what the tables hold, without the transactions that wrote the rows."""
    found = {}
    with connection.cursor() as cursor:
        for table in tables:
            cursor.execute(
                f"SELECT to_jsonb(t) - 'written_by' - 'encrypted_secrets' - 'token' FROM {table} AS t ORDER BY t.id"
            )
            found[table] = cursor.fetchall()
    return found


TABLES = (
    "workflow_executions", "node_executions", "workflow_execution_attempts", "node_execution_attempts",
    "execution_history", "execution_dropped_lines", "execution_logs", "workflows", "nodes", "graphs",
    "workflow_execution_leases", "node_execution_leases", "execution_notes",
)  # fmt: skip


@pytest.fixture
def runs(workflow: Workflow) -> list[WorkflowExecution]:
    return make_runs(workflow)


def test_a_restored_run_is_answered_as_it_was(runs: Any, archive: Path, api: Any, owner: Any) -> None:
    client = api(owner)
    paths = [path for run in runs for path in addresses(run)]
    before, stored = answers(client, paths), rows(*TABLES)
    assert {status for status, _content in before.values()} == {200}
    ensure_archived(ids(runs))
    delete(runs)
    assert not HistoryEntry.objects.exists()
    printed = restore(*names())
    assert [line.partition(": ")[2] for line in printed.splitlines()] == [
        "restored 1 runs; 0 were there already.",
        "restored 4 runs; 0 were there already.",
    ]
    assert answers(client, paths) == before
    assert rows(*TABLES) == stored


def test_a_file_that_is_restored_twice_adds_nothing(runs: Any, archive: Path) -> None:
    ensure_archived(ids(runs))
    delete(runs)
    restore(*names())
    stored = rows(*TABLES)
    assert restore(names()[1]) == f"{names()[1]}: restored 0 runs; 4 were there already.\n"
    assert rows(*TABLES) == stored


def test_a_single_run_may_be_restored(runs: Any, archive: Path) -> None:
    ensure_archived(ids(runs))
    delete(runs)
    restore(*names(), "--run", str(runs[0].pk))
    assert WorkflowExecution.objects.get().pk == runs[0].pk


def test_names_are_those_of_that_time(runs: Any, workflow: Any, archive: Path) -> None:
    ensure_archived(ids(runs))
    delete(runs)
    Workflow.objects.filter(pk=workflow.pk).update(name="renamed")
    workflow.nodes.filter(name="fetch").update(name="load")
    restore(*names())
    assert set(WorkflowExecution.objects.values_list("workflow_name", flat=True)) == {"momentum"}
    restored = WorkflowExecution.objects.get(pk=runs[0].pk)
    assert restored.node_executions.get().node_name == "fetch"
    assert WorkflowExecutionFactory(workflow=workflow).workflow_name == "renamed"


def test_the_next_upkeep_keeps_a_restored_run(runs: Any, archive: Path) -> None:
    ensure_archived(ids(runs))
    delete(runs)
    restore(*names())
    kept = KeptRun.objects.get(pk=runs[3].pk)
    assert (kept.reason, kept.username) == (f"restored from {names()[0]}", "")


def test_the_record_of_the_deletion_remains(runs: Any, archive: Path) -> None:
    ensure_archived(ids(runs))
    delete(runs)
    assert not ArchivedRun.objects.exclude(restored_at=None).exists()
    restore(*names())
    assert Deletion.objects.count() == len(runs)
    assert ArchivedRun.objects.exclude(restored_at=None).count() == len(runs)


def test_a_workflow_that_is_gone_is_restored_as_a_deleted_one(
    runs: Any, workflow: Any, archive: Path, api: Any, owner: Any
) -> None:
    ensure_archived(ids(runs))
    (before,) = map(json.loads, *zip(*rows("workflows")["workflows"], strict=True))
    graph = answers(api(owner), [f"/api/v1/executions/{runs[0].pk}/graph/"])
    delete(runs)
    workflow.delete()
    assert not Node.objects.exists()
    assert not Graph.objects.exists()
    restore(*names())
    (after,) = map(json.loads, *zip(*rows("workflows")["workflows"], strict=True))
    assert after | {"deleted_at": None} == before
    assert after["deleted_at"]
    assert Node.objects.filter(retired_at=None).count() == 0
    assert answers(api(owner), graph) == graph


def test_a_workflow_is_restored_without_an_owner_who_is_gone(runs: Any, workflow: Any, archive: Path) -> None:
    gone = UserFactory()
    Workflow.objects.filter(pk=workflow.pk).update(owner=gone)
    ensure_archived(ids(runs))
    delete(runs)
    workflow.delete()
    gone.delete()
    restore(*names())
    assert Workflow.objects.get().owner is None


def test_a_node_that_is_gone_is_restored_as_a_retired_one(runs: Any, workflow: Any, archive: Path) -> None:
    ensure_archived(ids(runs))
    delete(runs)
    Node.objects.get(name="fetch").delete()
    restore(*names())
    assert Node.objects.get(name="fetch").retired_at is not None
    assert Node.objects.filter(retired_at=None).count() == 2


def test_a_workflow_and_a_node_of_the_same_name_are_no_obstacle(runs: Any, workflow: Any, archive: Path) -> None:
    ensure_archived(ids(runs))
    delete(runs)
    owner, name = workflow.owner, workflow.name
    workflow.nodes.get(name="fetch").delete()
    Node.objects.create(workflow=workflow, name="fetch", node_type="tool")
    restore(names()[0])
    restore(names()[1])
    assert Node.objects.filter(name="fetch").count() == 2
    delete(runs)
    workflow.delete()
    Workflow.objects.create(owner=owner, name=name)
    restore(*names())
    assert WorkflowExecution.objects.count() == len(runs)
    assert Workflow.objects.filter(name=name, deleted_at=None).count() == 1


def test_an_older_version_is_left_where_a_newer_one_is_archived(workflow: Any, archive: Path) -> None:
    run = in_state(WorkflowExecutionFactory(workflow=workflow), "failed")
    ensure_archived([run.pk])
    run.retry()
    in_state(run, "completed")
    ensure_archived([run.pk])
    delete([run])
    older, newer = names()
    assert restore(older).splitlines()[1] == f"1 run is newer in {newer}."
    restore(newer)
    assert WorkflowExecution.objects.get().status == "completed"


def test_columns_that_the_file_does_not_know_get_their_defaults(runs: Any, archive: Path) -> None:
    """A file that an older version wrote, and one of a newer version with a kind and a column that are not known."""
    ensure_archived(ids(runs[3:4]))
    delete(runs)
    (name,) = names()
    old = [{**row} for row in rows_in(archive, name)]
    for row in old:
        if row["kind"] == "run":
            del row["failed_nodes"], row["attempt"]
            row["shoe_size"] = 43
    old.append({"kind": "shoe", "run": str(runs[3].pk)})
    forge(archive / name, b"".join(json.dumps(row).encode() + b"\n" for row in old))
    restore(name)
    assert (WorkflowExecution.objects.get().attempt, WorkflowExecution.objects.get().failed_nodes) == (1, 0)


def test_a_file_of_a_newer_format_is_refused(runs: Any, archive: Path) -> None:
    ensure_archived(ids(runs[3:4]))
    place = next(archive.glob("*.manifest.json"))
    place.write_text(json.dumps(json.loads(place.read_text()) | {"format": 2}))
    with pytest.raises(CommandError):
        restore(*names())


def test_a_damaged_file_is_not_restored(runs: Any, archive: Path) -> None:
    ensure_archived(ids(runs[3:4]))
    delete(runs)
    (archive / names()[0]).write_bytes(b"nothing")
    with pytest.raises(CommandError):
        restore(*names())
    assert not WorkflowExecution.objects.exists()


def test_removed_lines_come_back_to_runs_that_are_there(workflow: Any, archive: Path) -> None:
    run, other = (WorkflowExecutionFactory(workflow=workflow) for _ in range(2))
    lines = [ExecutionLogFactory(workflow_execution=each, data={"x": 1.50}) for each in (run, other)]
    partition = partitions.Partition.at(timezone.now())
    stored = rows("execution_logs")["execution_logs"]
    (name,) = ensure_lines_archived(partition)
    ExecutionLog.objects.all().delete()
    assert restore(name) == f"{name}: restored 2 lines of runs that are there.\n"
    assert rows("execution_logs")["execution_logs"] == stored
    assert restore(name) == f"{name}: restored 0 lines of runs that are there.\n"
    ExecutionLog.objects.all().delete()
    other.delete()
    restore(name)
    assert ExecutionLog.objects.get().pk == lines[0].pk


def test_a_large_run_is_restored_in_parts(workflow: Any, archive: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(restoring, "BATCH_BYTES", 2_000)
    runs = make_runs(workflow)
    stored = rows(*TABLES)
    ensure_archived(ids(runs))
    delete(runs)
    restore(*names())
    assert rows(*TABLES) == stored


def test_open_streams_do_not_report_restored_rows(runs: Any, archive: Path) -> None:
    ensure_archived(ids(runs))
    delete(runs)
    restore(*names())
    with connection.cursor() as cursor:
        for table in ("execution_history", "node_executions", "execution_logs"):
            cursor.execute(f"SELECT count(*) FROM {table} WHERE written_by IS NOT NULL")
            assert cursor.fetchone() == (0,)


def test_every_table_of_a_run_is_archived() -> None:
    """A new one is added to executions/archive/row_format.py, or named here with a reason."""
    of_runs = {
        model for model in apps.get_app_config("executions").get_models()
        for field in model._meta.concrete_fields
        if field.is_relation and field.related_model in {WorkflowExecution, NodeExecution}
    }  # fmt: skip
    # The mark of today: a restored run gets its own. Its error was counted when it happened (docs/error-groups.md).
    assert of_runs - {kind.model for kind in OF_RUN} == {KeptRun, ErrorOccurrence}
