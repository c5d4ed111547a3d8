"""Pages of alerts: what is secret is shown once, and the log of messages sends again."""

import re
from typing import Any

import pytest
from django.utils import timezone

from alerts.models import Alert, Channel, Delivery, Rule
from alerts.tests.factories import email, rule_for, webhook
from executions.tests.cast import permissions
from ledgerkit.tests.clients import client_of
from workflows.models import Workflow
from workflows.tests.factories import UserFactory

pytestmark = pytest.mark.django_db
CHANNELS, RULES, DELIVERIES = (f"/admin/alerts/{name}/" for name in ("channel", "rule", "delivery"))
FORM = {"name": "hook", "kind": "webhook", "address": "https://example.com/very-secret-path", "is_active": "on"}


def deliver(workflow: Workflow, channel: Channel, body: str = '{"type": "alert.failure"}', **fields: Any) -> Delivery:
    alert = Alert.objects.create(
        rule=rule_for("failure", channel=channel), kind="failure", occurrence="a", workflow=workflow,
        facts={"sentence": "A run failed."}, state="sent",
    )  # fmt: skip
    return Delivery.objects.create(alert=alert, channel=channel, body=body, **fields)


class TestChannels:
    def test_a_made_secret_is_shown_once(self, staff: Any) -> None:
        client = client_of(staff)
        page = client.post(f"{CHANNELS}add/", FORM)
        (secret,) = set(re.findall(r"whsec_[\w+/=]+", page.content.decode()))
        assert "no-store" in page.headers["Cache-Control"]
        channel = Channel.objects.get()
        assert (channel.secret, channel.address, channel.host) == (secret, FORM["address"], "example.com")
        for address in (CHANNELS, f"{CHANNELS}{channel.pk}/change/", f"{CHANNELS}{channel.pk}/history/"):
            html = client.get(address).content.decode()
            assert secret not in html
            assert "very-secret-path" not in html
            assert channel.encrypted_address not in html

    def test_an_empty_address_and_secret_keep_the_stored_ones(self, staff: Any) -> None:
        channel = webhook()
        before = channel.address, channel.secret
        form = {"name": "renamed", "kind": "webhook", "is_active": "on"}
        assert client_of(staff).post(f"{CHANNELS}{channel.pk}/change/", form).status_code == 302
        channel.refresh_from_db()
        assert (channel.name, channel.address, channel.secret) == ("renamed", *before)

    @pytest.mark.parametrize(
        ("change", "sentence"),
        [
            ({"address": "http://127.0.0.1/"}, "This address is not public"),
            ({"address": "ftp://example.com/"}, "Expected an address such as"),
            ({"address": ""}, "A webhook needs the address"),
            ({"secret": "short"}, "Expected whsec_"),
            ({"kind": "email"}, "Expected 1 to 20 addresses."),
            ({"recipients": "a@example.org"}, "Recipients are of e-mail"),
            ({"kind": "email", "address": "", "recipients": "nobody"}, "email"),
        ],
    )
    def test_what_makes_no_sense_is_refused_with_a_sentence(
        self, staff: Any, change: dict[str, str], sentence: str
    ) -> None:
        page = client_of(staff).post(f"{CHANNELS}add/", FORM | change)
        assert page.status_code == 200
        assert sentence in page.content.decode()
        assert not Channel.objects.exists()

    def test_a_disabled_channel_is_enabled_again(self, staff: Any) -> None:
        channel = webhook()
        Channel.objects.update(is_active=False, disabled_at=timezone.now(), failing_since=timezone.now())
        form = {"name": "hook", "kind": "webhook", "is_active": "on"}
        assert client_of(staff).post(f"{CHANNELS}{channel.pk}/change/", form).status_code == 302
        channel.refresh_from_db()
        assert (channel.is_active, channel.disabled_at, channel.failing_since) == (True, None, None)

    def test_each_sees_own_channels_and_staff_with_the_permission_all(self, owner: Any, teammate: Any) -> None:
        own, site = webhook(owner=owner), webhook()
        seen = [set(Channel.objects.visible_to(user)) for user in (owner, teammate, UserFactory())]
        assert seen == [{own}, {own, site}, set()]


