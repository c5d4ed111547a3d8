"""An expectation of a workflow that is not met is found by a scan, shown above all else, and forgotten when it
happens."""

from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone

from alerts import calendars
from alerts.events import event_of_missed
from alerts.models import Expectation, Miss, Scan
from alerts.next_runs import find_next_runs
from alerts.scan import check_expectations, scan
from alerts.tests.factories import expect, made_at
from executions.models import WorkflowExecution
from executions.tests.factories import WorkflowExecutionFactory, in_state
from executions.upkeep import advisory_lock
from ledgerkit.tests.clients import client_of
from workflows.models import Workflow
from workflows.tests.factories import UserFactory, WorkflowFactory

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 30, 1, 0, tzinfo=UTC)  # 10:00 on a Monday in Seoul
DAILY = {"time": (timezone.now() - timedelta(minutes=1)).time(), "time_zone": "UTC", "days": "every_day"}
SWITCHES: dict[str, tuple[str, object, object]] = {
    "switched on": ("is_active", False, True),
    "restored": ("deleted_at", NOW, None),
    "enabled": ("is_active", False, True),
}
SEOUL = {"time": time(9, 10), "time_zone": "Asia/Seoul", "days": "weekdays"}


def ran(workflow: Workflow, started: datetime, state: str = "completed", ended: datetime | None = None) -> Any:
    """Return a run of these times."""
    run = in_state(WorkflowExecutionFactory(workflow=workflow), state)
    times = {"created_at": started, "started_at": started, "ended_at": ended or started}
    if state == "running":
        del times["ended_at"]
    WorkflowExecution.objects.filter(pk=run.pk).update(**times)
    return WorkflowExecution.objects.get(pk=run.pk)


def open_misses() -> list[datetime]:
    return list(Miss.objects.filter(is_open=True).values_list("since", flat=True))


class TestASuccessAtLeastEvery:
    def test_is_met_by_a_run_that_completed_lately(self, workflow: Workflow) -> None:
        expect(workflow, "success_every", seconds=3600)
        ran(workflow, NOW - timedelta(minutes=50))
        assert check_expectations(NOW) == []
        assert open_misses() == []

    def test_is_missed_from_its_interval_after_the_last_success_on(self, workflow: Workflow) -> None:
        made_at(expect(workflow, "success_every", seconds=3600), NOW - timedelta(days=2))
        ran(workflow, NOW - timedelta(hours=3))
        ran(workflow, NOW - timedelta(minutes=5), "failed")
        ran(WorkflowFactory(), NOW - timedelta(minutes=5))
        assert [missed.since for missed in check_expectations(NOW)] == [NOW - timedelta(hours=2)]
        assert check_expectations(NOW + timedelta(seconds=5)) == []  # it is told once
        assert open_misses() == [NOW - timedelta(hours=2)]

    def test_is_missed_without_any_run_from_its_interval_after_it_was_made(self, workflow: Workflow) -> None:
        made_at(expect(workflow, "success_every", seconds=3600), NOW - timedelta(minutes=59))
        assert check_expectations(NOW) == []
        assert len(check_expectations(NOW + timedelta(minutes=2))) == 1

    def test_is_met_again_by_a_success_and_may_be_missed_again(self, workflow: Workflow) -> None:
        made_at(expect(workflow, "success_every", seconds=3600), NOW - timedelta(days=2))
        check_expectations(NOW)
        ran(workflow, NOW)
        assert check_expectations(NOW + timedelta(seconds=5)) == []
        assert open_misses() == []
        assert len(check_expectations(NOW + timedelta(hours=2))) == 1


