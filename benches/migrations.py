"""Measure how long each migration blocks those who write: from the first migration of `executions` to the last, on a
full ledger, while two clients write and one reads.

`python -m benches.migrations [--runs 1000000] [--most 2.0]` uses a database of its own. It fails if a statement of a
client took longer than `--most` seconds while a migration ran. docs/development.md describes the pattern.
"""

import argparse
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self
from uuid import UUID, uuid4

import django
from django.apps import apps

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "pastetrader.settings")
if not apps.ready:  # a second call would remove the handlers of the logs
    django.setup()

import psycopg  # must come after django.setup()
from django.core.management import call_command
from django.db import connection, connections
from django.db.migrations.executor import MigrationExecutor

from benches.output import out
from executions import partitions, unpooled_connection
from ledgerkit.db.timeouts import no_limit

FIRST = ("executions", "0001_initial")
# One workflow with one node, and its runs, most of them completed, with one node execution and one log line each.
FILL = """
INSERT INTO workflows (id, name) SELECT md5('workflow' || n)::uuid, 'workflow ' || n FROM generate_series(1, 100) AS n;
INSERT INTO nodes (id, workflow_id, name, node_type)
    SELECT md5('node' || n)::uuid, md5('workflow' || n)::uuid, 'load', 'tool' FROM generate_series(1, 100) AS n;
INSERT INTO workflow_executions (workflow_id, trigger_type, status, started_at, ended_at, error_message)
    SELECT md5('workflow' || 1 + n % 100)::uuid, 'schedule', CASE n % 20 WHEN 0 THEN 'failed' ELSE 'completed' END,
        now(), now(), CASE n % 20 WHEN 0 THEN 'ValueError: line ' || n END
    FROM generate_series(1, {runs}) AS n;
INSERT INTO node_executions (workflow_execution_id, node_id, execution_order, status, started_at, ended_at)
    SELECT runs.id, nodes.id, 1, runs.status, now(), now()
    FROM workflow_executions AS runs JOIN nodes USING (workflow_id);
INSERT INTO execution_logs (workflow_execution_id, level, message)
    SELECT id, 'info', 'loaded the rows of a day' FROM workflow_executions;
ANALYZE;
"""
# Valid in the schema of every migration. Each is a transaction of its own.
INSERT_RUN = """
INSERT INTO workflow_executions (id, workflow_id, trigger_type, metadata)
VALUES (%(run)s, md5('workflow1')::uuid, 'manual', '{"allow_concurrent": true}')
"""
INSERT_NODE = """
INSERT INTO node_executions (id, workflow_execution_id, node_id, execution_order, status, started_at)
VALUES (%(node)s, %(run)s, md5('node1')::uuid, 1, 'running', now())
"""
WRITE = (
    INSERT_RUN,
    "UPDATE workflow_executions SET status = 'running', started_at = now() WHERE id = %(run)s",
    INSERT_NODE,
    "INSERT INTO execution_logs (workflow_execution_id, level, message) VALUES (%(run)s, 'info', 'a line')",
    "UPDATE node_executions SET status = 'completed', ended_at = now() WHERE id = %(node)s",
    "UPDATE workflow_executions SET status = 'completed', ended_at = now() WHERE id = %(run)s",
)
READ = ("SELECT id FROM workflow_executions ORDER BY created_at DESC, id DESC LIMIT 50",)


class Client(threading.Thread):
    """Send statements in a loop. `longest` is the duration in seconds of the longest one since `restart()`, with the
    one that is under way."""

    def __init__(self, statements: tuple[str, ...]) -> None:
        super().__init__(daemon=True)
        self.statements, self.is_stopped = statements, threading.Event()
        self.restart()

    def restart(self) -> None:
        self._longest, self.number, self._since = 0.0, 0, time.monotonic()
        self.faults: list[str] = []

    @property
    def longest(self) -> float:
        return max(self._longest, time.monotonic() - self._since)

    def run(self) -> None:
        with psycopg.connect(**unpooled_connection.parameters(), autocommit=True) as client:
            while not self.is_stopped.is_set():
                ids = {"run": uuid4(), "node": uuid4()}
                for statement in self.statements:
                    self._send(client, statement, ids)

    def _send(self, client: psycopg.Connection, statement: str, values: dict[str, UUID]) -> None:
        self._since = time.monotonic()
        try:
            client.execute(statement, values if "%(" in statement else None)
        except psycopg.Error as error:
            self.faults.append(str(error))
        self._longest, self.number = max(self._longest, time.monotonic() - self._since), self.number + 1


class Clients:
    """Two that write and one that reads, for as long as the block lasts."""

    def __init__(self) -> None:
        self.all = [Client(WRITE), Client(WRITE), Client(READ)]

    def __enter__(self) -> Self:
        for client in self.all:
            client.start()
        return self

    def __exit__(self, *_error: tuple[type[BaseException], BaseException, TracebackType]) -> None:
        for client in self.all:
            client.is_stopped.set()
        for client in self.all:
            client.join()

    def measure(self, name: tuple[str, str]) -> tuple[float, float, int]:
        """Apply a migration. Return its seconds, those of the longest statement meanwhile, and their number."""
        for client in self.all:
            client.restart()
        started = time.monotonic()
        MigrationExecutor(connection).migrate([name])
        seconds = time.monotonic() - started
        return seconds, max(client.longest for client in self.all), sum(client.number for client in self.all)


def remaining() -> Iterator[tuple[str, str]]:
    executor = MigrationExecutor(connection)
    for migration, _backwards in executor.migration_plan(executor.loader.graph.leaf_nodes()):
        yield migration.app_label, migration.name


def fill(runs: int) -> None:
    call_command("migrate", *FIRST, verbosity=0)
    partitions.make_ahead()
    with no_limit(), connection.cursor() as cursor:
        cursor.execute(FILL.format(runs=runs))


def measure(runs: int, most: float) -> list[str]:
    """Print a line for each migration; return what went wrong."""
    fill(runs)
    faults: list[str] = []
    out(f"{runs:,} runs, node executions and log lines; longest statement of two writers and a reader")
    with no_limit(), Clients() as clients:
        time.sleep(2)
        out(f"{max(client.longest for client in clients.all):8.3f} s  before the first")
        for name in list(remaining()):
            seconds, longest, number = clients.measure(name)
            out(f"{longest:8.3f} s  {'.'.join(name):50} {seconds:8.2f} s, {number:,} statements meanwhile")
            found = [fault for client in clients.all for fault in client.faults]
            found += [f"blocked a client for {longest:.1f} s"] if longest > most else []
            faults += [f"{'.'.join(name)}: {fault}" for fault in found]
    return faults


@contextmanager
def empty_database() -> Iterator[None]:
    """Create an empty database beside the configured one, which is not changed; remove it at the end."""
    before, name = connection.settings_dict["NAME"], f"bench_migrations_{os.getpid()}"
    with psycopg.connect(**unpooled_connection.parameters(), autocommit=True) as server:
        server.execute(f"CREATE DATABASE {name}")
        connections.close_all()
        connection.settings_dict["NAME"] = name
        try:
            yield
        finally:
            connection.close()
            connection.settings_dict["NAME"] = before
            server.execute(f"DROP DATABASE {name} WITH (FORCE)")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=1_000_000)
    parser.add_argument("--most", type=float, default=2.0, help="seconds that a statement may take")
    options = parser.parse_args()
    with empty_database():
        if faults := measure(options.runs, options.most):
            raise SystemExit("\n".join(faults))


if __name__ == "__main__":
    main()
