"""Changes of definitions and tokens are recorded through every interface, and outlive their author."""

from typing import Any

import pytest
from django.core.management import call_command
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext

from ledgerkit.db.audit import Through, act_as, set_actor, system_user
from tokens.models import Token
from workflows.history import DefinitionChange
from workflows.models import Edge, Node
from workflows.submitted_graph import SubmittedGraph
from workflows.tests.factories import EdgeFactory, NodeFactory, UserFactory, WorkflowFactory

pytestmark = pytest.mark.django_db


def changes(subject: Any, *fields: str) -> list[Any]:
    return list(DefinitionChange.for_subject(subject).order_by("id").values_list(*fields, flat=len(fields) == 1))


def test_each_change_of_a_workflow_is_a_row_with_what_was_and_what_is() -> None:
    workflow = WorkflowFactory(name="screen", owner=None)
    workflow.name, workflow.config = "momentum", {"days": 5}
    workflow.save()
    workflow.soft_delete()
    made, changed, deleted = DefinitionChange.for_subject(workflow).order_by("id")
    assert (made.act, made.subject_name) == ("create", "screen")
    assert changed.rows == [
        {"name": "momentum", "fields": {"name": ["screen", "momentum"], "config": [{}, {"days": 5}]}}
    ]
    assert list(deleted.rows[0]["fields"]) == ["deleted_at"]
    assert {made.kind, changed.kind, deleted.kind} == {"workflow"}


def test_a_save_that_changes_nothing_leaves_no_row() -> None:
    workflow = WorkflowFactory()
    workflow.save()
    assert changes(workflow, "act") == ["create"]


def test_nodes_and_edges_stand_under_their_workflow_one_row_for_a_statement() -> None:
    workflow = WorkflowFactory()
    nodes = [{"name": name, "node_type": "tool"} for name in ("load", "rank")]
    edges = [{"source_node_id": "load", "target_node_id": "rank"}]
    with transaction.atomic():
        SubmittedGraph(workflow, nodes, edges).save(workflow)
    assert changes(workflow, "kind", "act") == [("workflow", "create"), ("node", "create"), ("edge", "create")]
    of_nodes, of_edges = DefinitionChange.for_subject(workflow).order_by("id")[1:]
    assert {row["name"] for row in of_nodes.rows} == {"load", "rank"}
    assert [row["name"] for row in of_edges.rows] == ["load → rank"]


@pytest.mark.parametrize("door", ["save", "update", "bulk_update", "sql"])
def test_whatever_door_a_node_is_changed_by(door: str) -> None:
    node = NodeFactory(name="load")
    node.name = "fetch"
    match door:
        case "save":
            node.save()
        case "update":
            Node.objects.filter(pk=node.pk).update(name="fetch")
        case "bulk_update":
            Node.objects.bulk_update([node], ["name"])
        case "sql":
            with connection.cursor() as cursor:
                cursor.execute("UPDATE nodes SET name = 'fetch' WHERE id = %s", [node.pk])
    last = DefinitionChange.for_subject(node.workflow).latest("id")
    assert last.rows == [{"name": "fetch", "fields": {"name": ["load", "fetch"]}}]


def test_of_many_rows_the_first_fifty_are_kept_and_the_others_counted() -> None:
    workflow = WorkflowFactory()
    Node.objects.bulk_create(Node(workflow=workflow, name=f"n{i}", node_type="tool") for i in range(60))
    last = DefinitionChange.for_subject(workflow).latest("id")
    assert (len(last.rows), last.more) == (50, 10)


def test_a_long_value_is_cut() -> None:
    workflow = WorkflowFactory(description="x" * 10_000)
    (row,) = DefinitionChange.for_subject(workflow).get().rows
    assert len(row["fields"]["description"][1]) < 400


def test_a_workflow_that_is_deleted_leaves_one_row_for_all_of_it() -> None:
    edge = EdgeFactory()
    workflow = edge.workflow
    pk = workflow.pk
    workflow.delete()
    gone = DefinitionChange.objects.filter(subject_id=pk, act="delete")
    assert [(row.kind, row.subject_name) for row in gone] == [("workflow", workflow.name)]
    assert not Edge.objects.exists()


def test_who_did_it_and_why_stays_when_the_user_is_gone() -> None:
    ada = UserFactory(username="ada")
    workflow = WorkflowFactory(owner=None)
    with act_as(through=Through.ADMIN, user=ada, request_id="r-1", reason="a better name"):
        workflow.name = "momentum"
        workflow.save()
    ada.delete()
    last = DefinitionChange.for_subject(workflow).latest("id")
    assert (last.through, last.username, last.request_id, last.reason) == ("admin", "ada", "r-1", "a better name")


def test_plain_sql_is_written_down_as_such() -> None:
    workflow = WorkflowFactory()
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('ledger.actor', '', true)")
        cursor.execute("UPDATE workflows SET name = 'momentum' WHERE id = %s", [workflow.pk])
    assert DefinitionChange.for_subject(workflow).latest("id").through == "sql"


def test_a_change_by_the_api_names_user_token_and_request(api: Any, owner: Any) -> None:
    client = api(owner)
    body = {"name": "screen", "nodes": [{"name": "load", "node_type": "tool"}]}
    made = client.post("/api/v1/workflows/", body, format="json", headers={"X-Request-ID": "r-2"}).json()
    rows = DefinitionChange.objects.filter(subject_id=made["id"])
    assert {(row.through, row.username, row.token_name, row.request_id) for row in rows} == {
        ("api", owner.username, Token.objects.get(user=owner).name, "r-2")
    }


