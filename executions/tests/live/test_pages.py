"""Live updates of admin pages are rendered by the same partials as the pages."""

import json
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.db import connection
from django.test.utils import CaptureQueriesContext

from executions.live import reader
from executions.models import ExecutionLog
from executions.tests.factories import NodeExecutionFactory, in_state
from executions.tests.live.stream_client import aside, open_stream, run_scene
from ledgerkit import time_zones
from ledgerkit.path_prefix import path_prefix

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def page(client: Any, staff: Any, run: Any) -> str:
    client.force_login(staff)
    return f"/admin/executions/workflowexecution/{run.pk}/change/"


def log(run: Any, *texts: str, **fields: Any) -> None:
    ExecutionLog.objects.bulk_create(
        ExecutionLog(**{"workflow_execution": run, "level": "info", "message": text} | fields) for text in texts
    )


def events_of(client: Any, address: str) -> list[tuple[str, Any]]:
    answer = client.get(f"{address}&wait=0")
    assert (answer.status_code, answer["Content-Type"]) == (200, "text/event-stream")
    blocks = [dict(line.split(": ", 1) for line in block.splitlines()) for block in answer.text.split("\n\n") if block]
    return [(block["event"], json.loads(block["data"])) for block in blocks if "event" in block]


def test_a_page_goes_on_where_it_was_made(client: Any, page: str, run: Any) -> None:
    log(run, "on the page")
    address = client.get(page).context["stream"]
    assert events_of(client, address) == []
    node = in_state(NodeExecutionFactory(workflow_execution=run), "running")
    log(run, "later", node_execution=node)
    log(run, "worse", level="error", data={"a": 1})
    (logs, lines), (kind, state) = events_of(client, address)
    assert (logs, lines["count"], lines["left_out"]) == ("logs", 2, 0)
    assert (kind, state["id"], state["status"], state["word"]) == ("node", str(node.pk), "running", "running")


def test_the_page_and_its_tail_render_lines_alike(client: Any, page: str, run: Any) -> None:
    address = client.get(page).context["stream"]
    node = NodeExecutionFactory(workflow_execution=run)
    log(run, "one <b>", node_execution=node)
    log(run, "two", data={"a": 1}, is_cut=True)
    ((_, lines), _node) = events_of(client, address)
    shown = client.get(page).text
    rows = lines["html"].strip().split("</tr>")
    assert [row.strip() in shown for row in rows] == [True] * 3
    assert lines["html"].count("<tr id=") == 2


def test_lines_come_in_the_time_zone_of_their_page(client: Any, page: str, run: Any) -> None:
    client.cookies[time_zones.COOKIE] = "Asia/Seoul"
    addresses = [client.get(each).context["stream"] for each in (page, page.replace("change/", "logs/"))]
    log(run, "late", timestamp=datetime(2026, 3, 7, 16, 30, tzinfo=UTC))
    for address in addresses:
        ((_, lines),) = events_of(client, address)
        assert "2026-03-08 01:30:00.000" in lines["html"]
    client.cookies[time_zones.COOKIE] = "UTC"
    ((_, lines),) = events_of(client, addresses[0])
    assert "2026-03-07 16:30:00.000" in lines["html"]


def test_of_a_flood_the_page_of_a_run_is_told_the_newest_lines_and_its_log_all(
    client: Any, page: str, run: Any
) -> None:
    address = client.get(page).context["stream"]
    log(run, *(f"line {number}" for number in range(250)))
    ((_, newest),) = events_of(client, address)
    assert (newest["count"], newest["left_out"], newest["html"].count("<tr id=")) == (250, 150, 100)
    assert ("line 149<" in newest["html"], "line 150<" in newest["html"]) == (False, True)
    ((_, every),) = events_of(client, address.replace("lines=rows", ""))
    assert (every["left_out"], every["html"].count("<li id=")) == (0, 250)


