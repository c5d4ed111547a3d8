"""The pages that run a run again, and that start a workflow."""

from html import unescape
from typing import Any

import pytest
from django.test import Client

from executions.models import HistoryEntry, WorkflowExecution
from executions.tests.cast import permissions
from executions.tests.factories import WorkflowExecutionFactory, in_state, run_with_nodes
from ledgerkit.db.models import uuid7
from ledgerkit.tests.clients import client_of
from workflows.models import Workflow
from workflows.tests.factories import UserFactory

pytestmark = pytest.mark.django_db
RUNS = "/admin/executions/workflowexecution"


@pytest.fixture
def run(workflow: Workflow) -> WorkflowExecution:
    """Return a run that failed at rank."""
    run = run_with_nodes(workflow, input_data={"day": "2026-11-27"})
    in_state(run.node_executions.get(node_name="fetch"), "completed")
    in_state(run.node_executions.get(node_name="rank"), "failed")
    run.fail("rank failed")
    return run


@pytest.fixture
def operator(db: None) -> Any:
    user = UserFactory(username="operator", is_staff=True)
    user.user_permissions.set(permissions("view_workflowexecution", "view_nodeexecution", "change_workflowexecution"))
    return user


@pytest.fixture
def page(operator: Any) -> Client:
    return client_of(operator)


def form(**values: Any) -> dict[str, Any]:
    return {"id": str(uuid7()), "input_data": "{}", "reason": ""} | values


def new_run(run: WorkflowExecution | None = None) -> WorkflowExecution:
    return WorkflowExecution.objects.exclude(pk=run and run.pk).get()


def test_the_form_has_the_input_of_the_run_and_the_failed_nodes(page: Client, run: Any) -> None:
    shown = page.get(f"{RUNS}/{run.pk}/rerun/").content.decode()
    assert "2026-11-27" in shown
    assert "At “rank”" in shown
    assert "At “fetch”" not in shown
    fetch = run.node_executions.get(node_name="fetch").node_id
    assert "At “fetch”" in page.get(f"{RUNS}/{run.pk}/rerun/?from_node={fetch}").content.decode()


def test_the_new_run_has_the_edited_input_and_both_pages_name_each_other(page: Client, run: Any) -> None:
    sent = form(input_data='{"day": "2026-11-28"}', reason="late prices")
    answer = page.post(f"{RUNS}/{run.pk}/rerun/", sent)
    new = new_run(run)
    assert answer["Location"] == f"{RUNS}/{new.pk}/change/"
    assert new.input_data == {"day": "2026-11-28"}
    assert f"{RUNS}/{run.pk}/change/" in page.get(f"{RUNS}/{new.pk}/change/").content.decode()
    assert f"{RUNS}/{new.pk}/change/" in page.get(f"{RUNS}/{run.pk}/change/").content.decode()
    [entry] = HistoryEntry.objects.filter(workflow_execution=new.pk)
    assert (entry.username, entry.reason) == ("operator", "late prices")


def test_a_new_run_starts_at_the_chosen_node(page: Client, run: Any) -> None:
    rank = run.node_executions.get(node_name="rank").node_id
    page.post(f"{RUNS}/{run.pk}/rerun/", form(from_node=str(rank)))
    assert new_run(run).context["rerun"]["from_node"] == "rank"


def test_the_page_of_the_new_run_acts_on_the_new_run(page: Client, run: Any) -> None:
    new = run.rerun()
    shown = page.get(f"{RUNS}/{new.pk}/change/").content.decode()
    assert f'name="_selected_action" value="{new.pk}"' in shown
    assert f'name="_selected_action" value="{run.pk}"' not in shown


def test_a_form_that_is_sent_twice_makes_one_run(page: Client, run: Any) -> None:
    sent = form()
    answers = [page.post(f"{RUNS}/{run.pk}/rerun/", sent)["Location"] for _time in range(2)]
    assert answers == [f"{RUNS}/{new_run(run).pk}/change/"] * 2


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"input_data": "["}, "Line 1, column 2: this is no JSON from here on: “[”"),
        ({"input_data": '{\n"day": oops}'}, 'Line 2, column 8: this is no JSON from here on: “"day": oops}”'),
        ({"input_data": "[]"}, "The input is an object"),
        ({"input_data": '{"a": NaN}'}, "cannot be stored"),
        ({"input_data": "[" * 9_999}, "nested deeper"),
        ({"input_data": '{"password": "hunter2-hunter2"}'}, "masked values"),
        ({"from_node": "elsewhere"}, "Select a valid choice"),
        ({"id": "0"}, "Enter a valid UUID"),
        ({"id": "9f0c1d9e-2f0e-4f0e-8f0e-9f0c1d9e2f0e"}, "open it again"),
        ({"reason": "x" * 1_001}, "at most 1000 characters"),
    ],
    ids=lambda item: str(item)[:30],
)
def test_what_is_wrong_is_said_beside_what_was_typed(page: Client, run: Any, values: Any, sentence: str) -> None:
    answer = page.post(f"{RUNS}/{run.pk}/rerun/", form(**values))
    assert answer.status_code == 200
    assert sentence in unescape(answer.content.decode())
    assert WorkflowExecution.objects.count() == 1


