"""Celery's tasks as runs: a real worker, a real Redis, and the ledger over HTTP."""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from pastetrader.tests.celery_processes import (
    REDIS,
    Send,
    free_port,
    kill,
    run_python,
    start_redis,
    started_sender,
    started_worker,
)
from pastetrader.tests.live_server import Site
from pastetrader_client.tests.waiting import wait_until

pytestmark = pytest.mark.skipif(REDIS is None, reason="needs Debian's redis-server")
SECONDS = 60.0


@pytest.fixture(scope="module")
def environment(site: Site, token: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Start a Redis; yield the environment of producer and worker."""
    port, folder = free_port(), tmp_path_factory.mktemp("redis")
    redis = start_redis(port, folder)
    yield os.environ | {
        "BROKER": f"redis://127.0.0.1:{port}/0", "PASTETRADER_URL": site.address, "PASTETRADER_TOKEN": token,
        "XDG_STATE_HOME": str(folder),
    }  # fmt: skip
    redis.terminate()
    redis.wait()


@pytest.fixture(scope="module")
def worker(environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Start a worker of three processes; yield the file of its log."""
    log = tmp_path_factory.mktemp("worker") / "log"
    with started_worker(environment, log, "-c", "3"):
        yield log


# Each begins with a task; its id, or the id of the group, is the correlation id of the run.
CANVASES = {
    "single": "add.delay(1)",
    "chain": "first(chain(add.s(1), total.si([1]), price.si('GOOG'), add.si(5))())",
    "group": "group(add.s(i) for i in range(3))()",
    "chord": "first(chord([add.s(i) for i in range(3)], total.s())())",
    "retried": "flaky.delay()",
    "nested": "parent.delay()",
    "secret": "price.delay('GOOG', api_key='sk-4f9a8b7c')",
    "revoked": "revoked(slow.apply_async(countdown=3))",
    "expired": "slow.apply_async(expires=-1)",
    "killed": "killed_once.delay({marker!r})",
    "ignored": "ignored.delay()",
    "replaced": "replaced.delay()",
}


@pytest.fixture(scope="module")
def send(environment: dict[str, str]) -> Iterator[Send]:
    with started_sender(environment) as send:
        yield send


@pytest.fixture(scope="module")
def send_apart(apart: dict[str, str]) -> Iterator[Send]:
    with started_sender(apart) as send:
        yield send


@pytest.fixture(scope="module")
def sent(send: Send, worker: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Send all canvases; return the ids with which they began."""
    marker = str(tmp_path_factory.mktemp("killed") / "marker")
    return {name: send(code.format(marker=marker)) for name, code in CANVASES.items()}


type Find = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def find(site_api: httpx.Client) -> Find:
    """Return a function that waits until the run that began with an id has a status, and returns it with its nodes."""

    def wait(correlation_id: str, status: str = "completed", seconds: float = SECONDS) -> dict[str, Any]:
        until = time.monotonic() + seconds
        row: dict[str, Any] = {}
        while time.monotonic() < until:
            rows = site_api.get("/executions/", params={"correlation_id": correlation_id}).json()["results"]
            row = site_api.get(f"/executions/{rows[0]['id']}/", params={"expand": "nodes,logs"}).json() if rows else {}
            if row.get("status") == status:
                return row
            time.sleep(0.2)
        raise AssertionError(f"not {status}: {row}")

    return wait


def nodes_of(row: dict[str, Any]) -> list[tuple[str, str]]:
    return sorted((node["node_name"].rpartition(".")[2], node["status"]) for node in row["nodes"])


def test_a_task_is_a_run_of_one_node_with_its_log_arguments_and_result(
    sent: dict[str, str], find: Find, site_api: httpx.Client
) -> None:
    row = find(sent["single"], "completed")
    assert row["workflow_name"] == "pastetrader.tests.celery_app.add"
    assert row["trigger_type"] == "event"
    assert nodes_of(row) == [("add", "completed")]
    node = site_api.get(f"/node-executions/{row['nodes'][0]['id']}/").json()
    assert (node["input_data"], node["output_data"]) == ({"args": [1], "kwargs": {}}, 2)
    assert "adding 1 and 1" in [line["message"] for line in row["logs"]]


def test_a_chain_is_one_run_that_fails_where_a_task_fails(
    sent: dict[str, str], find: Find, site_api: httpx.Client
) -> None:
    row = find(sent["chain"], "failed")
    assert row["started_at"] <= min(node["started_at"] for node in row["nodes"])
    assert row["ended_at"] == max(node["ended_at"] for node in row["nodes"])
    assert nodes_of(row) == [("add", "completed"), ("price", "failed"), ("total", "completed")]
    assert row["error_message"] == "pastetrader.tests.celery_app.price: KeyError: 'GOOG'"
    failed = next(node for node in row["nodes"] if node["status"] == "failed")
    detail = site_api.get(f"/node-executions/{failed['id']}/").json()
    assert "raise KeyError(symbol)" in detail["error_traceback"]
    assert {("add", "total"), ("total", "price")} <= edges_of(row, site_api)


def edges_of(row: dict[str, Any], site_api: httpx.Client) -> set[tuple[str, str]]:
    """Return the edges of the graph that a run was created with."""
    graph = site_api.get(f"/executions/{row['id']}/graph/").json()
    names = {node["id"]: node["name"].rpartition(".")[2] for node in graph["nodes"]}
    return {(names[edge["source_node"]], names[edge["target_node"]]) for edge in graph["edges"]}


SEND_AT_ONCE = """
import os
from celery import chain
from pastetrader.tests.celery_app import *
for step in STEPS:
    if os.fork() == 0:
        begun = chain(opening.si(), step.si(), total.si([1]))().parent.parent
        os.write(1, f"{step.name.rpartition('.')[2]} {begun.id}\\n".encode())
        os._exit(not recorder.client.flush(60))
for _step in STEPS:
    assert os.wait()[1] == 0
"""


@pytest.mark.usefixtures("worker")
def test_the_first_run_of_each_chain_has_its_edges_when_several_processes_send_some_of_a_workflow_at_once(
    environment: dict[str, str], find: Find, site_api: httpx.Client
) -> None:
    sent = dict(line.split() for line in run_python(SEND_AT_ONCE, environment).splitlines())
    for step, id in sent.items():
        assert {("opening", step), (step, "total")} <= edges_of(find(id), site_api)
    assert len(sent) == 8


def test_the_tasks_of_a_group_are_one_run(sent: dict[str, str], find: Find) -> None:
    assert nodes_of(find(sent["group"], "completed")) == [("add", "completed")] * 3


SEND_SLOWLY = """
import time
from pastetrader.tests.celery_app import *
for number in range(3):
    add.apply_async((number,), group_id={group!r})
    recorder.client.flush(60)
    time.sleep(3)
"""


@pytest.mark.slow
@pytest.mark.usefixtures("worker")
def test_a_group_whose_tasks_are_sent_seconds_apart_is_one_run(environment: dict[str, str], find: Find) -> None:
    group = str(uuid4())
    run_python(SEND_SLOWLY.format(group=group), environment)
    assert nodes_of(find(group)) == [("add", "completed")] * 3


def test_a_chord_is_one_run_with_its_body(sent: dict[str, str], find: Find) -> None:
    row = find(sent["chord"], "completed")
    assert nodes_of(row) == [("add", "completed")] * 3 + [("total", "completed")]


def test_a_retry_is_another_attempt_of_the_node(sent: dict[str, str], find: Find, site_api: httpx.Client) -> None:
    row = find(sent["retried"], "completed")
    assert [node["attempt"] for node in row["nodes"]] == [2]
    attempts = site_api.get(f"/node-executions/{row['nodes'][0]['id']}/attempts/").json()["results"]
    assert [attempt["error_message"] for attempt in attempts] == ["ConnectionError: not yet"]


def test_a_task_that_a_task_sends_is_a_node_of_its_run(sent: dict[str, str], find: Find) -> None:
    assert nodes_of(find(sent["nested"], "completed")) == [("add", "completed"), ("parent", "completed")]


def test_a_secret_among_the_arguments_is_masked(sent: dict[str, str], find: Find, site_api: httpx.Client) -> None:
    row = find(sent["secret"], "failed")
    node = site_api.get(f"/node-executions/{row['nodes'][0]['id']}/").json()
    assert node["input_data"] == {"args": ["GOOG"], "kwargs": {"api_key": "***masked***"}}
    assert "sk-4f9a8b7c" not in str([row, node])


@pytest.mark.parametrize("canvas", ["revoked", "expired"])
def test_a_task_that_is_revoked_or_expires_cancels_its_run(canvas: str, sent: dict[str, str], find: Find) -> None:
    assert nodes_of(find(sent[canvas], "cancelled")) == [("slow", "cancelled")]


def test_a_task_whose_process_is_killed_is_delivered_and_recorded_again(sent: dict[str, str], find: Find) -> None:
    assert nodes_of(find(sent["killed"], "completed")) == [("killed_once", "completed")]


def test_a_task_that_is_ignored_is_completed(sent: dict[str, str], find: Find) -> None:
    assert nodes_of(find(sent["ignored"])) == [("ignored", "completed")]


def test_a_task_and_what_replaces_it_are_two_nodes(sent: dict[str, str], find: Find) -> None:
    assert nodes_of(find(sent["replaced"])) == [("add", "completed"), ("replaced", "completed")]


@pytest.fixture(scope="module")
def apart(environment: dict[str, str]) -> dict[str, str]:
    """Return the environment of processes with a queue of their own, which delivers again after a second."""
    broker = environment["BROKER"].removesuffix("/0") + "/1"
    return environment | {"BROKER": broker, "VISIBILITY_TIMEOUT": "1", "RUN_SECONDS": "10"}


SEND_ONE = "from pastetrader.tests.celery_app import *; print({task}.id)"


@pytest.mark.slow
def test_a_task_whose_worker_is_killed_is_recorded_by_the_worker_that_gets_it_again(
    apart: dict[str, str], find: Find, tmp_path: Path
) -> None:
    unlimited = apart | {"RUN_SECONDS": "0"}
    task = f"killed_with_its_worker.delay({str(tmp_path / 'marker')!r})"
    id = run_python(SEND_ONE.format(task=task), unlimited).strip()
    with started_worker(unlimited, tmp_path / "first", "-c", "1") as first:
        find(id, "running", 120)
        wait_until((tmp_path / "marker").exists)
        kill(first)
    with started_worker(unlimited, tmp_path / "second", "-c", "1"):
        assert nodes_of(find(id, "completed", 120)) == [("killed_with_its_worker", "completed")]


def test_a_task_whose_process_celery_ends_or_loses_is_failed(
    apart: dict[str, str], send_apart: Send, find: Find, tmp_path: Path
) -> None:
    """The worker is their own: a killed process takes with it what it has not delivered of the task before."""
    with started_worker(apart, tmp_path / "log", "-c", "1"):
        for task, error in (("too_long", "TimeLimitExceeded"), ("lost", "WorkerLostError")):
            row = find(send_apart(f"{task}.delay()"), "failed", 120)
            assert nodes_of(row) == [(task, "failed")]
            assert error in row["error_message"]


@pytest.mark.slow
def test_a_run_whose_worker_is_killed_with_the_message_is_ended_after_the_time_that_it_has(
    apart: dict[str, str], send_apart: Send, find: Find, tmp_path: Path
) -> None:
    with started_worker(apart, tmp_path / "first", "-c", "1") as first:  # whose start takes none of the time
        id = send_apart("slow.delay()")
        find(id, "running", 120)
        wait_until(lambda: "slow" in (tmp_path / "first").read_text().partition("ready.")[2])
        kill(first)
    assert find(id, "failed", 120)["error_code"] == "timed_out"


@pytest.mark.slow
def test_a_task_that_is_executed_while_redis_is_killed_is_recorded(
    environment: dict[str, str], find: Find, tmp_path: Path
) -> None:
    """Redis is back before the task ends, or cannot store its result: Celery takes that for a failure."""
    port, log = free_port(), tmp_path / "log"
    own = environment | {"BROKER": f"redis://127.0.0.1:{port}/0"}
    redis = start_redis(port, tmp_path)
    try:
        with started_worker(own, log, "-c", "1"):
            for status in ("completed", "failed"):
                marker = tmp_path / status
                id = run_python(SEND_ONE.format(task=f"waits_for.delay({str(marker)!r})"), own).strip()
                find(id, "running", 120)
                redis.kill()
                redis.wait()
                if status == "failed":
                    marker.touch()
                    wait_until(lambda: "raised outside body" in log.read_text())
                redis = start_redis(port, tmp_path)
                marker.touch()
                assert nodes_of(find(id, status, 120)) == [("waits_for", status)]
            later = run_python(SEND_ONE.format(task="add.delay(1)"), own).strip()
            assert nodes_of(find(later, "completed", 120)) == [("add", "completed")]
    finally:
        redis.kill()
        redis.wait()


@pytest.mark.usefixtures("worker")
def test_an_operators_cancel_stops_the_task(
    send: Send, find: Find, site_api: httpx.Client, environment: dict[str, str]
) -> None:
    id = send("cancelled_by_an_operator.delay()")
    row = find(id, "running")
    site_api.post(f"/executions/{row['id']}/cancel/", json={"reason": "wrong day"}).raise_for_status()
    assert nodes_of(find(id, "cancelled")) == [("cancelled_by_an_operator", "cancelled")]
    code = (
        "from pastetrader.tests.celery_app import app; from celery.exceptions import TaskRevokedError\n"
        f"try: app.AsyncResult({id!r}).get(timeout=30)\nexcept TaskRevokedError: print('revoked')"
    )
    assert run_python(code, environment) == "revoked\n"


def test_a_task_sent_by_a_process_that_does_not_report_is_recorded_by_the_worker(
    environment: dict[str, str], worker: Path, find: Find
) -> None:
    silent = {name: value for name, value in environment.items() if name != "PASTETRADER_URL"}
    code = "from pastetrader.tests.celery_app import *; print(sent_without_reporting.delay().id)"
    assert nodes_of(find(run_python(code, silent).strip(), "completed")) == [("sent_without_reporting", "completed")]


def test_a_retry_that_overtakes_the_end_of_the_attempt_before_is_recorded_after_it(
    sent: dict[str, str], send: Send, find: Find, site_api: httpx.Client
) -> None:
    find(sent["group"], "completed")  # other processes are idle
    row = find(send("unready.delay()"))
    assert [(node["status"], node["attempt"]) for node in row["nodes"]] == [("completed", 3)]
    attempts = site_api.get(f"/node-executions/{row['nodes'][0]['id']}/attempts/").json()["results"]
    errors = {attempt["number"]: attempt["error_message"] for attempt in attempts}
    assert errors == {1: "ConnectionError: not ready", 2: "The task asked for a retry."}
