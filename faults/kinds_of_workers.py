"""The faults of workers under leases: their node is given to another worker, and they change nothing any more."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable

from pastetrader.tests.live_server import ROOT

from .calls import Unanswered
from .environment import Environment
from .fault_run import Kind
from .journal import Record
from .lease_scenarios import report_as_fenced, wait_for_retry
from .run_scenarios import RUNS

PATIENCE = 60.0  # seconds
EXPIRED = "Upkeep ended attempt 1 of NodeExecution ROW: lease_expired"


class Worker:
    """A process of `faults/leased_worker.py`. It prints the token of its node, acknowledged lines, and the
    state that the ledger answered."""

    def __init__(self, environment: Environment, run: str, attempt: int, node: str = "") -> None:
        variables = os.environ | {"URL": environment.address, "TOKEN": environment.token}
        self.log = (environment.home / "workers.log").open("ab")
        command = [sys.executable, "-m", "faults.leased_worker", run, str(attempt), *filter(None, [node])]
        self.process = subprocess.Popen(
            command, cwd=ROOT, env=variables, text=True, stdout=subprocess.PIPE, stderr=self.log
        )
        self.node = self.token = self.state = ""
        self.lines: set[str] = set()
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self) -> None:
        for line in self.process.stdout or ():
            found = json.loads(line)
            self.node, self.token = found.get("node", self.node), found.get("token", self.token)
            self.state = found.get("state", self.state)
            self.lines |= {found["line"]} if "line" in found else set()

    def wait_until(self, is_so: Callable[[], object], what: str) -> None:
        until = time.monotonic() + PATIENCE
        while not is_so():
            if time.monotonic() > until:
                raise Unanswered(f"a worker under a lease {what}, after {PATIENCE:.0f} s")
            time.sleep(0.05)

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        self.reader.join()
        self.log.close()


def pause_worker(environment: Environment) -> str | None:
    return _replace(environment, signal.SIGSTOP)


def kill_worker_under_lease(environment: Environment) -> str | None:
    return _replace(environment, signal.SIGKILL)


def _replace(environment: Environment, number: signal.Signals) -> str | None:
    """Stop a worker at a random moment, wait until another one has its node, and let it go on. Return what is wrong."""
    calls = environment.calls()
    body = {
        "workflow": environment.leased,
        "trigger_type": "event",
        "metadata": {"allow_concurrent": True},
        "start": True,
    }
    run = calls.act(RUNS, body)["id"]
    record = Record(run, {run: 2}, ahead=1)
    workers = [Worker(environment, run, 1)]
    try:
        _stop_first(environment, workers[0], record, number)
        environment.struck = workers[0].node
        wait_for_retry(calls, record, workers[0].node)
        workers.append(Worker(environment, run, 2, workers[0].node))
        _end_second(workers, record, number)
        record.fenced |= report_as_fenced(calls, run, workers[0].node, workers[0].token)
        calls.act(f"{RUNS}{run}/complete/", {})
        record.versions[run], record.ahead = 3, 0
    except Unanswered as error:
        return str(error)
    finally:
        for worker in workers:
            worker.end()
    return None


def _stop_first(environment: Environment, first: Worker, record: Record, number: signal.Signals) -> None:
    """Let the first worker deliver lines, and stop it."""
    first.wait_until(lambda: len(first.lines) > 1, "has delivered nothing")
    time.sleep(environment.chance.uniform(0, 1))
    first.process.send_signal(number)
    time.sleep(0.1)  # its output is read
    record.versions[first.node] = 2
    record.lines |= first.lines
    environment.journal.add(record)


def _end_second(workers: list[Worker], record: Record, number: signal.Signals) -> None:
    """Let the second worker complete the node, while the first one, if it was only paused, goes on."""
    first, second = workers
    record.ahead = 2
    second.wait_until(lambda: second.lines, "has not got the node of a silent one")
    first.process.send_signal(signal.SIGCONT)
    second.wait_until(lambda: second.state == "completed", "has not completed its node")
    record.versions[first.node] += 2  # its start and its end
    record.lines |= second.lines
    if number == signal.SIGSTOP:
        first.wait_until(lambda: first.state == "fenced", "was paused, replaced, and not refused")
    record.lines |= first.lines


WORKERS = [
    Kind("worker under a lease paused, and replaced", pause_worker, EXPIRED),
    Kind("kill -9 of a worker under a lease", kill_worker_under_lease, EXPIRED),
]
