"""Rules, channels and messages over the API: each has their own, and what is secret is shown once."""

from typing import Any

import pytest
from django.utils import timezone

from alerts.models import Alert, Channel, Delivery, Rule
from alerts.tests.factories import email, rule_for, webhook
from executions.tests.cast import permissions
from workflows.models import Workflow
from workflows.tests.factories import UserFactory, WorkflowFactory

pytestmark = pytest.mark.django_db
RULES, CHANNELS, DELIVERIES = (f"/api/v1/alerts/{name}/" for name in ("rules", "channels", "deliveries"))
HOOK = {"name": "hook", "kind": "webhook", "address": "https://example.com/very-secret-path"}
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # the example of the specification


def post(client: Any, address: str, body: object = None, **headers: str) -> Any:
    return client.post(address, body, format="json", headers=headers)


def patch(client: Any, address: str, body: object, **headers: str) -> Any:
    return client.patch(address, body, format="json", headers=headers)


def pointers(answer: Any) -> list[str]:
    assert answer.status_code == 400, answer.content
    return [error["pointer"] for error in answer.json()["errors"]]


def deliver(workflow: Workflow, channel: Channel, **fields: Any) -> Delivery:
    rule = rule_for("failure", channel=channel, owner=channel.owner)
    alert = Alert.objects.create(rule=rule, kind="failure", occurrence="a", workflow=workflow, facts={}, state="sent")
    return Delivery.objects.create(alert=alert, channel=channel, body='{"type": "alert.failure"}', **fields)


