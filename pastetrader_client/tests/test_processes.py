"""Engines as real processes, which end, fork and are killed."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pastetrader_client.ids import uuid7
from pastetrader_client.tests.spooled_files import spooled
from pastetrader_client.tests.stub import Stub, stub_ledger
from pastetrader_client.tests.waiting import wait_until

ROOT = Path(__file__).resolve().parents[2]
BEGIN = """
import atexit, os, signal, sys, time
from pastetrader_client import Client
seconds = float(os.environ["SECONDS"])
client = Client(os.environ["URL"], "token", name="engine", spool=os.environ["SPOOL"], exit_seconds=seconds)
"""
IN_A_NODE = """
with client.run(workflow="w") as run, run.node("a") as node:
    node.info("begins")
    print("ready", flush=True)
    time.sleep(30)
"""

type Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Return a function that starts a program with a client."""
    started: list[subprocess.Popen[str]] = []

    def start(url: str, program: str, before: str = "", exit_seconds: float = 30) -> subprocess.Popen[str]:
        # Without any warning: Python warns of a fork in a process with threads.
        warnings = ["-W", "error", "-W", "ignore:This process:DeprecationWarning"]
        own = {"URL": url, "SPOOL": str(tmp_path), "SECONDS": str(exit_seconds), "PYTHONPATH": str(ROOT)}
        started.append(subprocess.Popen(
            [sys.executable, *warnings, "-c", before + BEGIN + program], cwd=ROOT, env=os.environ | own, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        ))  # fmt: skip
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


def ended(process: subprocess.Popen[str], *statuses: int) -> str:
    out, err = process.communicate(timeout=60)
    assert process.returncode in (statuses or (0,)), err
    return out + err


