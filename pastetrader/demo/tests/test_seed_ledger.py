"""`manage.py seed_ledger`: what it makes could have happened, and it touches nothing but its own."""

import io
import logging
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connection
from django.db.models import Count, F, Q

from executions import partitions
from executions.models import (
    ExecutionLog,
    NodeExecution,
    NodeExecutionAttempt,
    WorkflowExecution,
    WorkflowExecutionAttempt,
)
from executions.states import ACTIVE, ENDED
from executions.tests.factories import WorkflowExecutionFactory
from pastetrader.demo.management.commands import seed_ledger
from workflows.models import Edge, Node, Workflow
from workflows.tests.factories import UserFactory, WorkflowFactory

pytestmark = pytest.mark.django_db(transaction=True)

MODELS = (
    Workflow, Node, Edge,
    WorkflowExecution, NodeExecution, ExecutionLog, WorkflowExecutionAttempt, NodeExecutionAttempt,
)  # fmt: skip
SMALL = {"runs": 600, "workflows": 6, "nodes": 3000, "lines": 3000}
STORE = seed_ledger._store
TINY = {"runs": 20, "workflows": 3, "nodes": 100, "lines": 100}


@pytest.fixture(autouse=True)
def as_many_partitions(transactional_db: None) -> Iterator[None]:
    """Drop the partitions that a test makes: later tests would empty years of them and plan over them."""
    before = {partition.name for partition in partitions.existing()}
    yield
    with connection.cursor() as cursor:
        for name in {partition.name for partition in partitions.existing()} - before:
            cursor.execute(f"DROP TABLE {name}")
    partitions.forget()


def seed(*flags: str, **options: Any) -> str:
    out = io.StringIO()
    asked = {"until": "2026-09-30T12:00Z", **TINY, **options}
    call_command("seed_ledger", *flags, *(f"--{name}={value}" for name, value in asked.items()), stdout=out)
    return out.getvalue()


def rows() -> list[list[dict[str, Any]]]:
    """Return all rows without the ids of graphs: the database generates those, with the first run that needs one."""
    found = [list(model._default_manager.order_by("pk").values()) for model in MODELS]
    return [[{**row, "graph_id": None} for row in each] for each in found]


@pytest.mark.slow
def test_what_it_makes_could_have_happened() -> None:
    """One ledger for all of it: making one of this size takes seconds."""
    said = seed(**SMALL)
    assert "rows/s" in said
    assert [model._default_manager.count() for model in MODELS[3:6]] == [600, 3000, 3000]
    assert Workflow.objects.count() == 6

    ended, failed = WorkflowExecution.objects.filter(status__in=ENDED), WorkflowExecution.objects.failed()
    assert not NodeExecution.objects.filter(workflow_execution__in=ended, status__in=ACTIVE).exists()
    assert not NodeExecution.objects.running().exclude(workflow_execution__status="running").exists()
    assert 0.02 < failed.count() / 600 < 0.07
    assert 0 < WorkflowExecution.objects.active().count() < 20
    with_nodes = failed.annotate(nodes=Count("node_executions")).exclude(nodes=0)
    assert not with_nodes.exclude(node_executions__status="failed").exists()
    assert not NodeExecution.objects.failed().exclude(workflow_execution__status="failed").exists()
    assert not NodeExecution.objects.failed().filter(Q(error_message=None) | Q(error_traceback=None)).exists()
    assert not failed.filter(error_message=None).exists()
    assert not NodeExecution.objects.exclude(node__workflow=F("workflow_execution__workflow")).exists()
    counts = WorkflowExecution.objects.values("workflow").annotate(runs=Count("id")).values_list("runs", flat=True)
    assert max(counts) > 3 * min(counts)
    every_attempt_but_the_present_one_is_kept()
    runs_of_a_workflow_do_not_overlap()


def every_attempt_but_the_present_one_is_kept() -> None:
    for model in (WorkflowExecution, NodeExecution):
        retried = model.objects.annotate(kept=Count("attempts")).exclude(kept=0)
        assert retried.exists()
        assert not model.objects.annotate(kept=Count("attempts")).exclude(attempt=F("kept") + 1).exists()
    assert not NodeExecution.objects.exclude(attempt=F("retry_count") + 1).exists()
    assert not NodeExecutionAttempt.objects.filter(ended_at__gt=F("node_execution__started_at")).exists()


