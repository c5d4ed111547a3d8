"""`manage.py upkeep`: its tasks, one upkeep at a time, and its records."""

import os
import signal
import subprocess
import sys
import time
from datetime import timedelta
from io import StringIO
from typing import Any
from urllib.parse import urlencode

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.models import QuerySet
from django.utils import timezone

from executions import partitions, unpooled_connection
from executions.models import Deletion, UpkeepRun, WorkflowExecution
from executions.tests.factories import WorkflowExecutionFactory, in_state
from executions.upkeep import expired_rows, log_partitions
from executions.upkeep.advisory_lock import upkeep_lock
from ledgerkit.models import IdempotencyKey, LastWrite
from pastetrader.tests.live_server import ROOT

from .old_rows import run_of

READ_ONLY = "default_transaction_read_only"


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not wait for the transaction of the test, if another one has left an old partition."""
    monkeypatch.setattr(log_partitions, "PATIENCE", 0.2)


def upkeep(**options: Any) -> str:
    out = StringIO()
    call_command("upkeep", stdout=out, **options)
    return out.getvalue()


@pytest.mark.django_db
def test_upkeep_deletes_expired_idempotency_responses() -> None:
    for key, created_at in (("old", "2020-01-01T00:00Z"), ("new", "2999-01-01T00:00Z")):
        IdempotencyKey.objects.create(caller="token:1", key=key, request_hash="", status=200, created_at=created_at)
    assert "idempotency keys forgotten: 1" in upkeep(dry_run=True)
    assert IdempotencyKey.objects.count() == 2
    assert "idempotency keys forgotten: 1" in upkeep()
    assert IdempotencyKey.objects.get().key == "new"


@pytest.mark.django_db
def test_upkeep_deletes_secrets_of_runs_that_ended_long_ago() -> None:
    rows = [
        in_state(WorkflowExecutionFactory(context={"secrets": {"key": "hunter2hunter2"}}), "completed") for _ in "ab"
    ]
    over, lately = rows
    QuerySet(WorkflowExecution).filter(pk=over.pk).update(
        started_at=timezone.now() - timedelta(hours=3), ended_at=timezone.now() - timedelta(hours=2)
    )
    assert "runs whose secrets were deleted: 1" in upkeep(dry_run=True)
    assert "runs whose secrets were deleted: 1" in upkeep()
    assert WorkflowExecution.objects.get(pk=over.pk).encrypted_secrets == ""
    assert WorkflowExecution.objects.get(pk=lately.pk).encrypted_secrets


@pytest.mark.django_db
def test_upkeep_deletes_last_writes_of_inactive_callers() -> None:
    LastWrite.objects.create(caller="token:1", at=timezone.now() - timedelta(days=2))
    LastWrite.objects.create(caller="token:2", at=timezone.now())
    assert "last writes forgotten: 1" in upkeep(dry_run=True)
    assert "last writes forgotten: 1" in upkeep()
    assert LastWrite.objects.get().caller == "token:2"


@pytest.mark.django_db
@pytest.mark.parametrize("kind", ["keys", "last_writes"])
def test_expired_rows_are_deleted_in_batches(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expired_rows, "DELETED_AT_ONCE", 2)
    old = timezone.now() - timedelta(days=2)
    for n in map(str, range(5)):
        IdempotencyKey.objects.create(caller="token:1", key=n, request_hash="", status=200, created_at=old)
        LastWrite.objects.create(caller=n, at=old)
    told: list[int] = []
    result = getattr(expired_rows, f"delete_{kind}")(lambda done, _of: told.append(done))
    assert (result.rows, told) == (5, [2, 4, 5])


@pytest.mark.django_db
def test_the_record_of_upkeep_has_the_result_of_each_task_and_is_kept_for_a_year() -> None:
    UpkeepRun.objects.create(host="old", started_at=timezone.now() - timedelta(days=366))
    upkeep()
    record = UpkeepRun.objects.get()
    assert record.ended_at is not None
    assert record.host
    results = {each["task"]: each for each in record.results}
    assert results["records"]["rows"] == 1
    assert results["analyze"]["rows"] == 1
    assert not any(each["error"] for each in record.results)


@pytest.mark.django_db
def test_a_dry_run_leaves_no_record() -> None:
    upkeep(dry_run=True)
    assert not UpkeepRun.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_dry_run_writes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither session may write, and each task counts."""
    run = run_of(200)
    IdempotencyKey.objects.create(
        caller="token:1", key="old", request_hash="", status=200, created_at="2020-01-01T00:00Z"
    )
    parameters = unpooled_connection.parameters()
    monkeypatch.setattr(unpooled_connection, "parameters", lambda: parameters | {"options": f"-c {READ_ONLY}=on"})
    with connection.cursor() as cursor:
        cursor.execute(f"SET {READ_ONLY} = on")
    try:
        printed = upkeep(dry_run=True)
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f"RESET {READ_ONLY}")
    assert "runs removed: 1" in printed
    assert "idempotency keys forgotten: 1" in printed
    assert list(WorkflowExecution.objects.all()) == [run]