def test_of_a_token_its_making_its_end_and_never_its_digest_are_kept() -> None:
    ada = UserFactory(username="ada")
    token, secret = Token.objects.issue(user=ada, name="engine", scopes=["executions:report"])
    token.revoke()
    ada.delete()
    made, revoked = DefinitionChange.for_subject(token).filter(act__in=["create", "change"]).order_by("id")
    assert made.rows[0]["fields"]["scopes"] == [None, ["executions:report"]]
    assert list(revoked.rows[0]["fields"]) == ["revoked_at"]
    assert changes(token, "act")[-1] == "delete"  # with its user
    assert token.digest not in str(changes(token, "rows"))
    assert secret not in str(changes(token, "rows"))


def test_the_use_of_a_token_is_no_change() -> None:
    token, secret = Token.objects.issue(user=UserFactory(), name="engine", scopes=["executions:read"])
    assert Token.objects.authenticate(secret) == token
    assert changes(token, "act") == ["create"]


@pytest.mark.parametrize(
    "statement",
    ["UPDATE definition_changes SET username = 'eve'", "DELETE FROM definition_changes", "TRUNCATE definition_changes"],
)
def test_what_was_written_down_cannot_be_changed(statement: str) -> None:
    WorkflowFactory()
    with (
        pytest.raises(IntegrityError, match="The history of definitions and tokens cannot be"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(statement)


def test_a_role_with_few_rights_says_nothing_of_who_it_is() -> None:
    workflow = WorkflowFactory()
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("CREATE ROLE ledger_low_changes NOLOGIN")
        cursor.execute("GRANT SELECT, UPDATE ON workflows TO ledger_low_changes")
        cursor.execute("GRANT INSERT, DELETE, SELECT ON definition_changes TO ledger_low_changes")
        cursor.execute("SET LOCAL ROLE ledger_low_changes")
        cursor.execute("""SELECT set_config('ledger.actor', '{"through": "admin", "username": "ada"}', true)""")
        cursor.execute("UPDATE workflows SET name = 'momentum' WHERE id = %s", [workflow.pk])
        cursor.execute("RESET ROLE")
        last = DefinitionChange.for_subject(workflow).latest("id")
        assert (last.through, last.username) == ("sql", "")
        cursor.execute("DROP OWNED BY ledger_low_changes")
        cursor.execute("DROP ROLE ledger_low_changes")


def test_without_a_user_the_name_says_who_it_is() -> None:
    with act_as():
        set_actor(through=Through.COMMAND, name=system_user())
        workflow = WorkflowFactory()
    made = DefinitionChange.for_subject(workflow).get()
    assert (made.through, made.username) == ("command", system_user())


def test_a_token_of_a_command_names_it() -> None:
    UserFactory(username="ada")
    with act_as(through=Through.COMMAND, name="root"):
        call_command("create_token", "ada")
    assert DefinitionChange.objects.get(kind="token").username == "root"


def test_the_history_pages_show_changes_by_the_api_too(api: Any, owner: Any, staff: Any, client: Any) -> None:
    body = {"name": "screen", "nodes": [{"name": "load", "node_type": "tool"}]}
    made = api(owner).post("/api/v1/workflows/", body, format="json").json()
    api(owner).patch(f"/api/v1/workflows/{made['id']}/", {"description": "of five stocks"}, format="json")
    client.force_login(staff)
    page = client.get(f"/admin/workflows/workflow/{made['id']}/history/").content.decode()
    for text in ("Changes of screen", "create: node", "load", "of five stocks", "owner", "API"):
        assert text in page
    every = client.get(f"/admin/workflows/definitionchange/?q={made['id']}").content.decode()
    assert "of five stocks" in every
    token = Token.objects.filter(user=owner).first()
    assert "create: token" in client.get(f"/admin/tokens/token/{token.pk}/history/").content.decode()


def test_the_history_of_an_edge_names_its_nodes(staff: Any, client: Any) -> None:
    workflow = WorkflowFactory(name="screen", chain=["load", "rank"])
    report, edge = NodeFactory(workflow=workflow, name="report"), workflow.edges.get()
    ids = [str(pk) for pk in workflow.nodes.values_list("pk", flat=True)]
    Edge.objects.filter(pk=edge.pk).update(target_node=report)
    edge.refresh_from_db()
    edge.delete()
    client.force_login(staff)
    page = client.get(f"/admin/workflows/workflow/{workflow.pk}/history/").content.decode()
    assert "load → rank" in page
    assert "<code>target_node</code> <del><code>rank</code></del> <ins><code>report</code></ins>" in page
    assert "load → report" in page
    assert [pk for pk in ids if pk in page] == []


def test_an_owner_is_named_and_all_names_are_looked_up_at_once(staff: Any, client: Any) -> None:
    client.force_login(staff)
    counts = []
    for more in (1, 9):
        for number in range(more):
            workflow = WorkflowFactory(owner=UserFactory(username=f"owner {more}{number}"), chain=["load", "rank"])
            workflow.edges.update(target_node=NodeFactory(workflow=workflow, name="report"))
        with CaptureQueriesContext(connection) as queries:
            every = client.get("/admin/workflows/definitionchange/").content.decode()
        counts.append(len(queries))
    assert counts[0] == counts[1]
    for page in (every, client.get(f"/admin/workflows/workflow/{workflow.pk}/history/").content.decode()):
        assert "<code>owner</code> <ins><code>owner 98</code></ins>" in page
    workflow.owner.delete()
    assert "<code>owner</code> <del><code>" in client.get("/admin/workflows/definitionchange/").content.decode()


def test_who_may_not_see_a_workflow_does_not_see_its_changes(stranger: Any, client: Any) -> None:
    workflow = WorkflowFactory()
    client.force_login(stranger)
    assert client.get(f"/admin/workflows/workflow/{workflow.pk}/history/").status_code == 302
    assert client.get("/admin/workflows/definitionchange/").status_code == 302
