"""Alerts of rules: what a rule finds is stored once, sent or held back."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.urls import NoReverseMatch, reverse
from django.utils.translation import override

from alerts.conf import alerts_settings
from alerts.metrics import ALERTS
from alerts.models import Alert, AlertKind, AlertState, Delivery, Rule
from alerts.sending.bodies import body_for
from workflows.models import Workflow

type Facts = dict[str, object]


@dataclass(frozen=True)
class Event:
    """Something that rules may be about. `kinds` are those that it has, the most exact first: a rule with several of
    them gets one alert. `occurrence` is the same each time that it is found."""

    kinds: tuple[AlertKind, ...]
    occurrence: str
    workflow: Workflow | None
    facts: Facts


class Rules:
    """The active rules, read once for a scan."""

    def __init__(self, now: datetime) -> None:
        self.now = now
        self.rows = list(Rule.objects.filter(is_active=True).select_related("workflow").prefetch_related("channels"))

    def are_about(self, kind: AlertKind) -> bool:
        return any(kind in rule.kinds for rule in self.rows)

    def tell(self, event: Event) -> None:
        """Store an alert of each rule that is about the event, unless it has one."""
        for rule in self.rows:
            kind = next((kind for kind in event.kinds if kind in rule.kinds), None)
            if kind is not None and _is_about(rule, event.workflow):
                self._store(rule, kind, event)

    def release_held(self) -> None:
        """Send the newest of the alerts that were held back, for each rule and workflow that may send again."""
        held = Alert.objects.filter(state=AlertState.HELD)
        for pair in held.order_by().values("rule", "workflow").distinct():
            rule = next((rule for rule in self.rows if rule.pk == pair["rule"]), None)
            rows = held.filter(**pair) if pair["workflow"] else held.filter(rule=pair["rule"], workflow=None)
            if rule is None:
                rows.update(state=AlertState.MERGED)
            elif self._may_send(rule, pair["workflow"]):
                self._send_newest(rule, list(rows.order_by("-created_at", "-id")))

    def _send_newest(self, rule: Rule, held: list[Alert]) -> None:
        newest, *others = held
        Alert.objects.filter(pk__in=[alert.pk for alert in others]).update(state=AlertState.MERGED)
        newest.held_back = len(others)
        self._send(rule, newest)

    def _store(self, rule: Rule, kind: AlertKind, event: Event) -> None:
        values = {"workflow": event.workflow, "facts": event.facts, "state": AlertState.HELD}
        alert, is_new = Alert.objects.get_or_create(rule=rule, kind=kind, occurrence=event.occurrence, defaults=values)
        if is_new:
            ALERTS.labels(str(kind)).inc()
            if self._may_send(rule, event.workflow.pk if event.workflow else None):
                self._send(rule, alert)

    def _may_send(self, rule: Rule, workflow: UUID | None) -> bool:
        since = self.now - timedelta(seconds=rule.within_seconds)
        sent = Alert.objects.filter(rule=rule, workflow=workflow, sent_at__gt=since)
        return sent[: rule.most].count() < rule.most

    def _send(self, rule: Rule, alert: Alert) -> None:
        """Put a message for each channel into the outbox."""
        alert.rule, alert.state, alert.sent_at = rule, AlertState.SENT, self.now
        alert.save(update_fields=["state", "sent_at", "held_back"])
        # A channel may have another owner than when it was chosen.
        channels = [each for each in rule.channels.all() if each.is_active and each.owner_id == rule.owner_id]
        Delivery.objects.bulk_create(
            Delivery(alert=alert, channel=channel, body=body_for(channel, alert)) for channel in channels
        )


def _is_about(rule: Rule, workflow: Workflow | None) -> bool:
    if workflow is None:  # what is about the whole site
        return rule.workflow_id is None and rule.owner_id is None
    return rule.counts_for(workflow)


def facts_of(workflow: Workflow | None, sentence: str, address: str, **more: object) -> Facts:
    named = {"workflow_id": str(workflow.pk), "workflow_name": workflow.name} if workflow else {}
    return {**named, "sentence": sentence, "url": alerts_settings.SITE_URL.rstrip("/") + address, **more}


def page(name: str, *arguments: object) -> str:
    """Return the path of a page of the admin; "" in a project that has no such page."""
    try:
        with override(settings.LANGUAGE_CODE):
            return reverse(f"admin:{name}", args=arguments)
    except NoReverseMatch:
        return ""


def workflows_of(pks: Iterable[UUID]) -> dict[UUID, Workflow]:
    return {row.pk: row for row in Workflow.objects.filter(pk__in=set(pks))}
