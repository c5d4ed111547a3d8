"""Actions: verbs on rows, each in its own transaction; one sentence for each row that refuses."""

from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.messages import get_messages
from django.urls import reverse

from executions.models import NodeExecution, WorkflowExecution
from executions.tests.cast import permissions
from executions.tests.factories import NodeExecutionFactory, WorkflowExecutionFactory, in_state
from ledgerkit.tests.clients import client_of
from workflows.tests.factories import UserFactory

RUNS = "/admin/executions/workflowexecution/"
NODES = "/admin/executions/nodeexecution/"


def act(user: Any, path: str, action: str, *rows: Any, **fields: Any) -> list[str]:
    """Run the action and its confirmation page, and return the messages on the list."""
    return messages_of(post_action(user, path, action, *rows, confirmed="yes", **fields))


def post_action(user: Any, path: str, action: str, *rows: Any, **fields: Any) -> Any:
    return client_of(user).post(path, {"action": action, "_selected_action": [row.pk for row in rows]} | fields)


def messages_of(response: Any) -> list[str]:
    return [str(message) for message in get_messages(response.wsgi_request)]


def act_on_page(user: Any, row: Any, action: str, **fields: str) -> Any:
    path = reverse(f"admin:executions_{row._meta.model_name}_change", args=[row.pk])
    data = {"action": action, "confirmed": "yes"} | fields
    prefixed = {name if name == "confirmed" else f"CHANGE_FORM-{name}": value for name, value in data.items()}
    return client_of(user).post(path, prefixed | {"_selected_action": row.pk})


def status(row: Any) -> str:
    return str(type(row).objects.values_list("status", flat=True).get(pk=row.pk))


def run_in(state: str) -> WorkflowExecution:
    return in_state(WorkflowExecutionFactory(), state)


def node_in(state: str) -> NodeExecution:
    run = in_state(WorkflowExecutionFactory(), "running")
    return in_state(NodeExecutionFactory(workflow_execution=run), state)


class TestInTheList:
    def test_what_can_be_cancelled_is_and_each_other_row_says_why_not(self, staff: Any) -> None:
        pending, running, completed = run_in("pending"), run_in("running"), run_in("completed")
        said = act(staff, RUNS, "cancel", pending, completed, running)
        assert [status(run) for run in (pending, running, completed)] == ["cancelled", "cancelled", "completed"]
        assert f"{completed}: Cannot cancel execution in completed state" in said
        assert "Cancelled 2 workflow executions." in said
        assert len(said) == 2

    def test_retry_puts_failed_runs_back(self, staff: Any) -> None:
        failed, pending = run_in("failed"), run_in("pending")
        said = act(staff, RUNS, "retry", failed, pending)
        assert status(failed) == "pending"
        assert said == [
            f"{pending}: Cannot retry execution in pending state",
            "Put 1 workflow execution back to pending.",
        ]

    def test_nodes_are_retried_cancelled_and_skipped(self, staff: Any) -> None:
        failed, running, pending = node_in("failed"), node_in("running"), node_in("pending")
        act(staff, NODES, "retry", failed)
        act(staff, NODES, "cancel", running)
        act(staff, NODES, "skip", pending)
        assert [status(node) for node in (failed, running, pending)] == ["pending", "cancelled", "skipped"]

    def test_a_node_without_retries_left_says_so(self, staff: Any) -> None:
        node = node_in("pending")
        node.node.retry_config = {"max_retries": 0}
        node.node.save()
        in_state(node, "failed")
        assert "0 of 0 retries" in act(staff, NODES, "retry", node)[0]

    def test_what_was_done_stands_in_the_history_of_the_row_and_refusals_do_not(self, staff: Any) -> None:
        running, completed = run_in("running"), run_in("completed")
        act(staff, RUNS, "cancel", running, completed)
        assert [entry.object_id for entry in LogEntry.objects.all()] == [str(running.pk)]

    def test_all_rows_of_a_list_cannot_be_selected_at_once(self, staff: Any) -> None:
        run = run_in("running")
        act(staff, RUNS, "cancel", select_across="1")
        assert status(run) == "running"

    def test_an_invalid_id_is_a_bad_request(self, staff: Any) -> None:
        data = {"action": "cancel", "_selected_action": ["x\x00"], "index": "0"}
        assert client_of(staff).post(RUNS, data).status_code == 400

    def test_a_row_that_is_gone_is_passed_over(self, staff: Any) -> None:
        run = run_in("running")
        WorkflowExecution.objects.filter(pk=run.pk).delete()
        assert act(staff, RUNS, "cancel", run) == []


