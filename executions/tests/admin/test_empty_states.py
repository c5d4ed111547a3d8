"""Empty states of pages: each says what it is and what to do, and no two look alike."""

from typing import Any

import pytest
from django.db import DatabaseError, OperationalError, connection
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext
from django.views import defaults
from psycopg.errors import QueryCanceled

from executions.admin import pagination
from executions.admin.runs import run_page
from executions.models import WorkflowExecution
from executions.tests.factories import WorkflowExecutionFactory
from ledgerkit.db.models import uuid7

RUNS = "/admin/executions/workflowexecution/"
NODES = "/admin/executions/nodeexecution/"
LOGS = "/admin/executions/executionlog/"
DELETIONS = "/admin/executions/deletion/"


def signed_in(user: Any, **kwargs: Any) -> Client:
    client = Client(**kwargs)
    client.force_login(user)
    return client


def page(user: Any, address: str, status: int = 200) -> str:
    response = signed_in(user).get(address)
    assert response.status_code == status
    return response.content.decode()


class TestEmpty:
    def test_where_nothing_has_run_yet_it_says_how_to_make_the_first_run(self, teammate: Any) -> None:
        html = page(teammate, RUNS)
        assert "Nothing has run yet." in html
        assert "manage.py demo" in html
        assert 'href="/api/v1/docs/"' in html

    @pytest.mark.parametrize(("address", "names"), [(NODES, "Node executions"), (LOGS, "Execution logs")])
    def test_other_lists_say_that_there_are_none_yet(self, address: str, names: str, teammate: Any) -> None:
        assert f"There are no {names.lower()} yet." in page(teammate, address)

    def test_where_nothing_is_found_it_says_what_the_search_knows(self, teammate: Any) -> None:
        WorkflowExecutionFactory()
        html = page(teammate, f"{RUNS}?q=nothing-like-it")
        assert "The search for “nothing-like-it” finds no workflow executions." in html
        assert "The id of a run, a node execution or a line; in full: a correlation id, a tag, the name of a" in html
        assert '<a href="?view=all">Clear the search and all filters</a>' in html

    def test_where_nothing_is_found_the_search_for_everything_takes_the_same_words(self, teammate: Any) -> None:
        WorkflowExecutionFactory()
        html = page(teammate, f"{RUNS}?q=a%26b+%2F")
        assert f'<a href="{RUNS}find/?q=a%26b%20%2F">Search everything</a>' in html

    def test_a_saved_view_that_is_gone_is_not_passed_over(self, teammate: Any) -> None:
        run, gone = WorkflowExecutionFactory(), "The saved view of this address was deleted"
        html = page(teammate, f"{RUNS}?view={uuid7()}")
        assert gone in html
        assert str(run.pk) in html
        for query in ("view=all", "status=pending"):
            assert gone not in page(teammate, f"{RUNS}?{query}")

    def test_where_nothing_fits_the_filters_can_be_cleared(self, teammate: Any) -> None:
        WorkflowExecutionFactory()
        html = page(teammate, f"{RUNS}?status=failed")
        assert "No workflow executions fit these filters." in html
        assert '<a href="?view=all">Clear all filters</a>' in html
        assert "Nothing has run yet" not in html


class TestFailing:
    def test_a_list_that_could_not_be_read_never_looks_like_an_empty_one(self, staff: Any, monkeypatch: Any) -> None:
        def broken(*args: Any) -> None:
            raise DatabaseError("index is corrupt")

        monkeypatch.setattr(pagination.KeysetChangeList, "get_results", broken)
        html = page(staff, f"{RUNS}?status=failed", status=503)
        assert "The database did not answer" in html
        assert "corrupt" not in html
        assert f'href="{RUNS}?status=failed">Try again' in html
        assert "fit these filters" not in html

    def test_a_page_that_takes_too_long_says_so(self, staff: Any, monkeypatch: Any) -> None:
        def slow(*args: Any) -> None:
            raise OperationalError("canceling statement") from QueryCanceled()

        monkeypatch.setattr(run_page, "page_context", slow)
        html = page(staff, f"{RUNS}{WorkflowExecutionFactory().pk}/change/", status=503)
        assert "This page took too long to load" in html


