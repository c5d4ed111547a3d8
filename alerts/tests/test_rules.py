"""Rules find what happened once, whatever the order of commits and however many scans; they are damped."""

import re
import threading
from datetime import time, timedelta
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone, translation

from alerts.models import Alert, AlertState, Delivery, Miss, Outcome, Rule, Scan
from alerts.scan import scan
from alerts.tests.factories import expect, rule_for, webhook
from executions.models import UpkeepRun, WorkflowExecution
from executions.tests.attention import HOURS_2, queued_for
from executions.tests.factories import WorkflowExecutionFactory, in_state
from executions.tests.threads import in_thread
from ledgerkit.tests.clients import client_of
from workflows.models import Workflow
from workflows.tests.factories import UserFactory, WorkflowFactory

pytestmark = pytest.mark.django_db(transaction=True)  # a scan reads what is committed


def kinds(**of: Any) -> list[str]:
    return list(Alert.objects.filter(**of).order_by("created_at", "id").values_list("kind", flat=True))


def ends(workflow: Workflow, *states: str) -> None:
    for state in states:
        in_state(WorkflowExecutionFactory(workflow=workflow), state)


class TestWhatARuleIsAbout:
    @pytest.fixture(autouse=True)
    def first_scan(self, transactional_db: None) -> None:
        scan()

    def test_a_failure(self, workflow: Workflow) -> None:
        rule_for("failure")
        ends(workflow, "failed", "completed", "cancelled")
        scan()
        scan()
        (alert,) = Alert.objects.all()
        assert alert.kind == "failure"
        assert alert.facts["workflow_name"] == "momentum"
        assert alert.facts["error_message"] == "went wrong"
        assert alert.facts["sentence"] == "A run failed."
        assert alert.facts["url"] == f"/admin/executions/workflowexecution/{alert.facts['run_id']}/change/"

    @pytest.mark.parametrize("site", ["https://ledger.example", "https://ledger.example/ledger/"])
    def test_its_link_has_the_path_prefix_in_each_thread(self, workflow: Workflow, settings: Any, site: str) -> None:
        """`manage.py serve` scans in a thread of its own, which no request has given a prefix."""
        settings.FORCE_SCRIPT_NAME, settings.ALERTS = "/ledger", settings.ALERTS | {"SITE_URL": site}
        rule_for("failure")
        ends(workflow, "failed")
        in_thread(scan)
        facts = Alert.objects.get().facts
        run = facts["run_id"]
        assert facts["url"] == f"https://ledger.example/ledger/admin/executions/workflowexecution/{run}/change/"

    def test_the_first_failure_after_a_success_and_the_recovery(self, workflow: Workflow) -> None:
        rule_for("first_failure", "recovery")
        ends(workflow, "completed", "failed", "failed")
        scan()
        ends(workflow, "failed", "completed")
        scan()
        ends(workflow, "completed", "failed")
        scan()
        assert kinds() == ["first_failure", "recovery", "first_failure"]

    def test_a_rule_for_both_gets_one_alert_for_one_failure(self, workflow: Workflow) -> None:
        rule_for("failure", "first_failure")
        ends(workflow, "failed", "failed")
        scan()
        assert kinds() == ["first_failure", "failure"]

    def test_each_attempt_of_a_run(self, workflow: Workflow) -> None:
        """The run is retried before a scan sees its first failure."""
        rule_for("failure", "recovery")
        run = in_state(WorkflowExecutionFactory(workflow=workflow), "failed")
        run.retry()
        run.start()
        run.complete()
        scan()
        assert kinds() == ["failure", "recovery"]
        assert Alert.objects.filter(facts__error_message="went wrong", facts__attempt=1).count() == 1

    def test_a_run_that_takes_too_long_is_told_once_whether_running_or_ended(self, workflow: Workflow) -> None:
        rule_for("late")
        expect(workflow, "ends_within", seconds=60)
        run = in_state(WorkflowExecutionFactory(workflow=workflow), "running")
        WorkflowExecution.objects.filter(pk=run.pk).update(started_at=timezone.now() - timedelta(minutes=2))
        scan()
        assert kinds() == ["late"]
        run.refresh_from_db()
        run.complete()
        scan()
        assert kinds() == ["late"]

    def test_a_run_that_took_too_long_between_two_scans(self, workflow: Workflow) -> None:
        rule_for("late")
        expect(workflow, "ends_within", seconds=60)
        run = in_state(WorkflowExecutionFactory(workflow=workflow), "running")
        WorkflowExecution.objects.filter(pk=run.pk).update(started_at=timezone.now() - timedelta(minutes=2))
        run.refresh_from_db()
        run.complete()
        scan()
        assert kinds() == ["late"]

    def test_every_run_that_takes_too_long_while_it_runs(self, workflow: Workflow) -> None:
        rule_for("late")
        expect(workflow, "ends_within", seconds=60)
        for minutes in (5, 10):
            run = in_state(WorkflowExecutionFactory(workflow=workflow, metadata={"allow_concurrent": True}), "running")
            WorkflowExecution.objects.filter(pk=run.pk).update(started_at=timezone.now() - timedelta(minutes=minutes))
        scan()
        scan()
        assert kinds() == ["late", "late"]

    def test_a_queued_run_that_nobody_starts_is_told_once(self, workflow: Workflow) -> None:
        rule_for("late")
        head = queued_for(HOURS_2, workflow)
        queued_for(HOURS_2 - 60, workflow)
        scan()
        scan()
        (alert,) = Alert.objects.all()
        assert (alert.kind, alert.facts["run_id"], alert.facts["status"]) == ("late", str(head.pk), "pending")
        assert alert.facts["sentence"] == "It is the turn of a queued run, and no engine has started it."
        assert alert.facts["url"] == f"/admin/executions/workflowexecution/{head.pk}/change/"

    def test_a_failure_although_an_expectation_cannot_be_checked(self, workflow: Workflow) -> None:
        rule_for("failure")
        gone = expect(workflow, "starts_by", time=time(9), time_zone="Asia/Seoul", days="every_day")
        type(gone).objects.update(time_zone="Asia/Nowhere")
        expect(workflow, "success_every", seconds=3600)
        ends(workflow, "failed")
        assert scan()
        assert kinds() == ["failure"]
        assert Miss.objects.filter(is_open=True).count() == 1

    def test_an_expected_run_that_is_missing(self, workflow: Workflow) -> None:
        rule_for("missing")
        expect(workflow, "success_every", seconds=3600)
        expect(workflow, "success_every", seconds=7200)
        scan()
        scan()
        assert kinds() == ["missing", "missing"]
        assert "A success at least every 1 h." in str([alert.facts for alert in Alert.objects.all()])

    def test_upkeep_that_has_not_run(self) -> None:
        rule_for("upkeep_silent")
        rule_for("upkeep_silent", workflow=WorkflowFactory())
        scan()
        assert kinds() == []
        UpkeepRun.objects.create(
            host="a", started_at=timezone.now() - timedelta(hours=3), ended_at=timezone.now() - timedelta(hours=2)
        )
        scan()
        scan()
        assert kinds() == ["upkeep_silent"]

    def test_old_runs_that_are_imported_are_no_news(self, workflow: Workflow) -> None:
        rule_for("failure")
        long_ago = timezone.now() - timedelta(days=2)
        WorkflowExecution.objects.bulk_create(
            [
                WorkflowExecution(
                    workflow=workflow, trigger_type="manual", status="failed", created_at=long_ago,
                    started_at=long_ago, ended_at=long_ago, error_message="old",
                )
            ]
        )  # fmt: skip
        scan()
        assert kinds() == []


