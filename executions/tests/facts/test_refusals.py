"""Facts that are refused: with their place, and with no effect on other runs."""

import json
from typing import Any

import pytest

from executions.models import ExecutionLog, NodeExecution, WorkflowExecution
from executions.tests.cast import permissions
from executions.tests.factories import WorkflowExecutionFactory, in_state
from executions.tests.facts.reporting import URL, line, new_id, run_facts, send
from ledgerkit.db.models import uuid7
from workflows.models import Workflow

pytestmark = pytest.mark.django_db

CONCURRENT = {"metadata": {"allow_concurrent": True}}


@pytest.fixture
def engine(api: Any, owner: Any) -> Any:
    return api(owner, scopes=["executions:report", "executions:control"])


def test_a_refused_fact_undoes_its_run_and_no_other(engine: Any, workflow: Workflow) -> None:
    good, bad = new_id(), new_id()
    late = {"kind": "execution.complete", "id": bad}
    facts = [*run_facts(workflow, bad, {"fetch": new_id()}, lines=2), late | {"kind": "execution.fail"}]
    answer = send(engine, *facts, *run_facts(workflow, good, lines=1))
    assert (answer["applied"], answer["refused"]) == (4, 9)
    assert answer["refusals"] == [
        {
            "index": 8,
            "workflow_execution": bad,
            "code": "invalid_transition",
            "detail": "Cannot fail execution in completed state",
            "current_state": "completed",
            "version": 3,
        }
    ]
    assert [str(pk) for pk in WorkflowExecution.objects.values_list("pk", flat=True)] == [good]
    assert (NodeExecution.objects.count(), ExecutionLog.objects.count()) == (0, 1)


BAD: list[tuple[dict[str, Any], str, str]] = [
    ({"kind": "execution.begin"}, "invalid", "kind: expected one of: workflow.ensure, "),
    ({"kind": "log", "colour": "red"}, "invalid", "colour: Unknown field: this fact takes "),
    ({"level": "loud"}, "invalid", "level: not a value that is allowed here."),
    ({"message": 5}, "invalid", "message: Expected `str`, got `int`."),
    ({"id": "5"}, "invalid", "id: Invalid UUID."),
    ({"id": "9b2d7e30-6f0a-4a34-9d5e-53a3a1f7a001"}, "invalid", "id: Expected a UUID version 7"),
    ({"id": "01800000-0000-7000-8000-000000000000"}, "invalid", "not within the last 90 days"),
    ({"at": "yesterday"}, "invalid", "at: Expected a time as in ISO 8601"),
    ({"at": "2999-01-01T00:00:00Z"}, "at_in_future", "more than five minutes after"),
    ({"data": {"a": float("nan")}}, "invalid", "/data/a: expected a finite number"),
    ({"data": {"a": "\x00"}}, "invalid", "/data/a: the character NUL"),
    ({"data": json.loads("[" * 67 + "]" * 67)}, "invalid", "nested deeper"),
    ({"node_execution": new_id()}, "invalid", "This execution has no node execution with this id."),
    ({"workflow_execution": new_id()}, "not_found", "There is no run with this id"),
]


@pytest.mark.parametrize(("change", "code", "detail"), BAD)
def test_a_bad_line(engine: Any, workflow: Workflow, change: dict[str, Any], code: str, detail: str) -> None:
    run = str(WorkflowExecutionFactory(workflow=workflow).pk)
    answer = send(engine, line(run, "one") | change, line(new_id(), "two"))
    refusal = answer["refusals"][0]
    assert (refusal["index"], refusal["code"]) == (0, code)
    assert detail in refusal["detail"]
    assert ExecutionLog.objects.count() == 0


def test_an_importer_writes_old_lines(api: Any, owner: Any, workflow: Workflow) -> None:
    run = str(WorkflowExecutionFactory(workflow=workflow).pk)
    old = line(run, "years ago", id="016f0000-0000-7000-8000-000000000000", at="2019-12-13T00:00:00Z")
    engine = api(owner, scopes=["executions:report"])
    assert send(engine, old)["refused"] == 1
    importer = api(owner, scopes=["executions:report", "executions:import"])
    assert send(importer, old)["applied"] == 1
    assert ExecutionLog.objects.get().timestamp.year == 2019


@pytest.mark.parametrize("body", ["", "{}", "[", '{"kind": "log"}', "nonsense", "[" * 100_000, "\ufeff"])
def test_a_body_of_which_no_fact_can_be_read(engine: Any, body: str) -> None:
    response = engine.post(URL, body, content_type="application/json")
    assert response.status_code == 400


def test_too_many_facts(engine: Any) -> None:
    assert "at most 10000 facts" in send(engine, *[{}] * 10_001, status=400)["detail"]


def test_an_end_before_its_start(engine: Any, workflow: Workflow) -> None:
    run = new_id()
    start, *_rest, end = run_facts(workflow, run)[1:]
    create = run_facts(workflow, run)[0]
    answer = send(engine, create, start | {"at": "2026-11-01T10:00:00Z"}, end | {"at": "2026-11-01T09:59:59.999Z"})
    assert [(each["index"], each["code"]) for each in answer["refusals"]] == [(2, "end_before_start")]


