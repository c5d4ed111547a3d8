"""Messages arrive at least once with one id, signed, whatever the receiver does and when the sender dies."""

import json
import os
import subprocess
import sys
import threading
from base64 import b64decode, b64encode
from collections.abc import Iterator
from datetime import timedelta
from hashlib import sha256
from hmac import new
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.db import connection
from django.test import override_settings
from django.utils import timezone

from alerts.models import Alert, Channel, Delivery
from alerts.scan import scan
from alerts.sending import outbox
from alerts.sending.bodies import body_for
from alerts.sending.outbox import send_due
from alerts.tests.factories import email, rule_for, slack, webhook
from alerts.tests.receivers import Mailbox, Receiver, http_receiver, smtp_server
from alerts.upkeep import send_for
from alerts.webhooks import signature
from alerts.webhooks.http import CheckedConnection
from executions.tests.factories import WorkflowExecutionFactory, in_state
from workflows.models import Workflow

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def receiver(settings: Any) -> Iterator[Receiver]:
    settings.ALERTS = {"PRIVATE_ADDRESSES": True, "SEND_SECONDS": 5}
    with http_receiver() as found:
        yield found


def delivery_for(workflow: Workflow, channel: Channel) -> Delivery:
    """Return the delivery of a failure, which is due."""
    rule = rule_for("failure", channel=channel)
    facts = {
        "workflow_name": workflow.name, "sentence": "A run failed.", "error_message": "went <wrong>", "url": "/admin/",
    }  # fmt: skip
    alert = Alert.objects.create(
        rule=rule, kind="failure", occurrence="a", workflow=workflow, facts=facts, state="sent"
    )
    return Delivery.objects.create(alert=alert, channel=channel, body=body_for(channel, alert))


def make_due() -> None:
    Delivery.objects.update(next_try_at=timezone.now())


def test_a_webhook_is_signed_as_the_specification_says(workflow: Workflow, receiver: Receiver) -> None:
    channel = webhook(receiver.address)
    delivery = delivery_for(workflow, channel)
    assert send_due() == 1
    (request,) = receiver.requests
    assert request.path == "/hook?key=hidden"
    assert request.headers["content-type"] == "application/json"
    id, timestamp = request.headers["webhook-id"], request.headers["webhook-timestamp"]
    key = b64decode(channel.secret.removeprefix("whsec_"))
    expected = b64encode(new(key, f"{id}.{timestamp}.".encode() + request.body, sha256).digest()).decode()
    assert request.headers["webhook-signature"] == f"v1,{expected}"
    assert id == str(delivery)
    assert abs(int(timestamp) - timezone.now().timestamp()) < 60
    payload = json.loads(request.body)
    assert (payload["type"], payload["data"]["workflow_name"]) == ("alert.failure", "momentum")
    delivery.refresh_from_db()
    assert (delivery.state, delivery.answer, delivery.tries) == ("delivered", 204, 1)
    assert send_due() == 0


