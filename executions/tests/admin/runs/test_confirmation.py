"""The page that asks before an action: what it counts and lists, what it leaves out and why, and what it keeps."""

import re
from typing import Any
from unittest import mock

import pytest
from cryptography.fernet import Fernet
from django.db import connection
from django.test.utils import CaptureQueriesContext

from executions.allowed_actions import refusal
from executions.exceptions import InvalidTransition
from executions.models import NodeExecution, SavedView, WorkflowExecution
from executions.tests.admin.runs.test_actions import (
    NODES,
    RUNS,
    act_on_page,
    messages_of,
    node_in,
    post_action,
    run_in,
    status,
)
from executions.tests.cast import permissions
from executions.tests.factories import NodeExecutionFactory, WorkflowExecutionFactory, in_state
from ledgerkit.tests.clients import client_of
from tokens.models import Token
from workflows.models import Workflow
from workflows.tests.factories import NodeFactory, UserFactory

TEXT_FIELDS = re.compile(r"<input(?![^>]*type=\"(?:hidden|submit|checkbox|radio)\")")


def spent(run: WorkflowExecution) -> NodeExecution:
    """Return a failed node of the run that has no retry left."""
    node = NodeFactory(workflow=run.workflow, name="load", retry_config={"max_retries": 0})
    return in_state(NodeExecutionFactory(workflow_execution=run, node=node), "failed")


def body(html: str) -> str:
    """Return the part of the page that belongs to the action, without the header and its search."""
    return html[html.index('class="confirm"') :]


class TestAsking:
    def test_nothing_happens_before_the_button_that_says_what_it_does(self, staff: Any) -> None:
        rows = [run_in("pending"), run_in("running"), run_in("completed")]
        response = post_action(staff, RUNS, "cancel", *rows, reason="the feed is wrong")
        html = body(response.content.decode())
        assert [status(row) for row in rows] == ["pending", "running", "completed"]
        assert "Cancel 2 workflow executions</button>" in html
        assert all(f'href="{RUNS}{row.pk}/change/"' in html for row in rows)
        assert "1 is left out" in html
        assert "Cannot cancel execution in completed state: it has already ended: leave it out" in html
        assert [f'value="{row.pk}"' in html for row in rows] == [True, True, False]
        assert "the feed is wrong</textarea>" in html

    def test_no_field_of_it_sends_it_by_enter(self, staff: Any) -> None:
        run, ended = run_in("running"), run_in("failed")
        for action, row in (("cancel", run), ("fail", run), ("delete_selected", ended)):
            html = post_action(staff, RUNS, action, row).content.decode()
            assert not TEXT_FIELDS.search(html[html.index("<form method") :].split("</form>")[-2])
            assert "<textarea" in html
        html = client_of(staff).get(f"{RUNS}{ended.pk}/delete/").content.decode()
        assert '<input type="text"' not in html.partition('<dialog class="palette"')[0]
        assert "Delete 1 workflow execution</button>" in html

    def test_the_page_of_a_row_has_no_field_that_acts(self, staff: Any) -> None:
        for address, row in ((RUNS, run_in("running")), (NODES, node_in("pending"))):
            html = client_of(staff).get(f"{address}{row.pk}/change/").content.decode()
            assert re.search('value="cancel"[^>]*>Cancel</button>', html)
            assert "CHANGE_FORM-reason" not in html

    def test_enter_in_the_form_of_a_workflow_looks_at_it_and_presses_no_action(
        self, staff: Any, workflow: Workflow
    ) -> None:
        html = client_of(staff).get(f"/admin/workflows/workflow/{workflow.pk}/change/").content.decode()
        buttons = re.findall(r"<(?:button|input)[^>]*type=\"submit\"[^>]*>", html[html.index('id="workflow_form"') :])
        in_form = [button for button in buttons if "form=" not in button]
        assert 'name="_preview"' in in_form[0]
        assert 'value="move_to_trash" form="act-form"' in html

    def test_from_the_page_it_asks_too(self, staff: Any) -> None:
        run = run_in("running")
        data = {"CHANGE_FORM-action": "cancel", "_selected_action": run.pk}
        response = client_of(staff).post(f"{RUNS}{run.pk}/change/", data)
        assert 'name="CHANGE_FORM-action" value="cancel"' in response.content.decode()
        assert status(run) == "running"

    def test_without_a_selected_row_the_list_says_so(self, staff: Any) -> None:
        run_in("running")
        client = client_of(staff)
        assert '<input type="hidden" name="index" value="0">' in client.get(RUNS).content.decode()
        response = client.post(RUNS, {"action": "cancel", "index": "0"}, follow=True)
        assert any("Items must be selected" in each for each in messages_of(response))

    def test_where_nothing_can_be_done_there_is_no_button(self, staff: Any) -> None:
        html = body(post_action(staff, RUNS, "cancel", run_in("completed"), reason="too late").content.decode())
        assert "Nothing can be done" in html
        assert 'name="confirmed"' not in html
        assert "too late</textarea>" in html

    def test_many_rows_are_counted_and_the_first_are_listed(self, staff: Any) -> None:
        rows = WorkflowExecutionFactory.create_batch(53)
        html = body(post_action(staff, RUNS, "cancel", *rows).content.decode())
        assert "Cancel 53 workflow executions" in html
        assert "These are the first 50 of 53." in html
        assert html.count("/change/") == 50

    def test_the_queries_do_not_grow_with_the_rows(self, staff: Any) -> None:
        rows, client = [run_in("failed") for _ in range(10)], client_of(staff)
        counts = []
        for chosen in (rows[:1], rows):
            with CaptureQueriesContext(connection) as queries:
                client.post(RUNS, {"action": "retry", "_selected_action": [row.pk for row in chosen]})
            counts.append(len(queries))
        assert counts[0] == counts[1]


