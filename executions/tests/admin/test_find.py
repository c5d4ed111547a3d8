"""One search for any id, its first characters, correlation ids, tags, names and words of an error."""

import re
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from executions.tests.cast import permissions
from executions.tests.factories import ExecutionLogFactory, NodeExecutionFactory, WorkflowExecutionFactory, in_state
from ledgerkit.db.timeouts import StatementTimeout
from ledgerkit.tests.clients import client_of
from workflows.tests.factories import NodeFactory, UserFactory, WorkflowFactory

FIND = "/admin/executions/workflowexecution/find/"


def found(client: Client, text: object) -> dict[str, str]:
    answer = client.get(FIND, {"q": str(text), "format": "json"}).json()
    return {each["address"]: each["title"] for each in answer["found"]}


def page(row: Any) -> str:
    return f"/admin/executions/{row._meta.model_name}/{row.pk}/change/"


def test_any_id_and_its_first_eight_characters(client: Client) -> None:
    node = NodeExecutionFactory()
    line = ExecutionLogFactory(workflow_execution=node.workflow_execution)
    for row in (node.workflow_execution, node, line):
        assert page(row) in found(client, row.pk)
        assert page(row) in found(client, str(row.pk)[:8])
        assert page(row) in found(client, str(row.pk).upper()[:14])
    assert page(node) not in found(client, str(node.pk)[:7])


def test_a_correlation_id_a_tag_and_the_list_of_all_that_have_it(client: Client) -> None:
    run = WorkflowExecutionFactory(metadata={"correlation_id": "order-17", "tags": ["nightly"]})
    assert page(run) in found(client, "order-17")
    assert {page(run), "/admin/executions/workflowexecution/?q=nightly"} <= found(client, "nightly").keys()


def test_workflows_and_nodes_by_a_part_of_their_name(client: Client) -> None:
    workflow = WorkflowFactory(name="Nightly prices")
    node = NodeFactory(workflow=workflow, name="Load prices")
    NodeFactory(name="Something else")
    results = found(client, "PRICE")
    assert results[f"/admin/workflows/workflow/{workflow.pk}/"] == "Nightly prices"
    assert results[f"/admin/executions/nodeexecution/?node={node.pk}"] == "Load prices"
    assert results[f"/admin/executions/workflowexecution/start/{workflow.pk}/"] == "Start Nightly prices"
    assert len(results) == 5


@pytest.mark.parametrize("text", ["start nightly", "Start Nightly prices", "nightly start", "start"])
def test_a_workflow_is_started_by_its_name(client: Client, text: str) -> None:
    workflow = WorkflowFactory(name="Nightly prices")
    WorkflowFactory(name="Nightly and inactive", is_active=False)
    starts = [title for title in found(client, text).values() if title.startswith("Start ")]
    assert starts == ["Start Nightly prices"]
    assert client.get(f"/admin/executions/workflowexecution/start/{workflow.pk}/").status_code == 200


def test_who_may_not_start_a_run_is_not_offered_to(teammate: Any) -> None:
    WorkflowFactory(name="Nightly prices")
    assert [title for title in found(client_of(teammate), "nightly").values() if "Start" in title] == []


def test_the_failed_runs_of_the_last_day_are_offered_before_anything_is_typed(client: Client) -> None:
    (address,) = [address for address, title in found(client, "").items() if "last 24 hours" in title]
    assert client.get(address).status_code == 200


def test_words_of_an_error_lead_to_the_lists_of_what_has_them(client: Client) -> None:
    assert list(found(client, "timed out")) == [
        "/admin/executions/workflowexecution/?error=timed+out",
        "/admin/executions/executionlog/?text=timed+out",
    ]
    for address in found(client, "timed out"):
        assert client.get(address).status_code == 200


def test_the_page_shows_the_same_without_scripts(client: Client) -> None:
    run = WorkflowExecutionFactory(metadata={"tags": ["<b>nightly"]})
    html = client.get(FIND, {"q": "<b>nightly"}).content.decode()
    assert f'href="{page(run)}"' in html
    assert "&lt;b&gt;nightly" in html
    assert "<b>nightly" not in html
    assert "Failed today" in client.get(FIND).content.decode()


def test_what_one_may_not_see_is_not_found(db: None) -> None:
    node = NodeExecutionFactory(workflow_execution=WorkflowExecutionFactory(metadata={"tags": ["nightly"]}))
    nobody = UserFactory(is_staff=True)
    for text in (node.pk, node.workflow_execution_id, "nightly", node.workflow_execution.workflow.name, "timed out"):
        assert found(client_of(nobody), text) == {}
    nobody.user_permissions.set(permissions("view_workflowexecution"))
    assert page(node) not in found(client_of(nobody), node.pk)
    assert client_of(UserFactory()).get(FIND).status_code == 302


@pytest.mark.parametrize("text", ["x" * 3_000, "%", "_", "\\", "ffffffff-ffff-ffff-ffff-ffffffffffff", "-" * 9])
def test_any_text_has_an_answer(client: Client, text: str) -> None:
    assert client.get(FIND, {"q": text}).status_code == 200


def test_its_statements_are_bounded(client: Client) -> None:
    runs = WorkflowExecutionFactory.create_batch(9, metadata={"tags": ["nightly"]})
    found(client, "nightly")
    for text in ("nightly", str(runs[0].pk)[:8]):
        with CaptureQueriesContext(connection) as queries:
            assert found(client, text)
        selects = [
            query["sql"] for query in queries if query["sql"].startswith("SELECT") and "set_config" not in query["sql"]
        ]
        assert len([sql for sql in selects if "executions" in sql or "workflow" in sql]) <= 9
        assert all("LIMIT" in sql for sql in selects if "ORDER BY" in sql)


def test_a_part_that_takes_too_long_is_said_to_be_missing(client: Client, monkeypatch: Any) -> None:
    def too_long(*_arguments: object) -> Any:
        raise StatementTimeout

    monkeypatch.setattr("executions.admin.runs.palette_search._workflows", too_long)
    assert "A part of the search took too long" in client.get(FIND, {"q": "prices"}).content.decode()


def test_what_can_be_done_on_a_page_is_named_for_the_palette(client: Client, teammate: Any) -> None:
    run = in_state(WorkflowExecutionFactory(), "failed")
    html = client.get(page(run)).content.decode()
    assert [title for title in acts(html) if "this run" in title][:1] == ["Retry: this run"]
    listed = acts(client.get("/admin/executions/workflowexecution/").content.decode())
    assert {"Export this list as CSV", "Cancel: all runs that match"} <= set(listed)
    assert acts(client_of(teammate).get(page(run)).content.decode()) == []  # who may only view


def acts(html: str) -> list[str]:
    return re.findall(r'data-act="([^"]+)"', html)


def test_every_page_has_the_palette(client: Client) -> None:
    run = WorkflowExecutionFactory()
    for address in ("/admin/", "/admin/executions/workflowexecution/", page(run)):
        html = client.get(address).content.decode()
        assert html.count('<dialog class="palette"') == 1
        assert f'data-find="{FIND}"' in html
