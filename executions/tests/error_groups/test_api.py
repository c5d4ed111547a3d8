"""Groups of errors over the API: filters, changes, and what each caller sees."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from rest_framework.test import APIClient

from executions.error_groups.scan import scan
from executions.models import ErrorGroup
from executions.tests.api.list_requests import first_row
from executions.tests.error_groups.rows import group
from executions.tests.error_groups.test_recording import failed_run
from ledgerkit.db.models import uuid7
from tokens.models import Scope
from workflows.models import Workflow
from workflows.tests.factories import UserFactory, WorkflowFactory

pytestmark = pytest.mark.django_db(transaction=True)  # a scan reads what is committed

GROUPS = "/api/v1/error-groups/"


@pytest.fixture
def client(api: Callable[..., APIClient], workflow: Workflow) -> APIClient:
    scan()
    for message in ("no prices", "no server", "no prices"):
        failed_run(workflow, message)
    scan()
    return api(workflow.owner)


def titles(client: APIClient, query: str) -> list[str]:
    return [row["title"] for row in client.get(GROUPS + query).json()["results"]]


def test_the_list_is_filtered(client: APIClient, workflow: Workflow) -> None:
    ErrorGroup.objects.filter(title="no server").update(state="resolved", resolved_at=timezone.now())
    later = (timezone.now() + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert sorted(titles(client, "")) == ["no prices", "no server"]
    assert titles(client, "?state=open,muted") == ["no prices"]
    assert titles(client, f"?workflow={workflow.pk}&state=resolved") == ["no server"]
    assert titles(client, f"?workflow={WorkflowFactory().pk}") == []
    assert titles(client, f"?seen_after={later}") == titles(client, f"?new_after={later}") == []
    assert titles(client, "?is_regression=true") == []


def test_a_group_says_how_it_was_grouped_where_and_when(client: APIClient, workflow: Workflow) -> None:
    found = client.get(f"{GROUPS}{group('no prices').pk}/").json()
    (fingerprint,) = found["fingerprints"]
    assert (fingerprint["rule"], fingerprint["values"]) == ("traceback", {"message": "no prices"})
    assert (fingerprint["workflow"], found["seen"]) == (str(workflow.pk), 2)
    assert [each["seen"] for each in found["days"]] == [2]
    rows = client.get(f"{GROUPS}{found['id']}/occurrences/").json()["results"]
    assert [(row["attempt"], row["node_execution"]) for row in rows] == [(1, None), (1, None)]


def test_a_change_is_kept_with_its_reason(client: APIClient) -> None:
    address = f"{GROUPS}{group('no prices').pk}/"
    (fault,) = client.patch(address, {"state": "muted"}, format="json").json()["errors"]
    assert fault["pointer"] == "/muted_until"
    until = (timezone.now() + timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    client.patch(address, {"state": "muted", "muted_until": until, "reason": "the vendor knows"}, format="json")
    entry = client.get(f"{address}history/").json()["results"][0]
    assert (entry["act"], entry["changes"]["state"], entry["reason"]) == (
        "change",
        ["open", "muted"],
        "the vendor knows",
    )
    assert entry["through"] == "api"


def test_if_match_refuses_a_change_of_what_has_changed(client: APIClient) -> None:
    address = f"{GROUPS}{group('no prices').pk}/"
    tag = client.get(address).headers["ETag"]
    assert client.patch(address, {"state": "acknowledged"}, format="json", headers={"If-Match": tag}).status_code == 200
    assert client.patch(address, {"state": "resolved"}, format="json", headers={"If-Match": tag}).status_code == 412


def test_a_user_assigns_to_themselves_and_staff_to_staff(client: APIClient, workflow: Workflow, api: Any) -> None:
    address, colleague = f"{GROUPS}{group('no prices').pk}/", UserFactory(is_staff=True)
    assert client.patch(address, {"assignee": workflow.owner_id}, format="json").json()["assignee"] == workflow.owner_id
    assert client.patch(address, {"assignee": colleague.pk}, format="json").status_code == 400
    admin = api(UserFactory(is_staff=True, is_superuser=True))
    assert admin.patch(address, {"assignee": colleague.pk}, format="json").json()["assignee"] == colleague.pk
    assert admin.patch(address, {"assignee": None}, format="json").json()["assignee"] is None


def test_groups_are_merged_and_split(client: APIClient) -> None:
    address, other = f"{GROUPS}{group('no prices').pk}/", group("no server")
    assert client.post(f"{address}merge/", {"groups": [str(other.pk)]}, format="json").json()["seen"] == 3
    assert client.get(f"{GROUPS}{other.pk}/").status_code == 404
    fingerprint = next(each for each in client.get(address).json()["fingerprints"] if each["title"] == "no server")
    made = client.post(f"{address}split/", {"fingerprints": [fingerprint["id"]]}, format="json")
    assert (made.status_code, made.json()["title"], made.json()["seen"]) == (201, "no server", 1)
    assert client.post(f"{address}merge/", {"groups": [str(other.pk)]}, format="json").status_code == 400


@pytest.mark.parametrize("part", ["", "occurrences/", "history/"])
def test_the_address_of_a_merged_group_names_the_one_that_it_is_part_of(client: APIClient, api: Any, part: str) -> None:
    kept, merged = group("no prices").pk, group("no server").pk
    client.post(f"{GROUPS}{kept}/merge/", {"groups": [str(merged)]}, format="json")
    answer = client.get(f"{GROUPS}{merged}/{part}")
    assert (answer.status_code, answer.json()["code"], answer.json()["merged_into"]) == (404, "not_found", str(kept))
    assert answer.json()["detail"] == f"This group was merged into the group {kept}: use that one."
    stranger = api(UserFactory()).get(f"{GROUPS}{merged}/{part}")
    assert (stranger.status_code, str(kept) in str(stranger.content)) == (404, False)
    assert "merged_into" not in client.get(f"{GROUPS}{uuid7()}/{part}").json()


def test_a_merged_group_is_not_changed(client: APIClient) -> None:
    kept, merged = group("no prices").pk, group("no server").pk
    client.post(f"{GROUPS}{kept}/merge/", {"groups": [str(merged)]}, format="json")
    answer = client.patch(f"{GROUPS}{merged}/", {"state": "resolved"}, format="json")
    assert (answer.status_code, answer.json()["merged_into"]) == (404, str(kept))
    assert ErrorGroup.objects.get(pk=kept).state == "open"


def test_a_token_of_another_workflow_sees_nothing(client: APIClient, workflow: Workflow, api: Any) -> None:
    other = WorkflowFactory(owner=workflow.owner)
    bound = api(workflow.owner, bound_to=[other.pk])
    assert titles(bound, "") == []
    failed_run(other, "no prices")  # the same group: it holds failures of both
    scan()
    assert titles(bound, "") == []
    assert sorted(titles(client, "")) == ["no prices", "no server"]


def test_a_token_that_may_only_read_changes_nothing(client: APIClient, workflow: Workflow, api: Any) -> None:
    reader = api(workflow.owner, scopes=[Scope.EXECUTIONS_READ])
    assert reader.patch(f"{GROUPS}{group('no prices').pk}/", {"state": "resolved"}, format="json").status_code == 403


def test_a_list_takes_as_many_queries_for_many_groups_as_for_few(client: APIClient, workflow: Workflow) -> None:
    with CaptureQueriesContext(connection) as few:
        client.get(GROUPS)
    for word in ("red", "green", "blue", "white"):
        failed_run(workflow, word)
    scan()
    with CaptureQueriesContext(connection) as many:
        client.get(GROUPS)
    assert len(many) == len(few)


@pytest.mark.parametrize("path", ["", "{id}/", "{id}/occurrences/", "{id}/history/"])
def test_each_field_is_answered_alone(client: APIClient, path: str) -> None:
    url = GROUPS + path.format(id=group("no prices").pk)
    client.post(f"{GROUPS}{group('no prices').pk}/notes/", {"reason": "seen"}, format="json")
    for name in first_row(client, url):
        assert list(first_row(client, f"{url}?fields={name}")) == [name]