class TestAnswered:
    def test_a_reason_that_is_missing_is_requested_on_the_same_page(self, staff: Any) -> None:
        run = run_in("running")
        response = post_action(staff, RUNS, "fail", run, confirmed="yes", reason="  ")
        assert "give a reason, which becomes the error of the run" in response.content.decode()
        assert "Mark 1 workflow execution as failed</button>" in response.content.decode()
        assert status(run) == "running"

    def test_a_refusal_gives_the_typed_reason_back(self, staff: Any) -> None:
        run = run_in("running")
        with mock.patch.object(WorkflowExecution, "cancel", side_effect=InvalidTransition("cancel", "completed")):
            response = post_action(staff, RUNS, "cancel", run, confirmed="yes", reason="engine-2 is gone")
        assert response.status_code == 200
        assert messages_of(response) == [f"{run}: Cannot cancel execution in completed state"]
        assert "engine-2 is gone</textarea>" in response.content.decode()

    def test_a_reason_of_several_lines_is_kept_on_one(self, staff: Any) -> None:
        run = run_in("running")
        act_on_page(staff, run, "cancel", reason="engine-2\r\nis gone")
        assert run.history.get(act="cancel").reason == "engine-2 is gone"


class TestWhatIsOffered:
    def page(self, user: Any, row: Any) -> str:
        address = RUNS if isinstance(row, WorkflowExecution) else NODES
        return str(client_of(user).get(f"{address}{row.pk}/change/").content.decode())

    def test_a_node_whose_retries_are_used_up_leads_to_the_definition(self, staff: Any) -> None:
        node = spent(run_in("running"))
        html = self.page(staff, node)
        assert 'value="retry"' not in html
        assert "Retry is not possible: it has used 0 of 0 retries" in html
        assert f'<a href="/admin/workflows/workflow/{node.workflow_execution.workflow_id}/change/">' in html

    def test_a_node_of_a_failed_run_leads_to_the_run(self, staff: Any) -> None:
        node = node_in("failed")
        node.workflow_execution.fail("went wrong")
        html = self.page(staff, node)
        assert 'value="retry"' not in html
        assert "Retry is not possible: its run is failed; retry the run" in html
        assert f'<a href="{RUNS}{node.workflow_execution_id}/change/">To the run</a>' in html

    def test_a_spent_node_of_a_failed_run_leads_to_the_definition_for_its_run_cannot_be_retried(
        self, staff: Any
    ) -> None:
        node = spent(run_in("running"))
        node.workflow_execution.fail("went wrong")
        html = self.page(staff, node)
        assert "Retry is not possible: it has used 0 of 0 retries" in html
        assert "To the run" not in html
        assert "To the definition" in html

    def test_a_run_with_a_node_that_has_no_retry_left_says_which(self, staff: Any) -> None:
        run = run_in("running")
        spent(run)
        run.fail("went wrong")
        html = self.page(staff, run)
        assert 'value="retry"' not in html
        assert "Retry is not possible: its node “load” has used 0 of 0 retries" in html

    def test_who_may_not_change_definitions_is_not_led_there(self, staff: Any) -> None:
        node = spent(run_in("running"))
        user = UserFactory(is_staff=True)
        user.user_permissions.set(permissions("view_nodeexecution", "change_nodeexecution"))
        html = self.page(user, node)
        assert "Retry is not possible" in html
        assert "To the definition" not in html

    @pytest.mark.parametrize("act", ["cancel", "fail", "retry"])
    @pytest.mark.parametrize("state", ["pending", "running", "completed", "failed", "cancelled"])
    def test_of_a_run_it_says_what_the_verb_answers(self, act: str, state: str, db: None) -> None:
        run = run_in(state)
        assert _offer_of(run, act) == _answer(run, act)

    @pytest.mark.slow
    @pytest.mark.parametrize("act", ["cancel", "skip", "retry"])
    @pytest.mark.parametrize("state", ["pending", "running", "completed", "failed", "cancelled", "skipped"])
    @pytest.mark.parametrize("end", ["", "fail", "cancel"])
    def test_of_a_node_too(self, act: str, state: str, end: str, db: None) -> None:
        node = node_in(state)
        if end:
            getattr(node.workflow_execution, end)(*(["went wrong"] if end == "fail" else []))
            node.refresh_from_db()
        foretold, answer = _offer_of(node, act), _answer(node, act)
        # Of a node that no state lets retry, the verb speaks of its run first.
        assert bool(foretold) == bool(answer) if state != "failed" else foretold == answer

    @pytest.mark.parametrize("lost", ["purged", "keyless"])
    def test_of_secrets_that_nobody_knows_any_more_too(self, lost: str, db: None, settings: Any) -> None:
        run = WorkflowExecutionFactory(context={"secrets": {"key": "hunter2-hunter2"}})
        in_state(run, "failed")
        if lost == "purged":
            WorkflowExecution.objects.update(encrypted_secrets="")
        settings.EXECUTIONS = settings.EXECUTIONS | {"SECRETS_KEYS": [Fernet.generate_key().decode()]}
        assert "Cannot retry execution in failed state: its secrets" in _offer_of(run, "retry")
        assert _offer_of(run, "retry") == _answer(run, "retry")


