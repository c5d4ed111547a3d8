"""Bad texts and values through the reporter: the engine is not stopped, and its run is recorded."""

import datetime
import decimal
import math
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

from executions import reporting
from executions.models import ExecutionLog, NodeExecution, WorkflowExecution
from pastetrader_client import Client

from .inputs import TEXTS

pytestmark = pytest.mark.django_db(transaction=True)


class EngineError(Exception):
    pass


class Hostile:
    def __str__(self) -> str:
        raise RuntimeError("no text")

    __repr__ = __str__


LOOP: list[Any] = []
LOOP.append(LOOP)
OBJECTS: tuple[Any, ...] = (
    LOOP, Hostile(), object(), math.nan, -math.inf, 10**5000, decimal.Decimal("NaN"), {1: 2, None: 3, (4,): 5},
    {"\0": "\ud800"}, b"\xff\x00", {1, 2}, datetime.date(2026, 11, 29), lambda: None, type, range(3),
    {"a": {"b": [LOOP]}},
)  # fmt: skip


@pytest.fixture
def client(owner: Any) -> Iterator[Client]:
    with reporting.client(owner) as made:
        yield made


def report(client: Client, text: Any) -> str:
    """Report a run whose node fails, with the text in every place."""
    run = client.run("w", input={"text": text}, metadata={"note": text}, graph=["fetch"])
    with suppress(EngineError), run, run.node("fetch", input={"text": text}) as node:
        node.info(text)
        node.warning("%s of %s", text, 7, data=text)
        node.output = text
        raise EngineError(text)
    return str(run.id)


def test_every_text_is_recorded_with_its_line_and_its_error(client: Client) -> None:
    runs = [report(client, text) for text in TEXTS.values()]
    assert client.flush(60)
    _check_recorded(runs)


def test_every_object_is_recorded_with_its_line_and_its_error(client: Client) -> None:
    runs = [report(client, each) for each in OBJECTS]
    assert client.flush(60)
    _check_recorded(runs)


def _check_recorded(runs: list[str]) -> None:
    assert WorkflowExecution.objects.filter(pk__in=runs, status="failed").count() == len(runs)
    assert NodeExecution.objects.filter(workflow_execution__in=runs, status="failed").count() == len(runs)
    assert ExecutionLog.objects.filter(workflow_execution__in=runs, level="info").count() == len(runs)


@pytest.mark.slow
def test_a_name_that_cannot_be_stored_does_not_take_other_runs_with_it(client: Client) -> None:
    for text in TEXTS.values():
        with client.run(text) as run, run.node(text) as node:
            node.info("x")
    good = report(client, "good")
    assert client.flush(60)
    _check_recorded([good])
