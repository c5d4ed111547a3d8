"""Measure what open streams cost a writer: 1,000 lines/s to one run, with and without 200 viewers, in turns.

`python -m benches.live [--viewers 200] [--seconds 4] [--rounds 8] [--by api|copy] [--of api|log|page]` makes a database
of its own beside the configured one and serves it. Writer, server and viewers are a process each. What is
compared is how long a writer waits for a call of 100 lines: through the API of the server that also streams, or by COPY
past it. The viewers follow the API's stream, or that of one of the admin's pages; `--plain` ones take no gzip.
`--by notify` lets 8 writers commit single lines as fast as they can, to a run that is watched and to one that is not.
"""

import argparse
import http.client
import json
import multiprocessing
import statistics
import threading
import time
import warnings
from typing import Any

import psutil  # must come after django.setup()
from django.conf import settings
from django.db import connection, connections

from benches.ledger import Ledger, scratch_database, serve
from benches.output import out
from benches.viewers import OF, Viewers, request_of
from executions import ingest
from executions.live import listener
from executions.models import ExecutionLog

RATE, BATCH = 1_000, 100  # lines per second, and lines per call
WRITERS = 8
REST = 1.0  # seconds between two measurements, for pending cleanup
BUSY = "watched, and busy"  # as its topic marks a run that it polls

type Figures = dict[str, float]


def write(ledger: Ledger, port: int, by: str, seconds: float, results: Any) -> None:
    """Writer process: send the seconds of each call and the lines per second to the pipe `results`."""
    call = _by_api(ledger, port) if by == "api" else _by_copy(ledger)
    call()
    took, began = [], time.perf_counter()
    for number in range(int(seconds * RATE / BATCH)):
        time.sleep(max(0.0, began + number * BATCH / RATE - time.perf_counter()))
        before = time.perf_counter()
        call()
        took.append(time.perf_counter() - before)
    results.send((took, len(took) * BATCH / (time.perf_counter() - began + BATCH / RATE - took[-1])))


def _by_api(ledger: Ledger, port: int) -> Any:
    client = http.client.HTTPConnection("127.0.0.1", port)
    headers = {"Authorization": f"Token {ledger.secret}", "Content-Type": "application/json"}
    body = json.dumps(ledger.lines).encode()

    def call() -> None:
        client.request("POST", f"/api/v1/executions/{ledger.run.pk}/logs/", body, headers)
        answer = client.getresponse()
        if answer.status != 201:
            raise SystemExit(answer.read().decode())
        answer.read()

    return call


def _by_copy(ledger: Ledger) -> Any:
    def call() -> None:
        lines = [{**line, "node_execution_id": line["node_execution"]} for line in ledger.lines]
        for line in lines:
            del line["node_execution"]
        ingest.write_lines(ExecutionLog(workflow_execution=ledger.run, **line) for line in lines)

    return call


def measure(ledger: Ledger, port: int, options: argparse.Namespace, seconds: float) -> Figures:
    """Return the seconds of a call, the lines per second, and the processor seconds for 10,000 lines."""
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()
    before = {name: _busy(process) for name, process in options.processes.items()}
    writer = context.Process(target=write, args=(ledger, port, options.by, seconds, theirs), daemon=True)
    writer.start()
    took, pace = ours.recv()
    writer.join()
    share = 10_000 / BATCH / (len(took) + 1)
    busy = {name: (_busy(process) - before[name]) * share for name, process in options.processes.items()}
    return {"mean": statistics.mean(took), "median": statistics.median(took), "pace": pace, **busy}


def _busy(process: psutil.Process) -> float:
    """Return the CPU seconds of the process, of its children, and of children that have ended."""
    children = sum(sum(child.cpu_times()[:2]) for child in process.children())
    return sum(process.cpu_times()[:4]) + children


def compare(ledger: Ledger, port: int, options: argparse.Namespace) -> None:
    options.processes = {"server": _server(), "database": _database()}
    request = request_of(ledger, options.of, gzip=not options.plain)
    rounds: list[tuple[Figures, Figures]] = []
    measure(ledger, port, options, 1)
    for number in range(options.rounds):
        pair: dict[bool, Figures] = {}
        for seen in (True, False) if number % 2 else (False, True):
            time.sleep(REST)
            pair[seen] = (_with if seen else _without)(ledger, port, options, request)
        rounds.append((pair[False], pair[True]))
        out(_row(f"round {number + 1}", *rounds[-1]))
    conclude(rounds, options)


def _server() -> psutil.Process:
    return next(child for child in psutil.Process().children() if "python" in child.name())


