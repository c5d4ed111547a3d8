"""Answers of the API and pages of the admin about kept runs, and about lines that are not there."""

from datetime import timedelta
from typing import Any

import pytest

from executions.models import DroppedLines, KeptRun, LogRemoval, WorkflowExecution
from executions.tests.factories import ExecutionLogFactory
from ledgerkit.tests.clients import client_of

from .old_rows import days_ago, line_of, run_of

pytestmark = pytest.mark.django_db

RUNS = "/admin/executions/workflowexecution"
SENTENCE = "Lines before {:%Y-%m-%d} were removed by the 30-day rule."
KOREAN = "{:%Y-%m-%d} 이전의 로그는 30일 규칙에 따라 제거되었습니다."


@pytest.fixture
def run(owner: Any) -> WorkflowExecution:
    return run_of(45, workflow__owner=owner)


@pytest.fixture
def removal(run: WorkflowExecution) -> LogRemoval:
    start = days_ago(50)
    return LogRemoval.objects.create(start=start, end=start + timedelta(days=7), days=30, number=5)


def test_the_api_says_which_lines_were_removed(api: Any, owner: Any, run: WorkflowExecution, removal: Any) -> None:
    page = api(owner).get(f"/api/v1/executions/{run.pk}/logs/").json()
    (part,) = page["removed"]
    assert (part["days"], part["levels"], part["archived"]) == (30, [], [])
    assert part["detail"] == SENTENCE.format(removal.end)
    young = run_of(3, workflow__owner=owner)
    assert api(owner).get(f"/api/v1/executions/{young.pk}/logs/").json().keys() == {"next", "previous", "results"}


def test_a_run_that_is_imported_after_the_removal_has_lost_no_lines(
    api: Any, staff: Any, owner: Any, removal: LogRemoval
) -> None:
    imported = run_of(45, workflow__owner=owner)
    line_of(45, imported, message="still here")
    assert "removed" not in api(owner).get(f"/api/v1/executions/{imported.pk}/logs/").json()
    for address in (f"{RUNS}/{imported.pk}/change/", f"{RUNS}/{imported.pk}/logs/"):
        page = client_of(staff).get(address).content.decode()
        assert "still here" in page
        assert "were removed" not in page


def test_the_archive_and_the_levels_are_named(api: Any, owner: Any, run: WorkflowExecution, removal: Any) -> None:
    LogRemoval.objects.update(levels=["debug", "info"], files=["2026-10-01.ndjson.zst"] * 2)
    (part,) = api(owner).get(f"/api/v1/executions/{run.pk}/logs/").json()["removed"]
    assert part["detail"].startswith("Lines of debug and info before ")
    assert part["detail"].endswith("; archived: 2026-10-01.ndjson.zst.")


@pytest.mark.parametrize(("language", "sentence"), [("en", SENTENCE), ("ko", KOREAN)])
def test_the_pages_say_it_where_the_lines_would_be(
    language: str, sentence: str, staff: Any, run: WorkflowExecution, removal: Any
) -> None:
    client = client_of(staff)
    client.cookies["pastetrader_language"] = language
    for address in (f"{RUNS}/{run.pk}/change/", f"{RUNS}/{run.pk}/logs/"):
        page = client.get(address).content.decode()
        assert sentence.format(removal.end) in page
        assert "Nothing was logged" not in page
        assert "without log lines" not in page


def test_numbers_of_removed_lines_are_not_called_missing(
    api: Any, staff: Any, owner: Any, run: WorkflowExecution, removal: Any
) -> None:
    """Lines 1 to 4 and 6 were removed, and 5 came late; 8 was lost."""
    for seq, days in ((5, 44), (7, 40), (9, 39)):
        line_of(days, run, source="worker-1", seq=seq)
    gaps = api(owner).get(f"/api/v1/executions/{run.pk}/logs/gaps/").json()["gaps"]
    assert gaps == [{"source": "worker-1", "first": 8, "last": 8}]
    for address in (f"{RUNS}/{run.pk}/change/", f"{RUNS}/{run.pk}/logs/"):
        page = client_of(staff).get(address).content.decode()
        assert "Line 8 of worker-1 is missing." in page
        assert page.count(" of worker-1 is missing.") == 1
        assert "Lines 1 to 4" not in page


@pytest.mark.parametrize(
    ("language", "sentence"),
    [
        ("en", "312 lines below warning were not stored."),
        ("ko", "warning보다 낮은 수준의 로그 312줄은 저장되지 않았습니다."),
    ],
)
def test_lines_that_were_not_stored_are_said(
    language: str, sentence: str, api: Any, staff: Any, owner: Any, run: WorkflowExecution
) -> None:
    ExecutionLogFactory(workflow_execution=run, level="warning")
    for source, number in (("", 300), ("worker-1", 12)):
        DroppedLines.objects.create(workflow_execution=run, source=source, number=number, level="warning")
    client = client_of(staff)
    client.cookies["pastetrader_language"] = language
    for address in (f"{RUNS}/{run.pk}/change/", f"{RUNS}/{run.pk}/logs/"):
        assert sentence in client.get(address).content.decode()
    dropped = api(owner).get(f"/api/v1/executions/{run.pk}/logs/").json()["dropped"]
    assert dropped == {"number": 312, "level": "warning", "detail": "312 lines below warning were not stored."}


def test_a_run_is_kept_and_released_over_the_api(api: Any, owner: Any, run: WorkflowExecution) -> None:
    client, address = api(owner), f"/api/v1/executions/{run.pk}/keep/"
    assert client.get(address).json() == {"is_kept": False, "kept_at": None, "username": "", "reason": ""}
    kept = client.put(address, {"reason": "evidence"}, "json").json()
    assert (kept["is_kept"], kept["username"], kept["reason"]) == (True, "owner", "evidence")
    assert client.get(address).json() == kept
    assert client.delete(address).status_code == 204
    assert client.delete(address).status_code == 204
    assert not KeptRun.objects.exists()
    assert client.put(address, {"why": "x"}, "json").status_code == 400


@pytest.mark.parametrize(("language", "sentence"), [("en", ": evidence"), ("ko", "보존: evidence")])
def test_the_page_of_a_kept_run_says_who_keeps_it_and_why(
    language: str, sentence: str, staff: Any, run: WorkflowExecution
) -> None:
    KeptRun.keep(run, "evidence")
    client = client_of(staff)
    client.cookies["pastetrader_language"] = language
    assert sentence in client.get(f"{RUNS}/{run.pk}/change/").content.decode()
