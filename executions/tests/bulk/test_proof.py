"""A bulk cancel while engines report, a user loads pages and the process that works at it is killed: 60 runs in the
suite, 5,000 with `make proofs`."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote
from uuid import UUID

import pytest
from django.db import connection
from django.db.models import Count
from django.test import Client

from executions.bulk import runner
from executions.exceptions import InvalidTransition
from executions.models import BulkAction, HistoryEntry, WorkflowExecution
from executions.tests.bulk.test_work import begin
from executions.tests.factories import WorkflowExecutionFactory
from ledgerkit.tests.clients import client_of
from pastetrader.tests.live_server import ROOT
from pastetrader.tests.proofs import times
from workflows.models import Workflow

pytestmark = pytest.mark.django_db(transaction=True)
RUNS, KILLED_AFTER, BATCH = times(60, 5_000), times(5, 500), 10
WORKER = "import django; django.setup(); from executions.bulk.runner import work_open; work_open()"
PAGES = ("/admin/executions/workflowexecution/?view=all", "/admin/executions/bulkaction/", "/admin/")
MOST_SECONDS = 20.0  # for a page, on a machine that does everything else too
PAUSE = 0.2  # seconds between two rounds through the pages
PROGRESS = re.compile(r'<progress max="\d+" value="(\d+)"')


@contextmanager
def worker() -> Iterator[subprocess.Popen[bytes]]:
    database = connection.settings_dict
    address = f"postgresql://{quote(database['USER'])}@/{database['NAME']}?host={quote(str(database['HOST']), safe='')}"
    environment = os.environ | {"DATABASE_URL": address, "DJANGO_SETTINGS_MODULE": "pastetrader.settings"}
    with subprocess.Popen([sys.executable, "-c", WORKER], cwd=ROOT, env=environment | {"SECRET_KEY": "x"}) as started:
        yield started
        started.kill()


@dataclass
class Viewer:
    """A user who loads the pages again and again: the list of runs, the bulk actions, the monitor, and the page of the
    action, whose progress is recorded."""

    client: Client
    page: str
    end: threading.Event = field(default_factory=threading.Event)
    progress: list[int] = field(default_factory=list)

    def load_until_end(self) -> None:
        try:
            while not self.end.wait(PAUSE):
                self.load_each()
            self.load_each()
        finally:
            connection.close()

    def load_each(self) -> None:
        for page in PAGES:
            self.load(page)
        (number,) = PROGRESS.findall(self.load(self.page))
        self.progress.append(int(number))

    def load(self, page: str) -> str:
        began = time.monotonic()
        response = self.client.get(page)
        took = time.monotonic() - began
        assert (response.status_code, took < MOST_SECONDS) == (200, True), f"{page} took {took:.1f} s"
        return str(response.content.decode())


@contextmanager
def viewer_of(action: BulkAction, user: Any) -> Iterator[Viewer]:
    """Load the pages in a thread during the block, and once after it. Raises what the thread raised."""
    viewer = Viewer(client_of(user), f"/admin/executions/bulkaction/{action.pk}/change/")
    with ThreadPoolExecutor(1) as thread:
        loading = thread.submit(viewer.load_until_end)
        try:
            yield viewer
        finally:
            viewer.end.set()
    loading.result()


def wait_until_changed(action: BulkAction, number: int, process: subprocess.Popen[bytes]) -> None:
    while changed(action) < number and process.poll() is None:
        time.sleep(0.005)


def changed(action: BulkAction) -> int:
    return action.runs.exclude(state="waiting").count()


def complete_each(pks: list[UUID]) -> None:
    """Report as an engine that calls a verb for one run after another."""
    try:
        for pk in pks:
            try:
                WorkflowExecution.objects.get(pk=pk).complete()
            except InvalidTransition:
                continue
    finally:
        connection.close()


def complete_in_batches(api: Any, pks: list[UUID]) -> None:
    """Report as an engine that sends facts of many runs in one call, in the opposite order of the work."""
    try:
        for start in range(0, len(pks), BATCH):
            facts = [{"kind": "execution.complete", "id": str(pk)} for pk in pks[start : start + BATCH]]
            assert api.post("/api/v1/events/", facts, format="json").status_code == 200
    finally:
        connection.close()


@pytest.mark.slow
def test_of_a_bulk_cancel_while_engines_report_no_run_is_lost(
    staff: Any, owner: Any, api: Any, workflow: Workflow
) -> None:
    runs = WorkflowExecutionFactory.create_batch(RUNS, workflow=workflow, metadata={"allow_concurrent": True})
    for run in runs:
        run.start()
    pks = [run.pk for run in runs]
    action = begin(staff, "cancel", reason="the exchange is closed", workflow=workflow)
    engines = [
        threading.Thread(target=complete_each, args=[pks[:: -RUNS // 20]]),
        threading.Thread(target=complete_in_batches, args=[api(owner), pks[RUNS // 2 :][::-1]]),
    ]
    with viewer_of(action, staff) as viewer:
        with worker() as process:
            wait_until_changed(action, KILLED_AFTER, process)
            for engine in engines:
                engine.start()
            wait_until_changed(action, 2 * KILLED_AFTER, process)
            os.kill(process.pid, signal.SIGKILL)
        runner.work_open()
        for engine in engines:
            engine.join()
    assert viewer.progress == sorted(viewer.progress)
    assert viewer.progress[-1] == RUNS
    assert len(set(viewer.progress)) >= times(2, 10)
    action.refresh_from_db()
    assert (action.left, bool(action.ended_at)) == (0, True)
    assert action.done >= KILLED_AFTER
    results = {run.workflow_execution_id: run for run in action.runs.all()}
    for run in WorkflowExecution.objects.filter(pk__in=pks):
        is_done = results[run.pk].state == "done"
        assert run.status == ("cancelled" if is_done else "completed")
        assert results[run.pk].answer == ("" if is_done else "Cannot cancel execution in completed state")
    entries = HistoryEntry.objects.filter(act="cancel", reason="the exchange is closed", username="staff")
    per_run = dict(entries.values_list("workflow_execution").annotate(Count("id")).order_by())
    assert per_run == {pk: 1 for pk, result in results.items() if result.state == "done"}