class TestStartsBy:
    @pytest.fixture
    def expectation(self, workflow: Workflow) -> Expectation:
        return made_at(expect(workflow, "starts_by", **SEOUL), NOW - timedelta(days=5))

    def test_is_met_by_a_start_on_the_day_up_to_the_deadline(self, expectation: Any, workflow: Workflow) -> None:
        ran(workflow, NOW - timedelta(minutes=51))
        assert check_expectations(NOW) == []

    def test_is_missed_by_a_start_of_the_day_before(self, expectation: Any, workflow: Workflow) -> None:
        ran(workflow, NOW - timedelta(hours=11))
        (missed,) = check_expectations(NOW)
        assert missed.since == NOW - timedelta(minutes=50)
        assert open_misses() == [missed.since]

    def test_a_late_start_is_told_once_and_no_longer_missing(self, expectation: Any, workflow: Workflow) -> None:
        ran(workflow, NOW - timedelta(minutes=20))
        (missed,) = check_expectations(NOW)
        assert not missed.is_open
        assert check_expectations(NOW + timedelta(minutes=1)) == []
        assert open_misses() == []

    def test_midnight_is_the_end_of_the_day(self, workflow: Workflow) -> None:
        row = made_at(expect(workflow, "starts_by", **SEOUL | {"time": time(0, 0)}), NOW - timedelta(days=5))
        friday_23_59 = datetime(2026, 11, 27, 14, 59, tzinfo=UTC)
        ran(workflow, friday_23_59)
        assert check_expectations(NOW) == []
        saturday = friday_23_59 + timedelta(minutes=2)
        WorkflowExecution.objects.update(started_at=saturday, ended_at=saturday)
        (missed,) = check_expectations(NOW)
        assert (missed.expectation, missed.since) == (row, friday_23_59 + timedelta(minutes=1))
        ran(workflow, NOW)  # Monday's, in time
        tuesday_00_10 = NOW + timedelta(hours=14, minutes=10)
        assert check_expectations(tuesday_00_10) == []

    def test_a_calendar_that_has_ended_is_told_once(self, workflow: Workflow, monkeypatch: pytest.MonkeyPatch) -> None:
        """The package knows the trading days of a year or so ahead, and some server is never upgraded."""
        last = (NOW - timedelta(days=20)).date()
        monkeypatch.setattr(calendars, "_trading_days", lambda _exchange: frozenset({last}))
        made_at(expect(workflow, "starts_by", **SEOUL | {"days": "XKRX"}), NOW - timedelta(days=40))
        (missed,) = check_expectations(NOW)
        assert check_expectations(NOW + timedelta(days=1)) == []
        sentence = event_of_missed(missed).facts["sentence"]
        assert sentence == (
            f"No trading days are known after {last} 09:10 Asia/Seoul: upgrade exchange-calendars and restart. "
            "Starts by 09:10 Asia/Seoul, on trading days of XKRX."
        )
        assert open_misses() == [missed.since]

    def test_the_start_of_an_attempt_that_was_retried_counts(self, expectation: Any, workflow: Workflow) -> None:
        run = ran(workflow, NOW - timedelta(minutes=55), "failed")
        run.retry()
        assert check_expectations(NOW) == []

    def test_nothing_is_due_on_another_day(self, expectation: Any) -> None:
        check_expectations(NOW)
        sunday = NOW - timedelta(days=1)
        assert [miss.since.date() for miss in Miss.objects.all()] == [NOW.date()]
        Miss.objects.all().delete()
        assert [missed.since.date() for missed in check_expectations(sunday)] == [(NOW - timedelta(days=3)).date()]

    def test_a_deadline_from_before_it_was_made_is_not_missed(self, expectation: Expectation) -> None:
        made_at(expectation, NOW - timedelta(minutes=10))
        assert check_expectations(NOW) == []


class TestEndsWithin:
    def test_is_missed_while_a_run_takes_longer(self, workflow: Workflow) -> None:
        expect(workflow, "ends_within", seconds=1800)
        run = ran(workflow, timezone.now() - timedelta(minutes=31), "running")
        (missed,) = check_expectations(timezone.now())
        assert missed.run == run.pk
        assert open_misses() == [run.started_at + timedelta(minutes=30)]
        run.complete()
        assert check_expectations(timezone.now()) == []
        assert open_misses() == []


