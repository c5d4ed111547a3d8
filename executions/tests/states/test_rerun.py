"""A run again as a new run: what the new one has of the old one, and what it has not."""

from typing import Any

import pytest
from django.core.exceptions import ValidationError

from executions.audit import act_as
from executions.models import HistoryEntry, WorkflowExecution
from executions.rerun import start_by_hand
from executions.tests.factories import WorkflowExecutionFactory, in_state
from workflows.tests.factories import UserFactory, WorkflowFactory

pytestmark = pytest.mark.django_db
MASK = "***masked***"


@pytest.fixture
def run() -> WorkflowExecution:
    """Return the run of fetch → rank → report that failed at rank."""
    workflow = WorkflowFactory(chain=["fetch", "rank", "report"])
    run = WorkflowExecutionFactory(
        workflow=workflow,
        trigger_type="schedule",
        input_data={"day": "2026-11-27"},
        context={"variables": {"currency": "KRW"}, "retry_info": {"attempt": 1}},
        metadata={"tags": ["nightly"], "priority": 3, "correlation_id": "c-1", "schedule_id": "daily"},
    )
    for node in workflow.nodes.all():
        run.add_node(node)
    run.start()
    for name, state in (("fetch", "completed"), ("rank", "failed")):
        in_state(run.node_executions.get(node_name=name), state)
    run.fail("rank failed")
    return run


def fresh(run: WorkflowExecution) -> WorkflowExecution:
    return WorkflowExecution.objects.get(pk=run.pk)


def errors(run: WorkflowExecution, **arguments: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        run.rerun(**arguments)
    return " ".join(caught.value.messages)


def test_the_new_run_waits_with_the_same_input_and_names_the_old_one(run: Any) -> None:
    new = fresh(run.rerun())
    assert (new.status, new.trigger_type, new.input_data) == ("pending", "manual", {"day": "2026-11-27"})
    assert new.context == {"variables": {"currency": "KRW"}}
    assert new.metadata == {"tags": ["nightly"], "priority": 3, "rerun_of": str(run.pk)}


def test_the_old_run_is_untouched(run: Any) -> None:
    before = fresh(run).version
    run.rerun()
    assert (fresh(run).status, fresh(run).version) == ("failed", before)


def test_a_rerun_may_have_another_input(run: Any) -> None:
    assert fresh(run.rerun({"day": "2026-11-28"})).input_data == {"day": "2026-11-28"}
    assert fresh(run.rerun({})).input_data == {}


def test_from_a_node_on_it_names_what_was_completed_before(run: Any) -> None:
    fetched = run.node_executions.get(node_name="fetch")
    rerun = fresh(run.rerun(from_node="rank")).context["rerun"]
    assert rerun == {"from_node": "rank", "completed": {"fetch": str(fetched.pk)}}
    by_id = str(run.node_executions.get(node_name="rank").node_id)
    assert fresh(run.rerun(from_node=by_id)).context["rerun"] == rerun


def test_what_comes_after_the_node_is_not_kept_although_it_was_completed(run: Any) -> None:
    assert fresh(run.rerun(from_node="fetch")).context["rerun"] == {"from_node": "fetch", "completed": {}}


def test_a_run_from_a_node_on_that_runs_again_from_the_beginning_forgets_the_node(run: Any) -> None:
    assert "rerun" not in fresh(run.rerun(from_node="rank").rerun()).context


def test_a_node_that_the_run_did_not_execute_is_refused(run: Any) -> None:
    assert "no node with this id or name" in errors(run, from_node="elsewhere")


def test_a_workflow_that_is_not_active_is_refused(run: Any) -> None:
    run.workflow.is_active = False
    run.workflow.save()
    assert "activate it first" in errors(run)


def test_an_input_that_was_masked_is_refused_until_another_one_is_given() -> None:
    run = WorkflowExecutionFactory(input_data={"password": "hunter2-hunter2"})
    assert "masked values" in errors(run)
    assert "masked values" in errors(run, input_data={"password": "swordfish"})
    assert not WorkflowExecution.objects.exclude(pk=run.pk).exists()
    assert fresh(run.rerun({"day": 1})).input_data == {"day": 1}


def test_masked_values_of_the_context_are_left_out() -> None:
    environment = {"API_TOKEN": "hunter2-hunter2", "REGION": "seoul", "PATHS": ["/a", "hunter2-hunter2"]}
    run = WorkflowExecutionFactory(context={"secrets": {"key": "hunter2-hunter2"}, "environment": environment})
    assert fresh(run.rerun()).context == {"environment": {"REGION": "seoul"}}


def test_a_masked_output_is_given_to_no_engine(run: Any) -> None:
    run.node_executions.filter(node_name="fetch").update(output_data={"token": MASK})
    assert "“fetch” has masked values" in errors(run, from_node="rank")


def test_the_history_of_the_new_run_says_who_and_why(run: Any) -> None:
    user = UserFactory(username="jiwoo")
    with act_as(user=user, reason="the prices were late"):
        new = run.rerun()
    entry = HistoryEntry.objects.get(workflow_execution=new.pk)
    assert (entry.act, entry.username, entry.reason) == ("create", "jiwoo", "the prices were late")
    assert fresh(new).metadata["triggered_by"] == "jiwoo"


def test_the_reason_is_masked_by_the_secrets_of_the_old_run() -> None:
    run = WorkflowExecutionFactory(context={"secrets": {"key": "hunter2-hunter2"}})
    with act_as(reason="hunter2-hunter2 was wrong"):
        new = run.rerun()
    assert HistoryEntry.objects.get(workflow_execution=new.pk).reason == f"{MASK} was wrong"


def test_the_input_has_to_fit_the_schema_of_the_first_nodes(run: Any) -> None:
    schema = {"type": "object", "required": ["day"], "properties": {"day": {"type": "string"}}}
    run.workflow.nodes.filter(name="fetch").update(input_schema=schema)
    run.workflow.nodes.filter(name="rank").update(input_schema={"required": ["rows"]})
    run.rerun()
    assert "input_data.day: is required (input schema of the node “fetch”)" in errors(run, input_data={})
    assert "input_data.day: expected the type string" in errors(run, input_data={"day": 3})


def test_a_workflow_is_started_by_hand_without_an_old_run() -> None:
    with act_as(user=UserFactory(username="jiwoo")):
        new = fresh(start_by_hand(WorkflowFactory(), {"day": "2026-11-28"}))
    assert (new.status, new.trigger_type, new.input_data) == ("pending", "manual", {"day": "2026-11-28"})
    assert new.metadata == {"triggered_by": "jiwoo"}
