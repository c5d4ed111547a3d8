"""Each transition of a run and of its nodes is recorded by its own statement, for good."""

import threading
from datetime import datetime
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction

from executions import limits
from executions.admin.runs import history
from executions.audit import act_as, audit_note
from executions.exceptions import InvalidTransition
from executions.models import HistoryEntry, NodeExecution, WorkflowExecution
from executions.tests.cast import permissions
from executions.tests.factories import NodeExecutionFactory, WorkflowExecutionFactory, in_state
from tokens.models import Token
from workflows.tests.factories import WorkflowFactory

pytestmark = pytest.mark.django_db

RUNS = "/api/v1/executions/"


def moves(run: Any) -> list[tuple[str, str | None, str]]:
    return list(run.history.filter(node_execution=None).values_list("act", "from_status", "to_status"))


def test_each_verb_leaves_one_entry() -> None:
    run = WorkflowExecutionFactory()
    run.start()
    run.fail("no connection")
    run.retry()
    run.start()
    run.complete()
    assert moves(run) == [
        ("create", None, "pending"),
        ("start", "pending", "running"),
        ("fail", "running", "failed"),
        ("retry", "failed", "pending"),
        ("start", "pending", "running"),
        ("complete", "running", "completed"),
    ]
    assert list(run.history.values_list("attempt", flat=True)) == [1, 1, 1, 2, 2, 2]


def test_what_the_end_of_a_run_does_to_its_nodes_is_written_down_too() -> None:
    run = WorkflowExecutionFactory(workflow=WorkflowFactory(chain=["a", "b"]))
    run.start()
    first, second = (run.add_node(node) for node in run.workflow.nodes.order_by("name"))
    first.start()
    run.fail("stopped")
    entries = run.history.exclude(node_execution=None).values_list("node_execution", "act", "from_status", "to_status")
    assert set(entries) == {
        (first.pk, "start", "pending", "running"),
        (first.pk, "fail", "running", "cancelled"),
        (second.pk, "fail", "pending", "skipped"),
    }


def test_the_retry_of_a_run_is_written_down_for_each_node_that_it_resets() -> None:
    run = WorkflowExecutionFactory(workflow=WorkflowFactory(chain=["a"]))
    run.start()
    node = run.add_node(run.workflow.nodes.get())
    node.start()
    node.fail("no")
    run.fail("no")
    with act_as(reason="the exchange is back"):
        run.retry()
    last = run.history.filter(node_execution=node).last()
    assert (last.act, last.from_status, last.to_status, last.attempt) == ("retry", "failed", "pending", 2)
    assert last.reason == "the exchange is back"


def test_a_refused_move_leaves_none() -> None:
    run = WorkflowExecutionFactory()
    with pytest.raises(InvalidTransition):
        run.complete()
    assert moves(run) == [("create", None, "pending")]


def test_an_entry_goes_with_its_move_when_that_is_rolled_back() -> None:
    run = WorkflowExecutionFactory()
    with transaction.atomic():
        run.start()
        transaction.set_rollback(True)
    assert moves(run) == [("create", None, "pending")]


def test_runs_that_are_made_together_have_their_entries() -> None:
    workflow = WorkflowFactory()
    runs = WorkflowExecution.objects.bulk_create(
        [WorkflowExecution(workflow=workflow, trigger_type="event") for _ in range(3)]
    )
    entries = HistoryEntry.objects.filter(workflow_execution__in=runs).values_list("act", "through", "to_status")
    assert list(entries) == [("create", "in_process", "pending")] * 3
    assert {type(run.updated_at) for run in runs} == {datetime}


def test_a_move_by_plain_sql_is_written_down_as_such() -> None:
    run = WorkflowExecutionFactory()
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('ledger.note', '', true)")  # as at the beginning of a transaction
        cursor.execute("UPDATE workflow_executions SET status = 'running', started_at = now() WHERE id = %s", [run.pk])
    assert run.history.values_list("through", "act", "from_status", "to_status").last() == (
        "sql", "", "pending", "running",
    )  # fmt: skip