class TestWhatDoesNotCount:
    @pytest.mark.parametrize("change", [{"is_active": False}, {"deleted_at": NOW}])
    def test_a_workflow_that_is_inactive_or_in_the_trash(self, workflow: Workflow, change: dict[str, Any]) -> None:
        expect(workflow, "success_every", seconds=3600)
        check_expectations(NOW)
        Workflow.objects.filter(pk=workflow.pk).update(**change)
        check_expectations(NOW)
        assert open_misses() == []

    def test_an_expectation_that_is_inactive(self, workflow: Workflow) -> None:
        row = expect(workflow, "success_every", seconds=3600)
        row.is_active = False
        row.save()
        assert check_expectations(NOW + timedelta(days=1)) == []


class TestCountingAgain:
    """The time in which an expectation did not count is not missed."""

    @pytest.fixture(params=["switched on", "restored", "enabled"])
    def current_again(self, request: Any, workflow: Workflow) -> None:
        """Expectations that were not looked at until now."""
        rows = expect(workflow, "success_every", seconds=3600), expect(workflow, "starts_by", **DAILY)
        field, off, on = SWITCHES[request.param]
        switched: Any = Expectation if request.param == "enabled" else Workflow
        pks = [row.pk for row in rows] if request.param == "enabled" else [workflow.pk]
        for value in (off, on):
            switched.objects.filter(pk__in=pks).update(**{field: value})

    def test_nothing_is_missed_at_once(self, current_again: None) -> None:
        assert check_expectations(timezone.now()) == []
        assert open_misses() == []

    def test_it_is_missed_after_its_time(self, current_again: None) -> None:
        now = timezone.now()
        (success,) = check_expectations(now + timedelta(minutes=61))
        assert now < success.since <= now + timedelta(minutes=61)
        assert len(check_expectations(now + timedelta(days=1))) == 1  # the start of the next day

    def test_the_next_run_is_expected_from_then_on(self, current_again: None, workflow: Workflow, staff: Any) -> None:
        expected = find_next_runs(staff, [workflow.pk])[workflow.pk]
        assert (expected.is_missed, expected.due > timezone.now()) == (False, True)


def test_a_change_of_its_workflow_does_not_count_anew(workflow: Workflow) -> None:
    made_at(expect(workflow, "success_every", seconds=3600), NOW - timedelta(days=2))
    Workflow.objects.filter(pk=workflow.pk).update(description="changed")
    assert len(check_expectations(NOW)) == 1


WRONG: list[dict[str, Any]] = [
    {"kind": "success_every"},
    {"kind": "success_every", "seconds": 59},
    {"kind": "ends_within", "seconds": 31_622_401},
    {"kind": "ends_within", "seconds": 60, "days": "weekdays"},
    {"kind": "starts_by", "seconds": 60},
    {"kind": "starts_by", **SEOUL, "seconds": 60},
    {"kind": "starts_by", **SEOUL, "time_zone": "Asia/Atlantis"},
    {"kind": "starts_by", **SEOUL, "days": "XXXX"},
    {"kind": "sometimes", "seconds": 60},
]


@pytest.mark.parametrize("fields", WRONG)
def test_what_makes_no_sense_is_refused(workflow: Workflow, fields: dict[str, Any]) -> None:
    with transaction.atomic(), pytest.raises((ValidationError, IntegrityError)):
        Expectation.objects.create(workflow=workflow, **fields)


def test_the_database_refuses_an_expectation_that_is_incomplete(workflow: Workflow) -> None:
    row = expect(workflow, "success_every", seconds=3600)
    for change in ({"seconds": None}, {"seconds": 5}, {"kind": "starts_by"}, {"days": "weekdays"}):
        with transaction.atomic(), pytest.raises(IntegrityError):
            Expectation.objects.filter(pk=row.pk).update(**change)


