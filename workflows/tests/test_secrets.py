"""Definitions are masked under keys that name a secret, through every interface: an engine finds its secrets in the
run's `context.secrets`."""

from typing import Any

import pytest
from django.core import serializers

from executions.secrets.scrubber import Scrubber
from workflows.models import Edge, Node, Workflow
from workflows.secret_keys import MASK, mask_document, mask_schema
from workflows.submitted_graph import SubmittedGraph
from workflows.tests.factories import EdgeFactory, NodeFactory, WorkflowFactory

SECRET = "hunter2-hunter2"
DOCUMENT = {"url": "https://x/", "broker": {"api_key": SECRET, "list": [{"Password": SECRET}]}, "max_tokens": 100}
CLEAR = {"url": "https://x/", "broker": {"api_key": MASK, "list": [{"Password": MASK}]}, "max_tokens": 100}


def reread(row: Any) -> Any:
    return type(row).objects.get(pk=row.pk)


def test_a_document_is_masked_by_its_keys_as_the_ledger_masks_it() -> None:
    for document in (DOCUMENT, {"secrets": {"a": [1, True, None, "b"]}}, {"tokens": 1}, [], "text", None):
        assert mask_document(document) == Scrubber().document(document)
    assert mask_document(DOCUMENT) == CLEAR
    assert mask_document({"kontoNr": 1}, extra=("Konto-Nr",)) == {"kontoNr": MASK}


def test_a_schema_says_what_a_secret_is_like_and_not_what_it_is() -> None:
    said = {"type": "string", "minLength": 8, "description": "of the broker", "writeOnly": True}
    known = {"default": SECRET, "const": SECRET, "enum": [SECRET], "examples": [{"type": SECRET}]}
    hidden = {"default": MASK, "const": MASK, "enum": [MASK], "examples": [{"type": MASK}]}
    whole = {"type": "object", "required": ["password"], "properties": {"password": said | known, "n": {"default": 1}}}
    clear = {"type": "object", "required": ["password"], "properties": {"password": said | hidden, "n": {"default": 1}}}
    assert mask_schema(whole) == clear
    assert mask_schema({"credentials": {"properties": {"user": known}}}) == {
        "credentials": {"properties": {"user": hidden}}
    }
    assert mask_schema({"token": True, "pin": {"api_key": SECRET}}) == {"token": True, "pin": {"api_key": MASK}}
    assert mask_schema({"tokens": {"items": [{"anyOf": [known]}]}}) == {"tokens": {"items": [{"anyOf": [hidden]}]}}


@pytest.mark.django_db
def test_a_definition_that_is_saved_shows_only_masks_from_then_on() -> None:
    rows = [
        WorkflowFactory(config=DOCUMENT, variables=DOCUMENT),
        NodeFactory(config=DOCUMENT, input_schema=DOCUMENT, output_schema=DOCUMENT, retry_config=DOCUMENT),
        EdgeFactory(condition=DOCUMENT),
    ]
    for row in rows:
        documents = {name for name, value in vars(row).items() if name == "condition" or value == CLEAR}
        assert len(documents) == {Workflow: 2, Node: 4, Edge: 1}[type(row)]
        assert all(getattr(one, name) == CLEAR for one in (row, reread(row)) for name in documents)
    assert DOCUMENT["broker"]["api_key"] == SECRET, "the caller's own document stays as it is"


@pytest.mark.django_db
def test_an_update_a_bulk_create_a_graph_and_a_fixture_are_masked_too() -> None:
    workflow = WorkflowFactory(chain=["a", "b"])
    Workflow.objects.update(config=DOCUMENT)
    Edge.objects.update(condition=DOCUMENT)
    wanted = SubmittedGraph(workflow, [{"name": "a", "config": DOCUMENT}, {"name": "b"}, NEW], None)
    wanted.save(workflow)
    fixture = Node(workflow=workflow, name="d", node_type="tool", config=DOCUMENT)
    text = serializers.serialize("json", [fixture], fields=["workflow", "name", "node_type", "config"])
    next(serializers.deserialize("json", text)).save()
    assert (reread(workflow).config, workflow.edges.get().condition) == (CLEAR, CLEAR)
    assert [node.config for node in workflow.nodes.order_by("name")] == [CLEAR, {}, CLEAR, CLEAR]


NEW = {"name": "c", "node_type": "tool", "config": DOCUMENT}


@pytest.mark.django_db
def test_what_is_masked_may_be_saved_again() -> None:
    row = WorkflowFactory(config=DOCUMENT)
    anew = reread(row)
    anew.save()
    assert reread(row).config == CLEAR


@pytest.mark.django_db
def test_the_api_and_the_admin_show_and_store_the_mask(api: Any, owner: Any, staff: Any, client: Any) -> None:
    body = {"name": "x", "config": DOCUMENT, "variables": DOCUMENT, "nodes": [NEW]}
    answer = api(owner).post("/api/v1/workflows/", body, format="json")
    assert (answer.status_code, SECRET in answer.content.decode()) == (201, False)
    workflow = Workflow.objects.get()
    answer = api(owner).patch(f"/api/v1/workflows/{workflow.pk}/", {"config": DOCUMENT}, format="json")
    assert (answer.json()["config"], workflow.nodes.get().config) == (CLEAR, CLEAR)
    client.force_login(staff)
    page = client.get(f"/admin/workflows/workflow/{workflow.pk}/change/").content.decode()
    assert (MASK in page, SECRET in page) == (True, False)
