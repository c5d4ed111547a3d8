"""Calls per second of the API compared with bare views that run the same SQL, by uvicorn and 8 clients, alternately.

`python -m benches.api [--seconds 1.5] [--rounds 3]` creates its own database beside the configured one, serves it in a
separate process on 127.0.0.1, measures, and removes it.
"""

import argparse
import http.client
import itertools
import json
import multiprocessing
import os
import re
import socket
import statistics
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import django
from django.apps import apps

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "pastetrader.settings")
if not apps.ready:  # a second call would remove the handlers of the logs
    django.setup()

import uvicorn  # what follows needs Django
from django.conf import settings
from django.contrib.auth import get_user_model
from django.db import connection, connections
from django.test import Client

from benches import bare
from executions import ingest
from executions.models import WorkflowExecution
from ledgerkit.db.models import uuid7
from tokens.models import Scope, Token
from workflows.models import Node, Workflow

CLIENTS = 8
RUNS = 30_000
LINES = 100
SIDES = ("api", "plain", "replay")  # "plain" and "replay" are in benches.bare


class Ledger:
    """Rows that the calls use: a workflow, its pending runs, and a running run with one node."""

    def __init__(self, runs: int = RUNS) -> None:
        user = get_user_model().objects.create_user("bench")
        _row, self.secret = Token.objects.issue(user=user, name="bench", scopes=list(Scope.values))
        self.workflow = Workflow.objects.create(owner=user, name="bench")
        self.node = Node.objects.create(workflow=self.workflow, name="load", node_type="tool")
        rows = [(uuid7(), self.workflow.pk, "manual", {"allow_concurrent": True}) for _ in range(runs)]
        ingest.copy(WorkflowExecution, ("id", "workflow", "trigger_type", "metadata"), rows)
        ingest.vacuum([WorkflowExecution])
        self.pending: Iterator[UUID] = iter([row[0] for row in rows])
        self.run = self.running()
        self.node_execution = self.run.add_node(self.node)

    def running(self) -> Any:
        run = WorkflowExecution.objects.get(pk=next(self.pending))
        run.start()
        return run

    @property
    def lines(self) -> list[dict[str, Any]]:
        node = str(self.node_execution.pk)
        return [
            {"level": "info", "message": f"loaded {n} rows of AAPL", "node_execution": node, "data": {"rows": n}}
            for n in range(LINES)
        ]

    @property
    def new(self) -> dict[str, Any]:
        return {
            "workflow": str(self.workflow.pk), "trigger_type": "event", "input_data": {"symbols": ["AAPL", "IBM"]},
            "context": {"variables": {"window": 63}}, "metadata": {"tags": ["bench"], "correlation_id": "abc"},
        }  # fmt: skip


COMPLETE = {"output_data": {"first": "GOOG", "rows": 2368}}


def calls_of(ledger: Ledger, what: str) -> Iterator[tuple[str, str, str, UUID | None, Any]]:
    """Yield without end: kind, method, path below the API, run, body."""
    if what == "create":
        yield from itertools.repeat(("create", "POST", "executions/", None, ledger.new))
    elif what == "transition":
        while True:
            run = next(ledger.pending)
            yield "start", "POST", f"executions/{run}/start/", run, {}
            yield "complete", "POST", f"executions/{run}/complete/", run, COMPLETE
    elif what == "100 lines":
        run = ledger.run.pk
        yield from itertools.repeat(("lines", "POST", f"executions/{run}/logs/", run, ledger.lines))
    else:
        yield from itertools.repeat(("list", "GET", "executions/?page_size=50", None, None))


WHAT = ("create", "transition", "100 lines", "list")


def record_all(ledger: Ledger) -> None:
    settings.ROOT_URLCONF = "benches.bare"
    client = Client(SERVER_NAME="127.0.0.1", headers={"Authorization": f"Token {ledger.secret}"})

    def call(side: str, kind: str, method: str, address: str, run: UUID | None, body: Any) -> None:
        with bare.record(kind if side == "api" else f"{side} {kind}", run):
            url = url_of(side, kind, address, run)
            answer = client.generic(method, url, _bytes(body), "application/json")
        if answer.status_code not in {200, 201}:
            raise SystemExit(f"{url}: {answer.status_code} {answer.content.decode()}")

    for what, side in itertools.product(WHAT, ("api", "plain")):
        for each in itertools.islice(
            calls_of(ledger, what), 4
        ):  # the later calls: the first one includes work that is done once a minute
            call(side, *each)
    node = ledger.node_execution.pk
    call("api", "node start", "POST", f"node-executions/{node}/start/", None, {})
    call("api", "node complete", "POST", f"node-executions/{node}/complete/", None, COMPLETE)