@pytest.mark.parametrize(
    "statement",
    ["UPDATE execution_history SET reason = 'another'", "DELETE FROM execution_history"],
)
def test_nobody_changes_what_happened(statement: str) -> None:
    run = WorkflowExecutionFactory()
    with pytest.raises(IntegrityError, match="it is deleted with the run"), transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(statement)
    with pytest.raises(IntegrityError), transaction.atomic():
        run.history.all().delete()
    assert moves(run) == [("create", None, "pending")]


def test_the_history_goes_with_its_run_and_not_with_a_node() -> None:
    node = in_state(NodeExecutionFactory(), "running")
    run = node.workflow_execution
    NodeExecution.objects.filter(pk=node.pk).delete()
    assert run.history.count() == 3
    run.delete()
    assert not HistoryEntry.objects.exists()


def test_a_secret_in_a_reason_is_masked() -> None:
    run = WorkflowExecutionFactory(context={"secrets": {"key": "sesame-open"}})
    with act_as(reason="try sesame-open again"):
        run.cancel()
    assert run.history.last().reason == "try ***masked*** again"


# --- Who, and through what --------------------------------------------------------
def test_the_api_says_which_user_and_token_and_under_which_id(api: Any, owner: Any, workflow: Any) -> None:
    client = api(owner)
    Token.objects.update(name="engine 7")
    client.credentials(**client._credentials, HTTP_X_REQUEST_ID="edge-42")
    made = client.post(RUNS, {"workflow": str(workflow.pk), "trigger_type": "event"}, format="json")
    assert made.headers["X-Request-ID"] == "edge-42"
    client.post(f"{RUNS}{made.json()['id']}/cancel/", {"reason": "market closed"}, format="json")
    entries = client.get(f"{RUNS}{made.json()['id']}/history/").json()["results"]
    assert [entry["act"] for entry in entries] == ["create", "cancel"]
    assert {entry["through"] for entry in entries} == {"api"}
    assert {entry["username"] for entry in entries} == {"owner"}
    assert {entry["token_name"] for entry in entries} == {"engine 7"}
    assert {entry["request_id"] for entry in entries} == {"edge-42"}
    assert entries[1]["reason"] == "market closed"


def test_an_id_that_could_forge_a_log_is_not_taken_over(api: Any, owner: Any) -> None:
    answer = api(owner).get(RUNS, HTTP_X_REQUEST_ID="a b\tc")
    assert answer.headers["X-Request-ID"] not in {"", "a b\tc"}


def test_one_request_does_not_speak_for_the_next(api: Any, owner: Any, workflow: Any) -> None:
    api(owner).get(RUNS)
    run = WorkflowExecutionFactory(workflow=workflow)
    entry = run.history.get()
    assert (entry.through, entry.username, entry.request_id) == ("in_process", "", "")


@pytest.mark.django_db(transaction=True)
def test_the_entries_of_two_who_act_at_once_stand_in_the_order_of_the_moves() -> None:
    run = WorkflowExecutionFactory()
    with transaction.atomic():
        run.start()
        other = threading.Thread(target=_cancel, args=[run.pk])
        other.start()
    other.join()
    assert [act for act, _from, _to in moves(run)] == ["create", "start", "cancel"]


def _cancel(pk: Any) -> None:
    try:
        WorkflowExecution.objects.get(pk=pk).cancel()
    finally:
        connection.close()


def test_the_history_of_a_strangers_run_is_not_found(api: Any, stranger: Any, workflow: Any) -> None:
    run = WorkflowExecutionFactory(workflow=workflow)
    assert api(stranger).get(f"{RUNS}{run.pk}/history/").status_code == 404


# --- The admin ---------------------------------------------------------------------
def act(client: Any, run: Any, action: str, **fields: Any) -> Any:
    data = {"action": action, "_selected_action": [run.pk], "confirmed": "yes"} | fields
    return client.post("/admin/executions/workflowexecution/", data, follow=True)


