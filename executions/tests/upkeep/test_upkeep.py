"""`manage.py upkeep`: its tasks, one upkeep at a time, and its records."""

from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from executions import partitions
from executions.models import UpkeepRun
from executions.upkeep.advisory_lock import upkeep_lock
from ledgerkit.models import IdempotencyKey


def upkeep(**options: Any) -> str:
    out = StringIO()
    call_command("upkeep", stdout=out, **options)
    return out.getvalue()


@pytest.mark.django_db
def test_it_forgets_answers_that_are_kept_no_longer() -> None:
    for key, created_at in (("old", "2020-01-01T00:00Z"), ("new", "2999-01-01T00:00Z")):
        IdempotencyKey.objects.create(caller="token:1", key=key, request_hash="", status=200, created_at=created_at)
    assert "idempotency keys forgotten: 1" in upkeep(dry_run=True)
    assert IdempotencyKey.objects.count() == 2
    assert "idempotency keys forgotten: 1" in upkeep()
    assert IdempotencyKey.objects.get().key == "new"


@pytest.mark.django_db
def test_its_record_says_what_each_task_did_and_is_kept_for_a_year() -> None:
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


@pytest.mark.django_db
def test_a_task_that_fails_is_recorded_and_the_others_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(**_: Any) -> None:
        raise RuntimeError("no space left")

    monkeypatch.setattr(partitions, "make_ahead", fail)
    with pytest.raises(CommandError, match=r"1 task failed\. partitions_ahead: RuntimeError: no space left"):
        upkeep()
    first, *others = UpkeepRun.objects.get().results
    assert first["error"] == "RuntimeError: no space left"
    assert not any(each["error"] for each in others)


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
