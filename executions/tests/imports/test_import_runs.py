"""`manage.py import_runs`: files of every format, twice, and files that are bad."""

import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from executions.management.commands import import_runs as import_runs_command
from executions.models import ExecutionLog, NodeExecution, NodeExecutionAttempt, WorkflowExecution
from executions.tests.facts.reporting import new_id, run_facts
from workflows.models import Node, Workflow

from .documents import (
    DBT_MANIFEST,
    SHARED,
    argo_workflow,
    dbt_log,
    dbt_results,
    needs_shared_data,
    wfformat_14,
    wfformat_15,
    write,
)
from .test_lineage import EVENTS

pytestmark = pytest.mark.django_db
Import = Callable[..., str]


@pytest.fixture
def import_runs(owner: Any) -> Import:
    def call(*paths: Any, **options: Any) -> str:
        out = io.StringIO()
        call_command("import_runs", *map(str, paths), owner="owner", stdout=out, stderr=io.StringIO(), **options)
        return out.getvalue()

    return call


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path / "run_results.json", dbt_results())
    write(tmp_path / "manifest.json", DBT_MANIFEST)
    write(tmp_path / "argo.json", argo_workflow())
    write(tmp_path / "new.json", wfformat_15())
    write(tmp_path / "old.json", wfformat_14())
    return tmp_path


def count() -> list[int]:
    models = (Workflow, Node, WorkflowExecution, NodeExecution, NodeExecutionAttempt, ExecutionLog)
    return [model.objects.count() for model in models]


def test_a_folder_of_every_format_twice(import_runs: Import, folder: Path) -> None:
    assert "Imported 3 runs" in import_runs(folder)
    before = count()
    assert "Imported 0 runs (0 facts)" in import_runs(folder)
    assert count() == before


def test_runs_have_the_states_times_and_errors_of_the_file(import_runs: Import, folder: Path) -> None:
    import_runs(folder / "run_results.json")
    run = WorkflowExecution.objects.get()
    assert (run.status, run.error_message, run.duration_seconds) == ("failed", "1 of 3 nodes failed.", 9.0)
    assert run.workflow.owner.username == "owner"
    nodes = {node.node_name: node for node in run.node_executions.all()}
    assert {name: node.status for name, node in nodes.items()} == {
        "model.shop.orders": "completed", "model.shop.totals": "failed", "model.shop.report": "skipped",
    }  # fmt: skip
    assert nodes["model.shop.orders"].duration_seconds == 2.0
    assert nodes["model.shop.totals"].error_message == "Division by zero"
    assert run.workflow.edges.count() == 3


def test_a_log_of_dbt_with_the_manifest_beside_it(import_runs: Import, tmp_path: Path) -> None:
    write(tmp_path / "logs.jsonl", "\n".join(map(json.dumps, dbt_log())))
    write(tmp_path / "manifest.json", DBT_MANIFEST)
    assert "Imported 1 runs" in import_runs(tmp_path)
    run = WorkflowExecution.objects.get()
    assert (run.status, run.error_message, run.duration_seconds) == ("failed", "1 of 3 nodes failed.", 9.0)
    assert run.workflow.edges.count() == 3
    assert run.logs.count() == 9
    assert "Imported 0 runs (0 facts)" in import_runs(tmp_path)


def test_a_log_of_dbt_where_dbt_writes_it(import_runs: Import, tmp_path: Path) -> None:
    for name in ("logs", "target"):
        (tmp_path / name).mkdir()
    write(tmp_path / "target" / "manifest.json", DBT_MANIFEST)
    import_runs(write(tmp_path / "logs" / "dbt.log", "\n".join(map(json.dumps, dbt_log()))))
    assert Workflow.objects.get().edges.count() == 3


def test_a_log_of_dbt_that_has_grown_adds_what_has_happened_since(import_runs: Import, tmp_path: Path) -> None:
    lines = list(map(json.dumps, dbt_log()))
    import_runs(write(tmp_path / "dbt.log", "\n".join(lines[:5])))
    assert WorkflowExecution.objects.get().status == "running"
    assert "Imported 0 runs (" in import_runs(write(tmp_path / "dbt.log", "\n".join(lines)))
    run = WorkflowExecution.objects.get()
    assert (run.status, run.node_executions.count(), run.logs.count()) == ("failed", 3, 9)


def test_results_of_dbt_without_their_manifest_keep_the_edges(import_runs: Import, folder: Path) -> None:
    import_runs(folder / "run_results.json")
    (folder / "manifest.json").unlink()
    later = dbt_results()
    later["metadata"]["invocation_id"] = "0c1d2e3f-0000-4000-8000-000000000009"
    import_runs(write(folder / "run_results.json", later))
    assert WorkflowExecution.objects.count() == 2
    assert Workflow.objects.get().edges.count() == 3


def test_attempts_of_argo(import_runs: Import, folder: Path) -> None:
    import_runs(folder / "argo.json")
    train = NodeExecution.objects.get(node_name="[1].train")
    assert (train.status, train.attempt, train.retry_count) == ("completed", 2, 1)
    assert train.attempts.get().error_message == "exit code 2"


