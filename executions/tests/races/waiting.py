"""Threads that wait for a lock, and secrets that are stored meanwhile."""

import threading
import time
from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.db import connection, transaction

from executions.models import ExecutionLog, NodeExecution, WorkflowExecution
from executions.tests.acceptance import race
from workflows.models import Workflow

SECRET = "swordfish-99"


def verb(row: Any, name: str, *arguments: Any) -> Callable[[], str]:
    """Return a call of the verb on an object of its own, read before the race begins."""
    mine = type(row).objects.get(pk=row.pk)

    def say() -> str:
        getattr(mine, name)(*arguments)
        return name

    return say


def reveal(run: UUID, secret: str = SECRET) -> None:
    ExecutionLog.objects.create(workflow_execution_id=run, level="info", message="of it", data={"password": secret})


def read_with_secrets(row: Any) -> Any:
    """Return the run with the columns that the API reads for a verb."""
    return (type(row).objects.with_run() if isinstance(row, NodeExecution) else type(row).objects).get(pk=row.pk)


def read_without_secrets(row: Any) -> Any:
    rows = type(row).objects.all() if isinstance(row, NodeExecution) else type(row).objects.defer("encrypted_secrets")
    return rows.get(pk=row.pk)


def while_it_waits(run: UUID, act: Callable[[], Any]) -> None:
    """Store a secret in a transaction that commits as soon as the act waits for it."""
    with transaction.atomic():
        reveal(run)
        other = begin(act)
    other.join()


def begin(act: Callable[[], Any]) -> threading.Thread:
    other = threading.Thread(target=lambda: race([act]))
    other.start()
    while other.is_alive() and not somebody_waits():
        time.sleep(0.01)
    return other


def new_run(workflow: Workflow) -> WorkflowExecution:
    run: WorkflowExecution = WorkflowExecution.objects.create(workflow=workflow, trigger_type="event")
    return run


def somebody_waits() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_clear_snapshot()")  # else a transaction sees for ever what it saw first
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        )
        return bool(cursor.fetchone()[0])
