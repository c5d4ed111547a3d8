"""Plain SQL by a database role that was granted some tables: what it can do, and what it cannot."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction

from executions.audit import act_as
from executions.facts import record
from executions.models import Deletion, HistoryEntry, WorkflowExecution
from executions.tests.factories import NodeExecutionFactory, WorkflowExecutionFactory, in_state
from ledgerkit.db.models import uuid7
from pastetrader.tests.live_server import ROOT
from tokens.models import Token
from workflows.history import DefinitionChange
from workflows.tests.factories import WorkflowFactory

pytestmark = pytest.mark.django_db

FORGED = """SELECT set_config('ledger.note', '{"act": "start", "through": "admin", "username": "boss"}', false)"""
MOVES = "UPDATE workflow_executions SET status = 'running', started_at = now()"
ENTRY = """
    INSERT INTO execution_history (workflow_execution_id, attempt, to_status, through)
    SELECT id, 1, 'running', 'admin' FROM workflow_executions
"""
GONE = """
    INSERT INTO execution_deletions
        (workflow_execution_id, workflow_id, trigger_type, status, attempt, made_at, through)
    SELECT id, workflow_id, trigger_type, status, attempt, created_at, 'admin' FROM workflow_executions
"""

TRIGGERS = """
    SELECT proname FROM pg_proc
    WHERE pronamespace = current_schema()::regnamespace AND prorettype = 'trigger'::regtype
