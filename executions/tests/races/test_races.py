"""Races with real threads, each with a connection of its own."""

import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any
from uuid import UUID

import pytest
from django.db import connection, transaction

from executions import audit
from executions.exceptions import ConcurrentExecution, InvalidTransition
from executions.models import ExecutionLog, HistoryEntry, NodeExecution, WorkflowExecution
from executions.secrets.scrubber import MASK
from executions.tests.acceptance import fresh, race
from executions.tests.factories import NodeExecutionFactory, WorkflowExecutionFactory, in_state, startable
from pastetrader.tests.proofs import times
from workflows.models import Graph, Node, Workflow
from workflows.submitted_graph import Definition
from workflows.tests.factories import NodeFactory, WorkflowFactory

pytestmark = pytest.mark.django_db(transaction=True)

SECRET = "swordfish-99"


def verb(row: Any, name: str, *arguments: Any) -> Callable[[], str]:
    """The verb on an object of its own, read before the race begins."""
    mine = type(row).objects.get(pk=row.pk)

    def say() -> str:
        getattr(mine, name)(*arguments)
        return name

    return say


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


def test_two_who_retry_a_failed_run_keep_one_attempt() -> None:
    run = in_state(WorkflowExecutionFactory(), "running")
    in_state(NodeExecutionFactory(workflow_execution=run), "failed")
    run.fail("x")
    results = race([verb(run, "retry") for _ in range(8)])
    assert results.count("retry") == 1
    assert (run.attempts.count(), run.node_executions.get().attempts.count()) == (1, 1)
    assert run.node_executions.get().retry_count == 1


def test_of_16_callers_of_the_api_who_retry_a_node_one_wins_and_one_attempt_is_kept() -> None:
    run = in_state(WorkflowExecutionFactory(context={"secrets": {"db": "hunter2-and-more"}}), "running")
    node = in_state(NodeExecutionFactory(workflow_execution=run), "running")
    node.fail("no hunter2-and-more")
    read = NodeExecution.objects.with_run().select_related("node")
    results = race([read.get(pk=node.pk).retry for _ in range(16)])
    assert [type(result) for result in results].count(InvalidTransition) == 15
    node.refresh_from_db()
    assert (str(node.status), node.attempt, node.retry_count) == ("pending", 2, 1)
    assert [kept.error_message for kept in node.attempts.all()] == ["no ***masked***"]


@pytest.mark.parametrize("nodes", [0, 3])
def test_of_16_callers_of_the_api_who_retry_a_run_one_wins_and_one_attempt_of_each_row_is_kept(nodes: int) -> None:
    run = failed_run(nodes)
    results = race([as_the_api_reads(run).retry for _ in range(16)])
    refused = [result for result in results if result is not None]
    assert len(refused) == 15
    assert {str(refusal) for refusal in refused} <= {
        "Cannot retry execution in pending state",
        "Cannot retry execution in pending state: this is attempt 1 and the row is at attempt 2; read it again",
    }
    run.refresh_from_db()
    assert (str(run.status), run.attempt, run.version) == ("pending", 2, 4)
    assert [row.attempts.get().error_message for row in (run, *run.node_executions.all())] == ["no ***masked***"] * (
        1 + nodes
    )
    assert set(run.node_executions.values_list("status", "attempt", "retry_count")) <= {("pending", 2, 1)}


@pytest.mark.parametrize("wait", [False, True], ids=["before", "while it waits"])
def test_a_run_that_is_retried_keeps_its_attempts_clear_of_what_came_since_it_was_read(wait: bool) -> None:
    run = failed_run(2, f"login with {SECRET} refused")
    mine = as_the_api_reads(run)
    if wait:
        _while_it_waits(run.pk, mine.retry)
    else:
        _reveal(run.pk)
        mine.retry()
    kept = [row.attempts.get().error_message for row in (run, *run.node_executions.all())]
    assert kept == [f"login with {MASK} refused"] * 3
    assert (str(mine.status), mine.attempt, mine.error_message) == ("pending", 2, None)


def test_a_run_that_is_retried_keeps_what_was_changed_since_it_was_read() -> None:
    run = failed_run(1)
    mine, node = as_the_api_reads(run), run.node_executions.get()
    run.refresh_from_db()
    for row in (run, node):
        row.output_data = {"found": "later"}
        row.save()
    mine.retry()
    assert [row.attempts.get().output_data for row in (run, node)] == [{"found": "later"}] * 2
    run.refresh_from_db()
    assert (str(run.status), run.output_data, run.version) == ("pending", None, mine.version + 2)


