"""Leases in facts: a start grants one, heartbeats extend it, and reports of a replaced worker are refused."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from executions.models import ExecutionLog, NodeExecution, WorkflowExecution
from executions.models.lease import NodeExecutionLease, WorkflowExecutionLease
from executions.tests.facts.reporting import line, new_id, send
from executions.upkeep.overdue_attempts import end_overdue
from workflows.models import Workflow

pytestmark = pytest.mark.django_db

LEASE = {"worker": "worker-3", "lease_seconds": 60}


class Engine:
    """A run with one node, as an engine reports it."""

    def __init__(self, client: Any, workflow: Workflow) -> None:
        self.client = client
        self.run, self.node = new_id(), new_id()
        self.of_node = {"id": self.node, "workflow_execution": self.run}
        self.create = [
            {"kind": "execution.create", "id": self.run, "workflow": str(workflow.pk), "trigger_type": "manual"},
            self.of_run("execution.start"),
            {"kind": "node.create", "node": "fetch", **self.of_node},
        ]

    def of_run(self, kind: str, **fields: Any) -> dict[str, Any]:
        return {"kind": kind, "id": self.run, **fields}

    def fact(self, kind: str, **fields: Any) -> dict[str, Any]:
        return {"kind": kind, **self.of_node, **fields}

    def line(self, message: str, **fields: Any) -> dict[str, Any]:
        return line(self.run, message, node_execution=self.node, **fields)

    def send(self, *facts: Any) -> Any:
        return send(self.client, *facts)

    def start(self, **terms: Any) -> str:
        """Report the run and the start of its node. Return the token."""
        answer = self.send(*self.create, self.fact("node.start", **(terms or LEASE)))
        (token,) = answer["tokens"]
        return str(token["token"])

    def refusal(self, *facts: Any) -> Any:
        (refused,) = self.send(*facts)["refusals"]
        return refused

    @property
    def row(self) -> NodeExecution:
        return NodeExecution.objects.get(pk=self.node)


@pytest.fixture
def reporter(engine: Any, workflow: Workflow) -> Engine:
    workflow.nodes.update(retry_config={"max_retries": 3})
    return Engine(engine, workflow)


def replaced(reporter: Engine) -> tuple[str, str]:
    """Let another worker take the node. Return the tokens of both."""
    old = reporter.start()
    let_lapse(NodeExecutionLease.objects)
    reporter.send(reporter.fact("node.retry", attempt=1))
    answer = reporter.send(reporter.fact("node.start", attempt=2, **LEASE))
    return old, answer["tokens"][0]["token"]


def let_lapse(leases: Any) -> None:
    leases.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert end_overdue()[0] == 1


def test_a_start_grants_a_lease_and_the_answer_has_its_token(reporter: Engine) -> None:
    run_terms = {"worker": "worker-1", "lease_seconds": 90}
    create, start, node = reporter.create
    answer = reporter.send(create, start | run_terms, node, reporter.fact("node.start", **LEASE))
    of_run, of_node = WorkflowExecutionLease.objects.get(), NodeExecutionLease.objects.get()
    assert answer["tokens"] == [
        {"index": 1, "id": reporter.run, "attempt": 1, "token": str(of_run.token)},
        {"index": 3, "id": reporter.node, "attempt": 1, "token": str(of_node.token)},
    ]
    assert (of_run.worker, of_run.seconds, of_node.worker, of_node.seconds) == ("worker-1", 90, "worker-3", 60)
    assert of_node.expires_at is not None
    assert abs(of_node.expires_at - timezone.now() - timedelta(seconds=60)) < timedelta(seconds=30)


def test_a_lease_begins_when_the_start_arrives_whatever_its_time(reporter: Engine) -> None:
    reporter.start(**LEASE, at="2020-01-01T00:00:00Z")
    assert NodeExecutionLease.objects.get().heartbeat_at > timezone.now() - timedelta(seconds=30)


def test_without_worker_and_lease_the_answer_has_no_tokens(reporter: Engine) -> None:
    assert "tokens" not in reporter.send(*reporter.create, reporter.fact("node.start"))
    assert not NodeExecutionLease.objects.exists()


def test_the_caller_may_choose_the_token(reporter: Engine) -> None:
    token = str(uuid4())
    facts = [
        *reporter.create,
        reporter.fact("node.start", token=token, **LEASE),
        reporter.line("of this attempt", token=token),
        reporter.fact("node.complete", token=token),
    ]
    answer = reporter.send(*facts)
    assert (answer["applied"], [each["token"] for each in answer["tokens"]]) == (6, [token])
    assert reporter.send(*facts)["known"] == 6


def test_the_same_facts_again_are_answered_the_same_token(reporter: Engine) -> None:
    facts = [*reporter.create, reporter.fact("node.start", **LEASE)]
    first, again = reporter.send(*facts), reporter.send(*facts)
    assert (first["tokens"], again["known"]) == (again["tokens"], 4)
    reporter.send(reporter.fact("node.fail", attempt=1), reporter.fact("node.retry", attempt=1))
    assert reporter.send(*facts)["tokens"] == first["tokens"]


@pytest.mark.parametrize("terms", [{"worker": "worker-4"}, {"lease_seconds": 5}, {**LEASE, "token": str(uuid4())}])
def test_the_start_of_an_attempt_that_another_worker_has_started_is_refused(reporter: Engine, terms: Any) -> None:
    reporter.start()
    refused = reporter.refusal(reporter.fact("node.start", attempt=1, **terms))
    assert (refused["code"], refused["current_state"]) == ("fenced", "running")
    assert "another worker has started this attempt" in refused["detail"]


def test_a_second_engine_without_worker_and_token_does_not_get_the_token_of_the_first(reporter: Engine) -> None:
    token = reporter.start(lease_seconds=60)
    start = reporter.fact("node.start", attempt=1, lease_seconds=60)
    assert reporter.refusal(start)["code"] == "fenced"
    assert "tokens" not in reporter.send(start)
    assert reporter.send(start | {"token": token})["tokens"][0]["token"] == token


def test_a_lease_for_an_attempt_that_was_started_without_one_is_refused(reporter: Engine) -> None:
    reporter.send(*reporter.create, reporter.fact("node.start"))
    assert reporter.refusal(reporter.fact("node.start", **LEASE))["code"] == "fenced"


@pytest.mark.parametrize("of_run", [True, False])
def test_a_heartbeat_extends_the_lease_and_nothing_else(reporter: Engine, of_run: bool) -> None:
    create, start, node = reporter.create
    answer = reporter.send(create, start | LEASE, node, reporter.fact("node.start", **LEASE))
    tokens = [each["token"] for each in answer["tokens"]]
    leases: Any = WorkflowExecutionLease.objects if of_run else NodeExecutionLease.objects
    leases.update(expires_at=timezone.now() - timedelta(seconds=5), heartbeat_at=timezone.now() - timedelta(seconds=65))
    before = WorkflowExecution.objects.values().get(), NodeExecution.objects.values().get()
    beat = (
        reporter.of_run("execution.heartbeat", token=tokens[0])
        if of_run
        else reporter.fact("node.heartbeat", token=tokens[1])
    )
    for seconds in (60, 600):
        assert reporter.send(beat | {"lease_seconds": seconds})["applied"] == 1
        assert leases.get().seconds == seconds
        assert timezone.now() < leases.get().expires_at < timezone.now() + timedelta(seconds=seconds + 30)
    assert (WorkflowExecution.objects.values().get(), NodeExecution.objects.values().get()) == before
    assert leases.get().heartbeat_at > timezone.now() - timedelta(seconds=30)


def test_a_heartbeat_of_an_attempt_that_has_ended_is_refused(reporter: Engine) -> None:
    token = reporter.start()
    reporter.send(reporter.fact("node.complete", token=token))
    refused = reporter.refusal(reporter.fact("node.heartbeat", token=token))
    assert (refused["code"], refused["current_state"]) == ("invalid_transition", "completed")


REPORTS = ["node.complete", "node.fail", "node.heartbeat", "log"]


@pytest.mark.parametrize("kind", REPORTS)
def test_a_report_of_a_worker_that_was_replaced_is_refused(reporter: Engine, kind: str) -> None:
    old, new = replaced(reporter)
    fact = reporter.line("late", token=old) if kind == "log" else reporter.fact(kind, token=old)
    refused = reporter.refusal(fact)
    assert (refused["code"], refused["current_state"]) == ("fenced", "running")
    assert "the token is of attempt 1 and the row is at attempt 2" in refused["detail"]
    assert (reporter.row.status, reporter.row.attempt, ExecutionLog.objects.count()) == ("running", 2, 0)
    assert reporter.send(fact | {"token": new})["applied"] == 1


@pytest.mark.parametrize("kind", REPORTS)
def test_a_report_after_the_lease_has_lapsed_is_refused(reporter: Engine, kind: str) -> None:
    """Also the failure, though the attempt has failed: it was not this worker that said so."""
    token = reporter.start()
    let_lapse(NodeExecutionLease.objects)
    fact = reporter.line("late", token=token) if kind == "log" else reporter.fact(kind, token=token)
    refused = reporter.refusal(fact)
    assert (refused["code"], refused["current_state"]) == ("fenced", "failed")
    assert reporter.row.error_code == "lease_expired"


def test_a_token_that_was_never_given_is_refused(reporter: Engine) -> None:
    reporter.start()
    assert reporter.refusal(reporter.fact("node.complete", token=str(uuid4())))["code"] == "fenced"


def test_a_worker_whose_run_was_taken_adds_starts_and_skips_no_node(reporter: Engine) -> None:
    create, start, node = reporter.create
    answer = reporter.send(create, start | LEASE, node)
    token = answer["tokens"][0]["token"]
    let_lapse(WorkflowExecutionLease.objects)
    run = WorkflowExecution.objects.get()
    run.retry()
    run.start(worker="worker-4")
    other = reporter.fact("node.create", node="rank") | {"id": new_id()}
    for fact in (other, reporter.fact("node.start", **LEASE), reporter.fact("node.skip")):
        assert reporter.refusal(fact | {"run_token": token})["code"] == "fenced"
    assert (NodeExecution.objects.get().status, NodeExecutionLease.objects.count()) == ("pending", 0)


def test_the_nodes_of_a_run_whose_lease_has_lapsed_are_fenced_too(reporter: Engine) -> None:
    create, start, node = reporter.create
    answer = reporter.send(create, start | LEASE, node, reporter.fact("node.start", **LEASE))
    token = answer["tokens"][1]["token"]
    let_lapse(WorkflowExecutionLease.objects)
    for fact in (reporter.line("late", token=token), reporter.fact("node.complete", token=token)):
        assert reporter.refusal(fact)["code"] == "fenced"


def test_a_refused_fact_leaves_no_lease_behind(reporter: Engine) -> None:
    answer = reporter.send(
        *reporter.create, reporter.fact("node.start", **LEASE), reporter.fact("node.complete", token=str(uuid4()))
    )
    assert (answer["refused"], "tokens" in answer) == (5, False)
    assert not NodeExecutionLease.objects.exists()


@pytest.mark.parametrize(
    ("terms", "place"),
    [
        ({"lease_seconds": 0}, "lease_seconds"),
        ({"lease_seconds": 86_401}, "lease_seconds"),
        ({"worker": "w" * 201}, "worker"),
        ({"worker": "two\nlines"}, "worker"),
        ({"token": "x"}, "token"),
    ],
)
def test_terms_that_no_lease_has_are_refused(reporter: Engine, terms: Any, place: str) -> None:
    refused = reporter.refusal(*reporter.create, reporter.fact("node.start", **terms))
    assert refused["code"] == "invalid"
    assert refused["detail"].startswith(place)


def test_the_number_of_statements_does_not_grow_with_the_leases(engine: Any, workflow: Workflow) -> None:
    counts = []
    for number in (1, 1, 20):  # the first call reads the graph
        reporters = [Engine(engine, workflow) for _each in range(number)]
        for each in reporters:
            each.create[0]["metadata"] = {"allow_concurrent": True}
        calls = [[fact for each in reporters for fact in (*each.create, each.fact("node.start", **LEASE))]]
        with CaptureQueriesContext(connection) as begun:
            tokens = [each["token"] for each in send(engine, *calls[0])["tokens"]]
        pairs = list(zip(reporters, tokens, strict=True))
        counted = [len(begun)]
        for facts in (
            [each.fact("node.heartbeat", token=token) for each, token in pairs],
            [fact for each, token in pairs
             for fact in (each.line("x", token=token), each.fact("node.complete", token=token))],
        ):  # fmt: skip
            with CaptureQueriesContext(connection) as captured:
                assert send(engine, *facts)["refusals"] == []
            counted.append(len(captured))
        counts.append(counted)
    assert counts[1] == counts[2]
