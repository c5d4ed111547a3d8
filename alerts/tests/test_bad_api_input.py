"""Malformed bodies and queries at the addresses of alerts: never a 500, and a refusal stores nothing.

In the suite each value meets one field of each body; `make proofs` sends every value to every field.
"""

import json
from typing import Any

import pytest
from django.db.models import Sum

from alerts.models import Alert, Channel, Delivery, Expectation, Rule
from alerts.tests.factories import rule_for, webhook
from executions.tests.bad_input.inputs import BODIES, QUERIES, VALUES
from executions.tests.bad_input.sender import Sender
from pastetrader.tests.proofs import LONG
from workflows.models import Workflow

pytestmark = [pytest.mark.django_db, pytest.mark.slow]
RULE = {
    "name": "mine", "workflow": "{workflow}", "kinds": ["failure"], "channels": ["{channel}"], "most": 3,
    "within_seconds": 600, "is_active": True,
}  # fmt: skip
CHANNEL = {
    "name": "hook", "kind": "webhook", "address": "https://example.com/hook",
    "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "recipients": [], "is_active": True,
}  # fmt: skip
NEW = {"of_site": False}
MAIL = {"name": "mail", "kind": "email", "recipients": ["a@example.org"]}
STARTS_BY = {"kind": "starts_by", "time": "09:10", "time_zone": "Asia/Seoul", "days": "weekdays", "is_active": True}
EVERY = {"kind": "success_every", "seconds": 3_600}
# Name, method, address and body; of expectations the body is one entry of their list.
PLACES: dict[str, tuple[str, str, dict[str, object]]] = {
    "rule": ("POST", "alerts/rules/", RULE | NEW),
    "change of a rule": ("PATCH", "alerts/rules/{rule}/", RULE),
    "channel": ("POST", "alerts/channels/", CHANNEL | NEW),
    "channel of mail": ("POST", "alerts/channels/", MAIL),
    "change of a channel": ("PATCH", "alerts/channels/{channel}/", CHANNEL),
    "start": ("PUT", "workflows/{workflow}/expectations/", STARTS_BY),
    "success": ("PUT", "workflows/{workflow}/expectations/", EVERY),
}
SEND_AGAIN = ("POST", "alerts/deliveries/{delivery}/send-again/")


class Alerts(Sender):
    """Sender to the addresses of alerts."""

    def __init__(self, client: Any, workflow: Workflow, owner: Any) -> None:
        self.owner, self.channel = owner, (channel := webhook(owner=owner))
        rule = rule_for("failure", channel=channel, owner=owner)
        alert = Alert.objects.create(
            rule=rule, kind="failure", occurrence="a", workflow=workflow, facts={}, state="sent"
        )
        delivery = Delivery.objects.create(alert=alert, channel=channel, body="{}")
        rows = {"workflow": workflow, "rule": rule, "channel": channel, "delivery": delivery}
        super().__init__(client, {name: str(row.pk) for name, row in rows.items()})

    def renew_rule(self) -> None:
        """Have a rule again after that of before was deleted."""
        self.ids["rule"] = str(rule_for("failure", channel=self.channel, owner=self.owner).pk)
        self.held = self.holds()

    def holds(self) -> list[object]:
        versions = [model.objects.aggregate(sum=Sum("version")) for model in (Rule, Channel, Expectation)]
        return [*versions, *Delivery.objects.values_list("pk", "state", "queued_at")]

    def send(self, method: str, path: str, body: str | bytes) -> int:
        status = super().send(method, path, body)
        is_read = method == "GET" or status != 404  # a body for a row that is gone is not read
        assert is_read, (method, path, body[:200], self.answer.content[:500])
        return status


@pytest.fixture
def alerts(engine: Any, owner: Any, workflow: Workflow) -> Alerts:
    return Alerts(engine, workflow, owner)


def body_with(place: str, field: str, value: str) -> bytes:
    """Return the body of a place with the text of a JSON value in one field."""
    method, _path, good = PLACES[place]
    rest = json.dumps({name: known for name, known in good.items() if name != field})
    row = f"{rest[:-1]}, {json.dumps(field)}: {value}}}"
    text = f'{{"expectations": [{row}]}}' if method == "PUT" else row
    return text.encode("utf-8", "surrogatepass")


@pytest.mark.parametrize("place", PLACES)
def test_each_value_in_each_field(alerts: Alerts, place: str) -> None:
    method, path, good = PLACES[place]
    for number, value in enumerate(VALUES.values()):
        for field in good if LONG else [list(good)[number % len(good)]]:
            alerts.send(method, path, body_with(place, field, value))


@pytest.mark.parametrize("place", PLACES)
def test_the_bodies_are_accepted_as_they_are(alerts: Alerts, place: str) -> None:
    """Show that the tests above do not pass by a refusal of the whole body."""
    method, path, good = PLACES[place]
    field, value = next(iter(good.items()))
    assert alerts.send(method, path, body_with(place, field, json.dumps(value))) in (200, 201)


def test_bodies_that_are_something_else(alerts: Alerts) -> None:
    places = [(method, path) for method, path, _good in PLACES.values()] + [SEND_AGAIN]
    for number, body in enumerate(BODIES.values()):
        for method, path in places if LONG else [places[number % len(places)], SEND_AGAIN]:
            alerts.send(method, path, body)


def test_deletions_with_a_body(alerts: Alerts) -> None:
    for body in BODIES.values():
        alerts.send("DELETE", "alerts/rules/{rule}/", body)
        alerts.renew_rule()


@pytest.mark.parametrize("path", ["alerts/rules/", "alerts/channels/", "alerts/deliveries/"])
def test_queries(alerts: Alerts, path: str) -> None:
    fields = ("channel", "rule", "state", "cursor", "page_size", "q")
    for number, query in enumerate(QUERIES.values()):
        alerts.send("GET", f"{path}?{query}", b"")
        value = query.partition("=")[2]
        alerts.send("GET", f"{path}?{fields[number % len(fields)]}={value}", b"")