class TestRules:
    def test_a_rule_is_made_read_changed_and_deleted(self, engine: Any, owner: Any, workflow: Workflow) -> None:
        first, second = webhook(owner=owner), webhook(owner=owner)
        body = {"name": "mine", "workflow": str(workflow.pk), "kinds": ["failure", "late"], "channels": [str(first.pk)]}
        made = post(engine, RULES, body)
        assert made.status_code == 201
        row = made.json()
        address = f"{RULES}{row['id']}/"
        assert body.items() <= row.items()
        assert (row["owner"], row["most"], row["within_seconds"], row["is_active"]) == (owner.pk, 3, 600, True)
        assert engine.get(address).json() == row
        assert engine.get(RULES).json()["results"] == [row]
        changed = patch(engine, address, {"channels": [str(second.pk)], "most": 1}).json()
        assert (changed["channels"], changed["most"], changed["version"]) == ([str(second.pk)], 1, 2)
        assert changed["kinds"] == ["failure", "late"]
        assert engine.delete(address).status_code == 204
        assert not Rule.objects.exists()

    @pytest.mark.parametrize(
        ("wrong", "pointer"),
        [
            ({"kinds": []}, "/kinds"),
            ({"kinds": ["sometimes"]}, "/kinds/0"),
            ({"channels": []}, "/channels"),
            ({"channels": ["019ab0c4-0000-7000-8000-0000000000ff"]}, "/channels/0"),
            ({"workflow": "019ab0c4-0000-7000-8000-0000000000ff"}, "/workflow"),
            ({"most": 0}, "/most"),
            ({"most": "5"}, "/most"),
            ({"within_seconds": 604_801}, "/within_seconds"),
            ({"name": ""}, "/name"),
            ({"owner": 1}, "/owner"),
        ],
    )
    def test_what_makes_no_sense_is_refused_with_its_place(
        self, engine: Any, owner: Any, wrong: dict[str, object], pointer: str
    ) -> None:
        body = {"name": "mine", "kinds": ["failure"], "channels": [str(webhook(owner=owner).pk)]}
        assert pointers(post(engine, RULES, body | wrong)) == [pointer]
        assert not Rule.objects.exists()

    def test_what_belongs_to_another_is_not_used(self, api: Any, staff: Any, owner: Any, workflow: Workflow) -> None:
        """Staff see it: the answer says whose it is. To others it does not exist."""
        body = {"name": "mine", "kinds": ["failure"], "channels": [str(webhook(owner=owner).pk)]}
        assert pointers(post(api(staff), RULES, body)) == ["/channels"]
        assert pointers(post(api(UserFactory()), RULES, body)) == ["/channels/0"]
        body = {"name": "mine", "kinds": ["failure"], "channels": [str(webhook(owner=staff).pk)]}
        assert pointers(post(api(staff), RULES, body | {"workflow": str(workflow.pk)})) == ["/workflow"]
        assert not Rule.objects.exists()

    def test_a_rule_of_the_site_needs_staff_with_the_permission(
        self, api: Any, engine: Any, owner: Any, staff: Any, teammate: Any
    ) -> None:
        body = {"name": "all", "kinds": ["upkeep_silent"], "channels": [str(webhook().pk)], "of_site": True}
        assert post(engine, RULES, body | {"channels": [str(webhook(owner=owner).pk)]}).status_code == 403
        assert post(api(teammate), RULES, body).status_code == 403
        assert not Rule.objects.exists()
        assert post(api(staff), RULES, body).json()["owner"] is None
        rule = Rule.objects.get()
        assert engine.get(f"{RULES}{rule.pk}/").status_code == 404
        assert api(teammate).get(f"{RULES}{rule.pk}/").status_code == 200
        assert patch(api(teammate), f"{RULES}{rule.pk}/", {"most": 1}).status_code == 403

    def test_staff_change_the_rule_of_another_with_the_permission(
        self, api: Any, owner: Any, teammate: Any, workflow: Workflow
    ) -> None:
        rule = rule_for("failure", owner=owner, workflow=workflow)
        teammate.user_permissions.add(*permissions("change_rule"))
        assert patch(api(teammate), f"{RULES}{rule.pk}/", {"is_active": False}).status_code == 200
        rule.refresh_from_db()
        assert (rule.is_active, rule.owner) == (False, owner)
        assert api(teammate).delete(f"{RULES}{rule.pk}/").status_code == 403

    def test_a_bound_token_has_the_rules_of_its_workflow(self, api: Any, owner: Any, workflow: Workflow) -> None:
        other, channel = WorkflowFactory(owner=owner), webhook(owner=owner)
        rules = [rule_for("failure", channel=channel, owner=owner, workflow=each) for each in (workflow, other, None)]
        bound = api(owner, bound_to=[workflow.pk])
        assert [row["id"] for row in bound.get(RULES).json()["results"]] == [str(rules[0].pk)]
        address, body = f"{RULES}{rules[0].pk}/", {"name": "x", "kinds": ["failure"], "channels": [str(channel.pk)]}
        assert pointers(patch(bound, address, {"workflow": None})) == ["/workflow"]
        assert pointers(patch(bound, address, {"workflow": str(other.pk)})) == ["/workflow"]
        assert pointers(post(bound, RULES, body)) == ["/workflow"]
        assert post(bound, RULES, body | {"workflow": str(workflow.pk)}).status_code == 201

    def test_a_change_of_an_older_version_is_refused(self, engine: Any, owner: Any) -> None:
        address = f"{RULES}{rule_for('failure', owner=owner).pk}/"
        etag = engine.get(address)["ETag"]
        assert patch(engine, address, {"most": 1}, **{"If-Match": etag}).status_code == 200
        assert patch(engine, address, {"most": 2}, **{"If-Match": etag}).status_code == 412
        assert Rule.objects.get().most == 1

    def test_the_statements_of_a_list_do_not_grow_with_it(
        self, engine: Any, owner: Any, django_assert_num_queries: Any
    ) -> None:
        for _ in range(3):
            rule_for("failure", owner=owner)
        with django_assert_num_queries(2):  # the token, the rows
            found = engine.get(f"{RULES}?page_size=2").json()
        with django_assert_num_queries(2):
            rest = engine.get(found["next"]).json()["results"]
        assert [len(found["results"]), len(rest)] == [2, 1]


