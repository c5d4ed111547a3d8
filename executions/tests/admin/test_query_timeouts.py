"""Queries that exceed their time limit: the page says so and how to narrow them, and never looks empty."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connection, transaction
from django.test import Client

from executions import limits
from executions.tests.factories import WorkflowExecutionFactory

pytestmark = pytest.mark.django_db(transaction=True)


@contextmanager
def lock_table(table: str) -> Iterator[None]:
    """Lock a table, so that queries of it wait."""
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
            held.set()
            done.wait(30)
        connection.close()

    thread = threading.Thread(target=hold)
    thread.start()
    assert held.wait(30)
    try:
        yield
    finally:
        done.set()
        thread.join()


@pytest.mark.parametrize(
    ("name", "query", "table"),
    [
        ("workflowexecution", "status=failed", "workflow_executions"),
        ("workflowexecution", "q=0190f5e5-0000-7000-8000-000000000000", "execution_logs"),
        ("nodeexecution", "status=failed", "node_executions"),
        ("executionlog", "level=error", "execution_logs"),
    ],
)
def test_a_list_that_takes_too_long_says_how_to_narrow_it(
    name: str, query: str, table: str, client: Client, monkeypatch: Any
) -> None:
    monkeypatch.setattr(limits, "LIST_MS", 50)
    address = f"/admin/executions/{name}/?{query}"
    WorkflowExecutionFactory()
    with lock_table(table):
        response = client.get(address)
    html = response.content.decode()
    assert response.status_code == 503
    assert "did not find these rows in time" in html
    assert "fit these filters" not in html
    assert client.get(address).status_code == 200