"""

type As = Callable[[], Any]


def sql(statement: str, *parameters: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters or None)


@pytest.fixture
def as_low() -> Iterator[As]:
    """Yield a block in which statements are those of a role that has every right that can be granted.
    It does not own the tables."""
    sql("CREATE ROLE low")
    sql("GRANT low TO CURRENT_USER")
    sql("GRANT ALL ON ALL TABLES IN SCHEMA public TO low")

    @contextmanager
    def low() -> Iterator[None]:
        sql("SET LOCAL ROLE low")
        try:
            yield
        finally:
            sql("SET LOCAL ROLE NONE")

    yield low
    sql("SELECT set_config('ledger.note', '', false)")


def expect_error(error: type[Exception], says: str, *statements: str) -> None:
    with pytest.raises(error, match=says), transaction.atomic():
        sql("; ".join(statements))


def test_a_role_without_rights_cannot_set_the_actor(as_low: As) -> None:
    run = WorkflowExecutionFactory()
    with as_low():
        sql(FORGED)
        sql(MOVES)
    assert run.history.values_list("through", "username", "act").last() == ("sql", "", "")


def test_a_role_without_rights_cannot_call_the_function_that_sets_the_actor(as_low: As) -> None:
    WorkflowExecutionFactory()
    with as_low():
        expect_error(
            DatabaseError,
            "permission denied for function ledger_noted",
            MOVES + ", updated_at = ledger_noted(now(), '{}')",
        )


def test_a_role_without_rights_cannot_call_the_retry_function(as_low: As) -> None:
    run = in_state(WorkflowExecutionFactory(), "failed")
    with as_low():
        expect_error(
            DatabaseError,
            "permission denied for function ledger_noted",
            f"SELECT retry_run('{run.pk}', '{{}}', '[]', '{{}}')",
        )


def test_a_role_without_rights_cannot_call_the_transition_function(as_low: As) -> None:
    run = WorkflowExecutionFactory()
    move = f"SELECT move_run('{run.pk}', 1, '{{pending}}', 'running', NULL, NULL, false, NULL, '{{}}', NULL, NULL)"
    with as_low():
        expect_error(DatabaseError, "permission denied for function ledger_noted", move)


def test_nobody_retries_a_run_that_has_not_failed_by_that_function() -> None:
    run = WorkflowExecutionFactory()
    expect_error(
        IntegrityError, "Only a failed run can be retried", f"SELECT retry_run('{run.pk}', '{{}}', '[]', '{{}}')"
    )


def test_a_role_that_may_pass_a_note_cannot_leave_out_the_entry(as_low: As) -> None:
    run = WorkflowExecutionFactory()
    sql("GRANT EXECUTE ON FUNCTION ledger_noted(timestamptz, text) TO low")
    with as_low():
        sql("""SELECT ledger_noted(now(), '{"act": "start", "through": "api", "facts": true}')""")
        sql(MOVES)
    assert run.history.values_list("to_status", "through").last() == ("running", "api")


def test_a_role_cannot_insert_a_run_as_a_restored_one(as_low: As) -> None:
    workflow = WorkflowFactory(name="momentum")
    sql("GRANT EXECUTE ON FUNCTION ledger_noted(timestamptz, text) TO low")
    with as_low():
        sql("""SELECT ledger_noted(now(), '{"act": "create", "through": "api", "facts": true, "restore": true}')""")
        insert = (
            "INSERT INTO workflow_executions (workflow_id, trigger_type, workflow_name) VALUES (%s, 'manual', 'forged')"
        )
        sql(insert, workflow.pk)
    run = WorkflowExecution.objects.get()
    assert (run.workflow_name, run.history.count()) == ("momentum", 1)


def test_a_role_without_rights_cannot_set_the_actor_of_a_deletion(as_low: As) -> None:
    WorkflowExecutionFactory().delete()
    WorkflowExecutionFactory()
    with as_low():
        sql(FORGED.replace("start", "delete"))
        sql("DELETE FROM workflow_executions")
    assert [gone.through for gone in Deletion.objects.order_by("happened_at")] == ["in_process", "sql"]
    assert Deletion.objects.filter(username="boss").count() == HistoryEntry.objects.count() == 0


def test_the_application_still_says_who_acts(staff: Any) -> None:
    run = WorkflowExecutionFactory()
    with act_as(user=staff):
        run.start()
    assert run.history.values_list("through", "username", "act").last() == ("in_process", "staff", "start")


def test_the_application_need_not_own_the_tables_to_set_the_actor(as_low: As, staff: Any) -> None:
    """Its role has the grants of docs/security.md and nothing else."""
    sql("REVOKE ALL ON ALL TABLES IN SCHEMA public FROM low")
    sql(re.findall(r"```sql\n(.*?)```", (ROOT / "docs/security.md").read_text(), re.DOTALL)[0].replace("app;", "low;"))
    with as_low(), act_as(user=staff):
        Token.objects.authenticate(Token.objects.issue(user=staff, name="engine", scopes=["executions:read"])[1])
        workflow = WorkflowFactory(chain=["a"])
        workflow.name = "Another"
        workflow.save()
        assert set(DefinitionChange.objects.values_list("username", flat=True)) == {"staff"}
        run = WorkflowExecution.objects.create(workflow=workflow, trigger_type="manual")
        run.start()
        node = run.add_node(workflow.nodes.get())
        node.start()
        node.fail("x")
        run.fail("x")
        run.retry()
        run.cancel()
        reported = str(uuid7())
        outcome = record(
            [
                {"kind": "execution.create", "id": reported, "workflow": str(workflow.pk), "trigger_type": "manual"},
                {"kind": "execution.start", "id": reported},
            ],
            user=staff,
        )
        assert outcome.refusals == []
        entries = HistoryEntry.objects.filter(workflow_execution=reported)
        assert [entry.username for entry in entries] == ["staff", "staff"]
        assert set(run.history.values_list("username", flat=True)) == {"staff"}
        run.delete()
    assert Deletion.objects.get().username == "staff"


@pytest.mark.parametrize("statement", [ENTRY, GONE])
def test_a_role_without_rights_writes_no_history_entry(as_low: As, statement: str) -> None:
    WorkflowExecutionFactory()
    with as_low():
        expect_error(DatabaseError, "row-level security", statement)


def test_a_temporary_table_of_a_role_does_not_receive_the_entries(as_low: As) -> None:
    run = WorkflowExecutionFactory()
    with as_low():
        for table in ("execution_history", "execution_deletions", "workflows"):
            sql(f"CREATE TEMPORARY TABLE {table} (LIKE public.{table}) ON COMMIT DROP")
        sql(MOVES)
        sql("DELETE FROM workflow_executions")
        for table in ("execution_history", "execution_deletions", "workflows"):
            sql(f"DROP TABLE pg_temp.{table}")
    assert Deletion.objects.get().workflow_name == run.workflow.name


@pytest.mark.parametrize(
    "what", ["DELETE FROM public.execution_history", "UPDATE public.execution_history SET act = 'x'"]
)
def test_a_trigger_of_a_role_deletes_and_changes_nothing(as_low: As, what: str) -> None:
    WorkflowExecutionFactory()
    with as_low():
        expect_error(
            IntegrityError,
            "it is deleted with the run",
            "CREATE TEMPORARY TABLE bait (id int) ON COMMIT DROP",
            f"CREATE FUNCTION pg_temp.eat() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {what}; RETURN NULL; END $$",
            "CREATE TRIGGER eat AFTER INSERT ON bait FOR EACH ROW EXECUTE FUNCTION pg_temp.eat()",
            "INSERT INTO bait VALUES (1)",
        )
    assert HistoryEntry.objects.count() == 1


def test_no_function_of_the_ledger_can_be_hung_on_a_table_of_its_own(as_low: As) -> None:
    with connection.cursor() as cursor:
        cursor.execute(TRIGGERS)
        names = [name for (name,) in cursor.fetchall()]
    assert len(names) >= 15
    with as_low():
        sql("CREATE TEMPORARY TABLE bait (LIKE public.workflow_executions) ON COMMIT DROP")
        for name in names:
            expect_error(
                DatabaseError,
                "permission denied for function",
                f"CREATE TRIGGER eat AFTER INSERT ON bait FOR EACH ROW EXECUTE FUNCTION {name}()",
            )


def test_every_function_behind_a_trigger_looks_into_the_schema_of_the_ledger_first() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            f"{TRIGGERS} AND NOT coalesce(proconfig::text, '') LIKE '%search_path=pg_catalog, public, pg_temp%'"
        )
        assert cursor.fetchall() == [], "Guard them as sql/guards.sql guards the others, in a migration."


def test_a_circle_is_found_though_a_temporary_table_hides_the_edges(as_low: As) -> None:
    workflow = WorkflowFactory(chain=["a", "b"])
    first, second = workflow.nodes.order_by("name")
    with as_low():
        expect_error(
            IntegrityError,
            "form a cycle",
            "CREATE TEMPORARY TABLE edges (LIKE public.edges) ON COMMIT DROP",
            "INSERT INTO public.edges (workflow_id, source_node_id, target_node_id)"
            f" VALUES ('{workflow.pk}', '{second.pk}', '{first.pk}')",
        )


TRUNCATED = ("execution_history", "execution_deletions", "workflow_executions CASCADE", "workflows CASCADE")


@pytest.mark.parametrize("tables", TRUNCATED)
def test_a_role_without_rights_truncates_no_table_of_the_ledger(as_low: As, tables: str) -> None:
    WorkflowExecutionFactory()
    with as_low():
        expect_error(IntegrityError, "cannot be truncated", "SET CONSTRAINTS ALL IMMEDIATE", f"TRUNCATE {tables}")


@pytest.mark.parametrize("tables", TRUNCATED)
def test_the_application_truncates_no_part_of_the_ledger_either(tables: str) -> None:
    WorkflowExecutionFactory().delete()
    WorkflowExecutionFactory()
    expect_error(IntegrityError, "cannot be truncated", "SET CONSTRAINTS ALL IMMEDIATE", f"TRUNCATE {tables}")


def test_runs_still_take_their_history_along(as_low: As) -> None:
    node = NodeExecutionFactory()
    node.workflow_execution.start()
    node.start()
    assert HistoryEntry.objects.count() == 3
    with as_low():
        sql("DELETE FROM workflow_executions")
    assert not WorkflowExecution.objects.exists()
    assert not HistoryEntry.objects.exists()