class TestChannels:
    def test_a_made_secret_is_answered_once(self, engine: Any, owner: Any) -> None:
        made = post(engine, CHANNELS, HOOK)
        assert made.status_code == 201
        row, channel = made.json(), Channel.objects.get()
        assert (channel.secret, channel.address, channel.owner) == (row.pop("secret"), HOOK["address"], owner)
        assert (row["host"], row["recipients"], row["failing_since"]) == ("example.com", [], None)
        address = f"{CHANNELS}{channel.pk}/"
        one, listed, changed = engine.get(address), engine.get(CHANNELS), patch(engine, address, {"name": "renamed"})
        assert (one.json(), listed.json()["results"]) == (row, [row])
        for answer in (one, listed, changed):
            text = answer.content.decode()
            assert not [word for word in ("whsec_", "very-secret-path", "encrypted", "gAAAA") if word in text]

    def test_a_secret_of_the_caller_is_kept_and_not_answered(self, engine: Any) -> None:
        assert post(engine, CHANNELS, HOOK | {"secret": SECRET}).json()["secret"] is None
        assert Channel.objects.get().secret == SECRET

    def test_the_answer_to_a_key_is_stored_and_holds_no_secret(self, engine: Any) -> None:
        key = {"Idempotency-Key": "once"}
        assert pointers(post(engine, CHANNELS, HOOK, **key)) == ["/secret"]
        assert post(engine, CHANNELS, HOOK | {"secret": SECRET}, **{"Idempotency-Key": "twice"}).status_code == 201
        assert Channel.objects.count() == 1

    def test_each_kind_takes_its_own_fields(self, engine: Any) -> None:
        mail = {"name": "mail", "kind": "email", "recipients": ["a@example.org", "b@example.org"]}
        assert post(engine, CHANNELS, mail).json()["recipients"] == mail["recipients"]
        answer = post(engine, CHANNELS, HOOK | {"kind": "slack"}).json()
        assert (answer["host"], answer["secret"]) == ("example.com", None)

    def test_address_and_secret_are_replaced_or_kept(self, engine: Any, owner: Any) -> None:
        channel = webhook(owner=owner)
        address, before = f"{CHANNELS}{channel.pk}/", channel.secret
        assert patch(engine, address, {"address": "https://example.org/new"}).json()["host"] == "example.org"
        channel.refresh_from_db()
        assert (channel.address, channel.secret) == ("https://example.org/new", before)
        patch(engine, address, {"secret": SECRET})
        channel.refresh_from_db()
        assert (channel.address, channel.secret) == ("https://example.org/new", SECRET)

    def test_a_disabled_channel_is_enabled_again(self, engine: Any, owner: Any) -> None:
        channel = webhook(owner=owner)
        Channel.objects.update(is_active=False, disabled_at=timezone.now(), failing_since=timezone.now())
        row = patch(engine, f"{CHANNELS}{channel.pk}/", {"is_active": True}).json()
        assert (row["is_active"], row["disabled_at"], row["failing_since"]) == (True, None, None)

    @pytest.mark.parametrize(
        ("wrong", "pointer"),
        [
            ({"address": "http://127.0.0.1/"}, "/address"),
            ({"address": "ftp://example.com/"}, "/address"),
            ({"address": ""}, "/address"),
            ({"secret": "short"}, "/secret"),
            ({"kind": "pigeon"}, "/kind"),
            ({"kind": "email"}, "/recipients"),
            ({"recipients": ["a@example.org"]}, "/recipients"),
            ({"recipients": ["nobody"]}, "/recipients/0"),
            ({"host": "example.com"}, "/host"),
        ],
    )
    def test_what_makes_no_sense_is_refused_with_its_place(
        self, engine: Any, wrong: dict[str, object], pointer: str
    ) -> None:
        assert pointers(post(engine, CHANNELS, HOOK | wrong)) == [pointer]
        assert not Channel.objects.exists()

    def test_a_bound_token_has_no_channels(self, api: Any, owner: Any, workflow: Workflow) -> None:
        channel, bound = webhook(owner=owner), api(owner, bound_to=[workflow.pk])
        assert bound.get(CHANNELS).json()["results"] == []
        assert bound.get(f"{CHANNELS}{channel.pk}/").status_code == 404
        assert post(bound, CHANNELS, HOOK).status_code == 403

    def test_a_channel_of_the_site_needs_staff_with_the_permission(self, api: Any, engine: Any, staff: Any) -> None:
        assert post(engine, CHANNELS, HOOK | {"of_site": True}).status_code == 403
        assert post(api(staff), CHANNELS, HOOK | {"of_site": True}).json()["owner"] is None
        assert engine.get(CHANNELS).json()["results"] == []


