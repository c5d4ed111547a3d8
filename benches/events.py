"""Measure `POST events/` against the least SQL that stores as much: a whole run in a call, fifty runs in a call, and
5,000 log lines in a call, in turns.

`python -m benches.events [--rounds 5] [--profile run|runs|lines]` uses a database of its own. Both sides run in this
process. The least SQL of a run is an insert and two updates for it and for each node, and one insert of its lines, in
plain tables, pipelined in one transaction, without HTTP; that of lines is one COPY of text that is made before, into
the same table.
"""

import argparse
import cProfile
import json
import os
import pstats
import statistics
import time
from collections.abc import Callable
from typing import Any

import django
from django.apps import apps

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "pastetrader.settings")
if not apps.ready:  # a second call would remove the handlers of the logs
    django.setup()

from django.contrib.auth import get_user_model  # must come after django.setup()
from django.db import connection
from django.test import Client
from psycopg.types.json import Jsonb

from benches.ledger import scratch_database
from benches.output import out
from ledgerkit.db.models import uuid7
from pastetrader import startup
from tokens.models import Scope, Token
from workflows.models import Node, Workflow

NODES, LINES, MANY = 10, 100, 50
DOCUMENT = {"symbols": ["AAPL", "MSFT", "IBM"], "days": 120, "window": {"from": "2026-01-01", "to": "2026-11-28"}} | {
    f"key_{n}": n for n in range(6)
}
TABLES = """
CREATE TABLE least_run (id uuid PRIMARY KEY, state text NOT NULL, input jsonb, output jsonb,
    created_at timestamptz NOT NULL DEFAULT now(), started_at timestamptz, ended_at timestamptz);
CREATE INDEX ON least_run (state, created_at DESC);
CREATE TABLE least_node (id uuid PRIMARY KEY, run uuid NOT NULL, name text NOT NULL, place int NOT NULL,
    state text NOT NULL, input jsonb, output jsonb, created_at timestamptz NOT NULL DEFAULT now(),
    started_at timestamptz, ended_at timestamptz);
CREATE INDEX ON least_node (run, place);
CREATE TABLE least_line (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, run uuid NOT NULL,
    at timestamptz NOT NULL, level text NOT NULL, message text NOT NULL);
CREATE INDEX ON least_line (run, id);
"""
START = "UPDATE {} SET state = 'running', started_at = now() WHERE id = %s AND state = 'pending'"
END = "UPDATE {} SET state = 'completed', ended_at = now(), output = %s WHERE id = %s AND state = 'running'"


def message(number: int) -> str:
    return f"[{number}] fetched a batch and loaded its rows into the staging table ".ljust(120, "x")


class Ours:
    """The API, by Django's test client: the whole of middleware, authentication, masking and history."""

    def __init__(self) -> None:
        owner = get_user_model().objects.create_user("bench")
        self.workflow = Workflow.objects.create(owner=owner, name="bench")
        for n in range(NODES):
            Node.objects.create(workflow=self.workflow, name=f"step_{n}", node_type="tool")
        _row, token = Token.objects.issue(user=owner, name="bench", scopes=list(Scope.values))
        self.client = Client(headers={"Authorization": f"Token {token}", "Host": "127.0.0.1"})
        self.run = str(uuid7())
        self.send(self.body(self.new_run(self.run)[:2]))

    def send(self, body: bytes) -> None:
        answer = self.client.post("/api/v1/events/", body, content_type="application/json").json()
        if answer.get("refused", 1) or answer["known"]:
            raise SystemExit(str(answer)[:1_000])

    @staticmethod
    def body(facts: list[dict[str, Any]]) -> bytes:
        return json.dumps(facts).encode()

    def new_run(self, run: str) -> list[dict[str, Any]]:
        new = {"id": run, "workflow": str(self.workflow.pk), "trigger_type": "manual", "input_data": DOCUMENT}
        facts: list[dict[str, Any]] = [
            {"kind": "execution.create", "metadata": {"allow_concurrent": True}, **new},
            {"kind": "execution.start", "id": run},
        ]
        for n in range(NODES):
            node = {"id": str(uuid7()), "workflow_execution": run}
            facts += [
                {"kind": "node.create", "node": f"step_{n}", "input_data": DOCUMENT, **node},
                {"kind": "node.start", **node},
                {"kind": "node.complete", "output_data": DOCUMENT, **node},
            ]
        return [*facts, *self.lines(run, LINES), {"kind": "execution.complete", "id": run, "output_data": DOCUMENT}]

    @staticmethod
    def lines(run: str, number: int) -> list[dict[str, Any]]:
        line = {"kind": "log", "workflow_execution": run, "level": "info", "at": "2026-11-28T09:00:00.123456Z"}
        return [{"id": str(uuid7()), "message": message(n), **line} for n in range(number)]


