"""Age of the last upkeep: the warning of the monitor and of `check`, and the upkeep that a server repeats."""

import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from django.core import checks
from django.db import OperationalError, ProgrammingError, connection
from django.utils import timezone

from executions.models import UpkeepRun
from executions.upkeep import loop, runner
from executions.upkeep.advisory_lock import upkeep_lock
from executions.upkeep.last_upkeep import is_late
from executions.upkeep.task import Progress, Result, Task
from ledgerkit.tests.clients import client_of
from workflows.tests.factories import UserFactory

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)
MONITOR = "/admin/executions/workflowexecution/monitor/"


def ended(ago: timedelta) -> None:
    UpkeepRun.objects.create(host="here", started_at=timezone.now() - ago, ended_at=timezone.now() - ago)


def warnings() -> list[str]:
    return [each.msg for each in checks.run_checks(databases=["default"]) if each.id == "executions.W003"]


@pytest.mark.parametrize(("ago", "late"), [(HOUR * 0.9, False), (HOUR * 1.1, True)])
def test_the_monitor_and_check_warn_if_upkeep_has_not_run_for_an_hour(ago: timedelta, late: bool) -> None:
    ended(ago)
    assert warnings() == (["Upkeep has not run for 3600 seconds or longer."] if late else [])
    shown = client_of(UserFactory(is_staff=True, is_superuser=True)).get(MONITOR).content.decode()
    assert ("Upkeep is late." in shown) is late


def test_check_asks_no_database_unless_told_to() -> None:
    ended(HOUR * 2)
    assert not [each for each in checks.run_checks() if each.id == "executions.W003"]


def test_a_ledger_that_was_made_lately_needed_none_yet() -> None:
    installed("1 minute")
    assert not is_late()
    installed("2 hours")
    assert is_late()


@pytest.mark.parametrize(
    ("started", "progressed", "late"),
    [(0.9, None, False), (1.1, None, True), (9, 0.9, False), (9, 1.1, True)],
)
def test_an_upkeep_that_is_at_work_is_late_once_it_makes_no_progress_for_an_hour(
    started: float, progressed: float | None, late: bool
) -> None:
    """Upkeep that waits for somebody's lock, or whose process was stopped, holds its own lock without end."""
    ended(HOUR * 10)
    assert is_late()
    now = timezone.now()
    UpkeepRun.objects.create(
        host="here", started_at=now - HOUR * started, progressed_at=progressed and now - HOUR * progressed
    )
    assert is_late()
    with upkeep_lock():
        assert is_late() is late
        assert bool(warnings()) is late


@pytest.mark.parametrize(
    ("language", "sentence"),
    [
        ("en", "One that started 2\xa0hours ago</a> has not ended: if it is still at work, see in <code>pg_stat"),
        ("ko", "2시간 전에 시작된 유지 관리</a>가 아직 끝나지 않았습니다."),
    ],
)
def test_the_monitor_names_the_upkeep_that_hangs(language: str, sentence: str) -> None:
    ended(HOUR * 10)
    hung = UpkeepRun.objects.create(host="here", started_at=timezone.now() - HOUR * 2.01)
    user = UserFactory(is_staff=True, is_superuser=True)
    with upkeep_lock():
        shown = client_of(user).get(MONITOR, headers={"Accept-Language": language}).content.decode()
    assert sentence in shown
    assert f"/admin/executions/upkeeprun/{hung.pk}/change/" in shown


def test_the_monitor_names_none_that_was_followed_by_another_one() -> None:
    killed = UpkeepRun.objects.create(host="here", started_at=timezone.now() - HOUR * 500)
    ended(HOUR * 10)
    shown = client_of(UserFactory(is_staff=True, is_superuser=True)).get(MONITOR).content.decode()
    assert "Upkeep is late." in shown
    assert str(killed.pk) not in shown


