"""kill -9 at any moment between archive, deletion and restore: nothing is lost, nothing is there twice."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import quote

import pytest
from django.db import connection

from executions.archive import folders, restoring, verification
from executions.facts import record
from executions.models import ArchivedRun, ArchiveFile, WorkflowExecution
from executions.tests.archive.runs import answers
from executions.tests.archive.test_restoring import TABLES, rows
from executions.tests.facts.random_walks import Walk
from pastetrader.tests.live_server import ROOT
from pastetrader.tests.proofs import times

pytestmark = pytest.mark.django_db(transaction=True)

RUNS, KILLS, MILLISECONDS = times(12, 10_000), times(3, 50), times(500, 30_000)
OTHERS = [table for table in TABLES if table not in {"workflows", "nodes", "graphs"}]


@pytest.fixture
def process(archive: Path) -> Iterator[subprocess.Popen[str]]:
    database = connection.settings_dict
    address = f"postgresql://{quote(database['USER'])}@/{database['NAME']}?host={quote(str(database['HOST']), safe='')}"
    environment = os.environ | {
        "DATABASE_URL": address, "DJANGO_SETTINGS_MODULE": "pastetrader.settings", "EXECUTIONS_ARCHIVE": str(archive),
        "SECRET_KEY": "x",
    }  # fmt: skip
    started = subprocess.Popen(
        [sys.executable, "-m", "executions.tests.archive.process"],
        cwd=ROOT, env=environment, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    with started:
        yield started
        started.kill()


def kill_after(process: Any, seconds: float) -> None:
    process.stdin.write("go\n")
    process.stdin.flush()
    child = int(process.stdout.readline())
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    assert process.stdout.readline() == "ended\n"


@pytest.mark.slow
def test_nothing_is_lost_and_nothing_is_there_twice(
    process: Any, workflow: Any, archive: Path, api: Any, owner: Any
) -> None:
    random = Random(7)
    facts = [fact for _ in range(RUNS) for fact in Walk(random, str(workflow.pk)).steps(random.randint(3, 20)).facts]
    for begin in range(0, len(facts), 5_000):
        record(facts[begin : begin + 5_000], user=owner)
    ended = set(WorkflowExecution.objects.finished().values_list("pk", flat=True))
    paths = [f"/api/v1/executions/{run}/{part}" for run in ended for part in ("?expand=nodes,logs", "history/")]
    before, stored = answers(api(owner), paths), rows(*OTHERS)
    for _ in range(KILLS):
        kill_after(process, random.uniform(0, MILLISECONDS) / 1_000)
        assert_nothing_is_lost(ended)
    for name in ArchiveFile.objects.values_list("name", flat=True):
        restoring.restore(folders.LocalFolder(archive), name)
    assert rows(*OTHERS) == stored
    assert answers(api(owner), paths) == before


def assert_nothing_is_lost(ended: set[Any]) -> None:
    """Every run is in the database, or in a complete file that is recorded."""
    there = set(WorkflowExecution.objects.values_list("pk", flat=True))
    for file in ArchiveFile.objects.filter(pk__in=ArchivedRun.objects.exclude(pk__in=there).values("file")):
        assert list(verification.faults(folders.require_folder(), file.name)) == []
    assert ended - there <= set(ArchivedRun.objects.values_list("pk", flat=True))
