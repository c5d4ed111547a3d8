"""`/metrics`, for Prometheus."""

import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError
from django.test import Client
from django.utils import timezone
from prometheus_client import REGISTRY
from prometheus_client.parser import text_string_to_metric_families

from executions.models import UpkeepRun, WorkflowExecution
from executions.tests.attention import ago
from executions.tests.factories import NodeExecutionFactory, WorkflowExecutionFactory, in_state, startable
from executions.upkeep import overdue_attempts
from ledgerkit.tests.clients import client_of
from pastetrader import env, metrics_folder, queried_metrics
from workflows.tests.factories import UserFactory

TOKEN = "a-token-of-16-characters"
EVENTS = "/api/v1/events/"


@pytest.fixture(autouse=True)
def token(settings: Any) -> str:
    settings.METRICS_TOKEN = TOKEN
    return TOKEN


def read(client: Client) -> dict[str, float]:
    response = client.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}", "Host": "10.1.2.3"})
    assert response.status_code == 200
    families = text_string_to_metric_families(response.content.decode())
    return {f"{each.name}{sorted(each.labels.values())}": each.value for family in families for each in family.samples}


@pytest.mark.parametrize(
    ("set_token", "given", "status"),
    [("", "", 404), ("", f"Bearer {TOKEN}", 404), (TOKEN, "", 401), (TOKEN, "Bearer x", 401), (TOKEN, TOKEN, 401)],
)
def test_nobody_reads_it_without_its_token(
    set_token: str, given: str, status: int, client: Client, settings: Any
) -> None:
    settings.METRICS_TOKEN = set_token
    response = client.get("/metrics", headers={"Authorization": given})
    assert (response.status_code, response.content) == (status, b"")


