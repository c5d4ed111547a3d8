"""The process of `manage.py serve` that does upkeep."""

import os
import signal
from pathlib import Path

import psutil
import psycopg
import pytest

from local_postgres import processes
from pastetrader.tests.conftest import connect, postmaster
from pastetrader.tests.live_server import Serve
from pastetrader_client.tests.waiting import wait_until

DUE = "UPDATE django_migrations SET applied = now() - interval '2 hours'"
SILENT = """
WITH workflow AS (INSERT INTO workflows (name) VALUES ('silent') RETURNING id),
run AS (
    INSERT INTO workflow_executions (workflow_id, trigger_type, status, started_at)
    SELECT id, 'manual', 'running', now() FROM workflow RETURNING id
)
INSERT INTO workflow_execution_leases (workflow_execution_id, attempt, worker, seconds, expires_at)
SELECT id, 1, 'worker-3', 60, now() - interval '1 second' FROM run
"""
CODES = "SELECT error_code FROM workflow_executions"
DONE = "SELECT count(*) FROM upkeep_runs WHERE ended_at IS NOT NULL"


def number_done(data_dir: Path) -> int:
    try:
        with connect(data_dir) as session:
            ((number,),) = session.execute(DONE)
    except psycopg.OperationalError:  # while the database starts
        return 0
    return int(number)


@pytest.mark.usefixtures("ready")
def test_a_server_does_upkeep_by_itself_through_kills_and_restarts(
    serve: Serve, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One server for all of it: starting one takes seconds."""
    monkeypatch.setenv("EXECUTIONS_UPKEEP_EVERY_SECONDS", "1")
    site = serve("--workers", "1")
    wait_until(lambda: number_done(data_dir) > 0)
    assert site.get("/readyz")[0] == 200

    leader, before = postmaster(data_dir), number_done(data_dir)
    assert leader is not None
    leader.send_signal(signal.SIGQUIT)  # an immediate shutdown; whoever needs the server next starts it again
    wait_until(lambda: not processes.is_alive(leader))
    wait_until(lambda: site.get("/readyz")[0] == 200)
    wait_until(lambda: number_done(data_dir) > before)

    upkeep = max(site.children(), key=lambda child: child.pid)  # started last
    upkeep.kill()
    wait_until(lambda: len(site.children()) == 2)
    before = number_done(data_dir)
    wait_until(lambda: number_done(data_dir) > before)

    code, err = site.interrupt(signal.SIGTERM)
    assert (code, site.output.splitlines()[-1]) == (0, "Stopped.")
    assert "Traceback" not in err
    assert postmaster(data_dir) is None


@pytest.mark.usefixtures("ready")
def test_a_server_fails_the_run_of_a_worker_that_is_silent(serve: Serve, data_dir: Path) -> None:
    """Upkeep itself is due in half an hour."""
    site = serve("--workers", "1")
    with connect(data_dir) as session:
        session.execute(SILENT)
        wait_until(lambda: session.execute(CODES).fetchall() == [("lease_expired",)])
    assert site.interrupt(signal.SIGTERM)[0] == 0


@pytest.mark.usefixtures("ready")
def test_upkeep_ends_with_a_server_that_is_killed(serve: Serve, data_dir: Path) -> None:
    site = serve("--workers", "1")
    wait_until(lambda: len(site.children()) == 2)
    left = site.children()
    worker, upkeep = sorted(left, key=lambda child: child.pid)
    upkeep.suspend()  # it holds pipes of the processes that were forked before it
    os.kill(site.process.pid, signal.SIGKILL)
    wait_until(lambda: not worker.is_running())
    upkeep.resume()
    wait_until(lambda: not any(each.is_running() and each.status() != psutil.STATUS_ZOMBIE for each in left))
    wait_until(lambda: postmaster(data_dir) is None)
