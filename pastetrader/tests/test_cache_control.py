"""Responses that no cache keeps."""

from typing import Any

import pytest
from rest_framework.test import APIClient

from executions.tests.factories import WorkflowExecutionFactory

NOBODYS = "private, no-store"


@pytest.fixture
def run(workflow: Any) -> Any:
    return WorkflowExecutionFactory(workflow=workflow)


@pytest.mark.slow
def test_every_answer_of_the_api_is_kept_by_nobody(api: Any, owner: Any, run: Any) -> None:
    client = api(owner)
    addresses = ("", "executions/", f"executions/{run.pk}/", f"executions/{run.pk}/stream/?wait=0", "schema/", "docs/")
    refused = ("nope/", "executions/?nope=1", f"executions/{run.pk}/nodes", "executions/?cursor=%00")
    found = {address: client.get(f"/api/v1/{address}")["Cache-Control"] for address in (*addresses, *refused)}
    found["nobody"] = APIClient().get("/api/v1/executions/")["Cache-Control"]
    found["made"] = client.post(f"/api/v1/executions/{run.pk}/start/")["Cache-Control"]
    found["method"] = client.put("/api/v1/executions/")["Cache-Control"]
    assert set(found.values()) == {NOBODYS}


def test_whoever_asks_by_the_etag_is_still_answered_304(api: Any, owner: Any, run: Any) -> None:
    client, address = api(owner), f"/api/v1/executions/{run.pk}/"
    etag = client.get(address)["ETag"]
    again = client.get(address, headers={"If-None-Match": etag})
    assert (again.status_code, again["Cache-Control"]) == (304, NOBODYS)


@pytest.mark.parametrize(
    "address",
    [
        "/",
        "/admin/",
        "/admin/nope/",
        "/nope/",
        "/admin/executions/workflowexecution/",
        "/admin/?q=%00",
        "{run}logs/download/",
    ],
)
def test_no_page_with_data_is_kept(client: Any, staff: Any, run: Any, address: str) -> None:
    client.force_login(staff)
    answer = client.get(address.replace("{run}", f"/admin/executions/workflowexecution/{run.pk}/"))
    assert {"private", "no-store"} <= {word.strip() for word in answer["Cache-Control"].split(",")}