def record_least(body: bytes) -> None:
    """Store a whole run in plain tables."""
    sent = json.loads(body)
    run = uuid7()
    driver: Any = connection.connection
    with connection.cursor() as wrapped, driver.transaction(), driver.pipeline():
        cursor = wrapped.cursor
        insert = "INSERT INTO least_run (id, state, input) VALUES (%s, 'pending', %s)"
        cursor.execute(insert, (run, Jsonb(sent["input"])), prepare=True)
        cursor.execute(START.format("least_run"), (run,), prepare=True)
        for place, name in enumerate(sent["nodes"]):
            node = uuid7()
            insert = (
                "INSERT INTO least_node (id, run, name, place, state, input) VALUES (%s, %s, %s, %s, 'pending', %s)"
            )
            cursor.execute(insert, (node, run, name, place, Jsonb(sent["input"])), prepare=True)
            cursor.execute(START.format("least_node"), (node,), prepare=True)
            cursor.execute(END.format("least_node"), (Jsonb(sent["input"]), node), prepare=True)
        lines = "INSERT INTO least_line (run, at, level, message) SELECT %s, now(), 'info', unnest(%s::text[])"
        cursor.execute(lines, (run, sent["lines"]), prepare=True)
        cursor.execute(END.format("least_run"), (Jsonb(sent["input"]), run), prepare=True)


def copy_least(text: bytes) -> None:
    """Copy lines into the ledger's own table."""
    columns = "id, workflow_execution_id, level, message, timestamp"
    with connection.cursor() as cursor, cursor.copy(f"COPY execution_logs ({columns}) FROM STDIN") as copy:
        copy.write(text)


def seconds(work: Callable[[bytes], None], bodies: list[bytes]) -> float:
    began = time.perf_counter()
    for body in bodies:
        work(body)
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--profile", choices=["run", "runs", "lines"])
    options = parser.parse_args()
    with scratch_database():
        with connection.cursor() as cursor:
            cursor.execute(TABLES)
        ours = Ours()
        startup.freeze_loaded_objects()  # as the server does
        work = {
            "run": lambda: [ours.body(ours.new_run(str(uuid7()))) for _ in range(20)],
            "runs": lambda: [ours.body([fact for _ in range(MANY) for fact in ours.new_run(str(uuid7()))])],
            "lines": lambda: [ours.body(ours.lines(ours.run, 5_000))],
        }
        if options.profile:
            profile(ours.send, work[options.profile]())
            return
        least = json.dumps({
            "input": DOCUMENT, "nodes": [f"step_{n}" for n in range(NODES)], "lines": list(map(message, range(LINES))),
        }).encode()  # fmt: skip
        rounds = range(options.rounds)
        out(f"{'stored a second':<34}{'events/':>12}{'least SQL':>12}{'ratio':>8}")
        for name, unit, of in (("runs, one in a call", 1, "run"), (f"runs, {MANY} in a call", MANY, "runs")):
            calls = [work[of]() for _ in rounds]
            show(name, [
                [unit * len(bodies) / seconds(ours.send, bodies), 20 / seconds(record_least, [least] * 20)]
                for bodies in calls
            ])  # fmt: skip
        texts = [
            "".join(f"{uuid7()}\t{ours.run}\tinfo\t{message(n)}\t2026-11-28 09:00:00.123456+00\n" for n in range(5_000))
            for _ in rounds
        ]
        bodies = [work["lines"]() for _ in rounds]
        rates = [
            [5_000 / seconds(ours.send, body), 5_000 / seconds(copy_least, [text.encode()])]
            for body, text in zip(bodies, texts, strict=True)
        ]
        show("lines, 5,000 in a call", rates)


def show(name: str, rates: list[list[float]]) -> None:
    mine, theirs = map(statistics.median, zip(*rates, strict=True))
    ratio = statistics.median(mine / theirs for mine, theirs in rates)
    out(f"{name:<34}{mine:>12,.0f}{theirs:>12,.0f}{ratio:>8.2f}")


def profile(work: Callable[[bytes], None], bodies: list[bytes]) -> None:
    """Print where the time of these calls goes."""
    profiler = cProfile.Profile()
    profiler.enable()
    for body in bodies:
        work(body)
    profiler.disable()
    pstats.Stats(profiler).sort_stats("tottime").print_stats(45)


if __name__ == "__main__":
    main()