def runs_of_a_workflow_do_not_overlap() -> None:
    for workflow in Workflow.objects.all():
        runs = list(workflow.executions.exclude(started_at=None).order_by("started_at"))
        assert all(a.ended_at <= b.started_at for a, b in pairwise(runs) if b.attempt == 1)


@pytest.mark.slow
def test_rows_are_as_the_models_would_have_them() -> None:
    seed(nodes=50, lines=50)
    for run in WorkflowExecution.objects.all():
        run.full_clean()
    for node in NodeExecution.objects.all():
        node.full_clean()
    for edge in Edge.objects.all():
        edge.full_clean()
    for line in ExecutionLog.objects.all():
        line.full_clean()
        assert abs((partitions.time_of(line.id) - line.timestamp).total_seconds()) < 0.001


@pytest.mark.slow
def test_the_same_seed_makes_the_same_rows_and_another_seed_others() -> None:
    seed()
    first = rows()
    seed("--reset")
    assert rows() == first
    seed("--reset", seed=2)
    assert {row["id"] for row in rows()[3]}.isdisjoint(row["id"] for row in first[3])


def test_seeding_refuses_a_ledger_with_other_rows() -> None:
    WorkflowExecutionFactory()
    before = rows()
    for flags in ([], ["--reset"]):
        with pytest.raises(CommandError, match=r"^This ledger holds workflows that seed_ledger did not make"):
            seed(*flags)
    assert rows() == before


def test_one_foreign_workflow_among_its_own_is_enough_to_refuse() -> None:
    seed()
    WorkflowFactory()
    with pytest.raises(CommandError, match="did not make"):
        seed("--reset")
    assert WorkflowExecution.objects.count() == TINY["runs"]


def test_its_own_ledger_is_replaced_only_when_told_so() -> None:
    seed()
    with pytest.raises(CommandError, match="--reset"):
        seed()
    seed("--reset", runs=7)
    assert WorkflowExecution.objects.count() == 7


def test_an_interrupted_one_goes_on_to_the_same_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pastetrader.demo.seeding.RUNS_IN_BATCH", 5)
    seed()
    whole, stored = rows(), iter(range(2))
    monkeypatch.setattr(seed_ledger, "_store", lambda batch: (next(stored), STORE(batch)))
    with pytest.raises(StopIteration):
        seed("--reset")
    assert WorkflowExecution.objects.count() == 10
    monkeypatch.setattr(seed_ledger, "_store", STORE)
    call_command("seed_ledger", "--resume", stdout=io.StringIO())
    assert rows() == whole


def test_without_a_ledger_there_is_nothing_to_resume() -> None:
    with pytest.raises(CommandError, match="There is no interrupted seed_ledger"):
        seed("--resume")


def test_progress_is_a_few_lines_where_the_output_is_no_terminal() -> None:
    shown = seed()
    assert "\r" not in shown
    assert shown.count("rows/s") == 2


def test_old_weeks_are_one_sentence_and_no_warning(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        said = seed(until="2003-03-03")
    assert "partitions for log lines since 2003-01-02." in said
    assert not caplog.records
    assert not partitions.logger.disabled


def test_the_workflows_are_the_first_superusers_unless_an_owner_is_named() -> None:
    ada, _trader = UserFactory(username="ada", is_superuser=True), UserFactory(username="trader")
    seed()
    assert set(Workflow.objects.values_list("owner", flat=True)) == {ada.pk}
    seed("--reset", owner="trader")
    assert set(Workflow.objects.values_list("owner__username", flat=True)) == {"trader"}
    with pytest.raises(CommandError, match="There is no user nobody"):
        seed("--reset", owner="nobody")


@pytest.mark.parametrize("option", ["--runs=0", "--nodes=-1", "--until=soon", "--until=1600-01-01"])
def test_what_makes_no_sense_is_refused_in_a_sentence(option: str) -> None:
    with pytest.raises(CommandError, match="expected"):
        call_command("seed_ledger", option)
