"""Notices of missed expectations above all sections of the monitor and of a workflow's page."""

from collections.abc import Iterator
from datetime import timedelta
from uuid import UUID

from django.db.models import QuerySet
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from alerts.models import CALENDAR_ENDED, Channel, Expectation, ExpectationKind, Miss, Rule, Scan
from alerts.models.expectation import ExpectationQuerySet
from executions.admin.monitor.notices import Notice
from ledgerkit.time_zones import clock
from workflows.querysets import User

MAX_NOTICES = 20
LATE = timedelta(minutes=5)  # a scan; usual are a few seconds


def find_notices(user: User, workflow: UUID | None) -> list[Notice]:
    """Return the missed expectations that the user may see, the latest first, and whether they were not looked for."""
    seen = Expectation.objects.visible_to(user).current().order_by().select_related(None)
    if workflow is not None:
        seen = seen.filter(workflow=workflow)
    misses = Miss.objects.filter(is_open=True, expectation__in=seen.values("pk"))
    shown = list(misses.select_related("expectation__workflow").order_by("-since")[: MAX_NOTICES + 1])
    channels = _disabled_channels(user) if workflow is None else ()
    rules = Rule.objects.visible_to(user).filter(is_active=True)
    late = _late_scan(seen, rules if workflow is None else rules.none())
    return [*late, *map(_notice, shown[:MAX_NOTICES]), *_more(shown), *channels]


def _notice(miss: Miss) -> Notice:
    expectation = miss.expectation
    name = "executions_workflowexecution_change" if miss.run else "workflows_workflow_page"
    address = reverse(f"admin:{name}", args=[miss.run or expectation.workflow_id])
    sentence = describe_missed(expectation, miss.occurrence, clock(miss.since, "minutes"))
    return Notice(expectation.workflow.name, f"{sentence} {expectation}", address)


def describe_missed(expectation: Expectation, occurrence: str, missed_since: str) -> str:
    """Return a sentence about what did not happen."""
    since = {"since": missed_since}
    if occurrence.startswith(CALENDAR_ENDED):
        return _("No trading days are known after %(since)s: upgrade exchange-calendars and restart.") % since
    if expectation.kind == ExpectationKind.SUCCESS_EVERY:
        return _("No run has succeeded in time: one was due by %(since)s.") % since
    if expectation.kind == ExpectationKind.STARTS_BY:
        return _("No run has started: one was due by %(since)s.") % since
    return _("A run should have ended by %(since)s and is still running.") % since


def _disabled_channels(user: User) -> Iterator[Notice]:
    for channel in Channel.objects.visible_to(user).filter(is_active=False).exclude(disabled_at=None)[:MAX_NOTICES]:
        sentence = _("The alert channel was disabled, because nothing could be sent through it since %(since)s.")
        since = {"since": clock(channel.failing_since or timezone.now(), "minutes")}
        address = reverse("admin:alerts_channel_change", args=[channel.pk])
        yield Notice(channel.name, sentence % since, address)


def _more(shown: list[Miss]) -> Iterator[Notice]:
    if len(shown) > MAX_NOTICES:
        yield Notice(_("Expectations"), _("More expectations are missed."), _list())


def _late_scan(seen: ExpectationQuerySet, rules: QuerySet[Rule]) -> Iterator[Notice]:
    """Yield a notice if nobody looks at expectations and rules: then nothing of them is known."""
    lately = Scan.objects.filter(scanned_at__gte=timezone.now() - LATE)
    if lately.exists() or not (seen.exists() or rules.exists()):
        return
    scan = Scan.objects.first()
    when = clock(scan.scanned_at, "minutes") if scan else _("never")
    sentence = _("Last check: %(when)s. Let manage.py serve do it, or schedule manage.py upkeep every minute.")
    yield Notice(_("Nothing is checked for alerts."), sentence % {"when": when}, _list())


def _list() -> str:
    return reverse("admin:alerts_expectation_changelist")