@pytest.mark.parametrize(
    ("kind", "fields", "sentence"),
    [
        ("success_every", {"seconds": 86_400}, "A success at least every 24 h."),
        ("success_every", {"seconds": 604_800}, "A success at least every 7 days."),
        ("ends_within", {"seconds": 1_800}, "Ends within 30 min."),
        ("ends_within", {"seconds": 90}, "Ends within 90 s."),
        ("starts_by", SEOUL, "Starts by 09:10 Asia/Seoul, Monday to Friday."),
        ("starts_by", SEOUL | {"time": time(0, 0)}, "Starts by 24:00 Asia/Seoul, Monday to Friday."),
        ("starts_by", SEOUL | {"days": "XKRX"}, "Starts by 09:10 Asia/Seoul, on trading days of XKRX."),
    ],
)
def test_an_expectation_is_a_sentence(workflow: Workflow, kind: str, fields: dict[str, Any], sentence: str) -> None:
    assert str(Expectation(workflow=workflow, kind=kind, **fields)) == sentence


class TestPages:
    def test_the_monitor_shows_what_is_missed_before_anything_else(self, workflow: Workflow, teammate: Any) -> None:
        expect(workflow, "success_every", seconds=86_400)
        scan()
        html = client_of(teammate).get("/admin/").content.decode()
        assert html.index("No run has succeeded in time") < html.index("monitor-tiles")
        assert "A success at least every 24 h." in html
        assert f'href="/admin/workflows/workflow/{workflow.pk}/"' in html

    def test_the_page_of_the_workflow_shows_its_own(self, workflow: Workflow, staff: Any) -> None:
        expect(workflow, "success_every", seconds=86_400)
        expect(WorkflowFactory(), "ends_within", seconds=60)
        scan()
        pages = [client_of(staff).get(f"/admin/workflows/workflow/{pk}/").content.decode() for pk in (workflow.pk,)]
        assert "No run has succeeded in time" in pages[0]
        others = client_of(staff).get(f"/admin/workflows/workflow/{WorkflowFactory().pk}/").content.decode()
        assert "No run has succeeded in time" not in others

    def test_others_do_not_see_it(self, workflow: Workflow, newcomer: Any) -> None:
        expect(workflow, "success_every", seconds=86_400)
        scan()
        assert "No run has succeeded" not in client_of(newcomer).get("/admin/").content.decode()

    def test_the_monitor_says_that_expectations_are_not_checked(self, workflow: Workflow, staff: Any) -> None:
        expect(workflow, "ends_within", seconds=60)
        sentence = "Nothing is checked for alerts."
        assert sentence in client_of(staff).get("/admin/").content.decode()
        scan()
        assert sentence not in client_of(staff).get("/admin/").content.decode()
        Scan.objects.update(scanned_at=timezone.now() - timedelta(minutes=6))
        assert sentence in client_of(staff).get("/admin/").content.decode()

    def test_an_expectation_is_made_in_the_admin(self, workflow: Workflow, staff: Any) -> None:
        client, address = client_of(staff), "/admin/alerts/expectation/"
        form = {"workflow": str(workflow.pk), "kind": "starts_by", "time": "09:10", "is_active": "on"}
        refused = client.post(f"{address}add/", form).content.decode()
        assert refused.count("This kind of expectation needs it.") == 2
        done = client.post(f"{address}add/", form | {"time_zone": "Asia/Seoul", "days": "XKRX"})
        assert done.status_code == 302
        assert "Starts by 09:10 Asia/Seoul, on trading days of XKRX." in client.get(address).content.decode()
        assert client.get(f"{address}?missed=yes").status_code == 200


def test_only_one_scan_runs_at_a_time() -> None:
    """The lock of another session, which a server on another machine has."""
    with advisory_lock.connect() as other:
        other.execute("SELECT pg_advisory_lock(hashtextextended('alerts.scan', 0))")
        assert not scan()
        other.execute("SELECT pg_advisory_unlock(hashtextextended('alerts.scan', 0))")
    assert scan()


def test_a_user_sees_the_expectations_of_own_workflows(workflow: Workflow, owner: Any, teammate: Any) -> None:
    row = expect(workflow, "ends_within", seconds=60)
    seen = [list(Expectation.objects.visible_to(user)) for user in (owner, teammate, UserFactory())]
    assert seen == [[row], [row], []]
