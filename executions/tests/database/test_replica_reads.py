"""Requests with a replica: what each of them reads there, and what it does not."""

import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest import mock

import pytest
from django.apps import apps
from django.core.exceptions import MiddlewareNotUsed
from django.db import OperationalError, connection, connections
from django.http import HttpResponse
from django.test import Client

from executions.models import WorkflowExecution
from executions.tests import outputs
from executions.tests.api.fixtures import World
from executions.tests.factories import WorkflowExecutionFactory
from ledgerkit.db import last_writes
from ledgerkit.db.read_database import read_alias
from ledgerkit.db.replica_watch import Place, watch
from ledgerkit.models import LastWrite
from ledgerkit.replica_middleware import ReplicaMiddleware
from workflows.models import Workflow

pytestmark = pytest.mark.django_db(transaction=True)
RUNS = "/api/v1/executions/"
ALIAS = "replica"
ELSEWHERE = re.compile("stream|/delete/")
ONLY_THERE = re.compile(r"pg_current_snapshot\(\)|pg_locks")  # the start of a stream, and whether upkeep is running
OF_THE_LEDGER = ("alerts", "executions", "workflows")


class Statements:
    """The statements of one connection, which is cut beneath the first one that reads if `is_cut` says so."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.is_cut = False

    def __call__(self, execute: Any, sql: Any, params: Any, many: bool, context: Any) -> Any:
        self.texts.append(str(sql))
        if self.is_cut:
            self.is_cut = False
            with connection.cursor() as cursor:
                cursor.execute(
                    "SELECT pg_terminate_backend(%s, 5000)", [context["connection"].connection.info.backend_pid]
                )
        return execute(sql, params, many, context)

    def on(self, model: Any) -> list[str]:
        return [text for text in self.texts if f'"{model._meta.db_table}"' in text]


@pytest.fixture
def replica(settings: Any, monkeypatch: Any) -> Iterator[Any]:
    """The same database as a replica that has every row."""
    options = {name: value for name, value in connection.settings_dict["OPTIONS"].items() if name != "pool"}
    connections.settings[ALIAS] = connection.settings_dict | {"OPTIONS": options}
    settings.DATABASE_ROUTERS = ["executions.database_router.ReplicaRouter"]
    settings.LEDGERKIT = settings.LEDGERKIT | {"REPLICA": ALIAS}
    place = Place(time.monotonic(), 1, datetime.now(UTC) + timedelta(days=1), "3:3:", 0)
    monkeypatch.setattr(watch, "reached_place", lambda: place)
    monkeypatch.setattr(watch, "_is_read", True)
    monkeypatch.setattr(last_writes, "_noted", {})
    connections[ALIAS].connect()  # here, as Django's tests refuse to connect to what they do not know within a request
    yield connections[ALIAS]
    connections[ALIAS].close()
    del connections[ALIAS], connections.settings[ALIAS]


@pytest.fixture
def primary_reads() -> Iterator[Statements]:
    with connection.execute_wrapper(statements := Statements()):
        yield statements


@pytest.fixture
def replica_reads(replica: Any) -> Iterator[Statements]:
    with replica.execute_wrapper(statements := Statements()):
        yield statements


def test_without_a_replica_its_middleware_is_left_out() -> None:
    with pytest.raises(MiddlewareNotUsed):
        ReplicaMiddleware(lambda _request: HttpResponse())


@pytest.mark.slow
@pytest.mark.usefixtures("replica")
def test_every_page_and_list_reads_the_ledger_from_the_replica_alone(
    primary_reads: Statements, replica_reads: Statements
) -> None:
    """Streams and downloads, which go on after the request, and confirmations of deletions read the primary."""
    world = World()
    user = world.users["superuser"]
    client = Client()
    client.force_login(user)
    tables = {model._meta.db_table for app in OF_THE_LEDGER for model in apps.get_app_config(app).get_models()}
    addresses = [url for url in (*outputs._admin_urls(), *outputs._api_urls()) if not ELSEWHERE.search(url)]
    assert len(addresses) > 100
    primary_reads.texts.clear()
    for address, answer in outputs.visit(client, addresses):
        if answer.status_code < 400:  # what is not found is looked for on the primary too
            read = [text for text in primary_reads.texts if any(re.search(rf"\b{table}\b", text) for table in tables)]
            assert [text for text in read if not ONLY_THERE.search(text)] == [], address
        primary_reads.texts.clear()
    assert replica_reads.on(WorkflowExecution)


def test_who_has_written_reads_the_primary_until_the_replica_has_it(
    api: Any, owner: Any, workflow: Workflow, replica_reads: Statements, monkeypatch: Any
) -> None:
    client, other = api(owner), api(owner)
    made = client.post(RUNS, {"workflow": str(workflow.pk), "trigger_type": "manual"}, format="json")
    assert made.status_code == 201
    behind = watch.reached_place()
    assert behind is not None
    monkeypatch.setattr(watch, "reached_place", lambda: behind._replace(time=datetime.now(UTC)))
    assert client.get(RUNS).status_code == 200
    assert replica_reads.texts == []
    assert other.get(RUNS).status_code == 200
    assert len(replica_reads.on(WorkflowExecution)) == 1
    replica_reads.texts.clear()
    monkeypatch.setattr(watch, "reached_place", lambda: behind)
    assert client.get(RUNS).status_code == 200
    assert len(replica_reads.on(WorkflowExecution)) == 1


def test_a_write_reads_and_writes_the_primary_alone(
    api: Any, owner: Any, workflow: Workflow, replica_reads: Statements
) -> None:
    run = WorkflowExecutionFactory(workflow=workflow)
    assert api(owner).post(f"{RUNS}{run.pk}/start/").status_code == 200
    assert replica_reads.texts == []


@pytest.mark.usefixtures("replica")
def test_writes_of_one_second_are_noted_once(
    api: Any, owner: Any, workflow: Workflow, primary_reads: Statements
) -> None:
    run, client = WorkflowExecutionFactory(workflow=workflow), api(owner)
    for verb in ("start", "complete", "start"):
        client.post(f"{RUNS}{run.pk}/{verb}/")
    assert len([text for text in primary_reads.texts if "last_writes" in text]) == 1
    assert LastWrite.objects.count() == 1


@pytest.mark.usefixtures("replica")
def test_a_client_that_asks_for_fresh_rows_reads_the_primary(api: Any, owner: Any, replica_reads: Statements) -> None:
    assert api(owner).get(RUNS, headers={"Cache-Control": "no-cache"}).status_code == 200
    assert replica_reads.texts == []


@pytest.mark.parametrize(
    "address", ["/api/v1/executions/{}/stream/?wait=0", "/admin/executions/workflowexecution/{}/stream/?wait=0"]
)
def test_a_stream_reads_the_primary_alone(
    address: str, staff: Any, workflow: Workflow, replica_reads: Statements
) -> None:
    client = Client()
    client.force_login(staff)
    response = client.get(address.format(WorkflowExecutionFactory(workflow=workflow).pk))
    assert response.status_code == 200
    response.close()
    assert replica_reads.texts == []


@pytest.mark.parametrize("address", [RUNS, "/admin/", "/admin/executions/workflowexecution/"])
def test_a_request_beneath_which_the_replica_fails_is_answered_by_the_primary(
    address: str, staff: Any, replica_reads: Statements, primary_reads: Statements, caplog: Any
) -> None:
    client = Client()
    client.force_login(staff)
    replica_reads.is_cut = True
    primary_reads.texts.clear()
    assert client.get(address).status_code == 200
    assert primary_reads.on(WorkflowExecution)
    [record] = caplog.records
    assert record.getMessage().startswith("The primary is read, as the replica cannot be: terminating connection")


@pytest.mark.parametrize("address", ["/admin/", "/admin/executions/workflowexecution/"])
def test_a_page_whose_transaction_the_replica_does_not_commit_is_answered_by_the_primary(
    address: str, staff: Any, replica_reads: Statements, monkeypatch: Any, caplog: Any
) -> None:
    client = Client()
    client.force_login(staff)
    monkeypatch.setattr(connections[ALIAS], "_commit", mock.Mock(side_effect=OperationalError("it is gone")))
    assert client.get(address).status_code == 200
    [record] = caplog.records
    assert record.getMessage().startswith("The primary is read, as the replica cannot be: it is gone")


@pytest.mark.usefixtures("replica")
def test_outside_of_requests_the_primary_is_read_and_written(workflow: Workflow) -> None:
    """Commands and code of the process use the primary, also for a row that a request has read."""
    assert read_alias() == "default"
    run = WorkflowExecutionFactory(workflow=workflow)
    copy = WorkflowExecution.objects.using(ALIAS).get(pk=run.pk)
    copy.start()
    assert copy.workflow._state.db == "default"
    copy.refresh_from_db()
    assert (copy.status, copy._state.db) == ("running", "default")


def test_without_a_replica_nothing_is_asked_or_noted(api: Any, owner: Any, primary_reads: Statements) -> None:
    client = api(owner)
    for _ in range(2):
        client.get(RUNS)
    assert not any("last_writes" in text or "pg_control_system" in text for text in primary_reads.texts)
