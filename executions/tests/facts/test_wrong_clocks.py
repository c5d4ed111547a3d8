"""A client says by the header Date what time its clock shows; the times of its facts are corrected by the error."""

import json
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone
from django.utils.http import http_date

from executions.models import WorkflowExecution
from executions.tests.facts.reporting import new_id, send
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