class TestOnThePage:
    @pytest.mark.parametrize(
        ("state", "offered"),
        [("pending", ["cancel"]), ("running", ["cancel"]), ("failed", ["retry"]), ("completed", []), ("cancelled", [])],
    )
    def test_a_run_offers_what_its_state_allows(self, state: str, offered: list[str], staff: Any) -> None:
        run = run_in(state)
        html = client_of(staff).get(f"{RUNS}{run.pk}/change/").content.decode()
        assert [name for name in ("cancel", "retry") if f'value="{name}"' in html] == offered

    @pytest.mark.parametrize(
        ("state", "offered"), [("pending", ["cancel", "skip"]), ("failed", ["retry"]), ("skipped", [])]
    )
    def test_a_node_offers_what_its_state_allows(self, state: str, offered: list[str], staff: Any) -> None:
        node = node_in(state)
        html = client_of(staff).get(f"{NODES}{node.pk}/change/").content.decode()
        assert [name for name in ("cancel", "retry", "skip") if f'value="{name}"' in html] == offered

    def test_it_is_done(self, staff: Any) -> None:
        run = run_in("running")
        assert act_on_page(staff, run, "cancel").status_code == 302
        assert status(run) == "cancelled"

    def test_the_reason_that_its_form_sends_is_kept(self, staff: Any) -> None:
        for verb, state in (("cancel", "cancelled"), ("fail", "failed")):
            run = run_in("running")
            act_on_page(staff, run, verb, reason="engine-2 is gone")
            assert status(run) == state
            assert run.history.get(act=verb).reason == "engine-2 is gone"

    def test_a_refusal_is_a_sentence(self, staff: Any) -> None:
        run = run_in("completed")
        response = act_on_page(staff, run, "cancel")
        assert [str(message) for message in get_messages(response.wsgi_request)] == [
            f"{run}: Cannot cancel execution in completed state"
        ]
        assert status(run) == "completed"


class TestWhoMay:
    def test_who_may_only_view_is_offered_nothing_and_can_do_nothing(self, teammate: Any) -> None:
        run, node = run_in("running"), node_in("running")
        assert 'value="cancel"' not in client_of(teammate).get(f"{RUNS}{run.pk}/change/").content.decode()
        for row in (run, node):
            assert act_on_page(teammate, row, "cancel").status_code == 403
        client_of(teammate).post(RUNS, {"action": "cancel", "_selected_action": [run.pk], "index": "0"})
        assert status(run) == status(node) == "running"

    def test_strangers_and_newcomers_can_do_nothing(self, stranger: Any, newcomer: Any) -> None:
        run = run_in("running")
        for user in (stranger, newcomer):
            assert act_on_page(user, run, "cancel").status_code in {302, 403}
            client_of(user).post(RUNS, {"action": "cancel", "_selected_action": [run.pk], "index": "0"})
        assert status(run) == "running"

    def test_the_change_permission_is_enough(self, db: None) -> None:
        user = UserFactory(is_staff=True)
        user.user_permissions.set(permissions("view_workflowexecution", "change_workflowexecution"))
        run = run_in("running")
        act_on_page(user, run, "cancel")
        assert status(run) == "cancelled"

    def test_the_change_permission_reaches_only_runs_that_may_be_seen(self, db: None) -> None:
        user = UserFactory(is_staff=True)
        user.user_permissions.set(permissions("change_workflowexecution"))
        run = run_in("running")
        act(user, RUNS, "cancel", run)
        assert status(run) == "running"
