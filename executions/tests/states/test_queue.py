"""The queue of a workflow: runs that wait for the end of the one that is running, in the order of their creation."""

from functools import partial
from typing import Any
from uuid import UUID

import pytest
from django.core.exceptions import ValidationError
from django.db import connection

from executions import queue
from executions.exceptions import ConcurrentExecution, QueuedExecution
from executions.models import HistoryEntry, WorkflowExecution
from executions.queue import first_ahead, runs_ahead
from executions.tests.acceptance import fresh, race, try_start
from executions.tests.admin.monitor.front_page import front_page_of, section
from executions.tests.factories import WorkflowExecutionFactory, in_state
from executions.tests.query_plans import uses
from ledgerkit.db.models import uuid7
from ledgerkit.tests.clients import client_of
from workflows.models import Workflow
from workflows.tests.factories import WorkflowFactory

RUNS = "/api/v1/executions/"


def queue_of(workflow: Workflow, number: int) -> list[WorkflowExecution]:
    """Return a running run, and so many that are queued behind it."""
    running = in_state(WorkflowExecutionFactory(workflow=workflow), "running")
    return [running, *WorkflowExecutionFactory.create_batch(number, workflow=workflow, is_queued=True)]


def refused_for(run: WorkflowExecution) -> Any:
    """Return the run that start() says this one waits for."""
    with pytest.raises(QueuedExecution) as refusal:
        run.start()
    assert str(refusal.value.waits_for) in str(refusal.value)
    return refusal.value.waits_for


@pytest.mark.django_db
class TestOrder:
    def test_a_queued_run_waits_for_the_one_that_is_running(self) -> None:
        running, queued = queue_of(WorkflowFactory(), 1)
        assert refused_for(queued) == running.pk
        running.complete()
        queued.start()
        assert fresh(queued).status == "running"

    def test_the_first_that_was_created_starts_first(self) -> None:
        running, first, second = queue_of(WorkflowFactory(), 2)
        assert [each.id for each in runs_ahead(second.pk, 10)] == [running.pk, first.pk]
        running.fail("went wrong")
        assert refused_for(second) == first.pk
        first.start()
        assert refused_for(second) == first.pk
        first.complete()
        second.start()

    def test_it_starts_if_what_it_waited_for_ends_while_it_is_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        running, queued = queue_of(WorkflowFactory(), 1)

        def ends_first(run: UUID) -> UUID | None:
            fresh(running).complete()
            return first_ahead(run)

        monkeypatch.setattr(queue, "first_ahead", ends_first)
        queued.start()
        assert fresh(queued).status == "running"

    def test_who_is_cancelled_lets_the_next_one_up(self) -> None:
        running, first, second = queue_of(WorkflowFactory(), 2)
        running.cancel()
        first.cancel()
        second.start()

    def test_who_is_deleted_lets_the_next_one_up(self) -> None:
        running, first, second = queue_of(WorkflowFactory(), 2)
        running.complete()
        first.delete()
        second.start()

    def test_a_run_that_is_retried_has_its_place_again(self) -> None:
        running, first, second = queue_of(WorkflowFactory(), 2)
        running.complete()
        in_state(first, "failed").retry()
        assert refused_for(second) == first.pk

    def test_a_run_that_is_not_queued_does_not_wait_for_the_queue(self) -> None:
        running, queued = queue_of(WorkflowFactory(), 1)
        other = WorkflowExecutionFactory(workflow=running.workflow)
        with pytest.raises(ConcurrentExecution) as refusal:
            other.start()
        assert not isinstance(refusal.value, QueuedExecution)
        running.complete()
        other.start()
        assert refused_for(queued) == other.pk

    def test_the_queues_of_two_workflows_are_two(self) -> None:
        queue_of(WorkflowFactory(), 1)
        alone: WorkflowExecution = WorkflowExecutionFactory(is_queued=True)
        alone.start()

    def test_a_run_that_may_run_beside_others_cannot_be_queued(self) -> None:
        with pytest.raises(ValidationError, match="leave out metadata"):
            WorkflowExecutionFactory(is_queued=True, metadata={"allow_concurrent": True})

    def test_a_concurrent_run_holds_nobody_up(self) -> None:
        running = in_state(WorkflowExecutionFactory(metadata={"allow_concurrent": True}), "running")
        WorkflowExecutionFactory(workflow=running.workflow, is_queued=True).start()

    def test_a_start_with_a_lease_waits_too(self) -> None:
        running, queued = queue_of(WorkflowFactory(), 1)
        with pytest.raises(QueuedExecution):
            queued.start(worker="worker-3", lease_seconds=60)
        running.complete()
        assert queued.start(worker="worker-3", lease_seconds=60) is not None


