"""`manage.py serve` with several processes: one address, limits that hold over all of them, and one end."""

import json
import os
import signal
import urllib.error
import urllib.request
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from pastetrader.tests.conftest import postmaster
from pastetrader.tests.live_server import ALL_SCOPES, Serve, Site
from pastetrader.tests.prepared_folder import manage
from pastetrader_client.tests.waiting import wait_until

METRICS_TOKEN = "a-token-of-the-metrics"
STREAMS, WRONG, WRITES = 5, 6, 10  # that are allowed
TRIES = 24  # connections, of which each worker gets some: that one gets them all happens once in 2**23 times


@pytest.fixture
def site(serve: Serve, ready: None, monkeypatch: pytest.MonkeyPatch) -> Site:
    monkeypatch.setenv("EXECUTIONS_STREAMS_PER_USER", str(STREAMS))
    monkeypatch.setenv("TOKEN_FAILURES", str(WRONG))
    monkeypatch.setenv("THROTTLE_WRITE", f"{WRITES}/hour")
    monkeypatch.setenv("DATABASE_POOL_MAX", "60")
    monkeypatch.setenv("EXECUTIONS_UPKEEP_EVERY_SECONDS", "0")  # only processes that serve
    monkeypatch.setenv("METRICS_TOKEN", METRICS_TOKEN)
    return serve("--workers", "2")


def ask(site: Site, path: str, token: str, body: Any = None) -> Any:
    """Return the open response, or its error, of a connection of its own."""
    headers = {"Authorization": f"Token {token}", "Content-Type": "application/json"}
    content = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{site.address}/api/v1/{path}", content, headers)
    try:
        return urllib.request.urlopen(request, timeout=30)
    except urllib.error.HTTPError as error:
        return error


def metrics(site: Site) -> dict[str, float]:
    """Return the counters and gauges by name and labels, as one of the processes shows them."""
    request = urllib.request.Request(f"{site.address}/metrics", headers={"Authorization": f"Bearer {METRICS_TOKEN}"})
    with urllib.request.urlopen(request, timeout=30) as response:
        lines = response.read().decode().splitlines()
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if line[0] != "#")}


def statuses(stack: ExitStack, site: Site, path: str, token: str, body: Any = None) -> list[int]:
    return [stack.enter_context(ask(site, path, token, body)).status for _ in range(TRIES)]


def test_several_processes_serve_one_address_and_end_as_one(site: Site, data_dir: Path) -> None:
    """One server for all of it: starting one takes seconds."""
    assert site.output.count("Admin http") == 1
    assert "The database allows 97 connections: each of 2 processes opens 38 at most." in site.output
    token = manage("create_token", "admin", *ALL_SCOPES, local=site.local).stdout.strip()
    workflow = json.load(ask(site, "workflows/", token, {"name": "one"}))
    body = {"workflow": workflow["id"], "trigger_type": "event"}
    stream = f"executions/{json.load(ask(site, 'executions/', token, body))['id']}/stream/"

    with ExitStack() as stack:
        assert sorted(statuses(stack, site, stream, token)) == [200] * STREAMS + [429] * (TRIES - STREAMS)
    with ExitStack() as stack:
        assert statuses(stack, site, "executions/", "ptl_wrong") == [401] * WRONG + [429] * (TRIES - WRONG)
    counted = [metrics(site) for _ in range(TRIES)]  # of either process
    refused = {each['pastetrader_refusals_total{code="throttled"}'] for each in counted}
    assert refused == {2 * TRIES - STREAMS - WRONG}, "those of both processes together"
    assert {each['pastetrader_pool_connections{state="open"}'] > 0 for each in counted} == {True}
    left = WRITES - 2
    with ExitStack() as stack:
        assert statuses(stack, site, "executions/", token, {}) == [400] * left + [429] * (TRIES - left)

    before = site.children()
    assert len(before) == 2
    before[0].kill()
    wait_until(lambda: len(site.children()) == 2 and before[0] not in site.children())
    with ExitStack() as stack:
        assert set(statuses(stack, site, "executions/", token)) == {200}
        assert statuses(stack, site, stream, token).count(200) == STREAMS, "those of the killed one do not count"

    code, err = site.interrupt(signal.SIGINT)
    assert (code, site.output.splitlines()[-1]) == (0, "Stopped.")
    assert "A worker process ended (-9); another one is started." in err
    assert "Traceback" not in err
    assert postmaster(data_dir) is None


def test_workers_end_with_a_parent_that_is_killed(site: Site, data_dir: Path) -> None:
    wait_until(lambda: len(site.children()) == 2)
    with ExitStack() as stack:
        statuses(stack, site, "executions/", "")  # each uses the database then
    left = site.children()
    os.kill(site.process.pid, signal.SIGKILL)
    wait_until(lambda: not any(each.is_running() for each in left))
    wait_until(lambda: postmaster(data_dir) is None)
