"""A message over 64 KiB is cut, with a mark that says how much is gone and a flag, through every interface."""

import re
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.test import Client
from django.urls import reverse

from executions import ingest, reporting
from executions.log_preparation import MAX_MESSAGE, cut
from executions.models import ExecutionLog, WorkflowExecution
from executions.secrets.scrubber import MASK
from executions.tests.factories import WorkflowExecutionFactory
from ledgerkit.db.models import uuid7
from workflows.models import Workflow

LONG = "체결 " * 20_000  # 140,000 bytes
SECRET = "hunter2-" * 16


@pytest.fixture
def run(workflow: Workflow) -> WorkflowExecution:
    return WorkflowExecutionFactory(workflow=workflow, context={"secrets": {"broker": SECRET}})


def line(run: WorkflowExecution, message: str = LONG, **fields: Any) -> ExecutionLog:
    return ExecutionLog(workflow_execution=run, level="info", message=message, **fields)


def by_facts(run: WorkflowExecution) -> None:
    fact = {"kind": "log", "id": uuid7(), "workflow_execution": run.pk, "level": "error", "message": LONG}
    assert reporting.report([fact]).applied == 1


DOORS: dict[str, Any] = {
    "save": lambda run: line(run).save(),
    "bulk_create": lambda run: ExecutionLog.objects.bulk_create([line(run)]),
    "copy": lambda run: ingest.write_lines([line(run)]),
    "facts": by_facts,
}


@pytest.mark.parametrize("door", DOORS)
def test_a_long_line_is_cut_by_every_way_to_store_it(run: Any, door: str) -> None:
    DOORS[door](run)
    stored = run.logs.get()
    assert stored.is_cut
    assert MAX_MESSAGE - 8 < len(stored.message.encode()) <= MAX_MESSAGE
    kept, gone, whole = re.fullmatch(r"(.*)… \[cut off: ([\d,]+) of ([\d,]+) bytes\]", stored.message).groups()
    assert LONG.startswith(kept)
    assert (whole, int(gone.replace(",", ""))) == ("140,000", 140_000 - len(kept.encode()))


def test_a_line_that_just_fits_is_not_cut(run: Any) -> None:
    for letter in "a", "é", "체", "🎉":
        fits = letter * (MAX_MESSAGE // len(letter.encode()))
        assert cut(fits) is fits
        assert len(cut(fits + letter).encode()) <= MAX_MESSAGE
        assert cut(cut(fits + letter)) == cut(fits + letter)
    line(run, "short").save()
    assert not run.logs.get().is_cut


def test_a_secret_that_lies_across_the_cut_is_masked_first(run: Any) -> None:
    """Had it been cut first, half of the secret would stand there and match nothing."""
    for start in range(MAX_MESSAGE - 200, MAX_MESSAGE, 23):
        line(run, "x" * start + SECRET + "y" * 100).save()
    for stored in run.logs.all():
        assert "hunter2" not in stored.message
        assert stored.is_cut or stored.message.endswith(MASK + "y" * 100)


def test_a_line_that_was_cut_is_cut_once(run: Any) -> None:
    """A line that was cut may be stored again: after a rollback, or in another ledger."""
    one = line(run)
    one.save()
    copied = ExecutionLog(workflow_execution=run, level="info", message=one.message, is_cut=one.is_cut)
    copied.save()
    assert (copied.message, copied.is_cut) == (one.message, True)


@pytest.mark.django_db
def test_the_database_holds_the_limit_and_knows_the_default() -> None:
    run = WorkflowExecutionFactory()
    insert = "INSERT INTO execution_logs (workflow_execution_id, level, message) VALUES (%s, 'info', repeat('x', %s))"
    with connection.cursor() as cursor:
        cursor.execute(insert, [run.pk, MAX_MESSAGE])
        with pytest.raises(IntegrityError, match="execution_log_message_length"), transaction.atomic():
            cursor.execute(insert, [run.pk, MAX_MESSAGE + 1])
    assert run.logs.get().is_cut is False


@pytest.mark.parametrize("many", [False, True])
def test_the_api_tells_it_and_takes_the_same_line_again(api: Any, owner: Any, run: Any, many: bool) -> None:
    url, client = f"/api/v1/executions/{run.pk}/logs/", api(owner)
    body: Any = {"id": str(uuid7()), "level": "info", "message": LONG}
    first, again = (client.post(url, [body] if many else body, format="json") for _ in range(2))
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()
    assert client.get(url).json()["results"][0]["is_cut"] is True
    longer = body | {"message": LONG + "x"}
    assert client.post(url, [longer] if many else longer, format="json").status_code == 409


def test_the_admin_says_it_in_a_quiet_word(run: Any, staff: Any) -> None:
    line(run).save()
    client = Client()
    client.force_login(staff)
    pages = [
        client.get(reverse("admin:executions_executionlog_changelist")),
        client.get(reverse("admin:executions_executionlog_change", args=[run.logs.get().pk])),
        client.get(reverse("admin:executions_workflowexecution_change", args=[run.pk])),
    ]
    assert ['<span class="quiet">cut' in page.content.decode() for page in pages] == [True] * 3