def _database() -> psutil.Process:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        parent = psutil.Process(cursor.fetchone()[0]).parent()
    if parent is None:
        raise SystemExit("The database runs elsewhere: what it costs cannot be measured.")
    return parent


def _without(ledger: Ledger, port: int, options: argparse.Namespace, _request: bytes) -> Figures:
    return measure(ledger, port, options, options.seconds)


def _with(ledger: Ledger, port: int, options: argparse.Namespace, request: bytes) -> Figures:
    viewers = Viewers(port, request, options.viewers)
    size, busy, began = viewers.bytes.value, viewers.busy, time.perf_counter()
    figures = measure(ledger, port, options, options.seconds)
    seconds = time.perf_counter() - began
    figures |= {"viewers": (viewers.busy - busy) / seconds, "MB/s": (viewers.bytes.value - size) / seconds / 1e6}
    viewers.stop()
    return figures


def conclude(rounds: list[tuple[Figures, Figures]], options: argparse.Namespace) -> None:
    every = [
        {name: statistics.median(pair[side][name] for pair in rounds) for name in rounds[0][side]} for side in (0, 1)
    ]
    out(_row("median of the rounds", *every))
    for name in ("mean", "median"):
        ratios = sorted(seen[name] / alone[name] for alone, seen in rounds)
        out(
            f"{name} time of a call of {BATCH} lines, by {options.by}, with {options.viewers} viewers: "
            f"{statistics.median(ratios):.2f} of that without (from {ratios[0]:.2f} to {ratios[-1]:.2f})"
        )


def _middle(figures: list[Figures]) -> Figures:
    return {name: statistics.median(each[name] for each in figures) for name in figures[0]}


def _row(name: str, alone: Figures, seen: Figures) -> str:
    return (
        f"{name}: mean {alone['mean'] * 1e3:.1f} → {seen['mean'] * 1e3:.1f} ms, "
        f"median {alone['median'] * 1e3:.1f} → {seen['median'] * 1e3:.1f} ms, "
        f"{alone['pace']:.0f} → {seen['pace']:.0f} lines/s; processor for 10,000 lines: server {alone['server']:.2f} → "
        f"{seen['server']:.2f} s, database {alone['database']:.2f} → {seen['database']:.2f} s; "
        f"viewers {seen['viewers']:.1%} of a core at {seen['MB/s']:.1f} MB/s"
    )


def notify(ledger: Ledger, seconds: float, rounds: int) -> None:
    """Measure the commits per second of 8 writers of single lines: unwatched, with another run watched, and watched."""
    other = ledger.running().pk
    sides = {"nobody watches": [], "another run is watched": [other], "watched": [ledger.run.pk], BUSY: [ledger.run.pk]}
    found: dict[str, list[float]] = {side: [] for side in sides}
    seconds = min(seconds, listener.QUIET_SECONDS)
    for _ in range(rounds):
        for side, watched in sides.items():
            with connection.cursor() as cursor:
                cursor.execute("DELETE FROM execution_watches")
            if watched:
                listener.watch(watched)
            if side == BUSY:
                listener.suppress_notifications(ledger.run.pk)
            found[side].append(_commits(ledger, seconds))
    for side, rates in found.items():
        out(f"{side:<24}{statistics.median(rates):>8.0f} commits/s")


def _commits(ledger: Ledger, seconds: float) -> float:
    done, until = [0] * WRITERS, time.perf_counter() + seconds

    def work(index: int) -> None:
        statement = "INSERT INTO execution_logs (workflow_execution_id, level, message) VALUES (%s, 'info', 'a line')"
        with connection.cursor() as cursor:
            while time.perf_counter() < until:
                cursor.execute(statement, [ledger.run.pk])
                done[index] += 1
        connection.close()

    threads = [threading.Thread(target=work, args=[index]) for index in range(WRITERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(done) / seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--viewers", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--by", choices=["api", "copy", "notify"], default="api")
    parser.add_argument("--of", choices=OF, default="api")
    parser.add_argument("--plain", action="store_true")
    options = parser.parse_args()
    warnings.filterwarnings("ignore", "No directory at")  # of static files, which nobody asks for here
    settings.EXECUTIONS |= {"STREAMS_PER_USER": 10_000, "STREAMS": 10_000}  # before the first of them is read
    with scratch_database():
        ledger = Ledger()
        if options.by == "notify":
            notify(ledger, options.seconds, options.rounds)
            return
        with serve() as port:
            compare(ledger, port, options)
            connections.close_all()


if __name__ == "__main__":
    main()
