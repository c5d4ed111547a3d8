"""Alerts of rules: what a rule finds is stored once, sent or held back."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db.models import Count, DurationField, ExpressionWrapper, F, Q, Value
from django.urls import NoReverseMatch, reverse

from alerts.conf import alerts_settings
from alerts.metrics import ALERTS
from alerts.models import Alert, AlertKind, AlertState, Channel, Delivery, Rule
from alerts.sending.bodies import body_for
from ledgerkit.path_prefix import path_prefix
from workflows.models import Workflow

type Facts = dict[str, object]
type About = tuple[UUID, UUID | None]  # a rule and a workflow; None: the whole site

WITHIN = ExpressionWrapper(F("rule__within_seconds") * Value(timedelta(seconds=1)), output_field=DurationField())


@dataclass(frozen=True)
class Event:
    """Something that rules may be about. `kinds` are those that it has, the most exact first: a rule with several of
    them gets one alert. `occurrence` is the same each time that it is found."""

    kinds: tuple[AlertKind, ...]
    occurrence: str
    workflow: Workflow | None
    facts: Facts


class Rules:
    """The active rules, read once for a scan. It asks as many questions for many events as for few."""

    def __init__(self, now: datetime) -> None:
        self.now = now
        self.rows = list(Rule.objects.filter(is_active=True).select_related("workflow").prefetch_related("channels"))
        self._by_pk = {rule.pk: rule for rule in self.rows}
        self._sent: dict[About, int] = {}  # alerts of each rule about a workflow that count for its measure

    def are_about(self, kind: AlertKind) -> bool:
        return any(kind in rule.kinds for rule in self.rows)

    def store_alerts(self, events: Iterable[Event]) -> None:
        """Store an alert of each rule that is about an event, unless it has one."""
        alerts = _without_known([alert for event in events for alert in self._alerts_of(event)])
        self._count_sent({_about(alert) for alert in alerts})
        for alert in alerts:
            if self._may_send(_about(alert)):
                self._mark_sent(alert)
            ALERTS.labels(str(alert.kind)).inc()
        Alert.objects.bulk_create(alerts)
        self._send([alert for alert in alerts if alert.state == AlertState.SENT])

    def release_held(self) -> None:
        """Send the newest of the alerts that were held back, for each rule and workflow that may send again."""
        held = Alert.objects.filter(state=AlertState.HELD).order_by()
        held.exclude(rule__in=self._by_pk).update(state=AlertState.MERGED)
        pairs: set[About] = set(held.values_list("rule", "workflow").distinct())
        self._count_sent(pairs)
        self._send([self._release(*pair) for pair in pairs if self._may_send(pair)])

    def _release(self, rule: UUID, workflow: UUID | None) -> Alert:
        """Mark the newest as sent, and count the others in it."""
        held = Alert.objects.filter(state=AlertState.HELD, rule=rule, workflow=workflow)
        newest = held.order_by("-created_at", "-id")[0]
        newest.held_back = held.exclude(pk=newest.pk).update(state=AlertState.MERGED)
        self._mark_sent(newest)
        newest.save(update_fields=["state", "sent_at", "held_back"])
        return newest

    def _alerts_of(self, event: Event) -> Iterator[Alert]:
        for rule in self.rows:
            kind = next((kind for kind in event.kinds if kind in rule.kinds), None)
            if kind is not None and _is_about(rule, event.workflow):
                yield Alert(
                    rule=rule, kind=kind, occurrence=event.occurrence, workflow=event.workflow, facts=event.facts,
                    state=AlertState.HELD,
                )  # fmt: skip

    def _count_sent(self, pairs: set[About]) -> None:
        """Count what was sent about these lately, unless this scan has."""
        new = pairs - self._sent.keys()
        workflows = Q(workflow__in={workflow for _rule, workflow in new}) | Q(workflow=None)
        longest = max((rule.within_seconds for rule in self.rows), default=0)
        sent = Alert.objects.filter(workflows, rule__in={rule for rule, _workflow in new})
        lately = sent.filter(sent_at__gt=self.now - timedelta(seconds=longest)).filter(sent_at__gt=self.now - WITHIN)
        counts = lately.order_by().values_list("rule", "workflow").annotate(number=Count("id"))
        found = {(rule, workflow): number for rule, workflow, number in counts}
        self._sent |= {pair: found.get(pair, 0) for pair in new}

    def _may_send(self, pair: About) -> bool:
        return self._sent[pair] < self._by_pk[pair[0]].most

    def _mark_sent(self, alert: Alert) -> None:
        alert.state, alert.sent_at = AlertState.SENT, self.now
        self._sent[_about(alert)] += 1

    def _send(self, alerts: list[Alert]) -> None:
        """Put a message of each alert for each channel into the outbox."""
        for alert in alerts:
            alert.rule = self._by_pk[alert.rule_id]
        Delivery.objects.bulk_create(
            Delivery(alert=alert, channel=channel, body=body_for(channel, alert))
            for alert in alerts
            for channel in _channels(alert.rule)
        )


def _about(alert: Alert) -> About:
    return alert.rule_id, alert.workflow_id


def _channels(rule: Rule) -> list[Channel]:
    """Return the rule's active channels. One may have another owner than when it was chosen."""
    return [each for each in rule.channels.all() if each.is_active and each.owner_id == rule.owner_id]


def _without_known(alerts: list[Alert]) -> list[Alert]:
    """Return those that no earlier scan has stored, each once."""
    new = {(alert.rule_id, str(alert.kind), alert.occurrence): alert for alert in reversed(alerts)}
    stored = Alert.objects.filter(rule__in={alert.rule_id for alert in alerts}).order_by()
    occurrences = {alert.occurrence for alert in alerts}
    known = stored.filter(kind__in=AlertKind.values, occurrence__in=occurrences)
    for key in known.values_list("rule", "kind", "occurrence"):
        new.pop(key, None)
    return list(reversed(new.values()))


def _is_about(rule: Rule, workflow: Workflow | None) -> bool:
    if workflow is None:  # what is about the whole site
        return rule.workflow_id is None and rule.owner_id is None
    return rule.counts_for(workflow)


def facts_of(workflow: Workflow | None, sentence: str, address: str, **more: object) -> Facts:
    named = {"workflow_id": str(workflow.pk), "workflow_name": workflow.name} if workflow else {}
    return {**named, "sentence": sentence, "url": _site_url() + address, **more}


def _site_url() -> str:
    """Return the beginning of links without the path prefix, which their paths have."""
    return alerts_settings.SITE_URL.rstrip("/").removesuffix((settings.FORCE_SCRIPT_NAME or "").rstrip("/"))


def page(name: str, *arguments: object) -> str:
    """Return the path of a page of the admin; "" in a project that has no such page."""
    with path_prefix(), suppress(NoReverseMatch):  # scans have a thread of their own
        return reverse(f"admin:{name}", args=arguments)
    return ""


def workflows_of(pks: Iterable[UUID]) -> dict[UUID, Workflow]:
    return {row.pk: row for row in Workflow.objects.filter(pk__in=set(pks))}