@pytest.mark.parametrize(("every", "is_stored"), [(0, True), (3_600, False)])
def test_a_task_that_takes_long_records_its_progress_every_few_seconds(
    every: int, is_stored: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def work(progress: Progress) -> Result:
        progress(1, 2)
        return Result(rows=UpkeepRun.objects.exclude(progressed_at=None).count())

    monkeypatch.setattr(runner, "STORED_EVERY", every)
    monkeypatch.setattr(runner, "TASKS", [Task("long", "rows", Result, work)])
    assert [outcome.result.rows for outcome in runner.run_all()] == [is_stored]
    assert UpkeepRun.objects.get().progressed_at is not None


def test_upkeep_is_done_when_it_is_due_and_not_again() -> None:
    ended(HOUR)
    assert loop.do_if_due(HOUR / 2)
    assert not loop.do_if_due(HOUR / 2)
    assert UpkeepRun.objects.exclude(ended_at=None).count() == 2


def test_upkeep_is_left_to_the_process_that_runs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two servers that find it due at the same moment: one of them gets the lock."""
    ended(HOUR)
    monkeypatch.setattr(loop, "age", lambda: HOUR)
    with upkeep_lock():
        assert not loop.do_if_due(HOUR / 2)
    assert UpkeepRun.objects.count() == 1


class Enough(BaseException):
    pass


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """End the repetition after three looks. The connection is the test's."""
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 3:
            raise Enough

    monkeypatch.setattr(loop.time, "sleep", sleep)
    monkeypatch.setattr(connection, "close", lambda: None)
    yield slept
    assert len(slept) == 3


@pytest.mark.parametrize("error", [OperationalError("gone"), psycopg.OperationalError("gone")])
def test_a_database_that_goes_away_puts_it_off(error: Exception, looks: Any, monkeypatch: Any, caplog: Any) -> None:
    found = iter([error, None, error])

    def do_if_due(_every: timedelta) -> None:
        if each := next(found):
            raise each

    monkeypatch.setattr(loop, "do_if_due", do_if_due)
    monkeypatch.setattr(loop.log_postponed_upkeep, "kinds", {})
    with pytest.raises(Enough):
        loop.repeat_upkeep()
    assert caplog.messages == ["Upkeep is put off (MainThread), as the database fails: gone"], "once a minute"


def test_a_failure_of_one_thread_hides_none_of_another_nor_one_of_another_kind(monkeypatch: Any, caplog: Any) -> None:
    monkeypatch.setattr(loop.log_postponed_upkeep, "kinds", {})
    gone, denied = OperationalError("gone"), ProgrammingError("permission denied")
    for name, error in [("alerts", gone), ("overdue", gone), ("overdue", denied), ("overdue", gone)]:
        thread = threading.Thread(target=loop._log, args=[error], name=name)
        thread.start()
        thread.join()
    assert caplog.messages == [
        "Upkeep is put off (alerts), as the database fails: gone",
        "Upkeep is put off (overdue), as the database fails: gone",
        "Upkeep is put off (overdue), as the database fails: permission denied",
    ]


@pytest.mark.parametrize(
    ("thread", "look"),
    [
        (loop.repeat_overdue, "overdue_attempts.end_overdue"),
        (loop.repeat_bulk_actions, "work_open"),
        (loop.repeat_error_groups, "scan"),
        (loop.repeat_upkeep, "do_if_due"),
    ],
)
def test_no_error_ends_a_thread_of_upkeep(
    thread: Callable[[], None], look: str, looks: Any, monkeypatch: Any, caplog: Any
) -> None:
    def fail(*_arguments: object) -> None:
        raise KeyError("a row that nobody expected")

    monkeypatch.setattr(f"executions.upkeep.loop.{look}", fail)
    with pytest.raises(Enough):
        thread()
    assert caplog.messages == ["A look of upkeep failed (MainThread). The next one is made."] * 3
    assert "a row that nobody expected" in caplog.text


def test_a_role_that_does_not_own_the_tables_leaves_it_to_a_command(looks: Any, caplog: Any) -> None:
    installed("2 hours")
    with connection.cursor() as cursor:
        cursor.execute("CREATE ROLE upkeep_guest")
        cursor.execute("GRANT SELECT ON ALL TABLES IN SCHEMA public TO upkeep_guest")
        cursor.execute("SET ROLE upkeep_guest")
        with pytest.raises(Enough):
            loop.repeat_upkeep()
        cursor.execute("RESET ROLE")
    assert not UpkeepRun.objects.exists()
    [message] = caplog.messages
    assert message == "This server does no upkeep: its role does not own the tables. Schedule `manage.py upkeep`."


def installed(ago: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE django_migrations SET applied = now() - %s::interval", [ago])
