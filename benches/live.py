"""What open streams cost a writer: one run is logged 1,000 lines a second, with and without 200 viewers, in turns.

`python -m benches.live [--viewers 200] [--seconds 5] [--rounds 3] [--by api|copy]` makes a database of its own beside
the configured one and serves it. Writer, server and viewers are a process each; the viewers, which are no part of the
product, read without parsing, with less priority. What is compared is how long a writer waits for a call of 100
lines: through the API of the server that also streams, or by COPY past it. `--by notify` lets 8 writers commit single
lines as fast as they can, to a run that is watched and to one that is not.
"""

import argparse
import asyncio
import http.client
import json
import multiprocessing
import os
import statistics
import threading
import time
import warnings
from typing import Any

import psutil  # what follows needs Django, which benches.api has set up
from django.conf import settings
from django.db import connection, connections

from benches.api import Ledger, out, scratch_database, served
from executions import ingest
from executions.live import waiting
from executions.models import ExecutionLog

RATE, BATCH = 1_000, 100  # lines a second, and in a call
WRITERS = 8
BUSY = "watched, and busy"  # as the hub makes it for a run that is read all the time

type Figures = dict[str, float]


class Viewers:
    """A process that holds so many streams open."""

    def __init__(self, port: int, ledger: Ledger, number: int) -> None:
        context = multiprocessing.get_context("fork")
        self.opened, self.bytes = context.Value("i", 0), context.Value("q", 0)
        arguments = (port, ledger, number, self.opened, self.bytes)
        self.process = context.Process(target=_view, args=arguments, daemon=True)
        self.process.start()
        while self.opened.value < number:
            time.sleep(0.05)

    def stop(self) -> None:
        self.process.terminate()
        self.process.join()


def _view(port: int, ledger: Ledger, number: int, opened: Any, size: Any) -> None:
    os.nice(5)
    request = (
        f"GET /api/v1/executions/{ledger.run.pk}/stream/?from=now HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        f"Authorization: Token {ledger.secret}\r\n\r\n"
    ).encode()

    async def one() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**20)
        writer.write(request)
        await reader.readuntil(b"event: execution")
        opened.value += 1
        while part := await reader.read(2**20):
            size.value += len(part)

    async def everybody() -> None:
        await asyncio.gather(*(one() for _ in range(number)))

    asyncio.run(everybody())


def write(ledger: Ledger, port: int, by: str, seconds: float, told: Any) -> None:
    """In a process of its own: sends into `told` the seconds that each call took, and the pace that was kept."""
    call = _by_api(ledger, port) if by == "api" else _by_copy(ledger)
    call()
    took, began = [], time.perf_counter()
    for number in range(int(seconds * RATE / BATCH)):
        time.sleep(max(0.0, began + number * BATCH / RATE - time.perf_counter()))
        before = time.perf_counter()
        call()
        took.append(time.perf_counter() - before)
    told.send((took, len(took) * BATCH / (time.perf_counter() - began + BATCH / RATE - took[-1])))


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


def measure(ledger: Ledger, port: int, by: str, seconds: float, server: psutil.Process) -> Figures:
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()
    busy, began = _busy(server), time.perf_counter()
    writer = context.Process(target=write, args=(ledger, port, by, seconds, theirs), daemon=True)
    writer.start()
    took, pace = ours.recv()
    writer.join()
    share = (_busy(server) - busy) / (time.perf_counter() - began)
    return {"mean": statistics.mean(took), "median": statistics.median(took), "pace": pace, "server": share}


def _busy(process: psutil.Process) -> float:
    return sum(process.cpu_times()[:2])


def compare(ledger: Ledger, port: int, asked: argparse.Namespace) -> None:
    server = next(child for child in psutil.Process().children() if "python" in child.name())
    rounds: list[tuple[Figures, Figures]] = []
    measure(ledger, port, asked.by, 1, server)
    for number in range(asked.rounds):
        pair: dict[bool, Figures] = {}
        for with_viewers in (True, False) if number % 2 else (False, True):
            pair[with_viewers] = (
                _with(ledger, port, asked, server)
                if with_viewers
                else measure(ledger, port, asked.by, asked.seconds, server)
            )
        rounds.append((pair[False], pair[True]))
        out(_row(number + 1, *rounds[-1]))
    for name in ("mean", "median"):
        ratio = statistics.median(seen[name] / alone[name] for alone, seen in rounds)
        out(f"{name} time of a call of {BATCH} lines, by {asked.by}: {ratio:.2f} of that without viewers")


def _with(ledger: Ledger, port: int, asked: argparse.Namespace, server: psutil.Process) -> Figures:
    viewers = Viewers(port, ledger, asked.viewers)
    process, before, began = psutil.Process(viewers.process.pid), viewers.bytes.value, time.perf_counter()
    busy = _busy(process)
    figures = measure(ledger, port, asked.by, asked.seconds, server)
    seconds = time.perf_counter() - began
    figures |= {"viewers": (_busy(process) - busy) / seconds, "MB/s": (viewers.bytes.value - before) / seconds / 1e6}
    viewers.stop()
    return figures


def _row(number: int, alone: Figures, seen: Figures) -> str:
    return (
        f"round {number}: mean {alone['mean'] * 1e3:.1f} → {seen['mean'] * 1e3:.1f} ms, "
        f"median {alone['median'] * 1e3:.1f} → {seen['median'] * 1e3:.1f} ms, "
        f"{alone['pace']:.0f} → {seen['pace']:.0f} lines/s; of a core: server {alone['server']:.0%} → "
        f"{seen['server']:.0%}, viewers {seen['viewers']:.0%} at {seen['MB/s']:.0f} MB/s"
    )


def notify(ledger: Ledger, seconds: float, rounds: int) -> None:
    """Commits a second of 8 writers of single lines: unwatched, while another run is watched, and watched."""
    other = ledger.running().pk
    sides = {"nobody watches": [], "another run is watched": [other], "watched": [ledger.run.pk], BUSY: [ledger.run.pk]}
    found: dict[str, list[float]] = {side: [] for side in sides}
    seconds = min(seconds, waiting.QUIET)
    for _ in range(rounds):
        for side, watched in sides.items():
            with connection.cursor() as cursor:
                cursor.execute("DELETE FROM execution_watches")
            if watched:
                waiting.watch(watched)
            if side == BUSY:
                waiting.hush(ledger.run.pk)
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
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--by", choices=["api", "copy", "notify"], default="api")
    asked = parser.parse_args()
    warnings.filterwarnings("ignore", "No directory at")  # of static files, which nobody asks for here
    settings.EXECUTIONS_STREAMS_PER_USER = settings.EXECUTIONS_STREAMS = 10_000
    with scratch_database():
        ledger = Ledger()
        if asked.by == "notify":
            notify(ledger, asked.seconds, asked.rounds)
            return
        with served() as port:
            compare(ledger, port, asked)
            connections.close_all()


if __name__ == "__main__":
    main()
