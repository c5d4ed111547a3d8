"""The cursor's promise, while another connection writes."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection

from executions.models import WorkflowExecution
from executions.tests.factories import ExecutionLogFactory, WorkflowExecutionFactory, in_state
from workflows.models import Workflow

STARTED = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def writer() -> Iterator[Any]:
    """`writer(insert)` calls it again and again in a thread of its own, and gives the number of its calls so far."""
    stop, threads, done = threading.Event(), [], []

    def start(insert: Any) -> list[int]:
        def work() -> None:
            try:
                while not stop.is_set():
                    insert(len(done))
                    done.append(1)
            finally:
                connection.close()

        thread = threading.Thread(target=work)
        threads.append(thread)
        thread.start()
        return done

    yield start
    stop.set()
    for thread in threads:
        thread.join()


def pages(client: Any, url: str | None, done: list[int]) -> Iterator[Any]:
    while url:
        written = len(done)
        page = client.get(url).json()
        yield from page["results"]
        url = page["next"]
        while len(done) == written:  # at least one row between two pages
            threading.Event().wait(0.001)


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("ordering", ["-created", "-started", "started", "-duration", "duration"])
def test_pages_show_every_run_that_was_there_once_and_in_order_while_a_writer_inserts(
    api: Any, owner: Any, workflow: Workflow, writer: Any, ordering: str
) -> None:
    def insert(number: int) -> WorkflowExecution:
        ended = {"status": "completed", "started_at": STARTED, "ended_at": STARTED + timedelta(seconds=number % 5)}
        run: WorkflowExecution = WorkflowExecutionFactory(workflow=workflow, **(ended if number % 3 else {}))
        return run

    there = [str(insert(number).pk) for number in range(30)]
    client = api(owner)
    expected = [
        row["id"] for row in client.get(f"/api/v1/executions/?ordering={ordering}&page_size=500").json()["results"]
    ]
    assert sorted(expected) == sorted(there)
    done = writer(insert)
    seen = []
    for row in pages(client, f"/api/v1/executions/?ordering={ordering}&page_size=4", done):
        seen.append(row["id"])
        if len(set(seen) & set(there)) == len(there):  # upwards, the writer may keep ahead for ever
            break
    assert len(seen) == len(set(seen))
    assert [id for id in seen if id in set(there)] == expected


@pytest.mark.django_db(transaction=True)
def test_pages_of_a_log_read_from_its_newest_line_end_while_lines_are_written(
    api: Any, owner: Any, workflow: Workflow, writer: Any
) -> None:
    run = in_state(WorkflowExecutionFactory(workflow=workflow), "running")
    there = [str(ExecutionLogFactory(workflow_execution=run).pk) for _ in range(20)]
    done = writer(lambda _number: ExecutionLogFactory(workflow_execution=run))
    rows = pages(api(owner), f"/api/v1/executions/{run.pk}/logs/?ordering=-timestamp&page_size=3", done)
    assert [row["id"] for row in rows if row["id"] in set(there)] == there[::-1]