def test_a_second_run_at_once(engine: Any, workflow: Workflow) -> None:
    first, second, third = new_id(), new_id(), new_id()
    answer = send(
        engine,
        *run_facts(workflow, first)[:2],
        *run_facts(workflow, second),
        *run_facts(workflow, third, **CONCURRENT),
        {"kind": "execution.complete", "id": first},
    )
    assert (answer["applied"], answer["refusals"]) == (9, [])  # run by run: the first had ended
    WorkflowExecutionFactory(workflow=workflow).start()
    answer = send(engine, *run_facts(workflow, new_id()), *run_facts(workflow, new_id(), **CONCURRENT))
    assert [(each["index"], each["code"]) for each in answer["refusals"]] == [(1, "concurrent_execution")]
    assert answer["applied"] == 3


def test_runs_of_one_workflow_that_are_queued_and_end_in_another_order(engine: Any, workflow: Workflow) -> None:
    """Their facts come interleaved: none is refused because of one that runs before or after it."""
    running, first, second = str(WorkflowExecutionFactory(workflow=workflow).pk), new_id(), new_id()
    send(engine, {"kind": "execution.start", "id": running})
    of_first, of_second = run_facts(workflow, first), run_facts(workflow, second)
    facts = [of_first[0], of_second[0], {"kind": "execution.complete", "id": running}, *of_second[1:], of_first[1]]
    assert send(engine, *facts)["refusals"] == []
    assert [WorkflowExecution.objects.get(pk=run).status for run in (running, second, first)] == [
        "completed", "completed", "running",
    ]  # fmt: skip


def test_an_earlier_attempt(engine: Any, workflow: Workflow) -> None:
    run = in_state(WorkflowExecutionFactory(workflow=workflow), "failed")
    run.retry()
    fact = {"kind": "execution.complete", "id": str(run.pk), "attempt": 1}
    answer = send(engine, fact)
    assert answer["refusals"][0]["code"] == "stale_execution"
    assert answer["notices"] == [{"workflow_execution": str(run.pk), "act": "retry", "status": "pending", "attempt": 2}]
    assert send(engine, fact | {"kind": "execution.fail", "error_message": "again"})["known"] == 1


def test_the_engine_hears_of_the_cancel_of_a_node_when_it_reports_a_fact_of_it(engine: Any, workflow: Workflow) -> None:
    run, id = new_id(), new_id()
    facts = run_facts(workflow, run, {"fetch": id})[:4]
    send(engine, *facts)
    NodeExecution.objects.get(pk=id).cancel()
    notice = {
        "workflow_execution": run, "node_execution": id, "act": "cancel_node", "status": "cancelled", "attempt": 1,
    }  # fmt: skip
    assert send(engine, facts[-1])["notices"] == [notice]
    own = {"kind": "node.cancel", "id": id, "workflow_execution": run, "attempt": 1}
    assert send(engine, own)["notices"] == []
    WorkflowExecution.objects.get(pk=run).cancel()
    assert [each["act"] for each in send(engine, facts[-1])["notices"]] == ["cancel"]


def test_the_engine_hears_that_others_have_ended_a_run_whose_start_it_repeats(engine: Any, workflow: Workflow) -> None:
    run = new_id()
    facts = run_facts(workflow, run)
    start = facts[1]
    send(engine, *facts[:2])
    assert send(engine, start)["notices"] == []
    send(engine, facts[-1])
    notice = {"workflow_execution": run, "act": "end", "status": "completed", "attempt": 1}
    assert send(engine, start)["notices"] == [notice]
    assert send(engine, line(run, "late"))["notices"] == []
    assert send(engine, *facts)["notices"] == []  # who has ended it knows


def test_the_engine_hears_of_the_retry_rather_than_of_the_end(engine: Any, workflow: Workflow) -> None:
    run = in_state(WorkflowExecutionFactory(workflow=workflow), "failed")
    start = {"kind": "execution.start", "id": str(run.pk), "attempt": 1}
    assert [(each["act"], each["status"]) for each in send(engine, start)["notices"]] == [("end", "failed")]
    run.retry()
    assert [each["act"] for each in send(engine, start)["notices"]] == ["retry"]


def test_the_engine_hears_of_a_cancel(engine: Any, workflow: Workflow) -> None:
    run, id = new_id(), new_id()
    send(engine, *run_facts(workflow, run, {"fetch": id})[:4])
    WorkflowExecution.objects.get(pk=run).cancel()
    answer = send(engine, line(run, "still here"))
    assert answer["applied"] == 1
    assert answer["notices"] == [{"workflow_execution": run, "act": "cancel", "status": "cancelled", "attempt": 1}]
    answer = send(engine, {"kind": "node.complete", "id": id, "workflow_execution": run})
    assert (answer["refusals"][0]["code"], answer["refusals"][0]["current_state"]) == (
        "invalid_transition",
        "cancelled",
    )


