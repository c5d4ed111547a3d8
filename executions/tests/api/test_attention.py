"""Filters and `?expand=attention` of runs and nodes that need attention."""

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from executions import attention
from executions.models import WorkflowExecution
from executions.tests.attention import HOURS_2, age, node_in, queued_for, restless_runs, running_for
from workflows.models import Workflow

pytestmark = pytest.mark.django_db
RUNS, NODES = "/api/v1/executions/", "/api/v1/node-executions/"


@pytest.fixture
def client(api: Any, owner: Any) -> Any:
    return api(owner)


@pytest.fixture
def restless(workflow: Workflow) -> dict[str, WorkflowExecution]:
    return restless_runs(workflow)


@pytest.mark.parametrize("question", attention.QUESTIONS)
def test_a_filter_lists_the_runs(client: Any, restless: Any, question: str) -> None:
    found = client.get(f"{RUNS}?{question}=true").json()["results"]
    assert [row["id"] for row in found] == [str(restless[question].pk)]
    others = client.get(f"{RUNS}?{question}=false&status=running,pending").json()["results"]
    assert {row["id"] for row in others} == {str(run.pk) for run in restless.values()} - {found[0]["id"]}


def test_a_filter_lists_the_nodes(client: Any, workflow: Workflow) -> None:
    run = running_for(HOURS_2, workflow=workflow)
    slow, silent = age(node_in(run, timeout_seconds=60), 90), age(node_in(run), HOURS_2)
    for question, node in {"overdue": slow, "silent": silent}.items():
        assert [row["id"] for row in client.get(f"{NODES}?{question}=true").json()["results"]] == [str(node.pk)]


def test_a_run_says_why_it_needs_attention(client: Any, restless: Any) -> None:
    for question in attention.QUESTIONS:
        shown = client.get(f"{RUNS}{restless[question].pk}/?expand=attention").json()["attention"]
        assert [each["question"] for each in shown] == [question]
    assert client.get(f"{RUNS}{restless['none'].pk}/?expand=attention").json()["attention"] == []


def test_an_unstarted_run_says_how_many_wait_for_it(client: Any, workflow: Workflow) -> None:
    head = queued_for(HOURS_2, workflow)
    queued_for(60, workflow)
    [shown] = client.get(f"{RUNS}{head.pk}/?expand=attention").json()["attention"]
    assert (shown["question"], shown["behind"], shown["seconds"]) == ("unstarted", 1, None)


def test_a_node_says_it_too(client: Any, workflow: Workflow) -> None:
    node = age(node_in(running_for(90, workflow=workflow), timeout_seconds=60), 90)
    [shown] = client.get(f"{NODES}{node.pk}/?expand=attention").json()["attention"]
    assert (shown["question"], shown["lease_expired"], shown["seconds"]) == ("overdue", False, 60.0)


def test_a_filter_takes_as_many_statements_as_any(client: Any, restless: Any) -> None:
    counts = set()
    for query in ("status=running", *(f"{question}=true" for question in attention.QUESTIONS)):
        with CaptureQueriesContext(connection) as captured:
            client.get(f"{RUNS}?{query}")
        counts.add(len(captured))
    assert len(counts) == 1