@pytest.mark.django_db(transaction=True)
def test_of_many_ends_and_starts_at_once_each_run_has_its_turn() -> None:
    """Never two at once, never one forgotten, and always in the order of creation."""
    running, *queued = queue_of(WorkflowFactory(), 6)
    running.complete()
    for _round in range(3):
        assert sum(race([partial(try_start, run) for run in queued] * 2)) == 1
        race([_running().complete, *(partial(try_start, run) for run in queued)])
        for run in WorkflowExecution.objects.filter(status="running"):
            run.complete()
    waiting = list(WorkflowExecution.objects.filter(status="pending").order_by("created_at", "id"))
    for run in waiting:
        run.start()
        run.complete()
    starts = HistoryEntry.objects.filter(act="start").order_by("happened_at")
    assert list(starts.values_list("workflow_execution", flat=True)) == [running.pk, *(run.pk for run in queued)]


def _running() -> WorkflowExecution:
    """Return the run that is running; raises if there are two."""
    return WorkflowExecution.objects.get(status="running")


@pytest.mark.django_db
class TestApi:
    def test_a_run_is_queued_at_its_creation(self, api: Any, owner: Any, workflow: Workflow) -> None:
        client, running = api(owner), queue_of(workflow, 0)[0]
        body = {"id": str(uuid7()), "workflow": str(workflow.pk), "trigger_type": "manual", "queue": True}
        made = client.post(RUNS, body, format="json")
        assert (made.status_code, made.json()["queue"], made.json()["status"]) == (201, True, "pending")
        assert client.post(RUNS, body, format="json").status_code == 200
        assert client.post(RUNS, body | {"queue": False}, format="json").status_code == 409
        refused = client.post(f"{RUNS}{body['id']}/start/")
        assert (refused.status_code, refused.json()["code"]) == (409, "queued")
        assert refused.json()["waits_for"] == str(running.pk)
        shown = client.get(f"{RUNS}{body['id']}/?expand=ahead").json()["ahead"]
        assert shown == [{"workflow_execution": str(running.pk), "status": "running"}]
        running.complete()
        assert client.get(f"{RUNS}{body['id']}/?expand=ahead").json()["ahead"] == []
        assert client.post(f"{RUNS}{body['id']}/start/").status_code == 200

    def test_with_start_it_runs_if_it_may_and_waits_otherwise(self, api: Any, owner: Any, workflow: Workflow) -> None:
        body = {"workflow": str(workflow.pk), "trigger_type": "manual", "queue": True, "start": True}
        answers = [api(owner).post(RUNS, body, format="json") for _ in range(2)]
        assert [(each.status_code, each.json()["status"]) for each in answers] == [(201, "running"), (201, "pending")]
        waiting = body | {"id": answers[1].json()["id"]}
        again = api(owner).post(RUNS, waiting, format="json")
        assert (again.status_code, again.json()["status"]) == (200, "pending")

    def test_a_concurrent_run_is_refused(self, api: Any, owner: Any, workflow: Workflow) -> None:
        body = {"workflow": str(workflow.pk), "trigger_type": "manual", "queue": True}
        answer = api(owner).post(RUNS, body | {"metadata": {"allow_concurrent": True}}, format="json")
        assert answer.status_code == 400