@pytest.mark.parametrize("value", ["short", "with a space in it", "한국어한국어한국어한국어한국어"])
def test_a_token_that_is_easily_guessed_is_refused(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("METRICS_TOKEN", value)
    with pytest.raises(ImproperlyConfigured, match=r"^METRICS_TOKEN must have 16 characters") as refused:
        env.token("METRICS_TOKEN")
    assert value not in str(refused.value)


@pytest.mark.django_db
def test_metrics_count_requests_refusals_and_facts() -> None:
    client = client_of(UserFactory(is_staff=True, is_superuser=True))
    before = read(client)
    ensure = {"kind": "workflow.ensure", "workflow": {"name": "metrics"}}
    unknown = {"kind": "execution.start", "execution": "019ad000-0000-7000-8000-000000000000"}
    answer = client.post(EVENTS, [ensure, unknown], "application/json")
    assert answer.status_code == 200, answer.content
    assert client.get("/api/v1/executions/?nonsense=1").status_code == 400
    after = read(client)
    more = {name: value - before.get(name, 0) for name, value in after.items()}
    assert answer.json()["refusals"][0]["code"] == "invalid"
    assert more["pastetrader_facts_total['applied']"] == 1
    assert more["pastetrader_facts_total['refused']"] == 1
    assert more["pastetrader_event_batch_facts_sum[]"] == 2
    assert more["pastetrader_event_batch_facts_count[]"] == 1
    assert more["pastetrader_refusals_total['invalid']"] == 2
    assert more["pastetrader_request_seconds_count['200', 'POST', 'ledger:events']"] == 1


@pytest.mark.django_db
def test_metrics_count_transitions_by_verbs_and_by_facts(client: Client) -> None:
    before = read(client)
    run = WorkflowExecutionFactory()
    run.start()
    run.fail("broken")
    run.retry()
    facts = client_of(UserFactory(is_staff=True, is_superuser=True))
    answer = facts.post(EVENTS, [{"kind": "execution.start", "id": str(run.pk)}], "application/json")
    assert answer.json()["applied"] == 1, answer.content
    after = read(client)
    counted = {
        to: after[name] - before.get(name, 0)
        for to in ("pending", "running", "failed")
        if (name := f"pastetrader_transitions_total['{to}', 'workflowexecution']") in after
    }
    assert counted == {"pending": 1, "running": 2, "failed": 1}


@pytest.mark.django_db
def test_metrics_count_attempts_ended_by_upkeep_by_their_code(
    client: Client, settings: Any, django_capture_on_commit_callbacks: Any
) -> None:
    settings.EXECUTIONS = {**settings.EXECUTIONS, "PENDING_EXPIRE_SECONDS": 3_600}
    before = read(client)
    for factory in (WorkflowExecutionFactory, NodeExecutionFactory):
        row = startable(factory())
        row.start(worker="worker-3", lease_seconds=60)
        row.leases_of_attempts().update(heartbeat_at=ago(90), expires_at=ago(30))
    timed_out = in_state(WorkflowExecutionFactory(metadata={"timeout_seconds": 60}), "running")
    WorkflowExecution.objects.filter(pk=timed_out.pk).update(started_at=ago(120))
    WorkflowExecution.objects.filter(pk=WorkflowExecutionFactory().pk).update(
        created_at=ago(7_200), updated_at=ago(7_200)
    )
    with django_capture_on_commit_callbacks(execute=True):
        overdue_attempts.end_overdue()
        overdue_attempts.expire_pending(lambda *_: None)
    name = "pastetrader_overdue_total"
    counted = {key: value - before.get(key, 0) for key, value in read(client).items() if key.startswith(name)}
    assert counted == {
        f"{name}['lease_expired', 'workflowexecution']": 1,
        f"{name}['lease_expired', 'nodeexecution']": 1,
        f"{name}['timed_out', 'workflowexecution']": 1,
        f"{name}['expired', 'workflowexecution']": 1,
    }


@pytest.mark.django_db
def test_metrics_show_active_runs_streams_and_the_age_of_upkeep(client: Client) -> None:
    for status in ("running", "pending", "pending"):
        in_state(WorkflowExecutionFactory(), status)
    UpkeepRun.objects.create(host="here", started_at=timezone.now(), ended_at=timezone.now())
    found = read(client)
    assert found["pastetrader_runs['running']"] == 1
    assert found["pastetrader_runs['pending']"] == 2
    assert found["pastetrader_streams[]"] == 0
    assert 0 <= found["pastetrader_upkeep_age_seconds[]"] < 60


@pytest.mark.django_db
def test_what_cannot_be_read_is_left_out(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> Iterator[Any]:
        raise DatabaseError("gone")
        yield

    monkeypatch.setattr(queried_metrics, "QUERIED", (fail, queried_metrics.open_streams))
    found = read(client)
    assert "pastetrader_streams[]" in found
    assert "pastetrader_runs['running']" not in found


def test_a_server_removes_the_folders_of_those_that_were_killed(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv(metrics_folder.VARIABLE, "")
    monkeypatch.setattr(metrics_folder, "MEMORY", tmp_path)
    monkeypatch.setattr(metrics_folder.atexit, "register", lambda *_: None)
    left, young = (tmp_path / f"{metrics_folder.PREFIX}{name}" for name in ("left", "young"))
    for folder in (left, young):
        folder.mkdir()
        (folder / "lock").touch()
    os.utime(left / "lock", (time.time() - 3_600,) * 2)
    metrics_folder.make_folder()
    held = Path(os.environ[metrics_folder.VARIABLE])
    os.utime(held / "lock", (time.time() - 3_600,) * 2)
    metrics_folder.make_folder()
    assert (left.exists(), young.exists(), held.exists()) == (False, True, True)


def test_every_name_and_label_is_documented() -> None:
    document = (Path(__file__).parents[2] / "docs" / "operate.md").read_text()
    names = {each.name for each in REGISTRY.collect() if each.name.startswith("pastetrader_")}
    names |= {"pastetrader_runs", "pastetrader_streams", "pastetrader_upkeep_age_seconds"}
    assert names - set(re.findall(r"pastetrader_\w+?(?=_total|`)", document)) == set()
