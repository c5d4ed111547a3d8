"""Sixteen engines that send the same runs at once, in other orders and other pieces: nothing waits for ever, nothing is
lost, nothing is stored twice."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from random import Random
from typing import Any

import pytest
from django.db import connections

from executions.models import ExecutionLog, WorkflowExecution
from executions.tests.facts.random_walks import Walk
from executions.tests.facts.reporting import new_id, run_facts, send
from pastetrader.tests.proofs import times
from workflows.tests.factories import NodeFactory, WorkflowFactory

pytestmark = pytest.mark.django_db(transaction=True)

CLIENTS = 16
SECONDS = times(2, 60)


def at_once(work: Callable[[int], Any]) -> list[Any]:
    """Do the work in as many threads as there are clients, and return what each returned."""

    def and_close(number: int) -> Any:
        try:
            return work(number)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(CLIENTS) as threads:
        return list(threads.map(and_close, range(CLIENTS)))


def send_in_pieces(client: Any, walks: list[Walk], random: Random) -> int:
    """Send every walk, a few at a time and each from its beginning up to some place. Return how much was new."""
    sent = dict.fromkeys(range(len(walks)), 0)
    applied = 0
    while open_walks := [index for index, upto in sent.items() if upto < len(walks[index].facts)]:
        chosen = random.sample(open_walks, min(len(open_walks), random.randint(1, 5)))
        for index in chosen:
            sent[index] = min(len(walks[index].facts), sent[index] + random.randint(3, 20))
        answer = send(client, *(fact for index in chosen for fact in walks[index].facts[: sent[index]]))
        assert answer["refusals"] == []
        applied += answer["applied"]
    return applied


@pytest.mark.slow
def test_overlapping_runs(api: Any, owner: Any) -> None:
    workflows = [WorkflowFactory(owner=owner, chain=["fetch", "rank", "report"]) for _ in range(3)]
    clients = [api(owner) for _ in range(CLIENTS)]
    until = time.monotonic() + SECONDS
    seed = 0
    while time.monotonic() < until:
        seed += 1
        walks = [Walk(Random(f"{seed} {n}"), str(workflows[n % 3].pk)).steps(20) for n in range(20)]
        applied = at_once(lambda number, walks=walks: send_in_pieces(clients[number], walks, Random(number)))
        assert sum(applied) == sum(len(walk.facts) for walk in walks)
        for walk in walks:
            run = WorkflowExecution.objects.get(pk=walk.run)
            assert str(run.status) == walk.status
            lines = {fact["id"] for fact in walk.facts if fact["kind"] == "log"}
            assert {str(id) for id in run.logs.values_list("id", flat=True)} == lines
            own = [each for each in walk.facts if each["kind"].startswith("execution.")]
            assert run.history.filter(node_execution=None).count() == len(own) == run.version
            assert run.node_executions.count() == len(walk.nodes)


@pytest.mark.slow
def test_one_run_of_a_workflow_is_running_at_a_time(api: Any, owner: Any) -> None:
    workflows = [WorkflowFactory(owner=owner, chain=["fetch"]) for _ in range(4)]
    clients = [api(owner) for _ in range(CLIENTS)]

    def start_and_end(number: int) -> int:
        random = Random(number)
        applied = 0
        for _turn in range(times(6, 60)):
            runs = {new_id(): workflow for workflow in random.sample(workflows, 3)}
            begun = [fact for run, workflow in runs.items() for fact in run_facts(workflow, run)[:2]]
            answer = send(clients[number], *begun)
            assert {each["code"] for each in answer["refusals"]} <= {"concurrent_execution"}
            refused = {each["workflow_execution"] for each in answer["refusals"]}
            started = [run for run in runs if run not in refused]
            ends = [{"kind": "execution.complete", "id": run} for run in started]
            assert send(clients[number], *ends)["applied"] == len(ends)
            applied += len(started)
        return applied

    started = sum(at_once(start_and_end))
    assert started > 0
    assert WorkflowExecution.objects.filter(status="completed").count() == started == WorkflowExecution.objects.count()
    assert ExecutionLog.objects.count() == 0


@pytest.mark.slow
def test_nodes_that_came_into_several_workflows_after_the_runs_were_made(api: Any, owner: Any) -> None:
    workflows = [WorkflowFactory(owner=owner, chain=["fetch"]) for _ in range(6)]
    clients = [api(owner) for _ in range(CLIENTS)]
    for turn in range(times(4, 40)):
        runs = [[new_id() for _ in workflows] for _ in range(CLIENTS)]
        for client, ids in zip(clients, runs, strict=True):
            pairs = zip(workflows, ids, strict=True)
            send(client, *(run_facts(workflow, run)[0] for workflow, run in pairs))
        for workflow in workflows:
            NodeFactory(workflow=workflow, name=f"late {turn}")

        def add_late(number: int, runs: list[list[str]] = runs, turn: int = turn) -> Any:
            of_run = {"kind": "node.create", "node": f"late {turn}"}
            facts = [{**of_run, "id": new_id(), "workflow_execution": run} for run in runs[number]]
            Random(number).shuffle(facts)
            return send(clients[number], *facts)

        answers = at_once(add_late)
        assert [answer["applied"] for answer in answers] == [len(workflows)] * CLIENTS
        newest = {workflow.graphs.get(is_current=True).pk for workflow in workflows}
        of_turn = WorkflowExecution.objects.filter(pk__in=[run for ids in runs for run in ids])
        assert {*of_turn.values_list("graph", flat=True)} == newest
