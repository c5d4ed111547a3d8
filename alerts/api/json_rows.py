"""Rows of lists as JSON objects."""

from datetime import UTC

from alerts.models.alert import message_id
from ledgerkit.db.plain_rows import Columns

type Row = dict[str, object]

OF_RULE = ("id", "name", "kinds", "most", "within_seconds", "is_active", "version")
OF_CHANNEL = ("id", "name", "kind", "host", "recipients", "is_active", "version")
OF_DELIVERY = ("id", "rule", "workflow", "kind", "body", "state", "tries", "answer", "error")


def rule_row(rule: Columns) -> Row:
    return {name: rule[name] for name in OF_RULE} | {
        "workflow": rule["workflow_id"],
        "channels": rule["sends_through"],
        "owner": rule["owner_id"],
        **_times(rule, "created_at", "updated_at"),
    }


def channel_row(channel: Columns) -> Row:
    times = _times(channel, "failing_since", "disabled_at", "created_at", "updated_at")
    return {name: channel[name] for name in OF_CHANNEL} | {"owner": channel["owner_id"], **times}


def delivery_row(delivery: Columns) -> Row:
    return {name: delivery[name] for name in OF_DELIVERY} | {
        "message_id": message_id(delivery["id"]),
        "channel": delivery["channel_id"],
        **_times(delivery, "created_at", "tried_at", "next_try_at"),
    }


def _times(row: Columns, *names: str) -> Row:
    return {name: row[name] and row[name].astimezone(UTC) for name in names}
