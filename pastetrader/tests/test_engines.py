"""The engine of docs/engines.md, a shell script, and the example of the README, against a live server."""

import json
import os
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from pastetrader.tests.live_server import ROOT, Site
from pastetrader_client import Client, Node, NodeCancelled, Run, RunCancelled
from pastetrader_client.tests.waiting import wait_until

SCRIPT, RETRY = re.findall(
    r"^```bash\n(.*?)^```$", (ROOT / "docs" / "engines.md").read_text(), re.MULTILINE | re.DOTALL
)


def call(site: Site, token: str, path: str, body: Any = None) -> Any:
    """Return the JSON that a call of the API returns."""
    request = urllib.request.Request(f"{site.address}/api/v1/{path}", headers={"Authorization": f"Token {token}"})
    if body is not None:
        request.data = json.dumps(body).encode()
        request.add_header("Content-Type", "application/json")
    with urllib.request.urlopen(request, timeout=30) as response:
        return json.load(response)


def begin(site: Site, token: str, folder: Path, work: str) -> subprocess.Popen[str]:
    environment = os.environ | {"API": f"{site.address}/api/v1", "TOKEN": token, "WORK": work}
    return subprocess.Popen(
        ["bash", "-eu"], cwd=folder, env=environment, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def newest(site: Site, token: str) -> Any:
    run = call(site, token, "executions/?page_size=1")["results"][0]
    return call(site, token, f"executions/{run['id']}/?expand=nodes,logs")


@pytest.mark.parametrize(
    ("work", "status", "message"),
    [("echo copied", "completed", "copied"), ("echo 'a \"b\\'; exit 3", "failed", 'a "b\\')],
)
def test_an_engine_in_shell(site: Site, token: str, tmp_path: Path, work: str, status: str, message: str) -> None:
    out, err = begin(site, token, tmp_path, work).communicate(SCRIPT, timeout=60)
    assert err == ""
    assert '"refused":0' in out
    run = newest(site, token)
    assert (run["workflow_name"], run["status"], run["nodes"][0]["status"]) == ("Nightly copy", status, status)
    assert [line["message"].strip() for line in run["logs"]] == [message]


def test_the_example_of_the_readme_is_recorded_with_its_log(site: Site, token: str, tmp_path: Path) -> None:
    example = re.findall(r"^```python\n(.*?)^```$", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)[0]
    assert len(example.splitlines()) <= 12
    environment = {"API": f"{site.address}/api/v1", "TOKEN": token, "XDG_STATE_HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", example],
        cwd=ROOT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr.splitlines()[-1]) == (1, "IndexError: list index out of range")
    run = newest(site, token)
    assert (run["workflow_name"], run["status"]) == ("Load prices", "failed")
    assert run["error_message"] == "transform: IndexError: list index out of range"
    assert {node["node_name"]: node["status"] for node in run["nodes"]} == {
        "extract": "completed",
        "transform": "failed",
    }
    assert [line["message"] for line in run["logs"]] == ["read 2 rows"]
    graph = call(site, token, f"executions/{run['id']}/graph/")
    assert [node["name"] for node in graph["nodes"]] == ["extract", "transform", "load"]


def test_it_hears_of_a_cancel(site: Site, token: str, tmp_path: Path) -> None:
    process = begin(site, token, tmp_path, "sleep 30")
    assert process.stdin is not None
    process.stdin.write(SCRIPT)
    process.stdin.close()
    until = time.monotonic() + 20
    while (run := newest(site, token))["status"] != "running":
        assert time.monotonic() < until
        time.sleep(0.05)
    call(site, token, f"executions/{run['id']}/cancel/", {})
    assert process.wait(20) == 0
    assert process.stdout is not None
    assert process.stdout.read().endswith("cancelled\n")
    process.stdout.close()
    assert process.stderr is not None
    process.stderr.close()


def retry(site: Site, token: str, run: str, attempt: int) -> None:
    """Retry the run after this attempt of it has failed."""
    path = f"executions/{run}/"
    wait_until(lambda: (row := call(site, token, path))["status"] == "failed" and row["attempt"] == attempt)
    call(site, token, f"{path}retry/", {})