class TestTheLogOfMessages:
    def test_shows_text_state_and_tries(self, engine: Any, owner: Any, workflow: Workflow) -> None:
        sent = deliver(workflow, webhook(owner=owner), answer=503, tries=4, error="The receiver answered 503.")
        deliver(workflow, webhook())  # of the site
        (row,) = engine.get(DELIVERIES).json()["results"]
        assert (row["id"], row["message_id"], row["body"]) == (str(sent.pk), str(sent), sent.body)
        assert (row["state"], row["tries"], row["answer"]) == ("waiting", 4, 503)
        assert (row["rule"], row["channel"]) == (str(sent.alert.rule_id), str(sent.channel_id))
        assert (row["workflow"], row["kind"]) == (str(workflow.pk), "failure")

    def test_is_filtered_by_channel_state_and_rule(self, engine: Any, owner: Any, workflow: Workflow) -> None:
        rows = [
            deliver(workflow, channel, state=state)
            for channel, state in ((webhook(owner=owner), "delivered"), (webhook(owner=owner), "given_up"))
        ]
        for query in (
            f"channel={rows[1].channel_id}",
            "state=given_up&state=given_up",
            f"rule={rows[1].alert.rule_id}",
        ):
            found = engine.get(f"{DELIVERIES}?{query}").json()["results"]
            assert [row["id"] for row in found] == [str(rows[1].pk)], query
        assert len(engine.get(f"{DELIVERIES}?state=given_up,delivered").json()["results"]) == 2
        assert pointers(engine.get(f"{DELIVERIES}?state=lost")) == ["?state"]
        assert pointers(engine.get(f"{DELIVERIES}?status=waiting")) == ["?status"]

    def test_sends_again(self, engine: Any, owner: Any, workflow: Workflow) -> None:
        row = deliver(workflow, webhook(owner=owner), state="delivered", answer=204, tries=1)
        answer = post(engine, f"{DELIVERIES}{row.pk}/send-again/")
        assert (answer.status_code, answer.json()["state"], answer.json()["message_id"]) == (200, "waiting", str(row))
        assert engine.get(DELIVERIES).json()["results"] == [answer.json()]
        row.refresh_from_db()
        assert (row.state, row.next_try_at <= timezone.now()) == ("waiting", True)

    def test_who_may_only_view_does_not_send_again(self, api: Any, teammate: Any, workflow: Workflow) -> None:
        row = deliver(workflow, email("a@example.org"), state="delivered")
        assert post(api(teammate), f"{DELIVERIES}{row.pk}/send-again/").status_code == 403
        assert Delivery.objects.get().state == "delivered"

    def test_a_bound_token_has_the_messages_about_its_workflow(self, api: Any, owner: Any, workflow: Workflow) -> None:
        here, there = (deliver(each, webhook(owner=owner)) for each in (workflow, WorkflowFactory(owner=owner)))
        bound = api(owner, bound_to=[workflow.pk])
        assert [row["id"] for row in bound.get(DELIVERIES).json()["results"]] == [str(here.pk)]
        assert post(bound, f"{DELIVERIES}{there.pk}/send-again/").status_code == 404
        assert post(bound, f"{DELIVERIES}{here.pk}/send-again/", {"more": 1}).status_code == 400
