"""Alerts in upkeep: what is old is removed, and one error does not end the scans."""

import logging
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError
from django.utils import timezone

from alerts import upkeep
from alerts.models import Alert, Channel, Delivery, Scan
from alerts.tests.factories import rule_for
from executions.upkeep import runner
from workflows.models import Workflow

pytestmark = pytest.mark.django_db


def alert_of(workflow: Workflow, age: timedelta) -> Alert:
    rule = rule_for("failure")
    alert = Alert.objects.create(
        rule=rule, kind="failure", occurrence="a", workflow=workflow, facts={"sentence": "A run failed."}, state="sent",
        created_at=timezone.now() - age,
    )  # fmt: skip
    Delivery.objects.create(alert=alert, channel=rule.channels.get(), body="{}", state="delivered")
    return alert


def test_alerts_are_removed_with_their_messages_after_thirty_days(workflow: Workflow, settings: Any) -> None:
    alert_of(workflow, timedelta(days=31))
    young = alert_of(workflow, timedelta(days=29))
    assert upkeep.plan_removal().rows == 1
    assert upkeep.apply_removal(lambda _done, _of: None).rows == 1
    assert [delivery.alert for delivery in Delivery.objects.all()] == [young]
    settings.ALERTS = {"KEEP_DAYS": 5}
    assert upkeep.plan_removal().rows == 1


def test_an_alert_is_kept_while_a_message_of_it_waits(workflow: Workflow, settings: Any) -> None:
    settings.ALERTS = {"KEEP_DAYS": 1, "GIVE_UP_DAYS": 7}
    kept = alert_of(workflow, timedelta(days=3))
    Delivery.objects.update(state="waiting", queued_at=kept.created_at)
    assert upkeep.apply_removal(lambda _done, _of: None).rows == 0
    Channel.objects.update(is_active=False)
    assert upkeep.plan_removal().rows == 0
    Delivery.objects.update(queued_at=timezone.now() - timedelta(days=8))  # nobody has activated its channel
    assert upkeep.plan_removal().rows == 1
    Channel.objects.update(is_active=True)  # the next try is the last
    assert upkeep.plan_removal().rows == 0


def test_upkeep_scans(workflow: Workflow) -> None:
    assert {"alerts", "alert_records"} <= {task.name for task in runner.TASKS}
    upkeep.apply_scan(lambda _done, _of: None)
    assert Scan.objects.get().scanned_at is not None


def test_an_error_is_logged_and_the_next_look_comes(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> bool:
        raise ZeroDivisionError

    monkeypatch.setattr(upkeep, "scan", fail)
    with caplog.at_level(logging.ERROR, logger="alerts"):
        upkeep.scan_or_log()
    assert "The scan for alerts failed." in caplog.text


def test_an_error_of_the_database_is_for_the_repetition(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> bool:
        raise OperationalError

    monkeypatch.setattr(upkeep, "scan", fail)
    with pytest.raises(OperationalError):
        upkeep.scan_or_log()