def test_a_node_that_is_changed_while_its_run_is_retried_loses_nothing() -> None:
    run = failed_run(1)
    mine, node = as_the_api_reads(run), run.node_executions.get()
    with transaction.atomic():
        node.output_data = {"found": "later"}
        node.save()
        other = _begin(mine.retry)
    other.join()
    assert node.attempts.get().output_data == {"found": "later"}
    node.refresh_from_db()
    assert (str(node.status), node.output_data) == ("pending", None)


def failed_run(nodes: int, error: str = "no hunter2-and-more") -> WorkflowExecution:
    """Return a failed run with so many nodes, all of which failed."""
    run = in_state(WorkflowExecutionFactory(context={"secrets": {"db": "hunter2-and-more"}}), "running")
    for _ in range(nodes):
        in_state(NodeExecutionFactory(workflow_execution=run), "running").fail(error)
    run.fail(error)
    return run


def as_the_api_reads(run: WorkflowExecution) -> WorkflowExecution:
    row: WorkflowExecution = WorkflowExecution.objects.select_related("graph").get(pk=run.pk)
    return row


def test_a_node_that_is_retried_keeps_what_was_changed_since_it_was_read() -> None:
    node = in_state(NodeExecutionFactory(workflow_execution=in_state(WorkflowExecutionFactory(), "running")), "failed")
    mine = NodeExecution.objects.with_run().select_related("node").get(pk=node.pk)
    node.output_data = {"found": "later"}
    node.save()
    mine.retry()
    assert (node.attempts.get().output_data, mine.version) == ({"found": "later"}, 3)
    node.refresh_from_db()
    assert (str(node.status), node.output_data, node.attempt) == ("pending", None, 2)


