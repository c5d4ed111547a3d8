"""Engines report while the server is killed and PostgreSQL restarted: each fact is stored, and once."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest

from local_postgres.cluster import Cluster
from local_postgres.socket_path import socket_dir
from pastetrader.tests.conftest import connect, kill, start
from pastetrader.tests.live_server import ALL_SCOPES, ROOT
from pastetrader.tests.proofs import LONG, times

ENGINES = times(2, 8)
SECONDS = times(7, int(os.environ.get("SOAK_SECONDS", "300")))
KILLS, RESTARTS = times(1, 3), times(1, 2)
CONTROLS = times(1, 4)  # engines that report nothing, at the same time
NAMES = [f"engine {number}" for number in range(ENGINES)] + [f"control {number}" for number in range(CONTROLS)]
SLOW = 0.05  # seconds: no call takes longer, but for the time for which the system lets other processes run instead
# Of the calls, but for the time for which the calling thread alone was stopped. In the others the reporter's thread may
# have been stopped, with Python's lock.
NEARLY_ALL = 0.9999 if LONG else 0.999


class Server:
    """`manage.py serve` on a database that somebody else runs, at the same port each time."""

    def __init__(self, home: Path, data_dir: Path) -> None:
        address = f"postgresql://postgres@/pastetrader?host={socket_dir(data_dir)}"
        self.environment = os.environ | {"DATABASE_URL": address, "PASTETRADER_LOCAL": str(home)}
        self.port = "0"
        self.process: subprocess.Popen[str] | None = None

    def manage(self, *arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments], cwd=ROOT, env=self.environment, capture_output=True, text=True,
            check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def start(self, *options: str) -> None:
        # Behind the engines: what is measured is how long their calls take.
        command = ["nice", "-n", "10", sys.executable, "manage.py", "serve", "--port", self.port, *options]
        self.process = subprocess.Popen(
            command, cwd=ROOT, env=self.environment, text=True, start_new_session=True,
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if found := re.search(r"Admin http://\S+:(\d+)/", line):
                self.port = found[1]
            if "Ctrl-C stops" in line:
                return
        raise AssertionError("The server did not start.")

    def kill(self) -> None:
        if self.process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.communicate()


@pytest.fixture
def cluster(ready: None, data_dir: Path) -> Cluster:
    made = Cluster(data_dir, durable=True)  # without it, a killed PostgreSQL forgets what it has confirmed
    start(made)
    return made


@pytest.fixture
def server(cluster: Cluster, data_dir: Path) -> Iterator[Server]:
    made = Server(data_dir.parent, data_dir)
    made.start("--superuser")
    yield made
    made.kill()


def disturb(server: Server, cluster: Cluster, until: float) -> None:
    """Kill the server and restart PostgreSQL in turn, at even distances."""
    acts = [*["kill"] * KILLS, *["restart"] * RESTARTS]
    acts = [acts.pop(0 if number % 2 == 0 else -1) for number in range(len(acts))]
    pause = (until - time.monotonic()) / (len(acts) + 1)
    for number, act in enumerate(acts):
        time.sleep(pause if number == 0 else max(0.5, pause - 3))
        if act == "kill":
            server.kill()
            server.start()
        else:
            leader = cluster.start()
            assert leader is not None
            kill(leader)
            cluster.start()


@pytest.fixture
def engines(server: Server, tmp_path: Path) -> Iterator[list[subprocess.Popen[str]]]:
    token = server.manage("create_token", "admin", *ALL_SCOPES)
    environment = os.environ | {"URL": f"http://127.0.0.1:{server.port}", "TOKEN": token, "SPOOL": str(tmp_path)}
    started = [
        subprocess.Popen(
            [sys.executable, "-m", "pastetrader_client.tests.soak_engine", name, str(SECONDS)],
            cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for name in NAMES
    ]  # fmt: skip
    yield started
    for engine in started:
        engine.kill()
        engine.communicate()


@pytest.mark.slow
def test_each_fact_is_stored_once_whatever_is_killed(
    server: Server, cluster: Cluster, engines: list[subprocess.Popen[str]], tmp_path: Path
) -> None:
    disturb(server, cluster, time.monotonic() + SECONDS)
    found = []
    for engine in engines:
        out, err = engine.communicate(timeout=SECONDS + 180)
        assert engine.returncode == 0, err
        assert "the ledger refused" not in err
        found.append(json.loads(out))
    reporting, controls = found[:ENGINES], found[ENGINES:]
    assert all(each["delivered"] for each in reporting)
    assert list(tmp_path.rglob("*.facts")) == []
    with connect(cluster.data_dir) as connection:
        each_is_stored_once(connection, reporting)
    longest = max(each["longest"] for each in reporting)
    own, others, unstopped = Calls(reporting), Calls(controls), Calls(reporting, "own_times")
    sys.stdout.write(
        f"\n{ENGINES} engines, {SECONDS} s, {KILLS} kills, {RESTARTS} restarts: "
        f"{sum(len(each['ids']['runs']) for each in reporting)} runs, "
        f"{sum(each['lines'] for each in reporting)} lines\n"
        f"calls that report:          {own}\ncalls that report nothing:  {others}\n"
        f"calls that report, without the time for which the system stopped the calling thread: {unstopped}\n"
        f"longest call, without the time for which the system stopped its process: {longest * 1e3:.1f} ms\n"
    )
    if Path("/proc/self/schedstat").exists():
        assert longest <= SLOW
        assert unstopped.at(NEARLY_ALL) <= SLOW


class Calls:
    """Durations of the calls of some engines, in seconds."""

    def __init__(self, engines: list[Any], kind: str = "times") -> None:
        self.times = sorted(time for engine in engines for time in engine[kind])
        self.number = len(self.times)
        self.slow = sum(time > SLOW for time in self.times)

    def at(self, part: float) -> float:
        """Return the time that this part of the calls did not exceed."""
        return self.times[min(int(self.number * part), self.number - 1)]

    def __str__(self) -> str:
        parts = ", ".join(f"p{part * 100:g} {self.at(part) * 1e3:.1f}" for part in (0.99, 0.999, 0.9999))
        return (
            f"{self.number}, median {self.at(0.5) * 1e6:.0f} µs; in ms {parts}, longest {self.times[-1] * 1e3:.1f}; "
            f"{self.slow} took over {SLOW * 1e3:.0f} ms"
        )


def each_is_stored_once(connection: psycopg.Connection, found: list[Any]) -> None:
    tables = {"runs": "workflow_executions", "nodes": "node_executions", "lines": "execution_logs"}
    for kind, table in tables.items():
        sent = [id for each in found for id in each["ids"][kind]]
        stored = [str(id) for (id,) in connection.execute(f"SELECT id FROM {table}")]
        assert len(stored) == len(sent) == len(set(sent)) > 0
        assert set(stored) == set(sent)
    messages = [message for (message,) in connection.execute("SELECT message FROM execution_logs")]
    assert sorted(messages) == sorted(f"line {n} of {each['name']}" for each in found for n in range(each["lines"]))
    for table in ("workflow_executions", "node_executions"):
        states = connection.execute(f"SELECT DISTINCT status, attempt FROM {table}").fetchall()
        assert states == [("completed", 1)]
    moves = "SELECT count(*), count(DISTINCT (workflow_execution_id, node_execution_id, attempt, to_status)) FROM %s"
    total, distinct = connection.execute(moves.replace("%s", "execution_history")).fetchone() or (0, 1)
    runs, nodes = (sum(len(each["ids"][kind]) for each in found) for kind in ("runs", "nodes"))
    assert total == distinct == 3 * runs + 2 * nodes  # created, started, completed
