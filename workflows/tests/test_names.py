"""Names are stored and compared in NFC, can be seen, and hold nothing that turns or ends the text around them."""

from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, transaction

from executions.models import WorkflowExecution
from executions.models.saved_view import SavedView
from executions.tests.factories import WorkflowExecutionFactory
from ledgerkit.db import names
from tokens.models import Token
from workflows.models import Node, NodeType, Workflow
from workflows.tests.factories import UserFactory

API = "/api/v1/"
NFC = "\ud55c\uae00"  # as most keyboards write it
NFD = "\u1112\u1161\u11ab\u1100\u1173\u11af"  # as file names of a Mac have it
BAD = [
    "\u200b",
    "a\u0001b",
    "a\u202eb",
    "\u3164",
    "\ufeff\u2060",
    "a\u2066b",
    "a\u200fb",
    "a\u061cb",
    "a\nb",
    "a\u2028b",
]
FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467"
PERSIAN, HINDI = "\u0646\u0645\u06cc\u200c\u062f\u0627\u0646\u0645", "\u0915\u094d\u200d\u0937"
GOOD = [NFC, FAMILY, PERSIAN, HINDI, "a b", "e\u0301"]
NODES = [{"name": NFC, "node_type": "tool"}, {"name": "b", "node_type": "tool"}]


class TestFaults:
    @pytest.mark.parametrize("name", GOOD)
    def test_joiners_inside_words_and_emoji_are_fine(self, name: str) -> None:
        assert names.find_error(names.nfc(name)) == ""

    @pytest.mark.parametrize("name", BAD)
    def test_what_cannot_be_seen_or_turns_the_text_is_refused(self, name: str) -> None:
        assert str(names.find_error(name))

    def test_the_sentence_says_which_character_and_where(self) -> None:
        said = "U+202E RIGHT-TO-LEFT OVERRIDE is not allowed in a name: remove the character at position 3."
        assert str(names.find_error("ab\u202e")) == said
        assert str(names.find_error("\x01")).startswith("U+0001 is not allowed in a name")
        assert str(names.find_error(" \u200b ")).startswith("U+200B ZERO WIDTH SPACE is invisible")
        assert str(names.find_error(" ")).startswith("U+0020 SPACE is invisible")


class TestEntrances:
    @pytest.mark.parametrize("bad", BAD)
    def test_the_api_refuses_each_with_its_place(self, api: Any, owner: Any, workflow: Workflow, bad: str) -> None:
        client, edge = api(owner), {"source_node": NFC, "target_node": "b", "label": f"x{bad}" if len(bad) > 2 else bad}
        run = {"workflow": str(workflow.pk), "trigger_type": "manual", "metadata": {"tags": ["a", bad]}}
        bodies: list[tuple[str, Any, str]] = [
            ("workflows/", {"name": bad}, "/name"),
            ("workflows/", {"name": "x", "nodes": [{"name": bad, "node_type": "tool"}]}, "/nodes/0/name"),
            ("workflows/", {"name": "x", "nodes": NODES, "edges": [edge]}, "/edges/0/label"),
            (f"workflows/{workflow.pk}/duplicate/", {"name": bad}, "/name"),
            ("executions/", run, "/metadata"),
        ]
        for path, body, pointer in bodies:
            answer = client.post(API + path, body, format="json")
            assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (400, pointer), answer.json()

    def test_in_process_each_is_refused(self, workflow: Workflow, owner: Any) -> None:
        node, bad = workflow.nodes.first(), "a\u202eb"
        edge = workflow.edges.first()
        assert node is not None
        assert edge is not None
        writes: list[Any] = [
            lambda: Workflow(name=bad).save(),
            lambda: Workflow.objects.filter(pk=workflow.pk).update(name=bad),
            lambda: Workflow(name=bad).full_clean(exclude=["owner"]),
            lambda: Node(workflow=workflow, name=bad, node_type=NodeType.TOOL).save(),
            lambda: Node.objects.bulk_create([Node(workflow=workflow, name=bad, node_type=NodeType.TOOL)]),
            lambda: type(edge).objects.filter(pk=edge.pk).update(label=bad),
            lambda: SavedView(owner=owner, name=bad).put(),
            lambda: Token.objects.issue(user=owner, name=bad, scopes=[]),
            lambda: WorkflowExecutionFactory(workflow=workflow, metadata={"tags": [bad]}),
            lambda: WorkflowExecutionFactory(workflow=workflow, metadata={"tags": ["x" * 256]}),
        ]
        for write in writes:
            with pytest.raises(ValidationError), transaction.atomic():
                write()

    @pytest.mark.parametrize(("table", "column"), [("workflows", "name"), ("nodes", "name"), ("edges", "label")])
    @pytest.mark.parametrize("bad", ["a\u202eb", "a\u0001b", "a\u2028b", NFD])
    def test_the_database_holds_it_against_plain_sql(
        self, workflow: Workflow, table: str, column: str, bad: str
    ) -> None:
        with pytest.raises(IntegrityError, match=r"_clean"), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"UPDATE {table} SET {column} = %s", [bad])  # names of this test


