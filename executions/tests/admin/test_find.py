"""One search for any id, its first characters, correlation ids, tags, names and words of an error."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from executions import limits
from executions.admin.search.palette import groups_with
from executions.models import BulkAction, BulkVerb, ErrorGroup
from executions.tests.cast import permissions
from executions.tests.factories import ExecutionLogFactory, NodeExecutionFactory, WorkflowExecutionFactory, in_state
from executions.tests.query_plans import plan, uses
from ledgerkit.db.models import uuid7
from ledgerkit.db.timeouts import StatementTimeout
from ledgerkit.tests.clients import client_of
from tokens.tests.factories import TokenFactory
from workflows.history import Through
from workflows.tests.factories import NodeFactory, UserFactory, WorkflowFactory

FIND = "/admin/executions/workflowexecution/find/"


def found(client: Client, text: object) -> dict[str, str]:
    answer = client.get(FIND, {"q": str(text), "format": "json"}).json()
    return {each["address"]: each["title"] for each in answer["found"]}


def page(row: Any) -> str:
    return f"/admin/{row._meta.app_label}/{row._meta.model_name}/{row.pk}/change/"


def error_group(title: str, **fields: object) -> ErrorGroup:
    return ErrorGroup.objects.create(title=title, first_seen=timezone.now(), last_seen=timezone.now(), **fields)


def bulk_action(**fields: object) -> BulkAction:
    return BulkAction.objects.create(verb=BulkVerb.CANCEL, number=1, through=Through.ADMIN, **fields)


def test_any_id_and_its_first_eight_characters(client: Client) -> None:
    node = NodeExecutionFactory()
    line = ExecutionLogFactory(workflow_execution=node.workflow_execution)
    for row in (node.workflow_execution, node, line):
        assert page(row) in found(client, row.pk)
        assert page(row) in found(client, str(row.pk)[:8])
        assert page(row) in found(client, str(row.pk).upper()[:14])
    assert page(node) not in found(client, str(node.pk)[:7])


def test_the_id_of_a_workflow_a_group_of_errors_a_bulk_action_or_a_token(client: Client) -> None:
    workflow = WorkflowFactory()
    rows = {row: page(row) for row in (error_group("boom"), bulk_action(), TokenFactory())}
    rows |= {workflow: f"/admin/workflows/workflow/{workflow.pk}/"}
    for row, address in rows.items():
        for text in (row.pk, str(row.pk)[:8], str(row.pk).upper()[:14]):
            assert address in found(client, text)
        assert client.get(address).status_code == 200


def test_a_workflow_in_the_trash_is_found_by_its_id_alone(client: Client) -> None:
    workflow = WorkflowFactory(name="Nightly prices")
    workflow.soft_delete()
    address = f"/admin/workflows/workflow/{workflow.pk}/"
    assert address in found(client, workflow.pk)
    assert address not in found(client, "Nightly")
    assert client.get(address).status_code == 200


def test_the_id_of_a_group_that_was_merged_leads_to_the_one_that_it_is_part_of(client: Client) -> None:
    whole = error_group("boom")
    merged = error_group("bang", merged_into=whole)
    assert found(client, merged.pk)[page(whole)] == "boom"
    assert page(merged) not in found(client, "bang")


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


def test_words_of_an_error_find_the_newest_groups_of_errors_that_have_them(client: Client) -> None:
    error_group("ConnectionReset: by peer")
    few = error_group("TruncatedFile: prices.csv ends in row 17")
    assert found(client, "truncatedfile")[page(few)] == "TruncatedFile: prices.csv ends in row 17"
    assert "/admin/executions/errorgroup/?q=truncatedfile" not in found(client, "truncatedfile")
    more = [error_group("TruncatedFile") for _ in range(limits.FOUND_ROWS)]
    addresses = found(client, "TruncatedFile")
    assert {page(row) for row in more} < addresses.keys()
    assert page(few) not in addresses
    assert client.get("/admin/executions/errorgroup/?q=TruncatedFile").status_code == 200
    assert addresses["/admin/executions/errorgroup/?q=TruncatedFile"] == "All error groups with “TruncatedFile”"


def test_groups_of_errors_with_a_text_are_read_off_the_order_of_their_list(only: Callable[[str, str], None]) -> None:
    only("error_groups", "idx_error_groups_opened")
    found = plan(groups_with("TruncatedFile", ErrorGroup.objects.visible_to(UserFactory(is_superuser=True)))[:6])
    assert uses(found, "idx_error_groups_opened")
    assert "Sort" not in found


def test_where_nothing_but_searches_in_texts_is_found_it_says_so(client: Client) -> None:
    WorkflowFactory(name="Nightly prices")
    answers = {text: client.get(FIND, {"q": text, "format": "json"}).json() for text in ("zzzz", "prices", "zz", "")}
    assert [text for text, answer in answers.items() if answer["names_nothing"]] == ["zzzz"]
    sentence = "Nothing has this name or id. Search in texts:"
    html = client.get(FIND, {"q": "zzzz"}).content.decode().partition('<form method="get" role="search"')[2]
    assert html.index(sentence) < html.index("Runs with “zzzz” in an error")
    html = client.get(FIND, {"q": "prices"}).content.decode().partition('<form method="get" role="search"')[2]
    assert sentence not in html.partition("</ul>")[0]


def test_the_page_shows_the_same_without_scripts(client: Client) -> None:
    run = WorkflowExecutionFactory(metadata={"tags": ["<b>nightly"]})
    html = client.get(FIND, {"q": "<b>nightly"}).content.decode()
    assert f'href="{page(run)}"' in html
    assert "&lt;b&gt;nightly" in html
    assert "<b>nightly" not in html
    assert "Failed today" in client.get(FIND).content.decode()


def test_a_complete_id_leads_straight_to_its_page(client: Client) -> None:
    node, workflow = NodeExecutionFactory(), WorkflowFactory()
    line = ExecutionLogFactory(workflow_execution=node.workflow_execution)
    rows = (node.workflow_execution, node, line, error_group("boom"), bulk_action(), TokenFactory())
    pages = {row.pk: page(row) for row in rows} | {workflow.pk: f"/admin/workflows/workflow/{workflow.pk}/"}
    for pk, address in pages.items():
        assert client.get(FIND, {"q": f" {pk} "}).headers["Location"] == address
        assert client.get(FIND, {"q": str(pk)[:8]}).status_code == 200


def test_the_complete_id_of_what_one_may_not_see_leads_nowhere(teammate: Any) -> None:
    token = TokenFactory()
    teammate.user_permissions.remove(*permissions("view_token"))
    answers = [client_of(teammate).get(FIND, {"q": str(pk)}) for pk in (token.pk, uuid7())]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert len({answer.content.count(b"<li>") for answer in answers}) == 1


def test_the_search_of_the_monitor_is_that_of_the_palette(client: Client) -> None:
    html = client.get("/admin/").content.decode()
    form = html[html.index('<search class="monitor-search">') :].partition("</search>")[0]
    assert f'action="{FIND}"' in form
    label = re.search(r"<label[^>]*>([^<]+)</label>", form)
    assert label is not None
    assert label[1] in client.get(FIND).content.decode()


def test_rows_that_the_user_may_not_see_are_not_found(db: None) -> None:
    node = NodeExecutionFactory(workflow_execution=WorkflowExecutionFactory(metadata={"tags": ["nightly"]}))
    nobody = UserFactory(is_staff=True)
    for text in (node.pk, node.workflow_execution_id, "nightly", node.workflow_execution.workflow.name, "timed out"):
        assert found(client_of(nobody), text) == {}
    nobody.user_permissions.set(permissions("view_workflowexecution"))
    assert page(node) not in found(client_of(nobody), node.pk)
    assert client_of(UserFactory()).get(FIND).status_code == 302


@pytest.mark.parametrize("seen", ["workflow", "errorgroup", "workflowexecution", "token"])
def test_each_list_that_one_may_see_is_searched_and_no_other(seen: str, db: None) -> None:
    workflow = WorkflowFactory()
    rows = {"workflow": workflow, "errorgroup": error_group("TruncatedFile"), "workflowexecution": bulk_action()}
    rows |= {"token": TokenFactory()}
    pages = {name: page(row) for name, row in rows.items()} | {"workflow": f"/admin/workflows/workflow/{workflow.pk}/"}
    operator = UserFactory(is_staff=True)
    operator.user_permissions.set(permissions(f"view_{seen}"))
    answers = [found(client_of(operator), text) for text in (*(row.pk for row in rows.values()), "TruncatedFile")]
    assert {address for answer in answers for address in answer} & set(pages.values()) == {pages[seen]}


def test_a_group_of_errors_of_workflows_of_others_is_not_found_by_an_owner(db: None) -> None:
    group = error_group("TruncatedFile")
    owner = UserFactory()
    groups = ErrorGroup.objects.visible_to(owner)
    assert not groups_with("TruncatedFile", groups).exists()
    seen = {"rule": "message", "first_seen": group.first_seen, "last_seen": group.last_seen}
    group.fingerprints.create(workflow=WorkflowFactory(owner=owner), digest="1", **seen)
    assert groups_with("TruncatedFile", groups).get() == group


@pytest.mark.parametrize("text", ["x" * 3_000, "%", "_", "\\", "ffffffff-ffff-ffff-ffff-ffffffffffff", "-" * 9])
def test_any_text_has_an_answer(client: Client, text: str) -> None:
    assert client.get(FIND, {"q": text}).status_code == 200


def test_a_search_takes_a_bounded_number_of_statements(client: Client) -> None:
    runs = WorkflowExecutionFactory.create_batch(9, metadata={"tags": ["nightly"]})
    groups = [error_group("nightly") for _ in range(9)]
    found(client, "nightly")
    for text in ("nightly", str(runs[0].pk)[:8], str(groups[0].pk)[:8]):
        with CaptureQueriesContext(connection) as queries:
            assert found(client, text)
        selects = [
            query["sql"] for query in queries if query["sql"].startswith("SELECT") and "set_config" not in query["sql"]
        ]
        assert len([sql for sql in selects if "auth_" not in sql and "django_" not in sql]) <= 12
        assert all("LIMIT" in sql for sql in selects if "ORDER BY" in sql)


def test_a_part_that_takes_too_long_is_said_to_be_missing(client: Client, monkeypatch: Any) -> None:
    def too_long(*_arguments: object) -> Any:
        raise StatementTimeout

    monkeypatch.setattr("executions.admin.search.palette._workflows", too_long)
    assert "A part of the search took too long" in client.get(FIND, {"q": "prices"}).content.decode()
    assert not client.get(FIND, {"q": "prices", "format": "json"}).json()["names_nothing"]


def test_what_can_be_done_on_a_page_is_named_for_the_palette(client: Client, teammate: Any) -> None:
    run = in_state(WorkflowExecutionFactory(), "failed")
    html = client.get(page(run)).content.decode()
    assert [title for title in acts(html) if "this run" in title][:1] == ["Retry: this run"]
    listed = acts(client.get("/admin/executions/workflowexecution/?status=failed").content.decode())
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
