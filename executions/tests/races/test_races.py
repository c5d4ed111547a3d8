"""Races of transitions, with real threads, each with a connection of its own."""

import random
from collections import Counter
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any

import pytest
from django.db import transaction

from executions.exceptions import ConcurrentExecution, InvalidTransition
from executions.models import NodeExecution, WorkflowExecution
from executions.tests.acceptance import fresh, race
from executions.tests.factories import NodeExecutionFactory, WorkflowExecutionFactory, in_state, startable
from executions.tests.races.waiting import begin, new_run, verb
from pastetrader.tests.proofs import times
from workflows.models import Graph, Node, Workflow
from workflows.submitted_graph import SubmittedGraph
from workflows.tests.factories import NodeFactory, WorkflowFactory

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_started_run_is_running_for_every_connection() -> None:
    run = in_state(WorkflowExecutionFactory(), "running")
    assert race([lambda: str(fresh(run).status)] * 4) == ["running"] * 4


@pytest.mark.parametrize("factory", [WorkflowExecutionFactory, NodeExecutionFactory])
def test_of_32_callers_who_start_exactly_one_wins(factory: Any) -> None:
    row = startable(factory())
    results = race([verb(row, "start") for _ in range(32)])
    assert results.count("start") == 1
    losers = [result for result in results if result != "start"]
    assert {str(loser) for loser in losers} == {"Cannot start execution in running state"}
    assert all(type(loser) is InvalidTransition for loser in losers)
    row.refresh_from_db()
    assert (str(row.status), row.version) == ("running", 2)


@pytest.mark.slow
@pytest.mark.parametrize("factory", [WorkflowExecutionFactory, NodeExecutionFactory])
@pytest.mark.parametrize("seed", range(times(3, 20)))
def test_64_callers_of_every_verb_leave_one_end_and_one_winner_of_each_step(factory: Any, seed: int) -> None:
    row = factory()
    acts = [("start",), ("complete", {"a": 1}), ("fail", "broke"), ("cancel",)] * 16
    random.Random(seed).shuffle(acts)
    won = Counter(result for result in race([verb(row, *act) for act in acts]) if isinstance(result, str))
    row.refresh_from_db()
    assert row.is_terminal
    assert won["start"] <= 1
    assert won["complete"] + won["fail"] + won["cancel"] == 1
    assert row.version == 1 + won.total()
    assert (row.started_at is not None) == bool(won["start"])


def test_of_two_runs_of_a_workflow_that_start_at_once_one_is_refused() -> None:
    workflow = WorkflowFactory()
    runs = [WorkflowExecutionFactory(workflow=workflow) for _ in range(8)]
    results = race([verb(run, "start") for run in runs])
    assert results.count("start") == 1
    assert sum(type(result) is ConcurrentExecution for result in results) == 7
    assert WorkflowExecution.objects.running().count() == 1


def test_runs_that_allow_it_are_running_together() -> None:
    workflow = WorkflowFactory()
    runs = [WorkflowExecutionFactory(workflow=workflow, metadata={"allow_concurrent": True}) for _ in range(4)]
    runs.append(WorkflowExecutionFactory(workflow=workflow, metadata={"allow_concurrent": False}))
    assert race([verb(run, "start") for run in runs]) == ["start"] * 5


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10))
def test_no_node_runs_in_a_run_that_has_ended(seed: int) -> None:
    run = in_state(WorkflowExecutionFactory(), "running")
    nodes = [NodeExecutionFactory(workflow_execution=run) for _ in range(12)]
    acts = [verb(node, "start") for node in nodes] + [
        verb(run, "complete"),
        verb(run, "fail", "x"),
        verb(run, "cancel"),
    ]
    random.Random(seed).shuffle(acts)
    race(acts)
    run.refresh_from_db()
    assert run.is_terminal
    assert not run.node_executions.active().exists()


@pytest.mark.parametrize("end", [("cancel",), ("fail", "x")])
def test_a_run_that_ends_while_its_nodes_complete_keeps_what_they_reported(end: tuple[str, ...]) -> None:
    for _ in range(times(5, 30)):
        run = in_state(WorkflowExecutionFactory(), "running")
        nodes = [in_state(NodeExecutionFactory(workflow_execution=run), "running") for _ in range(6)]
        ended, *completed = race([verb(run, *end), *(verb(node, "complete") for node in nodes)])
        assert ended == end[0]
        assert all(result == "complete" or type(result) is InvalidTransition for result in completed)
        expected = ["completed" if result == "complete" else "cancelled" for result in completed]
        assert [fresh(node).status for node in nodes] == expected


def test_a_run_never_completes_over_a_node_that_starts_meanwhile() -> None:
    for _ in range(times(10, 60)):
        node = NodeExecutionFactory(workflow_execution=in_state(WorkflowExecutionFactory(), "running"))
        run = node.workflow_execution
        results = race([verb(run, "complete"), verb(node, "start")])
        assert sum(isinstance(result, InvalidTransition) for result in results) == 1
        assert (fresh(run).status, fresh(node).status) in {("completed", "skipped"), ("running", "running")}


