"""Secrets in facts are masked as in every other call."""

from typing import Any

import pytest
from django.db import connection

from executions.facts.text_masking import Masker
from executions.models import ExecutionLog, NodeExecution, WorkflowExecution
from executions.secrets.retention import DELETED, run_rows
from executions.tests.factories import WorkflowExecutionFactory
from executions.tests.facts.reporting import line, new_id, run_facts, send
from executions.tests.threads import in_thread
from workflows.models import Workflow

pytestmark = pytest.mark.django_db

SECRET = "hunter2-and-more"


def everything() -> str:
    """Return all that is stored of runs, in one text."""
    rows = [
        *WorkflowExecution.objects.values(),
        *NodeExecution.objects.values(),
        *ExecutionLog.objects.values(),
        *(entry for run in WorkflowExecution.objects.all() for entry in run.history.values()),
        *(attempt for run in WorkflowExecution.objects.all() for attempt in run.attempts.values()),
        *(attempt for node in NodeExecution.objects.all() for attempt in node.attempts.values()),
    ]
    return str(rows)


def test_a_secret_of_the_same_call(engine: Any, workflow: Workflow) -> None:
    run, node = new_id(), new_id()
    facts = run_facts(workflow, run, {"fetch": node}, context={"secrets": {"db": SECRET}})
    facts[2:2] = [line(run, f"with {SECRET}", data={"said": SECRET})]
    facts[-1] |= {"output_data": {"text": f"is {SECRET}"}}
    assert send(engine, *facts)["refused"] == 0
    assert SECRET not in everything()
    assert ExecutionLog.objects.get().message == "with ***masked***"
    send(engine, line(run, f"late {SECRET}"))
    assert SECRET not in everything()


def test_a_secret_of_an_earlier_call_and_one_that_a_line_brings(engine: Any, workflow: Workflow) -> None:
    run = WorkflowExecutionFactory(workflow=workflow, context={"secrets": {"db": SECRET}})
    other = "swordfish-and-more"
    send(engine, line(str(run.pk), f"{SECRET} {other}", data={"password": other}))
    run.start()
    send(engine, {"kind": "execution.fail", "id": str(run.pk), "error_message": f"{SECRET} {other}"})
    run.refresh_from_db()
    assert (run.status, run.error_message) == ("failed", "***masked*** ***masked***")
    assert SECRET not in everything()
    assert other not in everything()


def test_the_reason_and_the_attempts_of_a_retry(engine: Any, workflow: Workflow) -> None:
    run = WorkflowExecutionFactory(workflow=workflow, metadata={"allow_concurrent": True})
    run.start()
    run.fail(f"without {SECRET}")
    facts = [
        {"kind": "log", **line(str(run.pk), "now known", data={"token": SECRET})},
        {"kind": "execution.retry", "id": str(run.pk), "reason": f"for {SECRET}"},
    ]
    assert send(engine, *facts)["applied"] == 2
    assert run.attempts.get().error_message == "without ***masked***"
    assert SECRET not in everything()


def test_texts_that_cannot_be_stored_are_made_visible(engine: Any, workflow: Workflow) -> None:
    run = new_id()
    facts = run_facts(workflow, run)
    facts[1:1] = [line(run, "half \ud800 and \x00")]
    send(engine, *facts[:-1], {"kind": "execution.fail", "id": run, "error_message": ""})
    assert ExecutionLog.objects.get().message == "half \\ud800 and \\x00"
    assert WorkflowExecution.objects.get().error_message == "Failed without an error message."


@pytest.mark.django_db(transaction=True)
def test_a_large_call_holds_no_connection_while_it_masks(
    engine: Any, workflow: Workflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    held: list[bool] = []
    mask = Masker.mask

    def mask_and_note(self: Masker, *args: Any) -> Any:
        held.append(connection.connection is not None)
        return mask(self, *args)

    monkeypatch.setattr(Masker, "mask", mask_and_note)
    send(engine, *run_facts(workflow, new_id()))
    send(engine, *run_facts(workflow, new_id(), lines=1_000))
    assert held == [True, False]


@pytest.mark.django_db(transaction=True)
def test_a_secret_that_is_stored_while_lines_are_masked(
    api: Any, owner: Any, workflow: Workflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = str(WorkflowExecutionFactory(workflow=workflow).pk)
    first, second = api(owner), api(owner)
    calls: list[Any] = [lambda: send(second, line(run, "brings it", data={"password": SECRET}))]
    mask = Masker.mask

    def masked_then_overtaken(self: Masker, *args: Any) -> Any:
        found = mask(self, *args)
        if calls:
            in_thread(calls.pop())
        return found

    monkeypatch.setattr(Masker, "mask", masked_then_overtaken)
    assert send(first, *[line(run, f"{number} {SECRET}") for number in range(20)])["applied"] == 20
    assert ExecutionLog.objects.count() == 21
    assert SECRET not in everything()


def test_the_id_of_a_request_while_the_secrets_are_unknown(engine: Any, workflow: Workflow) -> None:
    run = WorkflowExecutionFactory(workflow=workflow, context={"secrets": {"db": SECRET}})
    run_rows().filter(pk=run.pk).update(encrypted_secrets=DELETED)
    fact = {"kind": "execution.start", "id": str(run.pk)}
    assert send(engine, fact, HTTP_X_REQUEST_ID=f"for-{SECRET}")["applied"] == 1
    assert SECRET not in everything()
