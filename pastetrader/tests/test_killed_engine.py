"""An engine is killed: its run fails when its lease is over, the monitor says so, a signed webhook arrives, and the
next run in the queue starts."""

import hmac
import os
import subprocess
import sys
from base64 import b64decode, b64encode
from collections.abc import Iterator
from hashlib import sha256

import httpx
import pytest

from alerts.tests.receivers import Receiver, Request, http_receiver
from pastetrader.tests.live_server import ALL_SCOPES, ROOT, Serve, Site
from pastetrader.tests.prepared_folder import manage
from pastetrader_client.tests.waiting import wait_until

LEASE = 6  # seconds
MINUTE = 60  # seconds, in which all of it has to happen after the end of the lease
ENGINE = """
import os, time
from pastetrader_client import Client
client = Client(os.environ["URL"], os.environ["TOKEN"], spool=False, lease_seconds=int(os.environ["LEASE"]))
with client.run(workflow="nightly", concurrent=False) as run, run.node("load") as node:
    node.info("the engine is at work")
    client.flush()
    print(run.id, flush=True)
    time.sleep(600)
"""
KEYS = """
from django.core.management import call_command
from alerts.models import Channel, Rule
from alerts.webhooks.signature import make_secret
call_command("create_token", "admin", *{scopes!r})
secret = make_secret()
channel = Channel(name="pager", kind="webhook")
channel.set_address({address!r})
channel.set_secret(secret)
channel.save()
rule = Rule.objects.create(name="failures", kinds=["failure"])
rule.channels.add(channel)
print(secret)
"""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with http_receiver() as made:
        yield made


@pytest.fixture
def site(serve: Serve, ready: None, monkeypatch: pytest.MonkeyPatch) -> Site:
    monkeypatch.setenv("ALERTS_PRIVATE_ADDRESSES", "1")
    return serve("--superuser")


@pytest.fixture
def keys(site: Site, receiver: Receiver) -> list[str]:
    """Return a token of the API, and the secret of a channel to the receiver, which gets all failures."""
    made = KEYS.format(scopes=ALL_SCOPES, address=receiver.address)
    return manage("shell", "--no-imports", "-c", made, local=site.local).stdout.split()


@pytest.fixture
def api(site: Site, keys: list[str]) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Token {keys[0]}"}
    with httpx.Client(base_url=f"{site.address}/api/v1/", headers=headers, timeout=30) as client:
        yield client


@pytest.fixture
def engine(site: Site, keys: list[str]) -> Iterator[subprocess.Popen[str]]:
    environment = os.environ | {"URL": site.address, "TOKEN": keys[0], "LEASE": str(LEASE)}
    process = subprocess.Popen(
        [sys.executable, "-c", ENGINE], cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
    )
    yield process
    process.kill()
    process.communicate()


@pytest.mark.slow
def test_its_run_fails_people_are_told_and_the_next_one_starts(
    site: Site, keys: list[str], api: httpx.Client, engine: subprocess.Popen[str], receiver: Receiver
) -> None:
    assert engine.stdout is not None
    run = engine.stdout.readline().strip()
    new = {"workflow": api.get(f"executions/{run}/").json()["workflow"], "trigger_type": "schedule", "queue": True}
    queued = api.post("executions/", json=new).json()["id"]
    assert api.post(f"executions/{queued}/start/").json()["code"] == "queued"

    engine.kill()
    wait_until(lambda: api.get(f"executions/{run}/").json()["status"] == "failed", seconds=LEASE + MINUTE)
    failed = api.get(f"executions/{run}/").json()
    assert failed["error_code"] == "lease_expired"
    assert api.post(f"executions/{queued}/start/").json()["status"] == "running"
    wait_until(lambda: receiver.requests, seconds=MINUTE)
    _check_message(receiver.requests[0], keys[1], run)
    assert "expired: no heartbeat for" in failed["error_message"]
    monitor = _monitor(site)  # which names the group of errors, without numbers
    assert 0 < monitor.find("expired: no heartbeat for #") < monitor.index("Running, the longest first")


def _check_message(request: Request, secret: str, run: str) -> None:
    """Check the signature as a receiver does, by the Standard Webhooks specification."""
    signed = f"{request.headers['webhook-id']}.{request.headers['webhook-timestamp']}.".encode() + request.body
    digest = hmac.new(b64decode(secret.removeprefix("whsec_")), signed, sha256).digest()
    assert request.headers["webhook-signature"] == f"v1,{b64encode(digest).decode()}"
    assert run in request.body.decode()


def _monitor(site: Site) -> str:
    """Return the page of the monitor as staff see it."""
    password = site.output.partition("password ")[2].split()[0]
    with httpx.Client(base_url=site.address, timeout=30, follow_redirects=True) as person:
        person.get("/admin/login/")
        form = {"username": "admin", "password": password, "csrfmiddlewaretoken": person.cookies["csrftoken"]}
        return person.post("/admin/login/?next=/admin/", data=form).text
