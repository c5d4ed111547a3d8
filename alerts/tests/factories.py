"""Expectations, channels and rules for tests."""

from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from alerts.models import Channel, Expectation, Rule
from alerts.webhooks.signature import make_secret
from workflows.models import Workflow

LONG_AGO = timedelta(days=60)


def expect(workflow: Workflow, kind: str, **fields: Any) -> Expectation:
    """Return an expectation that was made long ago."""
    row = Expectation.objects.create(workflow=workflow, kind=kind, **fields)
    return made_at(row, timezone.now() - LONG_AGO)


def made_at(row: Expectation, moment: datetime) -> Expectation:
    Expectation.objects.filter(pk=row.pk).update(updated_at=moment)
    return Expectation.objects.get(pk=row.pk)


def webhook(address: str = "https://hooks.example.com/hook", **fields: Any) -> Channel:
    channel = Channel(name="webhook", kind="webhook", **fields)
    channel.set_address(address)
    channel.set_secret(make_secret())
    channel.save()
    return channel


def slack(address: str) -> Channel:
    channel = Channel(name="slack", kind="slack")
    channel.set_address(address)
    channel.save()
    return channel


def email(*recipients: str) -> Channel:
    return Channel.objects.create(name="mail", kind="email", recipients=list(recipients))


def rule_for(*kinds: str, channel: Channel | None = None, **fields: Any) -> Rule:
    """Return a rule with a channel of its own, unless one is given."""
    rule = Rule.objects.create(name="rule", kinds=list(kinds), **fields)
    rule.channels.add(channel or webhook(owner=rule.owner))
    return rule
