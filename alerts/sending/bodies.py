"""Texts of messages, made of the facts of an alert: JSON for webhooks and Slack, text for e-mail.

Texts of a run are those of the ledger, in which its secrets are masked. They are in the language of the server.
"""

import json
from collections.abc import Callable

from django.utils.html import escape
from django.utils.translation import ngettext

from alerts.models import Alert, Channel, ChannelKind

type Facts = dict[str, object]


def body_for(channel: Channel, alert: Alert) -> str:
    return BODIES[ChannelKind(channel.kind)](alert)


def webhook_body(alert: Alert) -> str:
    """Return the payload of the Standard Webhooks specification."""
    event = {"type": f"alert.{alert.kind}", "timestamp": alert.created_at.isoformat(), "data": _data(alert)}
    return json.dumps(event, ensure_ascii=False)


def slack_body(alert: Alert) -> str:
    """Return a message of Slack's incoming webhooks, which escape three characters as HTML does."""
    lines = [f"*{escape(subject(alert))}*", *map(escape, _lines(alert))]
    return json.dumps({"text": "\n".join(lines)}, ensure_ascii=False)


def mail_body(alert: Alert) -> str:
    return "\n\n".join([subject(alert), *_lines(alert)])


BODIES: dict[ChannelKind, Callable[[Alert], str]] = {
    ChannelKind.WEBHOOK: webhook_body,
    ChannelKind.SLACK: slack_body,
    ChannelKind.EMAIL: mail_body,
}


def subject(alert: Alert) -> str:
    """Return one line: the name of the workflow and what happened."""
    name = " ".join(str(alert.facts.get("workflow_name", "")).split())
    sentence = str(alert.facts["sentence"])
    return f"{name}: {sentence}" if name else sentence


def _lines(alert: Alert) -> list[str]:
    """Return the error, the link and the number of alerts that were held back."""
    facts = alert.facts
    return [str(line) for line in (facts.get("error_message"), facts.get("url"), _held(alert.held_back)) if line]


def _held(number: int) -> str:
    if not number:
        return ""
    sentence = ngettext(
        "%(number)d earlier alert of this rule was held back.",
        "%(number)d earlier alerts of this rule were held back.",
        number,
    )
    return sentence % {"number": number}


def _data(alert: Alert) -> Facts:
    rule = {"id": str(alert.rule_id), "name": alert.rule.name}
    facts: Facts = alert.facts
    return {"alert_id": str(alert.pk), "kind": alert.kind, "rule": rule, "held_back": alert.held_back} | facts
