"""Bodies of unusual size, and faults of the database."""

import gzip
from typing import Any

import pytest
from django.db import IntegrityError

from executions import partitions
from executions.facts import batch_recording
from executions.facts.workflow_definitions import MAX_PARTS
from executions.models import ExecutionLog, WorkflowExecution
from executions.tests.facts.reporting import URL, line, new_id, run_facts, send
from executions.tests.upkeep.old_rows import days_ago, id_at
from workflows.models import Workflow

pytestmark = pytest.mark.django_db


def test_a_line_of_eight_megabytes_is_cut(engine: Any, workflow: Workflow) -> None:
    run = new_id()
    assert send(engine, *run_facts(workflow, run), line(run, "x" * 8_000_000))["applied"] == 4
    stored = ExecutionLog.objects.get()
    assert (stored.is_cut, len(stored.message) <= 65_536) == (True, True)


@pytest.mark.parametrize("kind", ["application/json", "application/x-ndjson"])
def test_a_body_that_unpacks_to_more_than_the_limit(engine: Any, settings: Any, kind: str) -> None:
    packed = gzip.compress(b" " * (settings.DATA_UPLOAD_MAX_MEMORY_SIZE + 1))
    response = engine.post(URL, packed, content_type=kind, HTTP_CONTENT_ENCODING="gzip")
    assert (len(packed) < 20_000, response.status_code) == (True, 413)


def test_definitions_are_bounded_together(api: Any, owner: Any) -> None:
    def ensure(number: int, size: int) -> dict[str, Any]:
        nodes = [{"name": f"step {n}", "node_type": "tool"} for n in range(size)]
        return {"kind": "workflow.ensure", "workflow": {"name": f"flow {number}", "nodes": nodes}}

    answer = send(api(owner), *(ensure(number, MAX_PARTS // 10) for number in range(11)), status=400)
    assert answer["detail"] == (
        "Expected at most 2000 nodes and edges in the definitions of one call; found 2200. Send several calls."
    )
    assert not Workflow.objects.exists()


def test_ten_definitions_of_one_workflow(api: Any, owner: Any) -> None:
    nodes = [[{"name": f"step {number}", "node_type": "tool"}] for number in range(11)]
    facts = [
        {"kind": "workflow.ensure", "workflow": {"name": "flow", "only_add": True, "nodes": each}} for each in nodes
    ]
    engine = api(owner)
    assert send(engine, *facts, status=400)["detail"] == (
        "Expected at most 10 different definitions of one workflow in one call; found 11. Send several calls."
    )
    assert Workflow.objects.count() == 0
    assert send(engine, *facts[:10], *facts[:10])["refused"] == 0
    assert Workflow.objects.get().nodes.count() == 10


def test_a_fault_that_no_other_call_has_caused_is_not_tried_again(
    engine: Any, workflow: Workflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = []

    def store(*_arguments: object) -> None:
        tries.append(1)
        raise IntegrityError("a check of a table")

    monkeypatch.setattr(batch_recording, "store", store)
    send(engine, *run_facts(workflow, new_id()), status=409)
    assert len(tries) == 1


@pytest.mark.parametrize("ends", [False, True])
def test_a_secret_that_was_added_since_the_run_was_read(
    engine: Any, workflow: Workflow, monkeypatch: pytest.MonkeyPatch, ends: bool
) -> None:
    """The texts are masked once more under the lock, in the same try."""
    run, lock = new_id(), batch_recording.Batch._lock
    send(engine, *run_facts(workflow, run)[:2])
    secret = "hunter2-and-more"
    calls = []

    def late(batch: Any, *arguments: Any) -> Any:
        if not calls:
            found = WorkflowExecution.objects.get(pk=run)
            found.logs.create(level="info", message="x", data={"password": secret})
        calls.append(1)
        return lock(batch, *arguments)

    monkeypatch.setattr(batch_recording.Batch, "_lock", late)
    end = [{"kind": "execution.fail", "id": run, "error_message": f"no {secret}"}] if ends else []
    assert send(engine, line(run, f"with {secret}"), *end)["refused"] == 0
    assert len(calls) == 1
    assert ExecutionLog.objects.filter(message="with ***masked***").count() == 1
    assert secret not in str(WorkflowExecution.objects.values().get())


def test_a_run_that_was_deleted_since_it_was_read(
    engine: Any, workflow: Workflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone, stays, lock = new_id(), new_id(), batch_recording.Batch._lock
    several = {"metadata": {"allow_concurrent": True}}
    send(engine, *run_facts(workflow, gone, **several)[:2], *run_facts(workflow, stays, **several)[:2])

    def late(batch: Any, *arguments: Any) -> Any:
        WorkflowExecution.objects.filter(pk=gone).delete()
        return lock(batch, *arguments)

    monkeypatch.setattr(batch_recording.Batch, "_lock", late)
    answer = send(engine, line(gone, "one"), line(stays, "two"))
    assert (answer["applied"], answer["refused"]) == (1, 1)
    assert [(each["index"], each["code"]) for each in answer["refusals"]] == [(0, "not_found")]


def test_a_partition_that_is_removed_before_its_lines_are_stored(
    engine: Any, workflow: Workflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Upkeep may remove one at that moment: the call makes it once more."""
    made: list[Any] = []
    ensure = partitions.ensure

    def ensure_then_lose(ids: Any) -> None:
        made.append(ids)
        if len(made) > 1:
            ensure(ids)

    monkeypatch.setattr(partitions, "ensure", ensure_then_lose)
    run = new_id()
    answer = send(engine, *run_facts(workflow, run), line(run, "late") | {"id": str(id_at(days_ago(60)))})
    assert (answer["applied"], len(made)) == (4, 2)