class TestWhoseWorkflows:
    def test_a_rule_of_one_workflow_of_an_owner_and_of_the_site(self, workflow: Workflow, owner: Any) -> None:
        scan()
        others = WorkflowFactory(owner=owner)
        one, own, site = rule_for("failure", workflow=workflow), rule_for("failure", owner=owner), rule_for("failure")
        strangers = rule_for("failure", owner=UserFactory())
        for each in (workflow, others, WorkflowFactory()):
            ends(each, "failed")
        scan()
        assert [rule.alerts.count() for rule in (one, own, site, strangers)] == [1, 2, 3, 0]

    def test_a_workflow_that_got_another_owner(self, workflow: Workflow, owner: Any) -> None:
        scan()
        rule = rule_for("failure", owner=owner, workflow=workflow)
        Workflow.objects.filter(pk=workflow.pk).update(owner=UserFactory())
        ends(workflow, "failed")
        scan()
        assert rule.alerts.count() == 0


class TestDamping:
    def test_more_than_the_rule_allows_is_held_back_and_the_newest_sent_later(self, workflow: Workflow) -> None:
        scan()
        rule = rule_for("failure", most=2, within_seconds=600)
        other = WorkflowFactory()
        for _ in range(5):
            ends(workflow, "failed")
        ends(other, "failed")
        scan()
        assert Delivery.objects.count() == 3  # the other workflow has its own measure
        held = Alert.objects.filter(state=AlertState.HELD).order_by("created_at", "id")
        newest = list(held)[-1]
        assert len(held) == 3
        scan()
        assert Delivery.objects.count() == 3
        Alert.objects.exclude(sent_at=None).update(sent_at=timezone.now() - timedelta(seconds=601))
        scan()
        delivery = Delivery.objects.get(alert=newest)
        assert (delivery.alert.held_back, delivery.alert.state) == (2, AlertState.SENT)
        assert '"held_back": 2' in delivery.body
        assert rule.alerts.filter(state=AlertState.MERGED).count() == 2


