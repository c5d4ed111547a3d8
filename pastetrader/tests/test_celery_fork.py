"""The recorder of Celery's tasks without a worker: in a forked process, and when it is asked for twice."""

import os
import subprocess
import sys

from pastetrader.tests.live_server import ROOT

PROGRAM = """
import os, sys, threading, time
from celery import Celery
from pastetrader_client import Client, celery_run_ends
from pastetrader_client.celery import instrument

recorder = instrument(Celery("shop"), Client("http://127.0.0.1:9", "token", spool=False, exit_seconds=0))
checked, held, go = threading.Event(), threading.Event(), threading.Event()
recorder.ends.end_if_quiet = lambda run, http: (print(os.getpid(), run, flush=True), checked.set())
celery_run_ends.QUIET_SECONDS = 600.0
recorder.ends.expect("run")

def hold():
    with recorder.lock, recorder.ends.lock:
        held.set()
        go.wait()

threading.Thread(target=hold, daemon=True).start()
held.wait()
if (child := os.fork()) == 0:
    celery_run_ends.QUIET_SECONDS = 0.1
    recorder.ends.expect("run")
    assert recorder._run_to_send({"group": "group"}, "task")
    os._exit(not checked.wait(60))
status = os.waitpid(child, 0)[1]
go.set()
print("parent of", child, status, checked.is_set())
"""

TWICE = """
from celery import Celery, signals
from pastetrader_client import Client
from pastetrader_client.celery import instrument

def client():
    return Client("http://127.0.0.1:9", "token", spool=False, exit_seconds=0)

app = Celery("shop")
recorder = instrument(app, client())
assert instrument(app) is recorder and instrument(app, client()) is recorder
try:
    instrument(Celery("other"), client())
except ValueError as error:
    print(len(signals.before_task_publish.receivers), error)
"""


def test_a_forked_process_checks_the_ends_of_runs_that_its_parent_expects_too() -> None:
    child, parent = output_of(PROGRAM)
    number = child.split()[0]
    assert (child, parent) == (f"{number} run", f"parent of {number} 0 False")


def test_an_app_that_is_instrumented_twice_is_recorded_once_and_another_is_refused() -> None:
    (line,) = output_of(TWICE)
    assert line == "1 This process records another Celery app already. Call instrument() for one of them."


def output_of(program: str) -> list[str]:
    """Return the lines that a program in a process of its own prints."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore:This process:DeprecationWarning", "-c", program], cwd=ROOT, env=os.environ,
        text=True, capture_output=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()