@contextmanager
def failing(site: Site, token: str, folder: Path, work: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run the script with the loop that asks for retries. Yield its process and its run."""
    earlier = {row["id"] for row in call(site, token, "executions/?page_size=500")["results"]}
    with begin(site, token, folder, work) as process:
        assert process.stdin is not None
        process.stdin.write(SCRIPT + RETRY)
        process.stdin.close()
        wait_until(lambda: {row["id"] for row in call(site, token, "executions/?page_size=500")["results"]} - earlier)
        yield process, newest(site, token)["id"]


def test_it_hears_of_each_retry_until_its_work_is_done(site: Site, token: str, tmp_path: Path) -> None:
    with failing(site, token, tmp_path, 'echo "attempt $ATTEMPT"; [ $ATTEMPT = 3 ]') as (process, run):
        for attempt in (1, 2):  # the second one fails too
            retry(site, token, run, attempt)
        assert process.wait(60) == 0  # it asks no more
    row = newest(site, token)
    assert (row["id"], row["status"], row["attempt"]) == (run, "completed", 3)
    assert [(node["status"], node["attempt"]) for node in row["nodes"]] == [("completed", 3)]
    assert [line["message"].strip() for line in row["logs"]] == ["attempt 1", "attempt 2", "attempt 3"]


def test_its_second_attempt_has_leases_and_hears_of_a_cancel(site: Site, token: str, tmp_path: Path) -> None:
    with failing(site, token, tmp_path, "[ $ATTEMPT = 2 ] && exec sleep 30") as (process, run):
        retry(site, token, run, 1)
        wait_until(lambda: newest(site, token)["nodes"][0]["status"] == "running")
        call(site, token, f"executions/{run}/cancel/", {})
        assert process.wait(20) == 0
        assert process.stdout is not None
        out = process.stdout.read()
    assert out.endswith("cancelled\n")
    leases = re.findall(r'"id":"([^"]+)","attempt":2,"token":"', out)
    assert leases == [run, newest(site, token)["nodes"][0]["id"]]


def test_it_asks_while_the_ledger_is_away_and_not_for_ever_about_a_run_that_is_gone(tmp_path: Path) -> None:
    send = 'send() { [ -e asked ] && echo \'{"applied":0,"refused":1}\' || { touch asked; return 22; }; }\n'
    done = subprocess.run(
        ["bash", "-euc", f"{send}RUN=gone STATUS=1\n{RETRY}"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    assert done.stdout == "nobody can retry it any more\n"


@pytest.fixture
def connect(site: Site, token: str) -> Iterator[Callable[..., Client]]:
    """Return a function that makes a client of the server; all are closed after the test."""
    clients: list[Client] = []

    def make(**options: Any) -> Client:
        clients.append(Client(site.address, token, spool=False, sigterm=False, heartbeat=0.2, **options))
        return clients[-1]

    yield make
    for client in clients:
        client.close()


def transitions(site: Site, token: str, run: str) -> list[tuple[str, str, str]]:
    """Return what moved, to which state and for which reason, oldest first."""
    rows = call(site, token, f"executions/{run}/history/")["results"]
    return [("node" if row["node_execution"] else "run", row["to_status"], row["reason"]) for row in rows]


def test_the_cancel_of_a_run_is_raised_at_the_next_call_of_its_node_after_the_callback(
    site: Site, token: str, connect: Callable[..., Client]
) -> None:
    heard: list[Run] = []
    client = connect(on_cancel=heard.append)

    def work() -> None:
        with client.run("Cancelled run") as run, run.node("load") as node:
            node.info("before")
            assert client.flush(30)
            call(site, token, f"executions/{run.id}/cancel/", {"reason": "wrong day"})
            wait_until(lambda: heard)  # nothing is reported meanwhile: the heartbeat hears of it
            node.info("not this")

    with pytest.raises(RunCancelled) as raised:
        work()
    assert client.flush(30)
    assert [run.id for run in heard] == [raised.value.run]
    run = newest(site, token)
    assert (run["id"], run["status"], run["nodes"][0]["status"]) == (raised.value.run, "cancelled", "cancelled")
    assert [line["message"] for line in run["logs"]] == ["before"]
    *before, last, cancel = transitions(site, token, run["id"])
    assert before == [("run", "pending", ""), ("run", "running", ""), ("node", "running", "")]
    assert {last, cancel} == {("run", "cancelled", "wrong day"), ("node", "cancelled", "wrong day")}


def test_the_cancel_of_a_node_is_raised_at_its_next_call_and_the_next_node_runs(
    site: Site, token: str, connect: Callable[..., Client]
) -> None:
    heard: list[Node] = []
    client = connect(on_node_cancel=heard.append)

    def load(run: Run) -> None:
        with run.node("load") as node:
            assert client.flush(30)
            call(site, token, f"node-executions/{node.id}/cancel/", {})
            wait_until(lambda: heard)
            node.info("not this")

    with client.run("Cancelled node", graph=["load", "rank"]) as run:
        with pytest.raises(NodeCancelled) as raised:
            load(run)
        with run.node("rank") as rank:
            rank.info("goes on")
    assert client.flush(30)
    assert [node.id for node in heard] == [raised.value.node]
    row = newest(site, token)
    assert (row["id"], row["status"]) == (run.id, "completed")
    assert {node["node_name"]: node["status"] for node in row["nodes"]} == {"load": "cancelled", "rank": "completed"}
    assert [line["message"] for line in row["logs"]] == ["goes on"]
    assert [(what, state) for what, state, _reason in transitions(site, token, run.id)] == [
        ("run", "pending"), ("run", "running"), ("node", "running"), ("node", "cancelled"),
        ("node", "running"), ("node", "completed"), ("run", "completed"),
    ]  # fmt: skip