class TestRules:
    def test_a_rule_is_made_with_its_channels(self, staff: Any, workflow: Workflow) -> None:
        channel = webhook()
        form = {
            "name": "all failures", "kinds": ["failure", "recovery"], "sends_through": [str(channel.pk)], "most": "3",
            "within_seconds": "600", "is_active": "on",
        }  # fmt: skip
        assert client_of(staff).post(f"{RULES}add/", form).status_code == 302
        rule = Rule.objects.get()
        assert (rule.kinds, list(rule.channels.all()), rule.workflow) == (["failure", "recovery"], [channel], None)
        html = client_of(staff).get(RULES).content.decode()
        assert "all workflows" in html
        assert "failure, recovery" in html
        page = client_of(staff).get(f"{RULES}{rule.pk}/change/").content.decode()
        assert re.search(rf'value="{channel.pk}"[^>]*checked', page)

    def test_a_rule_of_the_site_does_not_send_through_a_channel_of_a_user(self, staff: Any, owner: Any) -> None:
        channel = webhook(owner=owner)
        form = {
            "name": "all", "kinds": ["failure"], "sends_through": [str(channel.pk)], "most": "3",
            "within_seconds": "600",
        }  # fmt: skip
        page = client_of(staff).post(f"{RULES}add/", form).content.decode()
        assert "These channels belong to somebody else than the rule: webhook." in page

    def test_a_rule_of_a_user_is_not_about_the_workflow_of_another(self, staff: Any, workflow: Workflow) -> None:
        stranger = UserFactory()
        form = {
            "name": "all", "kinds": ["failure"], "sends_through": [str(webhook(owner=stranger).pk)], "most": "3",
            "within_seconds": "600", "owner": str(stranger.pk), "workflow": str(workflow.pk),
        }  # fmt: skip
        page = client_of(staff).post(f"{RULES}add/", form).content.decode()
        assert "The workflow belongs to somebody else than the rule." in page


class TestTheLogOfMessages:
    def test_shows_what_was_sent_the_answer_and_the_tries(self, staff: Any, workflow: Workflow) -> None:
        delivery = deliver(workflow, webhook(), answer=503, tries=4, error="The receiver answered 503.")
        html = client_of(staff).get(DELIVERIES).content.decode()
        assert "The receiver answered 503." in html
        assert "momentum" in html
        page = client_of(staff).get(f"{DELIVERIES}{delivery.pk}/change/").content.decode()
        assert "&quot;type&quot;: &quot;alert.failure&quot;" in page
        assert str(delivery) in page

    def test_a_text_cannot_be_markup(self, staff: Any, workflow: Workflow) -> None:
        delivery = deliver(workflow, email("a@example.org"), body="<script>alert(1)</script>")
        page = client_of(staff).get(f"{DELIVERIES}{delivery.pk}/change/").content.decode()
        assert "<script>alert(1)" not in page

    def test_sends_again(self, staff: Any, workflow: Workflow) -> None:
        delivery = deliver(workflow, webhook(), state="delivered", answer=204, tries=1)
        form = {"action": "send_again", "_selected_action": str(delivery.pk), "index": "0", "select_across": "0"}
        assert client_of(staff).post(DELIVERIES, form).status_code == 302
        delivery.refresh_from_db()
        assert delivery.state == "waiting"
        assert delivery.next_try_at <= timezone.now()

    def test_who_may_only_view_does_not_send_again(self, teammate: Any, workflow: Workflow) -> None:
        delivery = deliver(workflow, webhook(), state="delivered")
        form = {"action": "send_again", "_selected_action": str(delivery.pk), "index": "0", "select_across": "0"}
        client_of(teammate).post(DELIVERIES, form)
        delivery.refresh_from_db()
        assert delivery.state == "delivered"

    def test_nobody_adds_changes_or_deletes_a_message(self, staff: Any, workflow: Workflow) -> None:
        delivery = deliver(workflow, webhook())
        client = client_of(staff)
        assert client.get(f"{DELIVERIES}add/").status_code == 403
        assert client.post(f"{DELIVERIES}{delivery.pk}/delete/").status_code == 403
        assert client.post(f"{DELIVERIES}{delivery.pk}/change/", {"body": "x"}).status_code == 403

    def test_is_empty_for_staff_without_the_permission(self, workflow: Workflow) -> None:
        user = UserFactory(is_staff=True)
        user.user_permissions.set(permissions("view_channel"))
        assert client_of(user).get(DELIVERIES).status_code == 403