def test_an_action_of_the_admin_keeps_who_and_why(client: Any, staff: Any) -> None:
    run = WorkflowExecutionFactory()
    client.force_login(staff)
    act(client, run, "cancel", reason="  the feed was wrong ")
    entry = run.history.last()
    assert (entry.act, entry.through, entry.username) == ("cancel", "admin", "staff")
    assert entry.reason == "the feed was wrong"
    page = client.get(f"/admin/executions/workflowexecution/{run.pk}/change/").content.decode()
    assert "the feed was wrong" in page


def test_a_stuck_run_is_brought_to_an_end_with_a_reason_and_not_without(client: Any, staff: Any) -> None:
    run = WorkflowExecutionFactory()
    run.start()
    client.force_login(staff)
    assert "give a reason" in act(client, run, "fail", reason=" ").content.decode()
    run.refresh_from_db()
    assert run.status == "running"
    act(client, run, "fail", reason="the engine's machine is gone")
    run.refresh_from_db()
    assert (str(run.status), run.error_message) == ("failed", "the engine's machine is gone")
    assert run.history.last().reason == "the engine's machine is gone"


def test_a_runs_page_shows_its_history_in_one_query(
    client: Any, staff: Any, django_assert_max_num_queries: Any
) -> None:
    run = WorkflowExecutionFactory(workflow=WorkflowFactory(chain=["a", "b", "c"]))
    run.start()
    for node in run.workflow.nodes.all():
        run.add_node(node).start()
    assert len(history.newest_entries(run, staff)[0]) == 5
    with django_assert_max_num_queries(1):
        entries, more = history.newest_entries(run, staff)
        assert [str(row.entry.node_execution and row.entry.node_execution.node_name) for row in entries]
    assert not more


@pytest.mark.slow
def test_what_was_done_to_the_run_is_shown_however_many_nodes_were_settled_by_it(client: Any, staff: Any) -> None:
    names = [f"n{number}" for number in range(limits.HISTORY_ENTRIES + 5)]
    run = WorkflowExecutionFactory(workflow=WorkflowFactory(chain=names))
    run.start()
    for node in run.workflow.nodes.all():
        run.add_node(node)
    run.cancel()
    entries, more = history.newest_entries(run, staff)
    assert more
    assert [row.entry.act for row in entries if row.entry.node_execution_id is None] == ["create", "start", "cancel"]
    assert len(entries) == limits.HISTORY_ENTRIES + 3
    client.force_login(staff)
    html = client.get(f"/admin/executions/workflowexecution/{run.pk}/change/").content.decode()
    assert f'<a href="/api/v1/executions/{run.pk}/history/">All entries, as JSON</a>' in html


def test_staff_who_may_not_see_nodes_do_not_see_what_happened_to_them(api: Any, newcomer: Any) -> None:
    run = in_state(NodeExecutionFactory(), "running").workflow_execution
    newcomer.user_permissions.set(permissions("view_workflowexecution"))
    entries = api(newcomer).get(f"{RUNS}{run.pk}/history/").json()["results"]
    assert [entry["act"] for entry in entries] == ["create", "start"]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("server_side", [False, True])
def test_the_note_goes_with_the_statement_also_outside_of_a_transaction(server_side: bool, monkeypatch: Any) -> None:
    """One round trip: as one text, or, where the server binds parameters, in a pipeline."""
    connection.close()
    connection.close_pool()
    for name, value in (("server_side_binding", server_side), ("prepare_threshold", 1 if server_side else None)):
        monkeypatch.setitem(connection.settings_dict["OPTIONS"], name, value)
    try:
        with act_as(reason="100 % sure"):
            run = WorkflowExecutionFactory()
            run.start()
            with pytest.raises(IntegrityError), audit_note("{}"), connection.cursor() as cursor:
                cursor.execute("UPDATE workflow_executions SET status = %s", ["unheard of"])
        assert [entry.act for entry in run.history.order_by("happened_at")] == ["create", "start"]
        entry = run.history.order_by("happened_at").last()
        assert (entry.reason, entry.through) == ("100 % sure", "in_process")
    finally:
        connection.close()
        connection.close_pool()