def test_a_save_that_races_a_transition_never_undoes_it() -> None:
    for _ in range(times(10, 60)):
        run = WorkflowExecutionFactory()
        stale = fresh(run)
        stale.input_data = {"market": "KOSPI"}
        started, saved = race([verb(run, "start"), stale.save])
        now = fresh(run)
        assert started == "start" or saved is None
        assert (now.status == "running") is (started == "start")
        assert (now.input_data == {"market": "KOSPI"}) is (saved is None)


@pytest.mark.parametrize("factory", [WorkflowExecutionFactory, NodeExecutionFactory])
def test_of_32_callers_who_end_a_running_row_exactly_one_wins(factory: Any) -> None:
    row = in_state(factory(), "running")
    acts = [("complete",), ("fail", "boom"), ("cancel",), ("start",)] * 8
    results = race([verb(row, *act) for act in acts])
    [winner] = [result for result in results if isinstance(result, str)]
    assert {type(result) for result in results} == {str, InvalidTransition}
    assert fresh(row).status == {"complete": "completed", "fail": "failed", "cancel": "cancelled"}[winner]
    assert (fresh(row).error_message == "boom") is (winner == "fail")


def test_writers_of_other_fields_do_not_lose_each_others_work() -> None:
    run = WorkflowExecutionFactory()

    def tag(name: str) -> Callable[[], str]:
        mine = WorkflowExecution.objects.get(pk=run.pk)
        mine.metadata = {"tags": [name]}
        return lambda: mine.save() or name

    results = race([tag(str(i)) for i in range(16)])
    winners = [result for result in results if isinstance(result, str)]
    run.refresh_from_db()
    assert [run.metadata["tags"]] == [winners]
    assert NodeExecution.objects.count() == 0


def test_runs_made_while_a_workflow_is_edited_remember_one_whole_graph_each() -> None:
    workflow = WorkflowFactory(chain=["a0", "b0", "c0"])

    def edit(number: int) -> None:
        mine = Workflow.objects.get(pk=workflow.pk)
        names = [f"{letter}{number}" for letter in "abc"]
        wanted = SubmittedGraph(
            mine,
            [{"name": name, "node_type": "tool"} for name in names],
            [{"source_node_id": a, "target_node_id": b} for a, b in pairwise(names)],
        )
        with transaction.atomic():
            mine.save()
            wanted.save(mine)

    def edits() -> None:
        for number in range(1, 9):
            edit(number)

    def make() -> list[WorkflowExecution]:
        return [WorkflowExecution.objects.create(workflow=workflow, trigger_type="event") for _ in range(12)]

    race([edits, *[make] * 8])
    for graph in Graph.objects.all():
        names = {node["id"]: node["name"] for node in graph.nodes}
        assert len({name[1:] for name in names.values()}) == 1
        pairs = [(names[str(source)][0], names[str(target)][0]) for source, target in graph.pairs]
        assert sorted(pairs) == [("a", "b"), ("b", "c")]
    assert WorkflowExecution.objects.filter(graph=None).count() == 0
    last = WorkflowExecution.objects.create(workflow=workflow, trigger_type="event").graph
    assert {node["name"] for node in last.nodes} == set(Node.objects.current().values_list("name", flat=True))
    assert {node["name"] for node in last.nodes} == {"a8", "b8", "c8"}


def test_a_run_made_during_an_edit_waits_for_it_and_remembers_what_it_left() -> None:
    workflow = WorkflowFactory(chain=["a", "b"])
    made: list[WorkflowExecution] = []
    with transaction.atomic():
        workflow.nodes.filter(name="b").update(name="c")
        other = begin(lambda: made.append(new_run(workflow)))
    other.join()
    assert {node["name"] for node in made[0].graph.nodes} == {"a", "c"}
    assert new_run(workflow).graph == made[0].graph


@pytest.mark.slow
def test_verbs_of_a_node_with_and_without_if_match_do_not_deadlock(api: Any, owner: Any, workflow: Workflow) -> None:
    run = in_state(WorkflowExecutionFactory(workflow=workflow), "running")
    definition = NodeFactory(workflow=workflow, name="again", retry_config={"max_retries": 1_000})
    node = in_state(NodeExecutionFactory(workflow_execution=run, node=definition), "running")
    bodies = {"fail": {"error_message": "x"}, "retry": {"reason": "y"}, "start": {}}

    def work(seed: int) -> list[int]:
        engine, chance = api(owner), random.Random(seed)
        engine.raise_request_exception = False
        sent: list[int] = []
        for _time in range(times(60, 400)):
            verb, body = chance.choice(list(bodies.items()))
            headers = chance.choice([{}, {"If-Match": "*"}])
            url = f"/api/v1/node-executions/{node.pk}/{verb}/"
            sent.append(engine.post(url, body, format="json", headers=headers).status_code)
        return sent

    found = race([partial(work, seed) for seed in range(2)])
    assert {status for sent in found for status in sent} <= {200, 409, 412}