def ready(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"


WHOLE = ["execution.create", "execution.start", "node.create", "node.start", "node.complete", "execution.complete"]


@pytest.mark.parametrize("exit_", ["", "sys.exit(0)", "atexit.register(run.info, 'at exit')"])
def test_the_end_of_a_process_delivers_what_it_has_reported(start: Start, stub: Stub, exit_: str) -> None:
    program = f'with client.run(workflow="w") as run, run.node("a"): pass\n{exit_}'
    assert ended(start(stub.url, program)) == ""
    assert [kind for kind in stub.kinds if kind != "log"] == WHOLE
    assert stub.messages == (["at exit"] if "atexit" in exit_ else [])


def test_an_exception_that_ends_the_process_is_recorded(start: Start, stub: Stub) -> None:
    said = ended(start(stub.url, 'with client.run(workflow="w") as run, run.node("a"): {}["missing"]'), 1)
    assert "KeyError: 'missing'" in said
    assert stub.kinds[-2:] == ["node.fail", "execution.fail"]


def test_what_is_reported_by_handlers_that_run_after_the_clients_is_kept(
    start: Start, stub: Stub, tmp_path: Path
) -> None:
    """Handlers run in the opposite order of their registration."""
    early = "import atexit\nruns = []\natexit.register(lambda: runs[0].info('late'))\n"
    ended(start(stub.url, 'runs.append(client.run(workflow="w"))\nruns[0].start()', before=early))
    assert stub.kinds == ["execution.create", "execution.start"]
    assert ["late" in path.read_text() for path in spooled(tmp_path)] == [True]


AT_THE_LAST = """
class Resource:
    def __init__(self, run):
        self.run = run
    def __del__(self):
        self.run.info("released")
        self.run.complete()
resource = Resource(client.run(workflow="w"))
resource.run.start()
"""


def test_what_is_reported_while_the_interpreter_ends_is_kept(start: Start, stub: Stub, tmp_path: Path) -> None:
    assert ended(start(stub.url, AT_THE_LAST)) == ""
    assert stub.kinds == ["execution.create", "execution.start"]
    (path,) = spooled(tmp_path)
    assert [part in path.read_text() for part in ("released", "execution.complete")] == [True, True]


OUT_OF_SCOPE = """
import threading, weakref
def job():
    mine = Client(os.environ["URL"], "token", name="engine", spool=os.environ["SPOOL"], exit_seconds=seconds, {options})
    {body}
    return weakref.ref(mine)
def wait_until(condition):
    until = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.01)
"""
REPORTS = """with mine.run(workflow="w") as run, run.node("a"): pass"""


@pytest.mark.slow
@pytest.mark.parametrize("options", ["", "on_retry=print"])
def test_a_client_that_nobody_refers_to_any_more_loses_nothing_at_the_end_of_the_process(
    start: Start, away: str, tmp_path: Path, options: str
) -> None:
    program = OUT_OF_SCOPE.format(options=options, body=REPORTS) + "gone = job()\nwait_until(lambda: gone() is None)"
    assert "1 files in" in ended(start(away, program, exit_seconds=0.7))
    with stub_ledger(int(away.rpartition(":")[2])) as stub:
        ended(start(away, ""))
        assert stub.kinds == WHOLE
    assert not spooled(tmp_path)


@pytest.mark.slow
def test_clients_that_nobody_refers_to_any_more_share_the_seconds_at_the_end(
    start: Start, away: str, tmp_path: Path
) -> None:
    before = "import atexit, time\nbegan = []\natexit.register(lambda: print(time.monotonic() - began[0]))\n"
    program = (
        OUT_OF_SCOPE.format(options="", body=REPORTS)
        + """
gone = [job() for _times in range(8)]
wait_until(lambda: not any(each() for each in gone))
began.append(time.monotonic())
"""
    )
    said = ended(start(away, program, before, exit_seconds=3))
    assert float(said.split()[0]) < 15
    assert len(spooled(tmp_path)) == 8


def test_the_thread_of_a_client_that_nobody_refers_to_any_more_ends_after_it_has_delivered(
    start: Start, stub: Stub
) -> None:
    body = REPORTS + """; mine.report([{{"kind": "log", "workflow_execution": run.id, "message": "last"}}])"""
    program = (
        OUT_OF_SCOPE.format(options="", body=body.replace("{{", "{").replace("}}", "}"))
        + """
gone = [job() for _times in range(5)]
wait_until(lambda: [each.name for each in threading.enumerate()] == ["MainThread"])
os._exit(0 if not any(each() for each in gone) else 1)
"""
    )
    ended(start(stub.url, program))
    assert (stub.kinds.count("execution.complete"), stub.messages) == (5, ["last"] * 5)


def test_sigterm_fails_the_run_and_delivers_that(start: Start, stub: Stub) -> None:
    process = start(stub.url, IN_A_NODE)
    ready(process)
    process.send_signal(signal.SIGTERM)
    ended(process, 143)
    assert stub.kinds[-2:] == ["node.fail", "execution.fail"]
    assert stub.facts[-1]["error_message"] == "a: SystemExit: 143"


def test_a_handler_of_sigterm_that_the_program_has_is_kept(start: Start, stub: Stub) -> None:
    own = "import os, signal\nsignal.signal(signal.SIGTERM, lambda *_: os._exit(7))\n"
    process = start(stub.url, IN_A_NODE, before=own)
    ready(process)
    process.send_signal(signal.SIGTERM)
    ended(process, 7)


def test_an_interrupt_fails_the_run(start: Start, stub: Stub) -> None:
    # A shell lets what it starts in the background ignore the signal, and Python keeps that.
    hears = "import signal\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n"
    process = start(stub.url, IN_A_NODE, before=hears)
    ready(process)
    process.send_signal(signal.SIGINT)
    # Python ends by the signal itself, or with 1 if anything was imported after the error: its own flag is reset then.
    ended(process, -signal.SIGINT, 1)
    assert stub.facts[-1]["error_message"] == "a: KeyboardInterrupt: "


@pytest.mark.slow
def test_a_process_that_ends_while_the_ledger_is_away_leaves_its_facts_to_the_next(
    start: Start, away: str, tmp_path: Path
) -> None:
    before = "import atexit, time\nbegan = []\natexit.register(lambda: print(time.monotonic() - began[0]))\n"
    program = 'with client.run(workflow="w") as run, run.node("a"): pass\nbegan.append(time.monotonic())'
    said = ended(start(away, program, before, exit_seconds=0.7))
    assert float(said.split()[0]) < 5
    assert "1 files in" in said
    with stub_ledger(int(away.rpartition(":")[2])) as stub:
        assert ended(start(away, "")) == ""
        assert stub.kinds == WHOLE
    assert not spooled(tmp_path)


@pytest.mark.slow
def test_what_a_killed_process_had_in_its_file_is_sent_by_the_next(start: Start, away: str, tmp_path: Path) -> None:
    program = """
client.max = client._sender.outbox.max_bytes = 40_000
run = client.run(workflow="w")
run.start()
for number in range(400):
    run.info("line %d", number)
    time.sleep(0.002)
print("ready", flush=True)
time.sleep(30)
"""
    process = start(away, program)
    ready(process)
    wait_until(lambda: spooled(tmp_path))
    process.kill()
    process.communicate()
    with stub_ledger(int(away.rpartition(":")[2])) as stub:
        ended(start(away, ""))
        kept = [f"line {number}" for number in range(len(stub.messages))]
        assert stub.kinds[:2] == ["execution.create", "execution.start"]
        assert stub.messages == kept
        assert len(kept) > 100


FORK = """
run = client.run(workflow="w")
run.start()
run.info("before")
if os.fork() == 0:
    run.info("child")
    sys.exit(0)
os.wait()
run.info("parent")
run.complete()
"""
MULTI = """
import multiprocessing
def work(number):
    with client.attach(run).node(f"node {number}"):
        pass
if __name__ == "__main__":
    one = client.run(workflow="w")
    one.start()
    run = one.id
    assert client.flush()
    context = multiprocessing.get_context("fork")
    with one.node("first"):
        workers = [context.Process(target=work, args=(number,)) for number in range(3)]
        [worker.start() for worker in workers]
        [worker.join() for worker in workers]
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    one.complete()
"""


def test_a_fork_sends_its_own_facts_and_none_twice(start: Start, stub: Stub) -> None:
    ended(start(stub.url, FORK))
    assert sorted(stub.messages) == ["before", "child", "parent"]
    assert stub.twice() == set()
    assert stub.kinds.count("execution.create") == 1
    numbers = {line["message"]: (line["source"], line["seq"]) for line in stub.facts if line["kind"] == "log"}
    assert numbers["parent"] == (numbers["before"][0], 2)
    assert (numbers["child"][0] != numbers["parent"][0], numbers["child"][1]) == (True, 1)


LOCKS = """
import threading
run, held, go = client.run(workflow="w"), threading.Event(), threading.Event()
def hold():
    with client._lock:
        held.set()
        go.wait()
threading.Thread(target=hold, daemon=True).start()
held.wait()
if (child := os.fork()) == 0:
    run.info("child")
    sys.exit(0)
status = os.waitpid(child, 0)[1]
go.set()
sys.exit(status)
"""


def test_a_forked_process_does_not_wait_for_a_lock_of_its_parent(start: Start, stub: Stub) -> None:
    ended(start(stub.url, LOCKS))
    assert stub.messages == ["child"]


NUMBERS = """
client.close()
client = Client(os.environ["URL"], "token", name="engine", spool=os.environ["SPOOL"], source="worker-3")
client.attach("{run}").info("first")
if os.fork() == 0:
    client.attach("{run}").info("child")
    sys.exit(0)
os.wait()
"""


def test_a_forked_process_numbers_its_lines_under_a_name_of_its_own(start: Start, stub: Stub) -> None:
    ended(start(stub.url, NUMBERS.format(run=uuid7())))
    sources = {line["message"]: (line["source"], line["seq"]) for line in stub.facts}
    assert sources["first"] == ("worker-3", 1)
    assert (sources["child"][0].startswith("worker-3-"), sources["child"][1]) == (True, 1)


DEFINES = """
for number in range(2):
    with client.run(workflow="w", graph=["a", "b"]):
        pass
    client.add_stages("celery", (("a",), ("b",)))
    if number == 0 and os.fork():
        os.wait()
        break
"""


def test_a_forked_process_reports_the_graphs_that_its_parent_may_not_have_delivered(start: Start, stub: Stub) -> None:
    ended(start(stub.url, DEFINES))
    assert [stub.kinds.count(kind) for kind in ("workflow.ensure", "execution.complete")] == [4, 2]


def test_processes_of_multiprocessing_deliver_before_they_end(start: Start, stub: Stub) -> None:
    ended(start(stub.url, MULTI))
    names = [fact["node"] for fact in stub.facts if fact["kind"] == "node.create"]
    assert sorted(names) == ["first", "node 0", "node 1", "node 2"]
    assert stub.kinds.count("node.complete") == 4
    assert stub.kinds[-1] == "execution.complete"


def test_nothing_of_ours_is_imported() -> None:
    program = (
        "import sys, pastetrader_client.http_transport as _; print(*{name.partition('.')[0] for name in sys.modules})"
    )
    found: Any = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    names = set(found.stdout.split())
    assert not names & {"django", "executions", "workflows", "tokens", "ledgerkit", "pastetrader", "msgspec"}
    assert {"pastetrader_client", "httpx"} <= names