def test_facts_in_lines(import_runs: Import, owner: Any, workflow: Workflow, tmp_path: Path) -> None:
    facts = [fact for number in range(3) for fact in run_facts(workflow, new_id(), {"fetch": new_id()}, lines=2)]
    path = write(tmp_path / "facts.ndjson", "\n".join(map(json.dumps, facts)))
    assert "Imported 3 runs (24 facts)" in import_runs(path)
    assert "Imported 0 runs (0 facts); 3 runs and 24 facts" in import_runs(path)


def test_events_of_openlineage_in_lines(import_runs: Import, tmp_path: Path) -> None:
    path = write(tmp_path / "events.jsonl", "\n".join(map(json.dumps, EVENTS)))
    assert "1 runs could be imported" in import_runs(path, dry_run=True)
    assert "Imported 1 runs" in import_runs(path)
    before = count()
    assert "Imported 0 runs (0 facts)" in import_runs(path)
    assert count() == before
    assert NodeExecution.objects.count() == 2


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def long_file(workflow: Workflow, tmp_path: Path) -> Path:
    """Return a file that is read in three pieces."""
    facts = run_facts(workflow, new_id(), lines=2_500)
    return write(tmp_path / "facts.ndjson", "\n".join(map(json.dumps, facts)))


def progress_of(path: Path, stderr: io.StringIO) -> list[str]:
    call_command("import_runs", str(path), owner="owner", stdout=io.StringIO(), stderr=stderr)
    return [text for text in re.split(r"[\r\n]+(?:\x1b\[K)?", stderr.getvalue()) if text]


def test_a_terminal_shows_how_much_of_a_file_was_read(owner: Any, long_file: Path) -> None:
    first, _second, last = progress_of(long_file, Terminal())
    assert re.fullmatch(r"1/1 facts\.ndjson \(facts\) \[#{7}\.{13}\]  \d\d% 0\.\d/0\.\d MB", first)
    assert f"[{'#' * 20}] 100%" in last


def test_other_outputs_get_a_line_now_and_then(owner: Any, long_file: Path, monkeypatch: Any) -> None:
    assert progress_of(long_file, io.StringIO()) == []  # it took less than ten seconds
    monkeypatch.setattr(import_runs_command, "SECONDS", 0)
    assert [text.partition("] ")[2][:4] for text in progress_of(long_file, io.StringIO())][-1] == "100%"


def test_standard_input_has_no_size(owner: Any, long_file: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(long_file.read_bytes())))
    assert re.fullmatch(r"1/1 - \(facts\) 0\.\d MB", progress_of(Path("-"), Terminal())[-1])


def test_a_dry_run_stores_nothing(import_runs: Import, folder: Path) -> None:
    assert "4 runs could be imported" in import_runs(folder, dry_run=True)
    assert count() == [0] * 6


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ('{"a": 1,\n "b": }', "line 2, column 7: this is not JSON"),
        ("[1, 2]", "unknown format: expected dbt"),
        ('{"nodes": {}, "parent_map": {}}', "needs run_results.json or a log beside it"),
        ('{"kind": "execution.start", "id": "x"}\nnot json', "line 2: expected a JSON object"),
        ('{"kind": "execution.nap", "id": "x"}', "kind: expected one of"),
        ("", "this is not JSON"),
        ("\x00\x01", "this is not JSON"),
        ('{"eventTime": "2026-11-27T06:00:00"}', "event 1: eventTime: expected a time with its zone"),
        ("[" * 100_000, "this is not JSON"),
    ],
)
@pytest.mark.parametrize("dry_run", [True, False])
def test_a_bad_file_is_one_sentence_and_the_others_are_imported(
    owner: Any, folder: Path, body: str, sentence: str, dry_run: bool
) -> None:
    bad, told = write(folder / "a-bad.json", body), io.StringIO()
    paths = [str(bad), str(folder / "new.json")]
    with pytest.raises(CommandError, match="1 file was not imported"):
        call_command("import_runs", *paths, owner="owner", dry_run=dry_run, stdout=io.StringIO(), stderr=told)
    assert sentence in told.getvalue()
    assert WorkflowExecution.objects.count() == (0 if dry_run else 1)


def test_an_owner_and_a_file_that_are_not_there(import_runs: Import) -> None:
    with pytest.raises(CommandError, match="no such file"):
        import_runs("nowhere.json")
    with pytest.raises(CommandError, match="no user nobody"):
        call_command("import_runs", "x.json", owner="nobody")


@pytest.mark.slow
@needs_shared_data
def test_everything_recorded_twice(import_runs: Import) -> None:
    paths = [*SHARED.glob("argo/*.json"), *map(SHARED.joinpath, ("dbt-artifacts", "dbt-runs", "wfinstances"))]
    assert "Imported 52 runs" in import_runs(*paths)
    before = count()
    assert "Imported 0 runs (0 facts); 52 runs" in import_runs(*paths)
    assert count() == before