def url_of(side: str, kind: str, address: str, run: UUID | None) -> str:
    return f"/api/v1/{address}" if side == "api" else f"/{side}/{kind}/" + (f"{run}/" if run else "")


def measure(ledger: Ledger, port: int, what: str, side: str, seconds: float) -> float:
    """Return the calls per second of 8 clients, each with its own connection."""
    until, done, wrong = time.perf_counter() + seconds, [0] * CLIENTS, []
    headers = {"Authorization": f"Token {ledger.secret}", "Content-Type": "application/json"}
    bodies: dict[str, bytes] = {}

    def work(index: int) -> None:
        http_ = http.client.HTTPConnection("127.0.0.1", port)
        for kind, method, address, run, body in calls_of(ledger, what):
            url = url_of(side, kind, address, run)
            encoded = bodies.get(kind) or bodies.setdefault(kind, _bytes(body))
            http_.request(method, url, encoded, headers)
            answer = http_.getresponse()
            text = answer.read()
            if answer.status not in {200, 201}:
                wrong.append(f"{url}: {answer.status} {text[:500].decode()}")
                break
            if time.perf_counter() > until:
                break
            done[index] += 1

    threads = [threading.Thread(target=work, args=[index]) for index in range(CLIENTS)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if wrong:
        raise SystemExit(wrong[0])
    return sum(done) / (time.perf_counter() - began)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=1.5)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    warnings.filterwarnings("ignore", "No directory at")  # of static files, which nobody asks for here
    with scratch_database():
        ledger = Ledger()
        record_all(ledger)
        with served() as port:
            for what in WHAT:  # a first second of each to warm up
                for side in SIDES:
                    measure(ledger, port, what, side, 0.3)
            show(ledger, port, asked)


def show(ledger: Ledger, port: int, asked: argparse.Namespace) -> None:
    out(f"{'calls/s':<12}{'API':>8}{'bare view':>11}{'ratio':>7}{'bare SQL':>10}{'ratio':>7}")
    for what in WHAT:
        rounds: list[dict[str, float]] = []
        for number in range(asked.rounds):
            sides = SIDES[:: 1 if number % 2 else -1]
            rounds.append({side: measure(ledger, port, what, side, asked.seconds) for side in sides})
        api, plain, replay = (statistics.median(each[side] for each in rounds) for side in SIDES)
        ratios = [statistics.median(each["api"] / each[side] for each in rounds) for side in SIDES[1:]]
        out(f"{what:<12}{api:>8.0f}{plain:>11.0f}{ratios[0]:>7.2f}{replay:>10.0f}{ratios[1]:>7.2f}")
    out("\nSQL statements of one call, the token's included (in brackets: the bare view's, where they differ):")
    for kind, statements in bare.SEEN.items():
        if not kind.startswith("plain "):
            other = len(bare.SEEN.get(f"plain {kind}", statements))
            counts = f"{len(statements)}" + (f" ({other})" if other != len(statements) else "")
            out(f"  {kind:<14}{counts:<7}" + " · ".join(_short(each.sql) for each in statements))


@contextmanager
def scratch_database() -> Iterator[None]:
    """Create a migrated database beside the configured one, which is not changed; remove it at the end."""
    before = connection.settings_dict["NAME"]
    connection.settings_dict["TEST"]["NAME"] = f"bench_{before}"[:63]
    connection.creation.create_test_db(verbosity=0, autoclobber=True)
    try:
        yield
    finally:
        connections.close_all()
        connection.creation.destroy_test_db(before, verbosity=0)


@contextmanager
def served() -> Iterator[int]:
    listener = socket.create_server(("127.0.0.1", 0), backlog=128)
    connections.close_all()
    connection.close_pool()  # type: ignore[attr-defined]  # its threads would be lost in a fork
    process = multiprocessing.get_context("fork").Process(target=_serve, args=[listener], daemon=True)
    process.start()
    try:
        yield listener.getsockname()[1]
    finally:
        process.terminate()
        process.join(10)


def _serve(listener: socket.socket) -> None:
    config = uvicorn.Config(
        "pastetrader.asgi:application", lifespan="off", log_level="warning", access_log=False, server_header=False
    )
    uvicorn.Server(config).run(sockets=[listener])


def _short(sql: str) -> str:
    """Return the kind of a statement and its table, without the text in brackets."""
    while (outer := re.sub(r"\([^()]*\)", "", sql)) != sql:
        sql = outer
    words = sql.replace('"', "").split()
    table = next((words[index + 1] for index, word in enumerate(words) if word in {"FROM", "INTO", "UPDATE"}), "")
    return f"{words[0]} {table}"


def _bytes(body: Any) -> bytes:
    return b"" if body is None else json.dumps(body).encode()


def out(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
