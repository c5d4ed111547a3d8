"""Permissions over HTTP."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.utils import timezone
from rest_framework.test import APIClient

from executions.tests.api.fixtures import by_session
from executions.tests.factories import NodeExecutionFactory, WorkflowExecutionFactory
from tokens.models import Token
from workflows.models import Workflow


@pytest.fixture
def urls(workflow: Workflow) -> list[str]:
    run = WorkflowExecutionFactory(workflow=workflow)
    node = NodeExecutionFactory(workflow_execution=run)
    return [
        f"workflows/{workflow.pk}/", f"executions/{run.pk}/",
        f"executions/{run.pk}/nodes/", f"executions/{run.pk}/logs/", f"node-executions/{node.pk}/",
    ]  # fmt: skip


def statuses(client: Any, urls: list[str]) -> set[int]:
    return {client.get(f"/api/v1/{url}").status_code for url in urls}


def test_anonymous_gets_401_and_is_told_how(api: Any, urls: list[str]) -> None:
    assert statuses(api(), [*urls, "executions/", "workflows/", ""]) == {401}
    assert api().get("/api/v1/executions/")["WWW-Authenticate"] == "Token"


def test_the_owner_and_staff_who_may_view_see_everything(
    api: Any, owner: Any, teammate: Any, staff: Any, urls: list[str]
) -> None:
    for user in (owner, teammate, staff):
        assert statuses(api(user), urls) == statuses(by_session(user), urls) == {200}


def test_rows_of_others_are_not_found(api: Any, stranger: Any, newcomer: Any, urls: list[str]) -> None:
    for user in (stranger, newcomer):
        assert statuses(api(user), urls) == statuses(by_session(user), urls) == {404}
        for url in ("executions/", "workflows/"):
            assert api(user).get(f"/api/v1/{url}").json()["results"] == []


def test_a_run_of_somebody_elses_workflow_is_refused_as_not_found(api: Any, stranger: Any, workflow: Workflow) -> None:
    body = {"workflow": str(workflow.pk), "trigger_type": "manual"}
    answer = api(stranger).post("/api/v1/executions/", body, format="json")
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (400, "does_not_exist")


@pytest.mark.parametrize("verb", ["start", "complete", "fail", "cancel", "retry"])
def test_writing_needs_the_scope(api: Any, owner: Any, urls: list[str], verb: str) -> None:
    answer = api(owner, scopes=["executions:read"]).post(f"/api/v1/{urls[1]}{verb}/", {}, format="json")
    assert (answer.status_code, "lacks the scope" in answer.json()["detail"]) == (403, True)


def test_reporting_does_not_include_controlling(api: Any, owner: Any, urls: list[str]) -> None:
    client = api(owner, scopes=["executions:report"])
    assert client.post(f"/api/v1/{urls[1]}start/", {}, format="json").status_code == 200
    assert client.post(f"/api/v1/{urls[1]}cancel/", {}, format="json").status_code == 403
    assert client.delete(f"/api/v1/{urls[1]}").status_code == 403
    assert client.get(f"/api/v1/{urls[1]}").status_code == 403


def test_a_session_has_what_its_permissions_give(teammate: Any, urls: list[str]) -> None:
    assert by_session(teammate).post(f"/api/v1/{urls[1]}start/", {}, format="json").status_code == 403
    teammate.user_permissions.add(Permission.objects.get(codename="change_workflowexecution"))
    promoted = get_user_model().objects.get(pk=teammate.pk)
    assert by_session(promoted).post(f"/api/v1/{urls[1]}start/", {}, format="json").status_code == 200


def test_an_expired_a_revoked_and_an_unknown_token_open_nothing(owner: Any, urls: list[str]) -> None:
    expired = Token.objects.issue(
        user=owner, name="old", scopes=["executions:read"], expires_at=timezone.now() - timedelta(seconds=1)
    )[1]
    row, revoked = Token.objects.issue(user=owner, name="lost", scopes=["executions:read"])
    row.revoke()
    for secret in (expired, revoked, "ptl_guess"):
        client = APIClient(HTTP_AUTHORIZATION=f"Token {secret}")
        assert statuses(client, urls) == {401}


def test_a_token_of_a_user_who_left_opens_nothing(api: Any, owner: Any, urls: list[str]) -> None:
    client = api(owner)
    owner.is_active = False
    owner.save()
    assert statuses(client, urls) == {401}


def test_only_a_digest_of_a_token_is_stored(owner: Any) -> None:
    row, secret = Token.objects.issue(user=owner, name="ci", scopes=["executions:read"])
    stored = Token.objects.filter(pk=row.pk).values_list().get()
    assert not any(secret in str(value) for value in stored)


@pytest.mark.parametrize(
    "url", ["executions/nonsense/", "executions/00000000-0000-0000-0000-000000000000/", "nothing/"]
)
def test_a_row_that_does_not_exist_is_404(api: Any, owner: Any, url: str) -> None:
    assert api(owner).get(f"/api/v1/{url}").status_code == 404


def test_a_method_that_a_resource_has_not_is_405(api: Any, owner: Any, urls: list[str]) -> None:
    assert api(owner).put(f"/api/v1/{urls[1]}", {}, format="json").status_code == 405
    assert api(owner).post(f"/api/v1/{urls[1]}", {}, format="json").status_code == 405


def test_a_method_that_a_resource_has_not_is_405_under_any_precondition(
    api: Any, owner: Any, workflow: Workflow
) -> None:
    run = WorkflowExecutionFactory(workflow=workflow)
    address, client, headers = f"/api/v1/executions/{run.pk}/keep/", api(owner), {"If-Match": '"99"'}
    assert client.patch(address, {}, "json", headers=headers).status_code == 405
    assert client.put(address, {}, "json", headers=headers).status_code == 412


def test_a_token_can_do_no_more_than_its_user(api: Any, teammate: Any, workflow: Workflow, urls: list[str]) -> None:
    """Staff see what others own; a token with every scope does not let them change it."""
    client = api(teammate)
    node = urls[4]
    writes = [
        ("post", f"{urls[1]}start/"), ("post", f"{urls[1]}cancel/"), ("delete", urls[1]), ("post", f"{node}start/"),
        ("post", urls[2]), ("post", urls[3]), ("patch", urls[0]), ("delete", urls[0]), ("post", "executions/"),
    ]  # fmt: skip
    bodies = {
        urls[1]: {"reason": "noise"},
        urls[2]: {"node": "rank"},
        urls[3]: {"level": "info", "message": ""},
        "executions/": {"workflow": str(workflow.pk), "trigger_type": "manual"},
    }
    for method, url in writes:
        answer = getattr(client, method)(f"/api/v1/{url}", bodies.get(url, {}), format="json")
        assert (url, answer.status_code, "This is not yours" in answer.json().get("detail", "")) == (url, 403, True)


def test_a_token_of_staff_does_what_their_permissions_allow(api: Any, staff: Any, urls: list[str]) -> None:
    assert api(staff).post(f"/api/v1/{urls[1]}start/", {}, format="json").status_code == 200


def test_nodes_and_lines_need_their_own_view_permission(api: Any, newcomer: Any, urls: list[str]) -> None:
    newcomer.user_permissions.add(Permission.objects.get(codename="view_workflowexecution"))
    client = api(get_user_model().objects.get(pk=newcomer.pk))
    assert client.get(f"/api/v1/{urls[1]}").status_code == 200
    assert client.get(f"/api/v1/{urls[2]}").json()["results"] == []
    assert client.get(f"/api/v1/{urls[4]}").status_code == 404


@pytest.mark.parametrize("url", ["nope/", "executions/xyz/", "executions/xyz/start/", "executions"])
def test_an_address_that_nothing_answers_to_is_a_problem_too(api: Any, owner: Any, url: str) -> None:
    for client, status in ((api(owner), 404), (api(), 401)):
        answer = client.get(f"/api/v1/{url}")
        assert (answer.status_code, answer["Content-Type"]) == (status, "application/problem+json")


@pytest.mark.parametrize("url", ["/api/", "/api/v2/executions/", "/api/v1/executions/a%0Ab/start/"])
def test_an_address_that_no_pattern_matches_is_a_problem_too(api: Any, owner: Any, url: str) -> None:
    """A newline, which no pattern of ours takes, was Django's page in HTML."""
    answer = api(owner).get(url)
    assert (answer.status_code, answer["Content-Type"]) == (404, "application/problem+json")
    assert answer.json()["code"] == "not_found"


def test_an_address_outside_the_api_that_nothing_answers_to_is_a_page(client: Any) -> None:
    assert client.get("/nope/")["Content-Type"].startswith("text/html")


def test_options_is_405_and_head_is_answered(api: Any, owner: Any, urls: list[str]) -> None:
    for url in (*urls, "executions/", "workflows/", f"{urls[1]}start/"):
        assert api(owner).options(f"/api/v1/{url}").status_code == 405
    assert statuses(api(owner), urls) == {200}
    assert api(owner).head(f"/api/v1/{urls[1]}").status_code == 200