def test_an_input_that_does_not_fit_the_schema_is_refused(page: Client, run: Any) -> None:
    run.workflow.nodes.filter(name="fetch").update(input_schema={"required": ["day"]})
    answer = page.post(f"{RUNS}/{run.pk}/rerun/", form())
    assert "input_data.day: is required" in answer.content.decode()


def test_a_workflow_that_is_not_active_is_said(page: Client, run: Any) -> None:
    Workflow.objects.update(is_active=False)
    assert "activate it first" in page.post(f"{RUNS}/{run.pk}/rerun/", form()).content.decode()


def test_a_workflow_is_started_from_its_page(page: Client, workflow: Workflow) -> None:
    assert f"{RUNS}/start/{workflow.pk}/" in page.get(f"/admin/workflows/workflow/{workflow.pk}/").content.decode()
    shown = page.get(f"{RUNS}/start/{workflow.pk}/").content.decode()
    assert "No engine has started one of the newest runs" in shown
    page.post(f"{RUNS}/start/{workflow.pk}/", form(input_data='{"day": 1}'))
    new = new_run()
    assert (new.workflow_id, new.status, new.input_data) == (workflow.pk, "pending", {"day": 1})


def test_the_page_says_which_engine_works_on_the_workflow(page: Client, workflow: Workflow) -> None:
    run = WorkflowExecutionFactory(workflow=workflow)
    run.start(worker="seoul-3", lease_seconds=60)
    assert "An engine works on this workflow: seoul-3" in page.get(f"{RUNS}/start/{workflow.pk}/").content.decode()
    run.complete()
    assert "An engine has last started a run" in page.get(f"{RUNS}/start/{workflow.pk}/").content.decode()


def test_a_retry_beyond_max_retries_is_offered_where_these_refuse_one(page: Client, run: Any) -> None:
    address, offer = f"{RUNS}/{run.pk}/change/", 'value="override_max_retries"'
    assert offer not in page.get(address).content.decode()
    run.workflow.nodes.update(retry_config={"max_retries": 0})
    assert offer in page.get(address).content.decode()
    sent = {"CHANGE_FORM-action": "override_max_retries", "_selected_action": str(run.pk), "confirmed": "yes"}
    assert "Nothing was retried: give a reason" in page.post(address, sent).content.decode()
    page.post(address, sent | {"CHANGE_FORM-reason": "the exchange is open again"})
    run.refresh_from_db()
    assert run.status == "pending"


def test_viewers_may_neither_run_again_nor_start(teammate: Any, run: Any) -> None:
    client = client_of(teammate)
    for address in (f"{RUNS}/{run.pk}/rerun/", f"{RUNS}/start/{run.workflow_id}/"):
        assert client.get(address).status_code == client.post(address, form()).status_code == 403
    assert "/rerun/" not in client.get(f"{RUNS}/{run.pk}/change/").content.decode()
    assert "/start/" not in client.get(f"/admin/workflows/workflow/{run.workflow_id}/").content.decode()


def test_a_run_that_does_not_exist_is_404(page: Client, workflow: Workflow) -> None:
    assert page.get(f"{RUNS}/{workflow.pk}/rerun/").status_code == 404
    assert page.get(f"{RUNS}/start/{uuid7()}/").status_code == 404


def test_without_the_permission_for_nodes_no_node_is_offered(page: Client, operator: Any, run: Any) -> None:
    operator.user_permissions.set(permissions("view_workflowexecution", "change_workflowexecution"))
    rank = run.node_executions.get(node_name="rank").node_id
    assert "At “" not in page.get(f"{RUNS}/{run.pk}/rerun/?from_node={rank}").content.decode()
    assert page.post(f"{RUNS}/{run.pk}/rerun/", form(from_node=str(rank))).status_code == 200
    assert WorkflowExecution.objects.count() == 1