class TestForms:
    def test_both_forms_of_a_name_are_one_node(self, api: Any, owner: Any) -> None:
        client = api(owner)
        edges = [{"source_node": NFD, "target_node": "b", "label": NFD}]
        made = client.post(f"{API}workflows/", {"name": NFD, "nodes": NODES, "edges": edges}, format="json").json()
        assert (made["name"], made["edges"][0]["label"]) == (NFC, NFC)
        nodes = [*NODES, {"name": NFD, "node_type": "tool"}]
        doubled = client.post(f"{API}workflows/", {"name": "x", "nodes": nodes}, format="json")
        assert [error["pointer"] for error in doubled.json()["errors"]] == ["/nodes/2/name"]
        again = client.patch(
            f"{API}workflows/{made['id']}/", {"nodes": [NODES[1], {"name": NFD, "node_type": "tool"}]}, format="json"
        ).json()
        assert {node["id"] for node in again["nodes"]} == {node["id"] for node in made["nodes"]}
        assert len(client.get(f"{API}workflows/", {"name": NFD}).json()["results"]) == 1
        assert Workflow.objects.filter(name__icontains=NFD, nodes__name__icontains=NFD).count() == 1

    def test_a_node_is_found_by_either_form(self, api: Any, owner: Any, workflow: Workflow) -> None:
        Node.objects.filter(workflow=workflow, name="fetch").update(name=NFC)
        run = WorkflowExecutionFactory(workflow=workflow)
        answer = api(owner).post(f"{API}executions/{run.pk}/nodes/", {"node": NFD}, format="json")
        assert (answer.status_code, answer.json()["node_name"]) == (201, NFC)

    def test_tags_and_texts_are_found_by_either_form(self, api: Any, owner: Any, workflow: Workflow) -> None:
        client = api(owner)
        body = {"workflow": str(workflow.pk), "trigger_type": "manual"}
        metadata = {"tags": [NFD], "correlation_id": NFD}
        made = client.post(f"{API}executions/", body | {"metadata": metadata}, format="json").json()
        run = WorkflowExecution.objects.get(pk=made["id"])
        assert run.metadata == {"tags": [NFC], "correlation_id": NFD}  # an id is nobody's to change
        run.start()
        run.logs.create(level="info", message=f"before {NFD} after")
        run.fail(f"before {NFD} after")
        lines = f"{API}executions/{run.pk}/logs/"
        for text in (NFC, NFD):
            for name in ("tag", "correlation_id"):
                assert len(client.get(f"{API}executions/", {name: text}).json()["results"]) == 1, (name, text)
            assert len(client.get(f"{API}executions/", {"q": f"before {text}"}).json()["results"]) == 1
            assert len(client.get(lines, {"q": text}).json()["results"]) == 1

    @pytest.mark.parametrize("path", ["workflows/workflow", "workflows/definitionchange", "tokens/token", "auth/user"])
    def test_every_search_of_the_admin_finds_either_form(self, client: Any, staff: Any, path: str) -> None:
        client.force_login(staff)
        Workflow(name=NFC, owner=staff).save()
        Token.objects.issue(user=staff, name=NFC, scopes=["executions:read"])
        UserFactory(username="kim", last_name=NFD)
        counts = [
            len(client.get(f"/admin/{path}/", {"q": text}).context["cl"].result_list) for text in (NFC, NFD, "nobody's")
        ]
        assert counts[0] == counts[1] > counts[2] == 0

    def test_a_repeated_request_with_tags_is_the_same_one(self, api: Any, owner: Any, workflow: Workflow) -> None:
        body = {"id": "01a22164-b72b-7239-8702-696f539639e0", "workflow": str(workflow.pk), "trigger_type": "manual"}
        sent = [api(owner).post(f"{API}executions/", body | {"metadata": {"tags": [NFD]}}, format="json") for _ in "ab"]
        assert [answer.status_code for answer in sent] == [201, 200]


@pytest.mark.django_db
def test_names_that_are_there_are_cleaned_and_stay_apart(workflow: Workflow) -> None:
    """The migration's statement, on rows as they may be before it."""
    first, second, third = workflow.nodes.all()
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("ALTER TABLE nodes DROP CONSTRAINT node_name_clean")
        for node, name in ((first, NFC), (second, NFD), (third, "\u202e")):
            cursor.execute("UPDATE nodes SET name = %s WHERE id = %s", [name, node.pk])
        cursor.execute(names.cleaning_sql("nodes", "name", "unnamed", "workflow_id", "retired_at"))
    found = dict(Node.objects.filter(workflow=workflow).values_list("pk", "name"))
    assert found == {first.pk: NFC, second.pk: f"{NFC} {str(second.pk)[-6:]}", third.pk: "unnamed"}
