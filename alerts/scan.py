"""The scan for what ended and what is missing, every few seconds, by one process at a time.

It is one transaction under an advisory lock: whatever a scan finds is stored with the place that it reached, or not at
all. Nothing of it is on the path of a write.
"""

import logging
from datetime import datetime
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.utils import timezone
from django.utils.translation import override

from alerts.ended_attempts import read_ended, store_place
from alerts.error_group_events import error_group_events
from alerts.events import (
    event_of_missed,
    events_of_step,
    late_runs,
    runs_over_time,
    unstarted_runs,
    upkeep_event,
)
from alerts.missed_expectations import Missed, find_missed
from alerts.models import AlertKind, Expectation, Miss, Scan
from alerts.rules import Rules, workflows_of
from ledgerkit.db.locks import try_lock

LOCK = "alerts.scan"
logger = logging.getLogger(__name__)


def scan() -> bool:
    """Scan once. Return False if another process is scanning. Messages are in the server's language."""
    with override(settings.LANGUAGE_CODE), transaction.atomic():
        if not try_lock(LOCK):
            return False
        now = timezone.now()
        rules, place = Rules(now), Scan.read()
        rules.release_held()  # release held alerts before newer ones
        for step in read_ended(place):
            rules.store_alerts(events_of_step(step, workflows_of(each.workflow for each in step), now))
        rules.store_alerts([*map(event_of_missed, check_expectations(now)), *upkeep_event()])
        if rules.are_about(AlertKind.LATE):
            rules.store_alerts([*runs_over_time(now), *late_runs(), *unstarted_runs()])
        if rules.are_about(AlertKind.NEW_ERROR) or rules.are_about(AlertKind.ERROR_REGRESSION):
            rules.store_alerts(error_group_events(place.scanned_at, now))
        rules.release_held()
        store_place(place)
        return True


def check_expectations(now: datetime) -> list[Missed]:
    """Store what is missed now. Return what no earlier scan has found."""
    before = {miss.pk: miss for miss in Miss.objects.all()}
    found: list[Missed] = []
    unknown: list[UUID] = []
    for expectation in Expectation.objects.current():
        try:
            with transaction.atomic():
                missed = find_missed(expectation, before.get(expectation.pk), now)
        except Exception:  # such as of a time zone or a calendar that is gone: the others are checked
            logger.exception("The expectation %s cannot be checked.", expectation.pk)
            unknown.append(expectation.pk)
        else:
            found += [missed] if missed else []
    known = [missed.expectation.pk for missed in found if missed.is_open] + unknown
    Miss.objects.filter(is_open=True).exclude(pk__in=known).update(is_open=False)
    return [missed for missed in found if _store(missed, before.get(missed.expectation.pk))]


def _store(missed: Missed, before: Miss | None) -> bool:
    """Store it unless it is stored. Return whether it is new."""
    if before is not None and (before.occurrence, before.is_open) == (missed.occurrence, missed.is_open):
        return False
    values = {
        "since": missed.since, "run": missed.run, "occurrence": missed.occurrence, "is_open": missed.is_open,
    }  # fmt: skip
    Miss.objects.update_or_create(expectation=missed.expectation, defaults=values)
    return before is None or before.occurrence != missed.occurrence
