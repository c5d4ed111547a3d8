"""Answers of the API and pages of the admin about a run that was archived and deleted."""

import json
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from executions.archive import ensure_archived
from executions.audit import act_as
from executions.models import ArchiveFile, WorkflowExecution
from executions.tests.archive.test_restoring import restore
from executions.tests.cast import permissions
from executions.tests.factories import WorkflowExecutionFactory, in_state

pytestmark = pytest.mark.django_db

PARTS = ("", "nodes/", "logs/", "logs/gaps/", "history/", "attempts/", "graph/", "stream/")


@pytest.fixture
def gone(workflow: Any, archive: Path) -> WorkflowExecution:
    run = in_state(WorkflowExecutionFactory(workflow=workflow), "completed")
    ensure_archived([run.pk])
    with act_as(name="upkeep", reason="older than 180 days"):
        WorkflowExecution.objects.filter(pk=run.pk).delete()
    return run


def test_the_api_names_the_file(gone: Any, api: Any, owner: Any) -> None:
    client, file = api(owner), ArchiveFile.objects.get().name
    responses = [client.get(f"/api/v1/executions/{gone.pk}/{part}") for part in PARTS]
    found = {(response.status_code, response["Content-Type"]) for response in responses}
    assert found == {(410, "application/problem+json")}
    (body,) = {response.content for response in responses}
    assert json.loads(body) == {
        "type": "urn:pastetrader:problem:archived",
        "title": "Gone",
        "status": 410,
        "detail": "This run was deleted; it is in the archive. "
        f"To restore it: manage.py restore_archive {file} --run {gone.pk}",
        "code": "archived",
        "archive_file": file,
    }


def test_a_transition_is_answered_in_the_same_way(gone: Any, api: Any, owner: Any) -> None:
    assert api(owner).post(f"/api/v1/executions/{gone.pk}/retry/").status_code == 410
    assert api(owner).delete(f"/api/v1/executions/{gone.pk}/", {"reason": "x"}, "json").status_code == 410


def test_only_those_who_could_see_the_run_learn_of_it(
    gone: Any, workflow: Any, api: Any, stranger: Any, newcomer: Any, teammate: Any, owner: Any
) -> None:
    path = f"/api/v1/executions/{gone.pk}/"
    seen = {user.username: api(user).get(path).status_code for user in (stranger, newcomer, teammate, owner)}
    assert seen == {"stranger": 404, "newcomer": 404, "teammate": 410, "owner": 410}
    assert api().get(path).status_code == 401
    assert api(owner, scopes=["workflows:write"]).get(path).status_code == 403
    workflow.delete()
    assert {user: api(user).get(path).status_code for user in (teammate, owner)} == {teammate: 410, owner: 404}


def test_a_token_of_other_workflows_does_not_learn_of_it(gone: Any, api: Any, owner: Any) -> None:
    other = WorkflowExecutionFactory(workflow__owner=owner).workflow
    assert api(owner, bound_to=[other.pk]).get(f"/api/v1/executions/{gone.pk}/").status_code == 404


def test_what_a_run_does_not_have_is_not_found_in_one_that_was_restored(gone: Any, api: Any, owner: Any) -> None:
    restore(ArchiveFile.objects.get().name)
    assert api(owner).get(f"/api/v1/executions/{gone.pk}/").status_code == 200
    assert api(owner).get(f"/api/v1/executions/{gone.pk}/attempts/7/").status_code == 404


@pytest.fixture
def browser(staff: Any) -> Client:
    client = Client()
    client.force_login(staff)
    return client


def page_of(client: Client, run: Any) -> Any:
    return client.get(reverse("admin:executions_workflowexecution_change", args=[run.pk]))


def test_the_admin_says_when_and_why_a_run_was_removed_and_how_it_comes_back(gone: Any, browser: Client) -> None:
    response = page_of(browser, gone)
    page = response.content.decode()
    file = ArchiveFile.objects.get().name
    assert response.status_code == 410
    assert "older than 180 days" in page
    assert f"manage.py restore_archive {file} --run {gone.pk}" in page
    assert "This run was removed" in page


def test_the_page_of_an_archived_run_is_in_korean(gone: Any, browser: Client) -> None:
    browser.defaults["HTTP_ACCEPT_LANGUAGE"] = "ko"
    page = page_of(browser, gone).content.decode()
    assert "보관소" in page
    assert "This run" not in page


def test_staff_who_may_not_see_deletions_see_the_file(gone: Any, newcomer: Any) -> None:
    newcomer.user_permissions.set(permissions("view_workflowexecution"))
    client = Client()
    client.force_login(newcomer)
    page = page_of(client, gone).content.decode()
    assert ArchiveFile.objects.get().name in page
    assert "older than 180 days" not in page


def test_the_search_by_id_leads_to_the_page(gone: Any, browser: Client) -> None:
    response = browser.get(reverse("admin:executions_workflowexecution_changelist"), {"q": str(gone.pk)})
    assert response.url == reverse("admin:executions_workflowexecution_change", args=[gone.pk])


def test_the_list_of_deletions_says_that_a_run_was_restored(gone: Any, browser: Client) -> None:
    address = reverse("admin:executions_deletion_changelist")
    assert ArchiveFile.objects.get().name in browser.get(address).content.decode()
    assert "restored" not in browser.get(address).content.decode()
    restore(ArchiveFile.objects.get().name)
    assert "restored" in browser.get(address).content.decode()
