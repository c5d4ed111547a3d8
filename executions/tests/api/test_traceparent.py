"""The header `traceparent` (W3C Trace Context) of the request that creates a run."""

from typing import Any

import pytest

from executions.models import WorkflowExecution
from ledgerkit.db.models import uuid7
from ledgerkit.tests.clients import client_of
from workflows.tests.factories import UserFactory, WorkflowFactory

pytestmark = pytest.mark.django_db
FIRST = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
SECOND = "00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01"


@pytest.fixture
def user() -> Any:
    return UserFactory(is_staff=True, is_superuser=True)


def create(user: Any, header: str, **body: Any) -> Any:
    body = {"workflow": str(WorkflowFactory(owner=user).pk), "trigger_type": "event"} | body
    return client_of(user).post("/api/v1/executions/", body, "application/json", headers={"traceparent": header})


def test_the_traceparent_is_stored_with_the_run_and_shown(user: Any) -> None:
    created = create(user, FIRST, metadata={"tags": ["a"]})
    assert created.status_code == 201, created.content
    assert created.json()["metadata"] == {"tags": ["a"], "traceparent": FIRST}
    run = WorkflowExecution.objects.get()
    assert run.metadata == {"tags": ["a"], "traceparent": FIRST}
    shown = client_of(user).get(f"/admin/executions/workflowexecution/{run.pk}/change/").content.decode()
    assert f"<dt>Trace</dt><dd><code>{FIRST}</code></dd>" in shown


def test_the_metadata_of_the_body_count_more(user: Any) -> None:
    assert create(user, FIRST, metadata={"traceparent": SECOND}).json()["metadata"] == {"traceparent": SECOND}


WRONG = ["", "00-0-0-0", f"ff{FIRST[2:]}", f"00-{'0' * 32}{FIRST[35:]}", f"{FIRST}x"]


@pytest.mark.parametrize("header", WRONG)
def test_a_wrong_header_is_ignored(user: Any, header: str) -> None:
    created = create(user, header)
    assert (created.status_code, created.json()["metadata"]) == (201, {})


def test_a_wrong_one_in_the_metadata_is_refused(user: Any) -> None:
    refused = create(user, "", metadata={"traceparent": "x"})
    assert refused.status_code == 400
    assert "metadata.traceparent: expected a W3C traceparent." in str(refused.json()["errors"])


def test_a_repeated_request_may_come_from_another_span(user: Any) -> None:
    body = {"id": str(uuid7()), "workflow": str(WorkflowFactory(owner=user).pk)}
    assert create(user, FIRST, **body).status_code == 201
    again = create(user, SECOND, **body)
    assert (again.status_code, again.json()["metadata"]) == (200, {"traceparent": FIRST})
