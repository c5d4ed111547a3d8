"""Bad texts in each field of the forms of alerts: an error beside the field, or stored and shown inertly."""

from typing import Any
from urllib.parse import urlencode

import pytest
from django.test import Client

from alerts.tests.factories import expect, rule_for, webhook
from executions.tests.bad_input.test_admin_forms import SOME, check, encoded, post
from ledgerkit.tests.clients import client_of
from pastetrader.tests.proofs import LONG
from workflows.models import Workflow

pytestmark = pytest.mark.django_db
PAGES = "/admin/alerts/"
FORMS: dict[str, dict[str, str]] = {
    "channel": {
        "name": "n", "owner": "", "kind": "webhook", "address": "https://example.com/hook", "secret": "",
        "recipients": "", "is_active": "on",
    },
    "rule": {
        "name": "n", "owner": "", "workflow": "", "kinds": "failure", "sends_through": "", "most": "3",
        "within_seconds": "60", "is_active": "on",
    },
    "expectation": {
        "workflow": "", "kind": "starts_by", "seconds": "", "time": "09:10", "time_zone": "Asia/Seoul",
        "days": "weekdays", "is_active": "on",
    },
}  # fmt: skip


@pytest.fixture
def client(staff: Any) -> Client:
    made: Client = client_of(staff)
    made.raise_request_exception = False
    return made


@pytest.mark.parametrize("name", ["rule", "expectation"])
def test_a_workflow_that_is_no_id_is_an_error_beside_its_field(client: Client, workflow: Workflow, name: str) -> None:
    row = rule_for("failure") if name == "rule" else expect(workflow, "ends_within", seconds=60)
    for address in (f"{PAGES}{name}/add/", f"{PAGES}{name}/{row.pk}/change/"):
        page = client.post(address, FORMS[name] | {"workflow": "x"})
        assert page.status_code == 200
        assert "workflow" in page.context["adminform"].form.errors
    assert client.get(f"{PAGES}{name}/add/?workflow=x").status_code == 200


@pytest.mark.slow
@pytest.mark.parametrize("name", FORMS)
def test_each_field_of_the_forms(client: Client, workflow: Workflow, name: str) -> None:
    channel = webhook()
    good = FORMS[name] | ({"workflow": str(workflow.pk)} if name == "expectation" else {})
    good |= {"sends_through": str(channel.pk)} if name == "rule" else {}
    fields = list(good)
    for number, (text_name, text) in enumerate(SOME):
        for field in fields if LONG else [fields[number % len(fields)]]:
            check(post(client, f"{PAGES}{name}/add/", good | {field: text}, follow=True), field, text_name)
            query = urlencode({field: encoded(text[:2000])})
            check(client.get(f"{PAGES}{name}/add/?{query}"), field, text_name)
    check(client.get(f"{PAGES}{name}/"), name)


@pytest.mark.slow
@pytest.mark.parametrize("name", [*FORMS, "delivery"])
def test_filters_of_the_lists(client: Client, name: str) -> None:
    fields = ("q", "active", "missed", "kind", "state", "workflow", "p", "o", "e", "workflow__id__exact", "_popup")
    for number, (text_name, text) in enumerate(SOME):
        query = urlencode({fields[number % len(fields)]: encoded(text[:2000])})
        check(client.get(f"{PAGES}{name}/?{query}", follow=True), text_name)
