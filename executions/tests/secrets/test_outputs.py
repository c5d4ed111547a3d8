"""Ways out that pass no document of a run: ids of requests, saved views, refusals, addresses in the server's log."""

import logging
from typing import Any

import pytest

from executions import audit
from executions.models import Deletion, HistoryEntry, SavedView, WorkflowExecution
from executions.secrets.scrubber import MASK
from executions.tests.factories import WorkflowExecutionFactory, in_state
from ledgerkit.db.models import uuid7
from pastetrader.log_format import AccessLogFilter, RedactingFormatter, clear_path

pytestmark = pytest.mark.django_db
RUNS = "/api/v1/executions/"
SECRET = "swordfish-99"


def test_the_id_of_a_request_is_clear_of_the_secrets_of_its_run(api: Any, owner: Any, workflow: Any) -> None:
    client = api(owner)
    client.credentials(**client._credentials, HTTP_X_REQUEST_ID=f"for:{SECRET}")
    body = {"workflow": str(workflow.pk), "trigger_type": "manual", "context": {"secrets": {"a": SECRET}}}
    run = client.post(RUNS, body, format="json").json()["id"]
    assert client.post(f"{RUNS}{run}/start/").status_code == 200
    assert client.post(f"{RUNS}{run}/fail/", {"error_message": "x"}, format="json").status_code == 200
    with audit.act_as(request_id=SECRET, given_id=SECRET, reason=f"as {SECRET} leaked"):
        WorkflowExecution.objects.get(pk=run).retry()
    assert {entry.request_id for entry in HistoryEntry.objects.all()} == {f"for:{MASK}", MASK}
    with audit.act_as(request_id=SECRET, given_id=SECRET):
        WorkflowExecution.objects.get(pk=run).delete()
    assert Deletion.objects.get().request_id == MASK


def test_an_id_that_a_word_names_a_secret_is_not_taken(api: Any, owner: Any) -> None:
    answer = api(owner).get(RUNS, headers={"X-Request-ID": f"token={SECRET}"})
    assert SECRET not in answer["X-Request-ID"]


def test_an_ordinary_id_stays(api: Any, owner: Any, workflow: Any) -> None:
    run = in_state(WorkflowExecutionFactory(workflow=workflow, context={"secrets": {"a": SECRET}}), "running")
    client = api(owner)
    client.credentials(**client._credentials, HTTP_X_REQUEST_ID="edge-42")
    assert client.post(f"{RUNS}{run.pk}/cancel/").status_code == 200
    assert HistoryEntry.objects.get(act="cancel").request_id == "edge-42"


def test_names_and_filters_of_saved_views_are_masked(owner: Any) -> None:
    view = SavedView(
        owner=owner, name=f"password={SECRET}", filters={"q": f"api_key={SECRET}", "token": SECRET, "e": "x"}
    )
    view.put()
    view.refresh_from_db()
    assert view.name == f"password={MASK}"
    assert view.filters == {"q": f"api_key={MASK}", "token": MASK, "e": "x"}


def test_refusals_repeat_no_name_that_is_none_of_a_field(api: Any, owner: Any) -> None:
    client = api(owner)
    twice = f'{{"{SECRET}": 1, "{SECRET}": 2}}'
    for answer in (
        client.get(f"{RUNS}?{SECRET}=1"),
        client.generic("POST", RUNS, twice, content_type="application/json"),
        client.post(RUNS, {SECRET: 1}, format="json"),
    ):
        assert answer.status_code == 400
        assert SECRET not in answer.content.decode()
    assert "?statuss" in client.get(f"{RUNS}?statuss=1").content.decode()


def test_addresses_in_the_log_show_words_of_ours_and_ids_alone(client: Any, caplog: Any) -> None:
    run = uuid7()
    assert clear_path(f"/api/v1/executions/{run}/logs/") == f"/api/v1/executions/{run}/logs/"
    assert clear_path("/admin/auth/user/7/change/") == "/admin/auth/user/7/change/"
    assert clear_path(f"/admin/{SECRET}/x.php") == f"/admin/{MASK}/{MASK}"
    with caplog.at_level(logging.WARNING, "django.request"):
        assert client.get(f"/api/v1/executions/{SECRET}/").status_code == 401
        assert client.get(f"/{SECRET}").status_code == 404
    lines = [RedactingFormatter().format(record) for record in caplog.records]
    assert len(lines) == 2
    assert not any(SECRET in line for line in lines)


def test_the_access_log_of_uvicorn_shows_no_value_of_an_address() -> None:
    arguments = ("127.0.0.1:1", "GET", f"/api/v1/executions/{SECRET}?q={SECRET}", "1.1", 200)
    record = logging.LogRecord("uvicorn.access", logging.INFO, "", 0, '%s - "%s %s HTTP/%s" %d', arguments, None)
    assert AccessLogFilter().filter(record)
    assert record.getMessage() == f'127.0.0.1:1 - "GET /api/v1/executions/{MASK}?… HTTP/1.1" 200'
