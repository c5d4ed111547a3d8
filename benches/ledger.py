"""A ledger for the benchmarks: the rows that they use, in a database of their own, and its server."""

import multiprocessing
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import django
from django.apps import apps

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "pastetrader.settings")
if not apps.ready:  # a second call would remove the handlers of the logs
    django.setup()

import uvicorn  # must come after django.setup()
from django.contrib.auth import get_user_model
from django.db import connection, connections

from executions import ingest
from executions.models import WorkflowExecution
from ledgerkit.db.models import uuid7
from tokens.models import Scope, Token
from workflows.models import Node, Workflow

RUNS = 30_000
LINES = 100


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


COMPLETE = {"output_data": {"first": "GOOG", "rows": 2368}}


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
def serve() -> Iterator[int]:
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