@pytest.mark.django_db
def test_a_task_that_fails_is_recorded_and_the_others_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(**_: Any) -> None:
        raise RuntimeError("no space left")

    monkeypatch.setattr(partitions, "make_ahead", fail)
    with pytest.raises(CommandError, match=r"1 task failed\. partitions_ahead: RuntimeError: no space left"):
        upkeep()
    errors = {each["task"]: each["error"] for each in UpkeepRun.objects.get().results}
    assert errors.pop("partitions_ahead") == "RuntimeError: no space left"
    assert not any(errors.values())


@pytest.mark.django_db
def test_a_second_upkeep_names_the_first_one_and_does_nothing() -> None:
    with upkeep_lock() as is_ours:
        assert is_ours
        assert upkeep() == "Another upkeep has just started: this one does nothing.\n"
        UpkeepRun.objects.create(host="ledger-2", started_at="2026-11-29T03:00Z")
        sentence = "Another upkeep is running since 2026-11-29 03:00:00 UTC on ledger-2: this one does nothing.\n"
        assert upkeep() == sentence
    upkeep()
    assert UpkeepRun.objects.filter(is_interrupted=True).count() == 1


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_what_a_killed_upkeep_has_left_is_done_by_the_next_one() -> None:
    runs = {run_of(200).pk for _ in range(20)}
    slowly = {"EXECUTIONS_UPKEEP_BATCH_RUNS": "1", "EXECUTIONS_UPKEEP_PAUSE_MS": "100", "DATABASE_URL": database_url()}
    process = subprocess.Popen(
        [sys.executable, ROOT / "manage.py", "upkeep"], env=os.environ | slowly, stdout=subprocess.DEVNULL
    )
    until = time.monotonic() + 60
    while not 3 < Deletion.objects.count() < 20 and time.monotonic() < until:
        time.sleep(0.02)
    assert "Another upkeep is running since" in upkeep()
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert 3 < Deletion.objects.count() < 20
    while "Another upkeep" in upkeep():  # until the database has noticed
        time.sleep(0.05)
    deleted = list(Deletion.objects.values_list("workflow_execution_id", flat=True))
    assert (len(deleted), set(deleted)) == (20, runs)
    assert list(UpkeepRun.objects.order_by("started_at").values_list("is_interrupted", flat=True)) == [True, False]


def database_url() -> str:
    """Return the address of the suite's own database."""
    known = connection.get_connection_params()
    user, name = known["user"], connection.settings_dict["NAME"]
    query = urlencode({"host": known.get("host") or "", **({"port": port} if (port := known.get("port")) else {})})
    return f"postgresql://{user}:{known.get('password') or ''}@/{name}?{query}"
