"""Records of deleted runs: by whom, through what, when and why, whichever interface was used."""

from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext

from executions.audit import act_as
from executions.models import Deletion, ExecutionStatus, WorkflowExecution
from executions.tests.factories import NodeExecutionFactory, WorkflowExecutionFactory, in_state
from executions.tests.query_plans import plan, uses
from ledgerkit.tests.clients import client_of

RUNS = "/admin/executions/workflowexecution/"
DELETIONS = "/admin/executions/deletion/"

pytestmark = pytest.mark.django_db


class TestWhatIsKept:
    def test_it_is_the_run_and_who_deleted_it_and_why(self, owner: Any) -> None:
        run = in_state(WorkflowExecutionFactory(workflow__name="momentum"), "failed")
        with act_as(user=owner, reason="a test of the feed"):
            run.delete()
        kept = Deletion.objects.get()
        assert (kept.workflow_execution_id, kept.workflow_id, kept.workflow_name) == (
            run.pk, run.workflow_id, "momentum",
        )  # fmt: skip
        assert (kept.status, kept.attempt, kept.made_at) == ("failed", 1, run.created_at)
        assert (kept.username, kept.user_id, kept.through) == ("owner", str(owner.pk), "in_process")
        assert kept.reason == "a test of the feed"

    def test_many_at_once_leave_one_each_by_one_statement(self) -> None:
        runs = WorkflowExecutionFactory.create_batch(3)
        with act_as(reason="doubles"), CaptureQueriesContext(connection) as queries:
            WorkflowExecution.objects.filter(pk__in=[run.pk for run in runs[:2]]).delete()
        assert len([query for query in queries if "DELETE" in query["sql"]]) == 1
        assert {kept.workflow_execution_id for kept in Deletion.objects.filter(reason="doubles")} == {
            run.pk for run in runs[:2]
        }
        assert WorkflowExecution.objects.get() == runs[2]

    def test_a_deletion_by_plain_sql_is_written_down_as_such(self) -> None:
        run = WorkflowExecutionFactory()
        with act_as(reason="because"):
            run.cancel()  # what was said of this is not about the deletion
        with connection.cursor() as cursor:
            cursor.execute("DELETE FROM workflow_executions")
        assert Deletion.objects.values_list("through", "reason", "status").get() == ("sql", "", "cancelled")

    def test_a_secret_of_the_run_is_not_kept_in_the_reason(self) -> None:
        run = WorkflowExecutionFactory(context={"secrets": {"key": "hunter2hunter2"}})
        with act_as(reason="it shows hunter2hunter2"):
            run.delete()
        assert Deletion.objects.get().reason == "it shows ***masked***"

    def test_a_deletion_that_is_taken_back_leaves_none(self) -> None:
        run = WorkflowExecutionFactory()
        with transaction.atomic():
            run.delete()
            transaction.set_rollback(True)
        assert not Deletion.objects.exists()

    @pytest.mark.parametrize("change", ["update(reason='')", "delete()"])
    def test_the_database_lets_nobody_change_it(self, change: str) -> None:
        WorkflowExecutionFactory().delete()
        act, _ = change.split("(")
        with pytest.raises(IntegrityError, match="cannot be changed"), transaction.atomic():
            getattr(Deletion.objects.all(), act)(**({"reason": ""} if act == "update" else {}))
        assert Deletion.objects.count() == 1


