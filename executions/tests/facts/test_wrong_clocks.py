"""A client says by the header Date what time its clock shows; the times of its facts are corrected by the error."""

import json
import re
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone
from django.utils.http import http_date

from executions.facts import fact_checks
from executions.models import WorkflowExecution
from executions.tests.factories import run_with_nodes
from executions.tests.facts.reporting import new_id, send
from ledgerkit.rate_limited_logging import NEVER
from workflows.models import Workflow

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)


def facts(workflow: Workflow, run: str, started: datetime) -> list[Any]:
    create = {"kind": "execution.create", "id": run, "workflow": str(workflow.pk), "trigger_type": "manual"}
    start = {"kind": "execution.start", "id": run, "at": started.isoformat()}
    end = {"kind": "execution.complete", "id": run, "at": (started + timedelta(seconds=3)).isoformat()}
    return [create | {"at": started.isoformat()}, start, end]


def date(moment: datetime) -> dict[str, str]:
    return {"Date": http_date(moment.timestamp())}


@pytest.mark.parametrize("ahead", [HOUR, -HOUR, timedelta(days=400)])
def test_times_are_corrected_by_what_the_clock_is_off(engine: Any, workflow: Workflow, ahead: timedelta) -> None:
    now, run = timezone.now(), new_id()
    wrong = now + ahead
    answer = send(engine, *facts(workflow, run, wrong - timedelta(seconds=10)), headers=date(wrong))
    assert answer["refusals"] == []
    row = WorkflowExecution.objects.get(pk=run)
    assert abs(row.started_at - (now - timedelta(seconds=10))) < timedelta(minutes=1)
    assert row.duration_seconds == 3.0


@pytest.mark.parametrize(("ahead", "sentence"), [(HOUR, "ahead of"), (-HOUR, "behind")])
def test_the_log_tells_of_a_wrong_clock_once_a_minute(
    engine: Any, workflow: Workflow, caplog: Any, monkeypatch: pytest.MonkeyPatch, ahead: timedelta, sentence: str
) -> None:
    monkeypatch.setattr(fact_checks.log_wrong_clock, "last", NEVER)
    for _each in range(2):
        wrong = timezone.now() + ahead
        send(engine, *facts(workflow, new_id(), wrong - timedelta(seconds=10)), headers=date(wrong))
    [line] = [record.getMessage() for record in caplog.records if record.name == fact_checks.__name__]
    assert re.match(
        rf"The clock of a client of '{workflow.owner}' is 3(599|600|601) seconds {sentence} that of this server\. ",
        line,
    )


def test_a_time_in_the_future_of_the_clients_own_clock_is_refused(engine: Any, workflow: Workflow) -> None:
    wrong = timezone.now() + HOUR
    answer = send(engine, *facts(workflow, new_id(), wrong + HOUR), headers=date(wrong))
    assert answer["refusals"][0]["code"] == "at_in_future"


def test_clocks_that_agree_are_left_alone(engine: Any, workflow: Workflow) -> None:
    now, run = timezone.now(), new_id()
    send(engine, *facts(workflow, run, now - HOUR), headers=date(now - timedelta(seconds=30)))
    assert WorkflowExecution.objects.get(pk=run).started_at == now - HOUR


@pytest.mark.parametrize("header", ["", "yesterday", "Mon, 32 Jan 2026 00:00:00 GMT", "Mon, 01 Jan 0001 00:00:00 GMT"])
def test_a_header_that_is_no_date_changes_nothing_or_refuses_the_facts(
    engine: Any, workflow: Workflow, header: str
) -> None:
    now, run = timezone.now(), new_id()
    answer = send(engine, *facts(workflow, run, now - HOUR), headers={"Date": header})
    assert {each["code"] for each in answer["refusals"]} <= {"invalid", "at_in_future"}
    if not answer["refusals"]:
        assert WorkflowExecution.objects.get(pk=run).started_at == now - HOUR


def test_facts_in_lines_are_corrected_too(engine: Any, workflow: Workflow) -> None:
    now, run = timezone.now(), new_id()
    body = "\n".join(json.dumps(fact) for fact in facts(workflow, run, now + HOUR))
    response = engine.post(
        "/api/v1/events/", body, content_type="application/x-ndjson", headers=date(now + HOUR + timedelta(seconds=5))
    )
    assert response.json()["refused"] == 0


SET_BACK = timedelta(minutes=5, seconds=30)


@pytest.fixture(params=["execution", "node"])
def started_before_the_clock_was_set_back(request: Any, engine: Any, workflow: Workflow) -> Any:
    """Return a row that the server started, by a clock that has been set back since, and what a fact about it has."""
    run = run_with_nodes(workflow)
    row: Any = run if request.param == "execution" else run.node_executions.all()[0]
    if row is not run:
        row.start()
    later = timezone.now() + SET_BACK
    type(row).objects.filter(pk=row.pk).update(started_at=later)
    of_node = {} if row is run else {"workflow_execution": str(run.pk)}
    return row, {"kind": f"{request.param}.complete", "id": str(row.pk), **of_node}


def test_after_the_servers_clock_was_set_back_an_end_without_a_time_is_that_of_the_start(
    engine: Any, started_before_the_clock_was_set_back: Any
) -> None:
    row, fact = started_before_the_clock_was_set_back
    assert send(engine, fact)["refusals"] == []
    row.refresh_from_db()
    assert (row.status, row.ended_at) == ("completed", row.started_at)


def test_so_is_one_over_rest(engine: Any, started_before_the_clock_was_set_back: Any) -> None:
    row, fact = started_before_the_clock_was_set_back
    noun = "executions" if fact["kind"].startswith("execution") else "node-executions"
    assert engine.post(f"/api/v1/{noun}/{row.pk}/complete/", "{}", content_type="application/json").status_code == 200
    row.refresh_from_db()
    assert row.ended_at == row.started_at


def test_so_is_an_end_whose_time_the_server_has_corrected(
    engine: Any, started_before_the_clock_was_set_back: Any
) -> None:
    """The clock of the engine is right: by that of the server it is wrong, and what it says is corrected."""
    row, fact = started_before_the_clock_was_set_back
    right = timezone.now() + SET_BACK + timedelta(seconds=10)
    started = right - timedelta(seconds=2)
    type(row).objects.filter(pk=row.pk).update(started_at=started)
    answer = send(engine, fact | {"at": right.isoformat()}, headers=date(right))
    assert answer["refusals"] == []
    row.refresh_from_db()
    assert (row.status, row.ended_at) == ("completed", started)


def test_an_engines_own_end_before_its_start_is_refused(
    engine: Any, started_before_the_clock_was_set_back: Any
) -> None:
    _row, fact = started_before_the_clock_was_set_back
    answer = send(engine, fact | {"at": timezone.now().isoformat()})
    assert answer["refusals"][0]["code"] == "end_before_start"