class TestForbidden:
    @pytest.mark.parametrize(
        ("address", "permission"),
        [
            (RUNS, "executions.view_workflowexecution"),
            (LOGS, "executions.view_executionlog"),
            ("/admin/workflows/workflow/add/", "workflows.add_workflow"),
            (f"{RUNS}views/{uuid7()}/", "executions.view_workflowexecution"),
        ],
    )
    def test_it_says_which_permission_is_missing_and_whom_to_ask(
        self, address: str, permission: str, newcomer: Any, staff: Any
    ) -> None:
        html = page(newcomer, address, status=403)
        assert f"<code>{permission}</code>" in html
        assert "These users can grant it: staff." in html
        assert 'id="user-tools"' in html  # the admin's own clothes

    def test_without_anybody_to_name_it_says_so_in_general(self, newcomer: Any) -> None:
        assert "Ask an administrator." in page(newcomer, RUNS, status=403)

    def test_a_form_without_its_key_is_refused_with_what_to_do(self, staff: Any) -> None:
        response = signed_in(staff, enforce_csrf_checks=True).post(RUNS, {"action": "cancel"})
        assert response.status_code == 403
        assert "Go back, reload the page, and send it again." in response.content.decode()


class TestNotFound:
    def test_an_address_where_nothing_is_says_so_in_the_admins_clothes(self, staff: Any) -> None:
        html = page(staff, "/admin/nothing/here/", status=404)
        assert "Nothing has this address" in html
        assert 'id="user-tools"' in html

    @pytest.mark.parametrize("address", [RUNS, NODES, LOGS])
    @pytest.mark.parametrize("id", [str(uuid7()), "no-id-at-all"])
    def test_a_row_that_is_not_there_says_so_and_leads_to_its_list(self, address: str, id: str, staff: Any) -> None:
        html = page(staff, f"{address}{id}/change/", status=404)
        assert "Nothing has this id" in html
        assert f"<code>{id}</code>" in html
        assert f'<a href="{address}?view=all">The list without any filter' in html

    def test_a_run_that_was_deleted_leads_to_who_did_it(self, staff: Any, teammate: Any) -> None:
        run = WorkflowExecutionFactory()
        address = f"{RUNS}{run.pk}/change/"
        WorkflowExecution.objects.filter(pk=run.pk).delete()
        assert f'href="{DELETIONS}?q={run.pk}">Who did it, when and why' in page(staff, address, status=404)
        landed = signed_in(staff).get(RUNS, {"q": str(run.pk)})
        assert landed.headers["Location"] == f"{DELETIONS}?q={run.pk}"
        assert "Who did it, when and why" in page(staff, f"{RUNS}{run.pk}/logs/", status=404)
        teammate.user_permissions.remove(*teammate.user_permissions.filter(codename="view_deletion"))
        assert "Who did it" not in page(teammate, address, status=404)

    def test_runs_of_a_correlation_id_come_before_a_deletion_of_the_same_id(self, staff: Any) -> None:
        parent = WorkflowExecutionFactory()
        children = [WorkflowExecutionFactory(metadata={"correlation_id": str(parent.pk)}) for _ in range(2)]
        WorkflowExecution.objects.filter(pk=parent.pk).delete()
        html = page(staff, f"{RUNS}?q={parent.pk}")
        assert all(str(child.pk) in html for child in children)

    def test_one_who_is_not_logged_in_learns_no_more(self, db: None) -> None:
        response = Client().get("/nothing/")
        assert response.status_code == 404
        assert "user-tools" not in response.content.decode()

    def test_programs_are_told_as_the_api_does_it(self, db: None) -> None:
        assert Client().get("/api/nothing").json()["code"] == "not_found"


class TestBroken:
    def test_a_failure_of_ours_is_told_without_a_query(self, db: None) -> None:
        with CaptureQueriesContext(connection) as queries:
            response = defaults.server_error(RequestFactory().get("/admin/"))
        assert response.status_code == 500
        assert "it has been logged" in response.content.decode()
        assert not len(queries)

    def test_a_bad_request_has_an_error_page_without_a_query(self, db: None) -> None:
        with CaptureQueriesContext(connection) as queries:
            response = Client().get("/admin/%00")
        assert response.status_code == 400
        assert "This request cannot be read" in response.content.decode()
        assert not len(queries)