@pytest.mark.django_db
class TestFacts:
    def test_a_start_before_its_turn_is_refused_and_named(self, api: Any, owner: Any, workflow: Workflow) -> None:
        running, run = queue_of(workflow, 0)[0], str(uuid7())
        client = api(owner)
        made = {"kind": "execution.create", "id": run, "workflow": str(workflow.pk), "trigger_type": "event"}
        assert client.post("/api/v1/events/", [made | {"queue": True}], format="json").json()["applied"] == 1
        start = {"kind": "execution.start", "id": run}
        [refusal] = client.post("/api/v1/events/", [start], format="json").json()["refusals"]
        assert refusal["code"] == "queued"
        assert str(running.pk) in refusal["detail"]
        running.complete()
        line = {"kind": "log", "id": str(uuid7()), "workflow_execution": run, "level": "info", "message": "ready"}
        [notice] = client.post("/api/v1/events/", [line], format="json").json()["notices"]
        assert (notice["act"], notice["workflow_execution"]) == ("startable", run)
        assert client.post("/api/v1/events/", [start], format="json").json()["applied"] == 1

    def test_in_one_call_an_end_lets_the_next_one_start(self, api: Any, owner: Any, workflow: Workflow) -> None:
        running, first, second = queue_of(workflow, 2)
        facts = [
            {"kind": f"execution.{act}", "id": str(run.pk)}
            for run, act in ((running, "complete"), (first, "start"), (first, "complete"), (second, "start"))
        ]
        assert api(owner).post("/api/v1/events/", facts, format="json").json()["applied"] == 4
        assert [fresh(run).status for run in (running, first, second)] == ["completed", "completed", "running"]

    def test_the_order_holds_in_one_call(self, api: Any, owner: Any, workflow: Workflow) -> None:
        running, first, second = queue_of(workflow, 2)
        running.complete()
        start = {"kind": "execution.start", "id": str(second.pk)}
        answer = api(owner).post("/api/v1/events/", [start], format="json").json()
        assert answer["refusals"][0]["code"] == "queued"
        cancel = {"kind": "execution.cancel", "id": str(first.pk)}
        assert api(owner).post("/api/v1/events/", [cancel, start], format="json").json()["applied"] == 2

    def test_a_concurrent_run_is_refused(self, api: Any, owner: Any, workflow: Workflow) -> None:
        made = {
            "kind": "execution.create", "id": str(uuid7()), "workflow": str(workflow.pk), "trigger_type": "event",
            "queue": True, "metadata": {"allow_concurrent": True},
        }  # fmt: skip
        [refusal] = api(owner).post("/api/v1/events/", [made], format="json").json()["refusals"]
        assert (refusal["code"], refusal["detail"][:6]) == ("invalid", "queue:")


@pytest.mark.django_db
class TestPages:
    def test_the_page_and_the_monitor_name_the_run_that_it_waits_for(self, staff: Any) -> None:
        running, first, second = queue_of(WorkflowFactory(), 2)
        page = client_of(staff).get(f"/admin/executions/workflowexecution/{second.pk}/change/").content.decode()
        assert f'waits for <a href="/admin/executions/workflowexecution/{running.pk}/change/">' in page
        assert "2 runs are ahead of it." in page
        running.complete()
        page = client_of(staff).get(f"/admin/executions/workflowexecution/{first.pk}/change/").content.decode()
        assert "it is its turn" in page
        waiting = section(front_page_of(staff), "waiting")
        assert "it is its turn" in waiting
        assert f'queued behind <a href="/admin/executions/workflowexecution/{first.pk}/change/">' in waiting


def test_the_queue_is_read_by_its_index(only: Any) -> None:
    queue_of(WorkflowFactory(), 2)
    only("workflow_executions", "idx_workflow_executions_queue")
    first = """
        SELECT id FROM workflow_executions WHERE workflow_id = %s AND status = 'pending' AND is_queued
        AND (created_at, id) < (now(), %s) ORDER BY created_at, id LIMIT 1
    """
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN {first}", [uuid7(), uuid7()])
        assert uses(" ".join(line for (line,) in cursor.fetchall()), "idx_workflow_executions_queue")
