"""A worker whose process is stopped (SIGSTOP) and continues after its node was retried elsewhere. `make proofs` stops
it for ten minutes."""

import os
import signal
import subprocess
import sys
import time
from typing import Any

from executions.models import ExecutionLog, NodeExecution, WorkflowExecution
from executions.models.lease import NodeExecutionLease
from executions.upkeep.overdue_attempts import end_overdue
from pastetrader.tests.proofs import LONG
from pastetrader_client.tests.test_leases import let_lapse
from pastetrader_client.tests.test_processes import ROOT
from tokens.models import Scope, Token

PAUSE = 600  # seconds, ten times the lease
WORKER = """
import os, sys
from pastetrader_client import Client, NodeFenced
told = []
client = Client(os.environ["URL"], os.environ["TOKEN"], spool=False, on_fenced=told.append)
with client.run(workflow="w") as run:
    try:
        with run.node("paused", lease_seconds=60) as node:
            node.info("before")
            assert client.flush(60)
            print(node.id, flush=True)
            sys.stdin.readline()  # stopped, and continued after another worker has the node
            node.info("after")
            client.flush(60)
            node.output = {"by": "the paused one"}
            node.info("not reached")
    except NodeFenced as error:
        print("fenced", error.node, *[each.id for each in told], flush=True)
assert client.flush(60)
"""


def wait_for_the_end_of_the_lease(node: str) -> None:
    """Let upkeep find the lease expired: after a pause of ten minutes, or in the short form of one that is aged."""
    if not LONG:
        let_lapse(NodeExecutionLease.objects.filter(node_execution=node))
        return
    until = time.monotonic() + PAUSE
    while time.monotonic() < until:
        end_overdue()
        time.sleep(5)


def test_a_worker_that_was_paused_beyond_its_lease_changes_nothing_and_is_told_so(live_server: Any, owner: Any) -> None:
    _row, secret = Token.objects.issue(user=owner, name="engine", scopes=list(Scope.values))
    own = {"URL": live_server.url, "TOKEN": secret, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        [sys.executable, "-c", WORKER], cwd=ROOT, env=os.environ | own, text=True, stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        assert process.stdin is not None
        assert process.stdout is not None
        node = process.stdout.readline().strip()
        process.send_signal(signal.SIGSTOP)
        wait_for_the_end_of_the_lease(node)
        row = NodeExecution.objects.get(pk=node)
        if row.status == "failed":  # upkeep has retried it after its delay, in the long form
            row.retry()
        assert [attempt.error_code for attempt in row.attempts.all()] == ["lease_expired"]
        row.complete({"by": "another"}, token=row.start(worker="another", lease_seconds=60))
        before = NodeExecution.objects.values().get(pk=node)
        process.send_signal(signal.SIGCONT)
        said, errors = process.communicate("\n", timeout=60)
    finally:
        process.kill()
        process.communicate()
    assert (said, process.returncode) == (f"fenced {node} {node}\n", 0), errors
    assert NodeExecution.objects.values().get(pk=node) == before
    assert list(ExecutionLog.objects.values_list("message", flat=True)) == ["before"]
    assert WorkflowExecution.objects.get().status == "completed"
