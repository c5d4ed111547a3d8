"""Lists of the runs and node executions of a group of errors, in the API and in the admin."""

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode
from uuid import UUID, uuid4

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from executions import limits
from executions.admin import saved_views
from executions.admin.error_groups.rows import group_url
from executions.admin.filters.error_group_filters import runs_of_group_url
from executions.error_groups import group_changes
from executions.error_groups.scan import scan
from executions.models import NodeExecution, SavedView
from executions.tests.error_groups.rows import group
from executions.tests.error_groups.test_admin import page_of, signed_in
from executions.tests.error_groups.test_recording import failed_run, run_with_failed_nodes
from workflows.models import Workflow
from workflows.tests.factories import WorkflowFactory

pytestmark = pytest.mark.django_db(transaction=True)  # a scan reads what is committed

RUNS, NODES = "/api/v1/executions/", "/api/v1/node-executions/"
RUN_LIST = "/admin/executions/workflowexecution/"
PRICES, SERVER = ("load", "no prices", None), ("mail", "no server", None)


@pytest.fixture(autouse=True)
def first_scan(transactional_db: None) -> None:
    scan()


@pytest.fixture(params=[limits.ERROR_GROUP_ROWS, 0], ids=["looked up", "walked"])
def either_way(request: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Find the rows of small groups, and of large ones."""
    monkeypatch.setattr(limits, "ERROR_GROUP_ROWS", request.param)


def ids(client: APIClient, url: str, of: UUID, query: str = "") -> list[str]:
    answer = client.get(f"{url}?error_group={of}{query}")
    assert answer.status_code == 200, answer.content
    return sorted(row["id"] for row in answer.json()["results"])


def keys(*rows: Any) -> list[str]:
    return sorted(str(row.pk) for row in rows)


def listed(client: Client, address: str) -> list[str]:
    response = client.get(address)
    assert response.status_code == 200, response
    return keys(*response.context["cl"].result_list)


@pytest.mark.usefixtures("either_way")
class TestApi:
    @pytest.fixture
    def client(self, api: Callable[..., APIClient], workflow: Workflow) -> APIClient:
        return api(workflow.owner)

    def test_runs_and_nodes_of_a_group(self, client: APIClient, workflow: Workflow) -> None:
        both = run_with_failed_nodes(workflow, PRICES, SERVER)
        one, other = run_with_failed_nodes(workflow, PRICES), failed_run(workflow, "no memory")
        scan()
        prices = group("no prices").pk
        assert ids(client, RUNS, prices) == keys(both, one)
        assert ids(client, RUNS, prices, "&status=completed") == []
        assert ids(client, RUNS, group("no memory").pk) == keys(other)
        assert ids(client, NODES, prices) == keys(*NodeExecution.objects.filter(node_name="load"))
        assert ids(client, NODES, group("no memory").pk) == []

    def test_a_run_stays_in_it_whatever_becomes_of_it(self, client: APIClient, workflow: Workflow) -> None:
        run = failed_run(workflow, "no prices")
        scan()
        run.refresh_from_db()
        run.retry()
        assert ids(client, RUNS, group("no prices").pk) == keys(run)

    def test_a_merged_group_is_the_one_that_it_is_part_of(self, client: APIClient, workflow: Workflow) -> None:
        runs = [failed_run(workflow, message) for message in ("no prices", "no server", "no memory")]
        scan()
        prices, server, memory = (group(f"no {word}") for word in ("prices", "server", "memory"))
        group_changes.merge(server, [memory])
        prices.refresh_from_db()
        group_changes.merge(prices, [group("no server")])
        for each in (prices, server, memory):
            assert ids(client, RUNS, each.pk) == keys(*runs)

    def test_what_another_may_not_see_finds_nothing(self, client: APIClient, workflow: Workflow, api: Any) -> None:
        run_with_failed_nodes(workflow, PRICES)
        other = WorkflowFactory(owner=workflow.owner)
        scan()
        prices = group("no prices").pk
        for stranger in (api(WorkflowFactory().owner), api(workflow.owner, bound_to=[other.pk])):
            for url in (RUNS, NODES):
                assert ids(stranger, url, prices) == ids(stranger, url, uuid4()) == []
        here = api(workflow.owner, bound_to=[workflow.pk])
        assert len(ids(here, RUNS, prices)) == len(ids(here, NODES, prices)) == 1

    def test_it_is_a_filter_of_bulk_actions(self, client: APIClient, workflow: Workflow) -> None:
        failed_run(workflow, "no prices")
        failed_run(workflow, "no server")
        scan()
        body = {"action": "retry", "filter": {"error_group": str(group("no prices").pk)}, "dry_run": True}
        assert client.post(f"{RUNS}actions/", body, format="json").json()["number"] == 1

    def test_it_takes_as_many_queries_for_many_runs_as_for_one(self, client: APIClient, workflow: Workflow) -> None:
        counts = []
        for number in (1, 5):
            for _ in range(number):
                failed_run(workflow, "no prices")
            scan()
            with CaptureQueriesContext(connection) as queries:
                ids(client, RUNS, group("no prices").pk)
            counts.append(len(queries))
        assert counts[0] == counts[1]


def test_a_value_that_is_no_id_is_refused(api: Callable[..., APIClient], workflow: Workflow) -> None:
    for url in (RUNS, NODES):
        answer = api(workflow.owner).get(f"{url}?error_group=x")
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (400, "?error_group")


@pytest.mark.usefixtures("either_way")
class TestAdmin:
    @pytest.fixture
    def viewer(self) -> Client:
        return signed_in("view_errorgroup", "view_workflowexecution", "view_nodeexecution")

    def test_the_list_of_runs_names_the_group_in_a_chip(self, viewer: Client, workflow: Workflow) -> None:
        run, _other = failed_run(workflow, "no prices"), failed_run(workflow, "no server")
        scan()
        address = runs_of_group_url(group("no prices").pk)
        assert listed(viewer, address) == keys(run)
        (chip,) = viewer.get(address).context["cl"].chips
        assert (str(chip.title), chip.words) == ("error group", "no prices")

    def test_a_node_of_the_group_is_a_part_of_it(self, viewer: Client, workflow: Workflow) -> None:
        runs = [run_with_failed_nodes(workflow, (name, "no prices", None)) for name in ("load", "rank")]
        runs.append(failed_run(workflow, "no prices"))
        scan()
        pk = group("no prices").pk
        for run, node, words in zip(runs, ("load", "rank", ""), ("load", "rank", "no node"), strict=True):
            address = runs_of_group_url(pk, node)
            assert listed(viewer, address) == keys(run)
            assert viewer.get(address).context["cl"].chips[0].words == f"no prices ({words})"

    def test_a_period_is_that_of_the_failure(self, viewer: Client, workflow: Workflow) -> None:
        old, new = failed_run(workflow, "no prices"), failed_run(workflow, "no prices")
        scan()
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE error_occurrences SET happened_at = now() - interval '25 hours' "
                "WHERE workflow_execution_id = %s",
                [old.pk],
            )
        pk = group("no prices").pk
        assert listed(viewer, runs_of_group_url(pk, failed=1)) == keys(new)
        assert listed(viewer, runs_of_group_url(pk, failed=3)) == keys(old, new)

    @pytest.mark.slow
    def test_each_chip_of_a_group_in_a_period_leads_to_a_list(self, viewer: Client, workflow: Workflow) -> None:
        run = failed_run(workflow, "no prices")
        scan()
        for node in (None, ""):
            address = runs_of_group_url(group("no prices").pk, node, failed=1, status="failed")
            chips = {str(chip.title): chip.without for chip in viewer.get(address).context["cl"].chips}
            assert [viewer.get(f"{RUN_LIST}{without}").status_code for without in chips.values()] == [200] * 3
            assert listed(viewer, f"{RUN_LIST}{chips['error group']}") == keys(run)
            assert chips["error group"] == "?status=failed"

    def test_a_group_in_a_period_is_saved_as_a_view(self, viewer: Client, workflow: Workflow) -> None:
        run = failed_run(workflow, "no prices")
        scan()
        filters = {"error_group": str(group("no prices").pk), "failed": "1"}
        viewer.post(f"{RUN_LIST}views/", {"new-name": "Prices", "filters": urlencode(filters)})
        view = SavedView.objects.get(name="Prices")
        assert view.filters == filters
        assert listed(viewer, saved_views.view_url(view)) == keys(run)

    @pytest.mark.parametrize("failed", ["x", "1~", "2"])
    def test_a_period_that_is_none_is_not_saved(self, viewer: Client, failed: str) -> None:
        filters = urlencode({"error_group": str(uuid4()), "failed": failed})
        viewer.post(f"{RUN_LIST}views/", {"new-name": "Prices", "filters": filters})
        assert not SavedView.objects.exists()

    def test_failed_runs_without_a_group(self, viewer: Client, workflow: Workflow) -> None:
        failed_run(workflow, "no prices")
        scan()
        unseen = failed_run(workflow, "no prices")
        assert listed(viewer, "/admin/executions/workflowexecution/?error_group=none") == keys(unseen)

    def test_the_list_of_nodes(self, viewer: Client, workflow: Workflow) -> None:
        run = run_with_failed_nodes(workflow, PRICES, SERVER)
        scan()
        address = f"/admin/executions/nodeexecution/?error_group={group('no prices').pk}"
        assert listed(viewer, address) == keys(run.node_executions.get(node_name="load"))
        assert viewer.get(address).context["cl"].chips[0].words == "no prices"

    @pytest.mark.parametrize(
        "query",
        ["error_group=x", "error_group=x~load", "failed=1", "error_group=none&failed=1", "error_group={id}&failed=x"],
    )
    def test_what_is_no_group_is_refused(self, viewer: Client, query: str) -> None:
        address = f"/admin/executions/workflowexecution/?{query.format(id=uuid4())}"
        assert viewer.get(address).status_code == 400

    def test_a_group_that_is_gone_or_hidden_has_no_runs_and_says_so(self, viewer: Client, workflow: Workflow) -> None:
        failed_run(workflow, "no prices")
        scan()
        hidden = runs_of_group_url(group("no prices").pk)
        for client, address in ((viewer, runs_of_group_url(uuid4())), (signed_in("view_workflowexecution"), hidden)):
            assert listed(client, address) == []
            assert "There is no such group of errors." in page_of(client, address)

    def test_the_page_of_a_group_leads_to_its_runs_and_nodes(self, viewer: Client, workflow: Workflow) -> None:
        for _ in range(2):
            run_with_failed_nodes(workflow, PRICES)
        scan()
        pk = group("no prices").pk
        html = page_of(viewer, group_url(pk))
        assert f'<a href="{runs_of_group_url(pk)}">2</a>' in html
        assert f'href="/admin/executions/nodeexecution/?error_group={pk}"' in html
        assert f"error_group={pk}~load&amp;workflow={workflow.pk}".replace("~", "%7E") in html.replace("~", "%7E")
        assert "error_group=" not in page_of(signed_in("view_errorgroup"), group_url(pk))