def _offer_of(row: Any, act: str) -> str:
    no = refusal(act, type(row).objects.get(pk=row.pk))
    return str(no.sentence) if no else ""


def _answer(row: Any, act: str) -> str:
    try:
        getattr(type(row).objects.get(pk=row.pk), act)(*(["went wrong"] if act == "fail" else []))
    except InvalidTransition as no:
        return str(no.sentence)
    return ""


class TestElsewhere:
    def test_a_token_is_revoked_after_a_question(self, staff: Any) -> None:
        token, _secret = Token.objects.issue(user=staff, name="engine", scopes=["executions:read"])
        data = {"action": "revoke", "_selected_action": [token.pk]}
        html = client_of(staff).post("/admin/tokens/token/", data).content.decode()
        assert "Revoke 1 token</button>" in html.replace("API token", "token")
        assert Token.objects.get().revoked_at is None

    def test_a_workflow_goes_to_the_trash_after_a_question(self, staff: Any, workflow: Workflow) -> None:
        data = {"action": "move_to_trash", "_selected_action": [workflow.pk]}
        html = client_of(staff).post("/admin/workflows/workflow/", data).content.decode()
        assert "Move 1 workflow to the trash</button>" in html
        assert Workflow.objects.get().deleted_at is None

    def test_their_pages_offer_only_what_can_work(self, staff: Any, workflow: Workflow) -> None:
        token, _secret = Token.objects.issue(user=staff, name="engine", scopes=["executions:read"])
        client, offered = client_of(staff), re.compile(r'name="CHANGE_FORM-action" value="(\w+)"')
        pages = [f"/admin/workflows/workflow/{workflow.pk}/change/", f"/admin/tokens/token/{token.pk}/change/"]
        assert [offered.findall(client.get(page).content.decode()) for page in pages] == [["move_to_trash"], ["revoke"]]
        workflow.soft_delete()
        token.revoke()
        assert [offered.findall(client.get(page).content.decode()) for page in pages] == [["restore"], []]

    def test_a_saved_view_is_deleted_after_a_question(self, staff: Any) -> None:
        view = SavedView.objects.create(owner=staff, name="mine", filters={}, is_shared=True)
        html = client_of(staff).post(f"{RUNS}views/{view.pk}/delete/").content.decode()
        assert "Delete the view “mine”</button>" in html
        assert "everybody loses access" in html
        assert SavedView.objects.exists()