def test_the_end_is_told_and_an_ended_run_has_no_stream(
    client: Any, page: str, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "LINGER", timedelta())
    first = client.get(page)
    assert "run_updates.js" in first.text
    run.complete()
    (execution, state), (end, _) = events_of(client, first.context["stream"])
    assert (execution, end, state["word"]) == ("execution", "end", "completed")
    assert 'class="status status-completed"' in state["badge"]
    after = client.get(page)
    assert after.context["stream"] is None
    assert "run_updates.js" not in after.text


def test_only_who_may_see_the_run_is_told(client: Any, page: str, run: Any, owner: Any, newcomer: Any) -> None:
    address = client.get(page).context["stream"]
    NodeExecutionFactory(workflow_execution=run)
    log(run, "a line")
    client.force_login(newcomer)
    assert client.get(address).status_code == 404
    client.force_login(owner)
    assert client.get(address).status_code == 302  # to the login: the admin is for staff
    newcomer.user_permissions.add(Permission.objects.get(codename="view_workflowexecution"))
    client.force_login(newcomer)
    run.complete()
    assert [kind for kind, _ in events_of(client, address)] == ["execution"]


def test_a_bad_id_is_said_plainly(client: Any, page: str, run: Any) -> None:
    address = client.get(page).context["stream"].split("?")[0]
    assert client.get(f"{address}?last_event_id=x").status_code == 400


def test_any_number_of_lines_is_told_by_as_many_questions(client: Any, page: str, run: Any) -> None:
    address = client.get(page).context["stream"]
    node = NodeExecutionFactory(workflow_execution=run)
    counts = []
    for number in (1, 30):
        log(run, *["line"] * number, node_execution=node)
        with CaptureQueriesContext(
            connection,
        ) as queries:
            events_of(client, address)
        counts.append(len(queries))
    assert counts[0] == counts[1]


@pytest.fixture(params=["/admin/", "/admin/executions/workflowexecution/?all=1", "workflow"])
def moving(request: Any, client: Any, staff: Any, workflow: Any) -> str:
    """Return the address of a page that follows all runs."""
    client.force_login(staff)
    return request.param if request.param != "workflow" else f"/admin/workflows/workflow/{workflow.pk}/"


def test_what_happens_after_a_page_was_made_is_told_though_its_stream_opens_later(
    client: Any, moving: str, run: Any
) -> None:
    address = client.get(moving).context["all_runs_stream"]
    assert events_of(client, address) == []
    run.complete()
    ((kind, state),) = events_of(client, address)
    assert (kind, state["id"], state["status"]) == ("execution", str(run.pk), "completed")


def test_a_page_goes_on_from_before_its_rows_were_read(client: Any, moving: str, run: Any) -> None:
    with CaptureQueriesContext(connection) as queries:
        response = client.get(moving)
    assert response.context["all_runs_stream"] in response.text
    texts = [query["sql"] for query in queries]
    (snapshot,) = [place for place, text in enumerate(texts) if "pg_current_snapshot" in text]
    assert snapshot < min(place for place, text in enumerate(texts) if 'FROM "workflow_executions"' in text)


def test_the_monitor_has_nine_live_parts(client: Any, staff: Any) -> None:
    client.force_login(staff)
    assert client.get("/admin/").text.count("data-live=") == 9


def test_links_of_lines_have_the_path_prefix_of_the_request(client: Any, page: str, run: Any, settings: Any) -> None:
    """Lines are rendered in threads of no request, once for readers of the same prefix."""
    address = page.replace("change/", "stream/?lines=rows")

    async def scene() -> None:
        cookie = client.cookies[settings.SESSION_COOKIE_NAME].OutputString().split(";")[0]
        readers = {}
        async with AsyncExitStack() as stack:
            for prefix in ("/ledger/", "/"):
                with path_prefix(prefix):
                    readers[prefix] = await stack.enter_async_context(open_stream("", address, Cookie=cookie))
            await aside(log, run, "one")
            for prefix, reader in readers.items():
                assert f'href="{prefix}admin/executions/' in (await reader.event("logs"))["html"]

    run_scene(scene)
