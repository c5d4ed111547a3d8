"""Races of secrets: a transition masks what was stored before it, also while it waited for a lock."""

import random
from functools import partial
from typing import Any

import pytest
from django.db import transaction

from executions import audit, ingest
from executions.models import ExecutionLog, HistoryEntry, KeptRun, NodeExecution, WorkflowExecution
from executions.secrets.scrubber import MASK
from executions.tests.acceptance import race
from executions.tests.factories import NodeExecutionFactory, WorkflowExecutionFactory, in_state
from executions.tests.races.waiting import (
    SECRET,
    begin,
    read_with_secrets,
    read_without_secrets,
    reveal,
    while_it_waits,
)
from workflows.models import Workflow

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(params=[WorkflowExecution, NodeExecution])
def row(request: Any, workflow: Workflow) -> Any:
    """A running run that has no secrets yet, or a running node of it."""
    run = in_state(WorkflowExecutionFactory(workflow=workflow), "running")
    node = in_state(NodeExecutionFactory(workflow_execution=run), "running")
    return {WorkflowExecution: run, NodeExecution: node}[request.param]


@pytest.mark.parametrize("before", [(), ("known-before-99",)])
def test_a_verb_masks_what_came_after_its_row_was_read(row: Any, before: tuple[str, ...]) -> None:
    for secret in before:
        reveal(row.run_id, secret)
    mine = read_with_secrets(row)
    race([lambda: reveal(row.run_id)])
    mine.fail(f"login with {SECRET} refused")
    row.refresh_from_db()
    assert (row.error_message, mine.error_message) == (f"login with {MASK} refused",) * 2


@pytest.mark.parametrize("read", ["with its secrets", "without"])
def test_a_verb_that_waits_masks_what_came_while_it_waited(row: Any, read: str) -> None:
    mine = read_with_secrets(row) if read == "with its secrets" else read_without_secrets(row)
    while_it_waits(row.run_id, lambda: mine.fail(f"login with {SECRET} refused"))
    row.refresh_from_db()
    assert row.error_message == f"login with {MASK} refused"


def test_a_verb_that_waits_for_its_own_row_masks_what_that_brings(row: Any) -> None:
    with transaction.atomic():
        locked = type(row).objects.get(pk=row.pk)
        locked.input_data = {"password": SECRET}
        locked.save()
        other = begin(lambda: type(row).objects.get(pk=row.pk).fail(f"login with {SECRET} refused"))
    other.join()
    row.refresh_from_db()
    assert row.error_message == f"login with {MASK} refused"


def test_the_reason_of_a_verb_that_waits_is_masked_too(row: Any) -> None:
    def cancel() -> None:
        with audit.act_as(reason=f"as {SECRET} was refused"):
            mine.cancel()

    mine = type(row).objects.get(pk=row.pk)
    while_it_waits(row.run_id, cancel)
    row.refresh_from_db()
    entries = HistoryEntry.objects.filter(act="cancel").values_list("reason", flat=True)
    assert (row.status, list(entries)[:1]) == ("cancelled", [f"as {MASK} was refused"])


def test_the_reason_to_keep_a_run_is_masked_by_what_came_while_it_waited(workflow: Workflow) -> None:
    run = WorkflowExecutionFactory(workflow=workflow)
    while_it_waits(run.pk, lambda: KeptRun.keep(run, f"as {SECRET} was refused"))
    assert KeptRun.objects.get().reason == f"as {MASK} was refused"


def test_a_request_that_waits_for_another_masks_what_that_brings(row: Any, api: Any, owner: Any) -> None:
    answers: list[Any] = []
    client, kind = api(owner), "executions" if isinstance(row, WorkflowExecution) else "node-executions"
    url, body = f"/api/v1/{kind}/{row.pk}/fail/", {"error_message": f"login with {SECRET} refused"}
    while_it_waits(row.run_id, lambda: answers.append(client.post(url, body, format="json")))
    assert (answers[0].status_code, answers[0].json()["error_message"]) == (200, f"login with {MASK} refused")
    row.refresh_from_db()
    assert row.error_message == f"login with {MASK} refused"


def create_line(run: WorkflowExecution) -> None:
    ExecutionLog.objects.create(workflow_execution=run, level="info", message=f"as {SECRET}")


def create_lines(run: WorkflowExecution) -> None:
    ExecutionLog.objects.bulk_create([ExecutionLog(workflow_execution=run, level="info", message=f"as {SECRET}")])


def copy_lines(run: WorkflowExecution) -> None:
    ingest.write_lines([ExecutionLog(workflow_execution=run, level="info", message=f"as {SECRET}")])


@pytest.mark.parametrize("write", [create_line, create_lines, copy_lines])
def test_a_line_masks_what_another_transaction_is_storing(workflow: Workflow, write: Any) -> None:
    run = in_state(WorkflowExecutionFactory(workflow=workflow), "running")
    while_it_waits(run.pk, partial(write, run))
    assert set(run.logs.values_list("message", flat=True)) == {"of it", f"as {MASK}"}


def test_lines_of_a_request_mask_what_another_transaction_is_storing(workflow: Workflow, api: Any, owner: Any) -> None:
    run = in_state(WorkflowExecutionFactory(workflow=workflow), "running")
    client, answers = api(owner), []
    url, body = f"/api/v1/executions/{run.pk}/logs/", [{"level": "info", "message": f"as {SECRET}"}]
    while_it_waits(run.pk, lambda: answers.append(client.post(url, body, format="json")))
    assert [(answer.status_code, answer.json()[0]["message"]) for answer in answers] == [(201, f"as {MASK}")]
    assert run.logs.filter(message=f"as {MASK}").exists()


def test_a_secret_whose_transaction_was_rolled_back_misleads_no_verb() -> None:
    run = in_state(WorkflowExecutionFactory(), "running")
    first, second = (in_state(NodeExecutionFactory(workflow_execution=run), "running") for _ in range(2))
    with transaction.atomic():
        first.complete({"password": SECRET})
        transaction.set_rollback(True)
    assert run.encrypted_secrets
    reveal(run.pk, f"{SECRET}-later")
    second.fail(f"login with {SECRET}-later refused")
    assert (second.error_message, run.encrypted_secrets) == (
        f"login with {MASK} refused",
        WorkflowExecution.objects.get().encrypted_secrets,
    )


def test_writers_who_bring_secrets_to_several_runs_at_once_do_not_deadlock(workflow: Workflow) -> None:
    fields = {"workflow": workflow, "metadata": {"allow_concurrent": True}}
    runs = [in_state(WorkflowExecutionFactory(**fields), "running") for _ in range(4)]
    nodes = [in_state(NodeExecutionFactory(workflow_execution=run), "running") for run in runs]

    def bring(number: int) -> None:
        order = random.Random(number).sample(runs, len(runs))
        ExecutionLog.objects.bulk_create(
            ExecutionLog(workflow_execution=run, level="info", message="x", data={"token": f"brought-{number:03}"})
            for run in order
        )

    said = " ".join(f"brought-{number:03}" for number in range(8))
    ends = [partial(read_with_secrets(row).fail, said) for row in (*nodes, *runs)]
    outcomes = race([*(partial(bring, number) for number in range(8)), *ends])
    assert outcomes[:8] + outcomes[-4:] == [None] * 12  # a node whose run ends first is cancelled
    for run in runs:
        assert ExecutionLog.objects.create(workflow_execution=run, level="info", message=said).message == " ".join(
            [MASK] * 8
        )