def test_what_belongs_to_others_is_not_there(api: Any, stranger: Any, workflow: Workflow) -> None:
    run = WorkflowExecutionFactory(workflow=workflow)
    answer = send(
        api(stranger), {"kind": "execution.start", "id": str(run.pk)}, run_facts(workflow, new_id())[0],
        run_facts(workflow, str(run.pk))[0],
    )  # fmt: skip
    assert [each["code"] for each in answer["refusals"]] == ["not_found", "invalid"]
    run.refresh_from_db()
    assert run.status == "pending"


def test_scopes_count_fact_by_fact(api: Any, owner: Any, workflow: Workflow) -> None:
    run = WorkflowExecutionFactory(workflow=workflow)
    cancel = {"kind": "execution.cancel", "id": str(run.pk)}
    engine = api(owner, scopes=["executions:report"])
    answer = send(engine, cancel, *run_facts(workflow, new_id()))
    assert [(each["index"], each["code"]) for each in answer["refusals"]] == [(0, "permission_denied")]
    assert answer["applied"] == 3
    assert send(api(owner), cancel)["applied"] == 1


def test_staff_need_the_permission_to_change_what_is_not_theirs(api: Any, teammate: Any, workflow: Workflow) -> None:
    run = WorkflowExecutionFactory(workflow=workflow)
    fact = {"kind": "execution.start", "id": str(run.pk)}
    assert send(api(teammate), fact)["refusals"][0]["code"] == "permission_denied"
    teammate.user_permissions.add(*permissions("change_workflowexecution"))
    assert send(api(teammate), fact)["applied"] == 1


def test_a_token_bound_to_another_workflow(api: Any, owner: Any, workflow: Workflow) -> None:
    run = WorkflowExecutionFactory(workflow=workflow)
    bound = api(owner, bound_to=[uuid7()])
    answer = send(bound, {"kind": "execution.start", "id": str(run.pk)}, run_facts(workflow, new_id())[0])
    assert [each["code"] for each in answer["refusals"]] == ["not_found", "invalid"]


HOSTILE = [
    "[" * 100_000,
    '{"a":' * 100_000,
    '"' + "x" * 1_000_000,
    "\ufeff",
    "null",
    '{"kind": "log", "kind": "log"}',
    '{"kind": ["log"]}',
    '{"kind": "log", "id": 7}',
]


def test_lines_that_are_no_facts(engine: Any, workflow: Workflow) -> None:
    run = str(WorkflowExecutionFactory(workflow=workflow).pk)
    good = [json.dumps(line(run.upper(), text)) for text in ("one", "two")]
    body = "\r\n".join(["\ufeff" + good[0], *HOSTILE, "", good[1], ""])
    answer = engine.post(URL, body, content_type="application/x-ndjson").json()
    assert [refusal["index"] for refusal in answer["refusals"]] == list(range(1, len(HOSTILE) + 1))
    assert (answer["applied"], answer["refused"]) == (2, len(HOSTILE))


def test_an_empty_list(engine: Any) -> None:
    assert send(engine) == {"applied": 0, "known": 0, "refused": 0, "refusals": [], "notices": []}


@pytest.mark.parametrize(
    "at",
    [
        "1969-12-31T23:59:59Z",
        "9999-12-31T23:59:59-14:00",
        "0001-01-01T00:00:00+14:00",
        "2026-02-30T00:00:00Z",
        "now",
        "",
    ],
)
def test_a_time_that_is_none(engine: Any, workflow: Workflow, at: str) -> None:
    run = str(WorkflowExecutionFactory(workflow=workflow).pk)
    answer = send(engine, line(run, "one", at=at))
    assert [refusal["code"] for refusal in answer["refusals"]] in (["invalid"], ["at_in_future"])


def test_the_answer_is_bounded(engine: Any, workflow: Workflow) -> None:
    run = str(WorkflowExecutionFactory(workflow=workflow).pk)
    answer = send(engine, line(run, "one", **{"x" * 100_000: 1}), line(run, "two", data={"y" * 100_000: float("1e30")}))
    assert all(len(refusal["detail"]) <= 500 for refusal in answer["refusals"])


def test_a_hundred_definitions(api: Any, owner: Any) -> None:
    engine = api(owner)
    facts = [
        {
            "kind": "workflow.ensure",
            "workflow": {"name": f"flow {number}", "nodes": [{"name": "fetch", "node_type": "tool"}]},
        }
        for number in range(101)
    ]
    assert "at most 100 different definitions" in send(engine, *facts, status=400)["detail"]
    assert Workflow.objects.count() == 0
    answer = send(engine, *reversed(facts[:3]), *facts[:3])
    assert (answer["applied"], answer["known"]) == (3, 3)
    assert list(Workflow.objects.order_by("pk").values_list("name", flat=True)) == ["flow 0", "flow 1", "flow 2"]