class TestAdmin:
    def test_one_run_is_deleted_for_a_reason(self, staff: Any) -> None:
        run = WorkflowExecutionFactory()
        path = f"{RUNS}{run.pk}/delete/"
        assert 'name="reason"' in client_of(staff).get(path).content.decode()
        client_of(staff).post(path, {"post": "yes", "reason": "made by mistake"})
        kept = Deletion.objects.get()
        assert (kept.reason, kept.through, kept.username) == ("made by mistake", "admin", "staff")
        assert kept.request_id

    @pytest.mark.parametrize("reason", [{}, {"reason": "  "}])
    def test_without_one_nothing_is_deleted_and_it_is_asked_again(self, reason: Any, staff: Any) -> None:
        run = WorkflowExecutionFactory()
        response = client_of(staff).post(f"{RUNS}{run.pk}/delete/", {"post": "yes"} | reason, follow=True)
        assert "Nothing was deleted: give a reason" in response.content.decode()
        assert 'name="reason"' in response.content.decode()
        data = {"action": "delete_selected", "_selected_action": [run.pk], "confirmed": "yes"} | reason
        html = client_of(staff).post(RUNS, data).content.decode()
        assert "Nothing was deleted: give a reason" in html
        assert f'<input type="hidden" name="_selected_action" value="{run.pk}">' in html
        assert WorkflowExecution.objects.filter(pk=run.pk).exists()

    def test_a_reason_given_beside_the_action_is_asked_no_second_time(self, staff: Any) -> None:
        runs = WorkflowExecutionFactory.create_batch(2)
        data = {"action": "delete_selected", "_selected_action": [run.pk for run in runs], "reason": "noise"}
        assert ">noise</textarea>" in client_of(staff).post(RUNS, data).content.decode()
        client_of(staff).post(RUNS, data | {"confirmed": "yes"})
        assert [kept.reason for kept in Deletion.objects.all()] == ["noise", "noise"]

    def test_staff_read_the_deletions_newest_first(self, teammate: Any) -> None:
        for reason in ("the first", "the <last>"):
            with act_as(reason=reason):
                NodeExecutionFactory(workflow_execution__workflow__name="momentum").workflow_execution.delete()
        html = client_of(teammate).get(DELETIONS).content.decode()
        assert html.index("the &lt;last&gt;") < html.index("the first")
        assert "momentum" in html
        assert str(ExecutionStatus.PENDING.label) in html

    def test_one_is_found_by_the_id_of_its_run(self, teammate: Any) -> None:
        run, other = WorkflowExecutionFactory.create_batch(2)
        pk = run.pk
        run.delete(), other.delete()
        found = client_of(teammate).get(f"{DELETIONS}?q={pk}").context["cl"].result_list
        assert [row.workflow_execution_id for row in found] == [pk]

    def test_nobody_changes_them_and_who_may_not_see_them_does_not(self, staff: Any, newcomer: Any) -> None:
        WorkflowExecutionFactory().delete()
        pk = Deletion.objects.get().pk
        assert client_of(newcomer).get(DELETIONS).status_code == 403
        for path in ("add/", f"{pk}/delete/"):
            assert client_of(staff).post(DELETIONS + path, {"post": "yes"}).status_code == 403
        assert client_of(staff).post(f"{DELETIONS}{pk}/change/", {"reason": "x"})["Location"] == DELETIONS
        assert Deletion.objects.count() == 1

    def test_as_many_queries_for_many_as_for_one(self, staff: Any) -> None:
        client, counts = client_of(staff), []
        for more in (1, 9):
            WorkflowExecutionFactory.create_batch(more)
            WorkflowExecution.objects.all().delete()
            with CaptureQueriesContext(connection) as queries:
                client.get(DELETIONS)
            counts.append(len(queries))
        assert counts[0] == counts[1]

    def test_their_list_is_read_off_its_index(self, only: Any) -> None:
        only("execution_deletions", "idx_execution_deletions_happened")
        found = plan(Deletion.objects.order_by("-happened_at", "-id")[:50])
        assert uses(found, "idx_execution_deletions_happened")
        assert "Sort" not in found


class TestApi:
    def test_a_run_is_deleted_with_the_reason_that_the_body_gives(self, api: Any, owner: Any, workflow: Any) -> None:
        run = WorkflowExecutionFactory(workflow=workflow)
        response = api(owner).delete(f"/api/v1/executions/{run.pk}/", {"reason": "a rehearsal"}, format="json")
        assert response.status_code == 204
        kept = Deletion.objects.get()
        assert (kept.reason, kept.through, kept.username, kept.token_name) == ("a rehearsal", "api", "owner", "test")

    def test_without_one_nothing_is_deleted(self, api: Any, owner: Any, workflow: Any) -> None:
        run = WorkflowExecutionFactory(workflow=workflow)
        response = api(owner).delete(f"/api/v1/executions/{run.pk}/")
        assert (response.status_code, response.json()["errors"][0]["pointer"]) == (400, "/reason")
        assert WorkflowExecution.objects.filter(pk=run.pk).exists()

    def test_a_running_run_is_not_deleted(self, api: Any, owner: Any, workflow: Any) -> None:
        run = in_state(WorkflowExecutionFactory(workflow=workflow), "running")
        response = api(owner).delete(f"/api/v1/executions/{run.pk}/", {"reason": "noise"}, format="json")
        assert (response.status_code, response.json()["code"]) == (409, "invalid_transition")
        assert response.json()["detail"].startswith("Cannot delete execution in running state: cancel it first")
        assert WorkflowExecution.objects.filter(pk=run.pk).exists()

    @pytest.mark.parametrize("reason", [5, None, ""])
    def test_one_that_is_none_is_refused_and_nothing_deleted(
        self, reason: Any, api: Any, owner: Any, workflow: Any
    ) -> None:
        run = WorkflowExecutionFactory(workflow=workflow)
        response = api(owner).delete(f"/api/v1/executions/{run.pk}/", {"reason": reason}, format="json")
        assert (response.status_code, response.json()["errors"][0]["pointer"]) == (400, "/reason")
        assert WorkflowExecution.objects.filter(pk=run.pk).exists()