class TestOnceAndOnlyOnce:
    def test_an_older_transaction_that_commits_last(self, workflow: Workflow) -> None:
        """Its entry of the history has an earlier id and time than what the scan between has read."""
        rule_for("failure", most=100)
        scan()
        is_written, may_commit = threading.Event(), threading.Event()

        def older() -> None:
            try:
                with transaction.atomic():
                    ends(WorkflowFactory(), "failed")
                    is_written.set()
                    may_commit.wait(20)
            finally:
                connection.close()

        thread = threading.Thread(target=older)
        thread.start()
        assert is_written.wait(20)
        ends(workflow, "failed")
        scan()
        before = Alert.objects.count()
        may_commit.set()
        thread.join()
        assert before == 1
        scan()
        scan()
        assert Alert.objects.count() == 2

    def test_two_scanners_at_once(self, workflow: Workflow) -> None:
        rule_for("failure", most=1000)
        scan()
        for _ in range(20):
            ends(workflow, "failed")
        threads = [threading.Thread(target=scan_and_close) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        scan()
        assert (Alert.objects.count(), Delivery.objects.count()) == (20, 20)

    def test_a_scan_that_fails_has_moved_nothing(self, workflow: Workflow, monkeypatch: pytest.MonkeyPatch) -> None:
        rule_for("failure")
        scan()
        before = Scan.objects.get().cursor
        ends(workflow, "failed")
        with monkeypatch.context() as broken:
            broken.setattr("alerts.scan.check_expectations", lambda _now: [1 / 0])
            with pytest.raises(ZeroDivisionError):
                scan()
        assert (Scan.objects.get().cursor, Alert.objects.count(), Outcome.objects.count()) == (before, 0, 0)
        scan()
        assert Alert.objects.count() == 1

    def test_a_database_that_was_restored_begins_anew(self, workflow: Workflow) -> None:
        """The cursor is in the future of a cluster into which a dump is restored."""
        rule_for("failure")
        scan()
        Scan.objects.update(cursor="900000000000:900000000000:")
        ends(workflow, "failed")
        scan()
        ends(workflow, "failed")
        scan()
        assert Alert.objects.count() == 1


def scan_and_close() -> None:
    scan()
    connection.close()


def test_the_database_refuses_an_alert_twice(workflow: Workflow) -> None:
    rule = rule_for("failure")
    fields = {"rule": rule, "kind": "failure", "occurrence": "a", "facts": {}, "state": "held"}
    Alert.objects.create(**fields)
    with transaction.atomic(), pytest.raises(IntegrityError):
        Alert.objects.create(**fields)


@pytest.mark.parametrize("change", [{"kinds": []}, {"kinds": ["x"]}, {"most": 0}, {"within_seconds": 0}])
def test_the_database_refuses_a_rule_without_sense(change: dict[str, Any]) -> None:
    rule = rule_for("failure")
    with transaction.atomic(), pytest.raises(IntegrityError):
        Rule.objects.filter(pk=rule.pk).update(**change)


def test_a_rule_sends_through_its_active_channels(workflow: Workflow) -> None:
    scan()
    off = webhook("https://example.com/")
    off.is_active = False
    off.save()
    rule = rule_for("failure")
    rule.channels.add(off)
    ends(workflow, "failed")
    scan()
    assert [delivery.channel for delivery in Delivery.objects.all()] == list(rule.channels.exclude(pk=off.pk))


def test_a_channel_that_has_become_somebody_s_gets_nothing_of_the_site(workflow: Workflow) -> None:
    scan()
    rule = rule_for("failure")
    rule.channels.update(owner=UserFactory())
    ends(workflow, "failed")
    scan()
    assert (Alert.objects.count(), Delivery.objects.count()) == (1, 0)


def test_a_channel_that_was_switched_off_by_hand_has_another_week() -> None:
    channel = webhook(failing_since=timezone.now() - timedelta(days=20))
    channel.is_active = False
    channel.save()
    assert channel.failing_since is None


def test_a_scan_that_has_stopped_is_shown_where_there_are_only_rules(staff: Any) -> None:
    rule_for("failure")
    scan()
    Scan.objects.update(scanned_at=timezone.now() - timedelta(days=2))
    assert "Nothing is checked for alerts." in client_of(staff).get("/admin/").content.decode()


def test_a_scan_asks_as_many_questions_for_many_failures_and_rules_as_for_few(workflow: Workflow) -> None:
    scan()
    asked = []
    for number in (1, 30):
        for _ in range(number):
            rule_for("failure", most=2)
            ends(workflow, "failed")
        with CaptureQueriesContext(connection) as queries:
            scan()
        asked.append(len(queries))
    assert Alert.objects.count() == 1 + 30 * 31
    assert asked[0] == asked[1]


@pytest.mark.parametrize(("language", "sentence"), [("en", "A run failed."), ("ko", "실행이 실패했습니다.")])
def test_messages_are_in_the_language_of_the_server(
    workflow: Workflow, settings: Any, language: str, sentence: str
) -> None:
    settings.LANGUAGE_CODE = language
    rule_for("failure")
    scan()
    ends(workflow, "failed")
    with translation.override("en"):
        scan()
    assert Alert.objects.get().facts["sentence"] == sentence
    assert sentence in Delivery.objects.get().body


def test_times_in_messages_name_their_zone(workflow: Workflow) -> None:
    rule_for("missing")
    expect(workflow, "success_every", seconds=3600)
    scan()
    assert re.search(r"was due by \d{4}-\d\d-\d\d \d\d:\d\d UTC\.", Alert.objects.get().facts["sentence"])