@pytest.mark.parametrize("read", ["with its secrets", "without"])
def test_a_node_and_its_run_retried_at_once_do_not_deadlock(read: str) -> None:
    for _ in range(5):
        run = in_state(WorkflowExecutionFactory(), "running")
        nodes = [in_state(NodeExecutionFactory(workflow_execution=run), "failed") for _ in range(4)]
        run.fail("x")
        retry = verb(run, "retry") if read == "without" else as_the_api_reads(run).retry
        race([retry, *(verb(node, "retry") for node in nodes)])
        assert set(run.node_executions.values_list("status", "retry_count")) == {("pending", 1)}


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
        wanted = Definition(
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
        other = _begin(lambda: made.append(_made(workflow)))
    other.join()
    assert {node["name"] for node in made[0].graph.nodes} == {"a", "c"}
    assert _made(workflow).graph == made[0].graph


@pytest.fixture(params=[WorkflowExecution, NodeExecution])
def row(request: Any, workflow: Workflow) -> Any:
    """A running run that has no secrets yet, or a running node of it."""
    run = in_state(WorkflowExecutionFactory(workflow=workflow), "running")
    node = in_state(NodeExecutionFactory(workflow_execution=run), "running")
    return {WorkflowExecution: run, NodeExecution: node}[request.param]


def _reveal(run: UUID, secret: str = SECRET) -> None:
    ExecutionLog.objects.create(workflow_execution_id=run, level="info", message="of it", data={"password": secret})


@pytest.mark.parametrize("before", [(), ("known-before-99",)])
def test_a_verb_masks_what_came_after_its_row_was_read(row: Any, before: tuple[str, ...]) -> None:
    for secret in before:
        _reveal(row.run_id, secret)
    mine = read_with_secrets(row)
    race([lambda: _reveal(row.run_id)])
    mine.fail(f"login with {SECRET} refused")
    row.refresh_from_db()
    assert (row.error_message, mine.error_message) == (f"login with {MASK} refused",) * 2


@pytest.mark.parametrize("read", ["with its secrets", "without"])
def test_a_verb_that_waits_masks_what_came_while_it_waited(row: Any, read: str) -> None:
    mine = read_with_secrets(row) if read == "with its secrets" else read_without_secrets(row)
    _while_it_waits(row.run_id, lambda: mine.fail(f"login with {SECRET} refused"))
    row.refresh_from_db()
    assert row.error_message == f"login with {MASK} refused"


def test_a_verb_that_waits_for_its_own_row_masks_what_that_brings(row: Any) -> None:
    with transaction.atomic():
        locked = type(row).objects.get(pk=row.pk)
        locked.input_data = {"password": SECRET}
        locked.save()
        other = _begin(lambda: type(row).objects.get(pk=row.pk).fail(f"login with {SECRET} refused"))
    other.join()
    row.refresh_from_db()
    assert row.error_message == f"login with {MASK} refused"


def test_the_reason_of_a_verb_that_waits_is_masked_too(row: Any) -> None:
    def cancel() -> None:
        with audit.act_as(reason=f"as {SECRET} was refused"):
            mine.cancel()

    mine = type(row).objects.get(pk=row.pk)
    _while_it_waits(row.run_id, cancel)
    row.refresh_from_db()
    entries = HistoryEntry.objects.filter(act="cancel").values_list("reason", flat=True)
    assert (row.status, list(entries)[:1]) == ("cancelled", [f"as {MASK} was refused"])


def test_a_request_that_waits_for_another_masks_what_that_brings(row: Any, api: Any, owner: Any) -> None:
    answers: list[Any] = []
    client, kind = api(owner), "executions" if isinstance(row, WorkflowExecution) else "node-executions"
    url, body = f"/api/v1/{kind}/{row.pk}/fail/", {"error_message": f"login with {SECRET} refused"}
    _while_it_waits(row.run_id, lambda: answers.append(client.post(url, body, format="json")))
    assert (answers[0].status_code, answers[0].json()["error_message"]) == (200, f"login with {MASK} refused")
    row.refresh_from_db()
    assert row.error_message == f"login with {MASK} refused"


def test_a_node_that_is_retried_keeps_its_attempt_clear_of_what_came_since_it_was_read() -> None:
    node = in_state(NodeExecutionFactory(workflow_execution=in_state(WorkflowExecutionFactory(), "running")), "running")
    node.fail(f"login with {SECRET} refused")
    mine = NodeExecution.objects.with_run().select_related("node").get(pk=node.pk)
    _reveal(node.run_id)
    mine.retry()
    assert node.attempts.get().error_message == f"login with {MASK} refused"


def test_a_secret_whose_transaction_was_rolled_back_misleads_no_verb() -> None:
    run = in_state(WorkflowExecutionFactory(), "running")
    first, second = (in_state(NodeExecutionFactory(workflow_execution=run), "running") for _ in range(2))
    with transaction.atomic():
        first.complete({"password": SECRET})
        transaction.set_rollback(True)
    assert run.encrypted_secrets
    _reveal(run.pk, f"{SECRET}-later")
    second.fail(f"login with {SECRET}-later refused")
    assert (second.error_message, run.encrypted_secrets) == (
        f"login with {MASK} refused",
        WorkflowExecution.objects.get().encrypted_secrets,
    )


def test_writers_who_bring_secrets_to_several_runs_at_once_do_not_deadlock(workflow: Workflow) -> None:
    fields = {"workflow": workflow, "metadata": {"allow_concurrent": True}}
    runs = [in_state(WorkflowExecutionFactory(**fields), "running") for _ in range(4)]
    nodes = [in_state(NodeExecutionFactory(workflow_execution=run), "running") for run in runs]

    def bring(number: int) -> None:
        order = random.Random(number).sample(runs, len(runs))
        ExecutionLog.objects.bulk_create(
            ExecutionLog(workflow_execution=run, level="info", message="x", data={"token": f"brought-{number:03}"})
            for run in order
        )

    said = " ".join(f"brought-{number:03}" for number in range(8))
    ends = [partial(read_with_secrets(row).fail, said) for row in (*nodes, *runs)]
    outcomes = race([*(partial(bring, number) for number in range(8)), *ends])
    assert outcomes[:8] + outcomes[-4:] == [None] * 12  # a node whose run ends first is cancelled
    for run in runs:
        assert ExecutionLog.objects.create(workflow_execution=run, level="info", message=said).message == " ".join(
            [MASK] * 8
        )


def read_with_secrets(row: Any) -> Any:
    """Return the run with the columns that the API reads for a verb."""
    return (type(row).objects.with_run() if isinstance(row, NodeExecution) else type(row).objects).get(pk=row.pk)


def read_without_secrets(row: Any) -> Any:
    rows = type(row).objects.all() if isinstance(row, NodeExecution) else type(row).objects.defer("encrypted_secrets")
    return rows.get(pk=row.pk)


def _while_it_waits(run: UUID, act: Callable[[], Any]) -> None:
    """Store a secret in a transaction that commits as soon as the act waits for it."""
    with transaction.atomic():
        _reveal(run)
        other = _begin(act)
    other.join()


def _begin(act: Callable[[], Any]) -> threading.Thread:
    other = threading.Thread(target=lambda: race([act]))
    other.start()
    while other.is_alive() and not _somebody_waits():
        time.sleep(0.01)
    return other


def _made(workflow: Workflow) -> WorkflowExecution:
    run: WorkflowExecution = WorkflowExecution.objects.create(workflow=workflow, trigger_type="event")
    return run


def _somebody_waits() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_clear_snapshot()")  # else a transaction sees for ever what it saw first
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        )
        return bool(cursor.fetchone()[0])


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
