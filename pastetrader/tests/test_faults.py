"""The short form of `make faults`: real processes are broken, and nothing is lost, doubled or impossible."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from django.db import connection
from django.utils import timezone

from executions.models import WorkflowExecution
from executions.tests.factories import WorkflowExecutionFactory
from faults.fault_run import Outcome
from faults.journal import Journal, Record
from faults.kinds import KINDS
from faults.queue_scenarios import out_of_turn
from faults.report import print_table
from faults.webhooks import Receiver
from pastetrader.tests.live_server import ROOT
from workflows.models import Workflow

SEEDS = """
import sys
from types import SimpleNamespace
from django.db import connection
from faults.__main__ import checks_of
for sockets in sys.argv[1:]:
    database = SimpleNamespace(sockets=sockets, address=f"postgresql://postgres@/postgres?host={sockets}")
    with checks_of(SimpleNamespace(database=database)):
        print(connection.pool.kwargs["host"])
"""
FEW = (
    "worker process", "(immediate)", "one connection", "request or answer", "deadlock", "lease paused",
    "the webhook receiver",
)  # fmt: skip


@pytest.mark.slow
def test_nothing_is_lost_doubled_or_impossible_whatever_breaks() -> None:
    kinds = [option for kind in FEW for option in ("--only", kind)]
    command = [sys.executable, "-m", "faults", "--seed", "1", "--rounds", "1", "--scenarios", "2", "--back-in", "100"]
    done = subprocess.run([*command, *kinds], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_seed_is_compared_with_its_own_database() -> None:
    command = [sys.executable, "-c", SEEDS, "/first", "/second"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["/first", "/second"], done.stderr


@pytest.mark.django_db
def test_a_queued_run_that_started_out_of_its_turn_or_twice_is_found(workflow: Workflow) -> None:
    first, second = WorkflowExecutionFactory.create_batch(2, workflow=workflow, is_queued=True)
    connection.ensure_connection()
    assert out_of_turn(connection.connection) == []
    set_status(second, "running")
    assert [second.pk.hex in found.replace("-", "") for found in out_of_turn(connection.connection)] == [True]
    set_status(second, "completed")
    for status in ("running", "pending", "running"):
        set_status(first, status)
    assert sum("2 starts" in found for found in out_of_turn(connection.connection)) == 1


def set_status(run: WorkflowExecution, status: str) -> None:
    """Set the status by SQL, whatever the run's turn is."""
    now = timezone.now()
    times = {"started_at": now, "ended_at": now if status == "completed" else None}
    WorkflowExecution.objects.filter(pk=run.pk).update(status=status, **times)


@pytest.mark.django_db
def test_a_line_of_a_worker_that_was_replaced_is_found_if_it_is_stored(lines_of_run: WorkflowExecution) -> None:
    record = Record(str(lines_of_run.pk), {str(lines_of_run.pk): 1}, fenced={"late", "refused"})
    journal = Journal()
    journal.add(record)
    assert journal.compare(connection.connection).impossible == ["late, of a worker that was replaced"]


@pytest.fixture
def lines_of_run() -> WorkflowExecution:
    run = WorkflowExecutionFactory()
    run.logs.create(level="info", message="late")
    return run


def test_a_failure_that_is_not_told_or_is_told_by_two_ids_is_found(tmp_path: Path) -> None:
    receiver = Receiver(tmp_path, 0)
    messages = [
        {"id": "msg_1", "run": "a", "mode": "500"},
        {"id": "msg_1", "run": "a", "mode": "204"},
        {"id": "msg_2", "run": "b", "mode": "hang"},
        {"id": "msg_3", "run": "c", "mode": "204"},
        {"id": "msg_4", "run": "c", "mode": "204"},
    ]
    (tmp_path / "messages").write_text("".join(json.dumps(each) + "\n" for each in messages))
    assert receiver.find_undelivered({"a", "b", "c", "d"}) == {"b", "d"}
    assert receiver.id_faults() == ["the failure of c was delivered as msg_3, msg_4"]


def test_the_table_tells_how_often_a_line_was_missing(capsys: pytest.CaptureFixture[str]) -> None:
    outcomes = {"found": Outcome(unlogged=0), "missing": Outcome(unlogged=2)}
    assert not print_table(outcomes, seed=1, seconds=60, facts=7, back_in=10)
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| ")][1:]
    assert [row.split(" | ")[-1] for row in rows] == ["0 |", "2 |"]


def test_the_documented_table_has_every_kind_by_the_same_rule() -> None:
    rows = re.findall(
        r"^\| (.+?) \| [\d,]+ \| .* \| (\S.*) \|$", (ROOT / "docs" / "reliability.md").read_text(), re.MULTILINE
    )
    assert [name for name, _missing in rows] == [kind.name for kind in KINDS]
    assert {missing for _name, missing in rows} == {"0"}
