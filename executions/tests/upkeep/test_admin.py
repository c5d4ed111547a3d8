"""Pages of upkeep, and the line of the monitor; the actions that keep runs."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from executions import limits
from executions.models import KeptRun, UpkeepRun
from ledgerkit.tests.clients import client_of

from .old_rows import run_of

pytestmark = pytest.mark.django_db

RUNS = "/admin/executions/workflowexecution/"
UPKEEP = "/admin/executions/upkeeprun/"
RESULT = {"task": "run_retention", "rows": 12_000, "bytes": 5_000_000, "notes": ["a note"], "seconds": 3.2, "error": ""}
FAILED = {**RESULT, "task": "analyze", "rows": 0, "notes": [], "error": "RuntimeError: no space left"}
LANGUAGES = pytest.mark.parametrize("language", ["en", "ko"])


def page(user: Any, address: str, language: str = "en") -> str:
    client = client_of(user)
    client.cookies["pastetrader_language"] = language
    response = client.get(address)
    assert response.status_code == 200
    return response.content.decode()


@pytest.fixture
def record() -> UpkeepRun:
    started = timezone.now() - timedelta(hours=3, seconds=10)
    results = [RESULT, FAILED]
    return UpkeepRun.objects.create(host="ledger-2", started_at=started, ended_at=started, results=results)


@LANGUAGES
def test_the_list_and_the_page_say_what_each_task_did(language: str, staff: Any, record: UpkeepRun) -> None:
    UpkeepRun.objects.create(host="ledger-3", is_interrupted=True)
    UpkeepRun.objects.create(host="ledger-4", progressed_at=timezone.now() - timedelta(minutes=50, seconds=10))
    removed, failed = {"en": ("runs removed", "failed"), "ko": ("제거한 실행", "실패")}[language]
    listed = page(staff, UPKEEP, language)
    assert f"{removed}: 12,000" in listed
    assert failed in listed
    assert {"en": "last progress 50\xa0minutes ago", "ko": "마지막 진행: 50분 전"}[language] in listed
    assert {"en": "interrupted", "ko": "중단됨"}[language] in listed
    shown = page(staff, f"{UPKEEP}{record.pk}/change/", language)
    assert "RuntimeError: no space left" in shown
    assert "a note" in shown
    assert "ledger-2" in shown


def test_nobody_changes_or_deletes_a_record(staff: Any, record: UpkeepRun) -> None:
    client = client_of(staff)
    assert client.post(f"{UPKEEP}{record.pk}/delete/", {"post": "yes"}).status_code == 403
    assert client.get(f"{UPKEEP}add/").status_code == 403
    assert UpkeepRun.objects.count() == 1


@pytest.mark.parametrize(
    ("language", "ago", "next_one"),
    [
        ("en", "Last upkeep 3\xa0hours ago.", "The next one removes about 1 run."),
        ("ko", "마지막 유지 관리: 3시간 전.", "다음 유지 관리에서 실행 약 1개가 제거됩니다."),
    ],
)
def test_the_monitor_says_when_it_ran_and_what_the_next_one_removes(
    language: str, ago: str, next_one: str, staff: Any, record: UpkeepRun
) -> None:
    run_of(200)
    shown = page(staff, f"{RUNS}monitor/", language)
    assert ago in shown
    assert next_one in shown
    assert {"en": "A task of it failed.", "ko": "작업 하나가 실패했습니다."}[language] in shown


@pytest.mark.parametrize(
    ("language", "sentence"),
    [("en", "Removed runs are not archived: "), ("ko", "제거되는 실행은 보관되지 않습니다: ")],
)
def test_the_monitor_says_that_runs_are_removed_without_an_archive(
    language: str, sentence: str, staff: Any, settings: Any, tmp_path: Path
) -> None:
    assert sentence not in page(staff, f"{RUNS}monitor/", language)
    run_of(200)
    assert sentence in page(staff, f"{RUNS}monitor/", language)
    settings.EXECUTIONS = settings.EXECUTIONS | {"ARCHIVE": str(tmp_path)}
    assert sentence not in page(staff, f"{RUNS}monitor/", language)


def test_the_monitor_says_that_upkeep_has_never_run_and_counts_no_more_than_it_must(
    staff: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "COUNTED_RETENTION", 1)
    run_of(200), run_of(200)
    shown = page(staff, f"{RUNS}monitor/")
    assert "Upkeep has never run here" in shown
    assert "The next one removes more than 1 runs." in shown


@LANGUAGES
def test_runs_are_kept_and_released_by_actions(language: str, staff: Any) -> None:
    run, client = run_of(200), client_of(staff)
    client.cookies["pastetrader_language"] = language
    keep, release = {"en": ("Keep", "Do not keep any longer"), "ko": ("보존", "더 이상 보존하지 않음")}[language]
    shown = client.get(f"{RUNS}{run.pk}/change/").content.decode()
    assert ('value="keep"' in shown and keep in shown, release in shown) == (True, False)
    form = {"action": "keep", "_selected_action": str(run.pk)}
    assert {"en": "Upkeep does not remove them", "ko": "유지 관리"}[language] in client.post(
        RUNS, form
    ).content.decode()
    client.post(RUNS, {**form, "confirmed": "yes", "reason": "evidence"})
    assert KeptRun.objects.values_list("username", "reason").get() == (staff.username, "evidence")
    assert release in client.get(f"{RUNS}{run.pk}/change/").content.decode()
    client.post(RUNS, {**form, "action": "release", "confirmed": "yes"})
    assert not KeptRun.objects.exists()
    assert {"en": "It is not kept", "ko": "보존되지 않은"}[language] in client.post(
        RUNS, {**form, "action": "release"}
    ).content.decode()