def test_the_signature_is_that_of_the_specification_s_example() -> None:
    """The example of the reference libraries of Standard Webhooks."""
    secret, body = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", b'{"test": 2432232314}'
    headers = signature.headers(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body)
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_the_log_has_a_line_for_each_try_that_failed(
    workflow: Workflow, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    delivery = delivery_for(workflow, webhook(receiver.address))
    receiver.answers = [(500, {})]
    for _ in range(2):
        make_due()
        send_due()
    assert [record.getMessage() for record in caplog.records if "delivered" in record.getMessage()] == [
        f"The message {delivery} was not delivered: 500, try 1."
    ]
    assert receiver.address not in caplog.text


def test_a_delivery_is_retried_with_growing_delays_until_it_succeeds(workflow: Workflow, receiver: Receiver) -> None:
    delivery = delivery_for(workflow, webhook(receiver.address))
    receiver.answers = [(500, {}), (302, {"Location": "http://127.0.0.1/"}), (429, {"Retry-After": "90"})]
    waits = []
    for _ in range(3):
        make_due()
        send_due()
        delivery.refresh_from_db()
        assert delivery.state == "waiting"
        waits.append((delivery.next_try_at - timezone.now()).total_seconds())
        assert send_due() == 0
    assert waits[0] < 7 < waits[1] < 26
    assert 80 < waits[2] <= 101
    assert delivery.error == "The receiver answered 429."
    make_due()
    send_due()
    delivery.refresh_from_db()
    assert (delivery.state, delivery.tries, delivery.error) == ("delivered", 4, "")
    assert len(set(receiver.ids)) == 1
    assert len({request.body for request in receiver.requests}) == 1
    assert Channel.objects.get().failing_since is None


@pytest.mark.slow
def test_a_receiver_that_hangs_holds_up_no_other_and_no_connection(workflow: Workflow, receiver: Receiver) -> None:
    """While it hangs, the sender has neither a transaction nor locks."""
    with http_receiver() as other, override_settings(ALERTS={"PRIVATE_ADDRESSES": True, "SEND_SECONDS": 1}):
        receiver.hold.clear()
        hung, sent = delivery_for(workflow, webhook(receiver.address)), delivery_for(workflow, webhook(other.address))
        send_due()
        receiver.hold.set()
    hung.refresh_from_db()
    sent.refresh_from_db()
    assert (hung.state, hung.error) == ("waiting", "No answer within 1 s.")
    assert sent.state == "delivered"


def test_the_time_counts_from_before_the_connection(receiver: Receiver) -> None:
    """The name of a receiver may be resolved slowly."""
    host, port = urlsplit(receiver.address).hostname or "", urlsplit(receiver.address).port or 0
    made = CheckedConnection(host, port, is_secure=False)
    made.cut()
    with pytest.raises(TimeoutError):
        made.connect()
    made.close()


def test_a_sender_that_is_killed_in_the_middle_loses_nothing(workflow: Workflow, receiver: Receiver) -> None:
    delivery = delivery_for(workflow, webhook(receiver.address))
    receiver.hold.clear()
    sender = subprocess.Popen([sys.executable, "-c", SENDER], env=os.environ | {"DATABASE_URL": database_url()})
    try:
        assert receiver.came.wait(60)
    finally:
        sender.kill()
        sender.wait()
    receiver.hold.set()
    delivery.refresh_from_db()
    assert (delivery.state, delivery.tries) == ("waiting", 1)
    assert send_due() == 0  # claimed, until its time is over
    make_due()
    assert send_due() == 1
    assert receiver.ids == [str(delivery)] * 2
    delivery.refresh_from_db()
    assert delivery.state == "delivered"


SENDER = """
import django
from django.conf import settings
import os
os.environ["DJANGO_SETTINGS_MODULE"] = "pastetrader.settings"
settings.ALERTS = {"PRIVATE_ADDRESSES": True, "SEND_SECONDS": 30}
django.setup()
from alerts.scan import scan
from alerts.sending.bodies import body_for
from alerts.sending.outbox import send_due
send_due()
"""


def database_url() -> str:
    found = connection.settings_dict
    return f"postgresql://{found['USER']}@/{found['NAME']}?host={connection.get_connection_params()['host']}"


def send_and_close(**of: bool) -> None:
    send_due(**of)
    connection.close()


def test_two_senders_send_it_once(workflow: Workflow, receiver: Receiver) -> None:
    for _ in range(3):
        delivery_for(workflow, webhook(receiver.address))
    threads = [threading.Thread(target=send_and_close) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(receiver.ids) == len(set(receiver.ids)) == 3


def test_a_channel_that_fails_keeps_no_other_waiting(workflow: Workflow, receiver: Receiver) -> None:
    failing = delivery_for(workflow, webhook(receiver.address))
    Channel.objects.update(failing_since=timezone.now())
    assert send_due(is_failing=False) == 0
    receiver.hold.clear()
    sender = threading.Thread(target=send_and_close, kwargs={"is_failing": True})
    sender.start()
    assert receiver.came.wait(10)
    with http_receiver() as other:
        delivery_for(workflow, webhook(other.address))
        assert send_due(is_failing=False) == 1
        assert len(other.ids) == 1
    assert sender.is_alive()
    receiver.hold.set()
    sender.join()
    failing.refresh_from_db()
    assert failing.state == "delivered"


def test_a_receiver_that_never_ends_has_failed(
    workflow: Workflow, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some servers answer a byte now and then, within the seconds of each, for ever."""
    monkeypatch.setattr(outbox, "LONGER", -9)  # a second in all
    delivery = delivery_for(workflow, webhook(receiver.address))
    receiver.hold.clear()
    assert send_due() == 1
    delivery.refresh_from_db()
    assert (delivery.state, "did not end in time" in delivery.error) == ("waiting", True)
    assert Channel.objects.exclude(failing_since=None).exists()


def test_tries_that_never_end_do_not_pile_up(
    workflow: Workflow, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of them keeps a thread and a connection to the receiver."""
    delivery, free, tries = delivery_for(workflow, webhook(receiver.address)), threading.Event(), []

    def never_end(_delivery: Delivery) -> None:
        tries.append(threading.current_thread())
        free.wait()

    for name, value in {"send": never_end, "MOST_ENDLESS": 2, "LONGER": -9.9}.items():
        monkeypatch.setattr(outbox, name, value)
    for _ in range(4):
        make_due()
        send_due()
    delivery.refresh_from_db()
    assert (len(tries), delivery.tries, delivery.error) == (2, 4, outbox.NOT_TRIED % 2)
    free.set()
    for thread in tries:
        thread.join()
    make_due()
    send_due()
    delivery.refresh_from_db()
    assert delivery.state == "delivered"


def test_upkeep_sends_through_channels_that_fail_too(workflow: Workflow, receiver: Receiver) -> None:
    for _ in range(2):
        delivery_for(workflow, webhook(receiver.address))
    Channel.objects.filter(pk=Channel.objects.values("pk")[:1]).update(failing_since=timezone.now())
    assert send_for(60) == 2


def test_a_channel_is_disabled_after_a_week_of_failures_and_the_message_given_up(
    workflow: Workflow, receiver: Receiver, staff: Any, client: Any
) -> None:
    delivery = delivery_for(workflow, webhook(receiver.address))
    receiver.answers = [(500, {})] * 2
    send_due()
    channel = Channel.objects.get()
    assert channel.is_active
    assert channel.failing_since is not None
    week = timezone.now() - timedelta(days=7, seconds=1)
    Channel.objects.update(failing_since=week)
    Delivery.objects.update(queued_at=week)
    make_due()
    send_due()
    channel.refresh_from_db()
    delivery.refresh_from_db()
    assert (channel.is_active, delivery.state) == (False, "given_up")
    client.force_login(staff)
    assert "was disabled, because nothing could be sent" in client.get("/admin/").content.decode()


def test_failures_of_a_message_that_is_gone_do_not_disable_its_channel(workflow: Workflow, receiver: Receiver) -> None:
    """Its rule was deleted, and nothing was tried since."""
    channel = webhook(receiver.address)
    receiver.answers = [(500, {})] * 5
    delivery_for(workflow, channel).alert.rule.delete()
    week = timezone.now() - timedelta(days=8)
    Channel.objects.update(failing_since=week)
    for _ in range(2):  # at once
        delivery_for(workflow, channel)
    send_due()
    channel.refresh_from_db()
    assert channel.is_active
    assert channel.failing_since is not None
    assert channel.failing_since > week
    make_due()
    send_due()  # the same messages once more
    before, channel = channel, Channel.objects.get()
    assert channel.failing_since == before.failing_since
    delivery_for(workflow, channel)  # a new one, while the others still fail
    send_due()
    assert Channel.objects.get().failing_since == before.failing_since


def test_a_new_message_does_not_begin_the_week_of_failures_anew(workflow: Workflow, receiver: Receiver) -> None:
    """It is claimed together with the message that has failed until now."""
    channel = webhook(receiver.address)
    receiver.answers = [(500, {})] * 2
    since = timezone.now() - timedelta(days=6)
    delivery_for(workflow, channel)
    Delivery.objects.update(tries=20, tried_at=since + timedelta(days=5), queued_at=since, error="No answer.")
    Channel.objects.update(failing_since=since)
    delivery_for(workflow, channel)
    assert send_due() == 2
    assert Channel.objects.get().failing_since == since


def test_an_old_message_that_is_sent_again_has_another_week(workflow: Workflow, receiver: Receiver) -> None:
    delivery = delivery_for(workflow, webhook(receiver.address))
    long_ago = timezone.now() - timedelta(days=20)
    Delivery.objects.update(created_at=long_ago, queued_at=long_ago, state="given_up")
    receiver.answers = [(500, {})]
    Delivery.objects.all().send_again()
    send_due()
    delivery.refresh_from_db()
    assert (delivery.state, delivery.answer) == ("waiting", 500)


def test_a_message_that_is_sent_again_begins_with_short_delays(workflow: Workflow, receiver: Receiver) -> None:
    delivery = delivery_for(workflow, webhook(receiver.address))
    Delivery.objects.update(state="given_up", tries=30, tried_at=timezone.now() - timedelta(hours=6))
    receiver.answers = [(500, {})]
    Delivery.objects.all().send_again()
    send_due()
    delivery.refresh_from_db()
    assert delivery.tries == 1
    assert delivery.next_try_at < timezone.now() + timedelta(seconds=10)


def test_a_message_that_is_sent_again_during_a_try_is_due(workflow: Workflow, receiver: Receiver) -> None:
    delivery = delivery_for(workflow, webhook(receiver.address))
    receiver.hold.clear()
    sender = threading.Thread(target=send_and_close)
    sender.start()
    assert receiver.came.wait(10)
    Delivery.objects.all().send_again()
    receiver.hold.set()
    sender.join()
    assert (Delivery.objects.get(pk=delivery.pk).state, send_due()) == ("waiting", 1)


def test_a_receiver_that_is_gone_disables_its_channel_at_once(workflow: Workflow, receiver: Receiver) -> None:
    delivery_for(workflow, webhook(receiver.address))
    receiver.answers = [(410, {})]
    send_due()
    assert not Channel.objects.get().is_active


def test_slack_gets_its_own_payload_without_a_signature(workflow: Workflow, receiver: Receiver) -> None:
    delivery_for(workflow, slack(receiver.address))
    send_due()
    (request,) = receiver.requests
    assert json.loads(request.body) == {"text": "*momentum: A run failed.*\nwent &lt;wrong&gt;\n/admin/"}
    assert "webhook-signature" not in request.headers


class TestMail:
    @pytest.fixture
    def mailbox(self, settings: Any) -> Iterator[Mailbox]:
        with smtp_server() as found:
            options = {"host": "127.0.0.1", "port": found.port}
            backend = "django.core.mail.backends.smtp.EmailBackend"
            settings.MAILERS = {"default": {"BACKEND": backend, "OPTIONS": options}}
            yield found

    def test_is_sent_by_django(self, workflow: Workflow, mailbox: Mailbox) -> None:
        delivery = delivery_for(workflow, email("a@example.org", "b@example.org"))
        send_due()
        (mail,) = mailbox.mails
        assert "Subject: momentum: A run failed." in mail
        assert "To: a@example.org, b@example.org" in mail
        assert f"Message-ID: <{delivery}@" in mail
        assert "went <wrong>" in mail
        delivery.refresh_from_db()
        assert delivery.state == "delivered"

    def test_is_tried_again_with_its_id(self, workflow: Workflow, mailbox: Mailbox) -> None:
        delivery = delivery_for(workflow, email("a@example.org"))
        mailbox.refusals = 1
        send_due()
        delivery.refresh_from_db()
        assert delivery.state == "waiting"
        assert "451" in delivery.error
        make_due()
        send_due()
        assert len(mailbox.mails) == 1

    def test_without_a_mailer_the_delivery_says_so(self, workflow: Workflow, settings: Any) -> None:
        settings.MAILERS = {}
        delivery = delivery_for(workflow, email("a@example.org"))
        send_due()
        delivery.refresh_from_db()
        assert (delivery.state, "MAILERS" in delivery.error) == ("waiting", True)

    def test_a_name_cannot_add_a_header(self, workflow: Workflow, mailbox: Mailbox) -> None:
        delivery = delivery_for(workflow, email("a@example.org"))
        delivery.alert.facts["workflow_name"] = "a\r\nBcc: c@example.org"
        delivery.alert.save()
        send_due()
        assert "\nBcc:" not in mailbox.mails[0]


def test_a_message_to_a_private_address_is_not_sent_without_the_setting(
    workflow: Workflow, receiver: Receiver, settings: Any
) -> None:
    """The name may have got another address since the channel was made."""
    delivery = delivery_for(workflow, webhook(receiver.address.replace("127.0.0.1", "localhost")))
    settings.ALERTS = {}
    send_due()
    delivery.refresh_from_db()
    assert "is not a public address" in delivery.error
    assert receiver.requests == []


def test_address_and_secret_are_stored_encrypted_alone() -> None:
    channel = webhook("https://hooks.example.com/path-that-is-secret")
    with connection.cursor() as cursor:
        cursor.execute("SELECT t::text FROM alert_channels AS t")
        (stored,) = cursor.fetchone()
    assert "path-that-is-secret" not in stored
    assert channel.secret not in stored
    assert "hooks.example.com" in stored


def test_a_secret_of_a_run_is_in_no_message(workflow: Workflow, receiver: Receiver) -> None:
    rule_for("failure", channel=webhook(receiver.address))
    scan()
    run = in_state(
        WorkflowExecutionFactory(workflow=workflow, context={"secrets": {"key": "sesame-open-1"}}), "running"
    )
    run.fail("refused with sesame-open-1")
    scan()
    send_due()
    (request,) = receiver.requests
    assert b"sesame-open-1" not in request.body
    assert b"refused with" in request.body
