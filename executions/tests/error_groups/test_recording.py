"""Failures are recorded once, in groups, whatever the order of commits and however many scans."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.utils import timezone

from executions.error_groups import recording
from executions.error_groups.scan import scan
from executions.models import (
    ErrorDay,
    ErrorFingerprint,
    ErrorGroup,
    ErrorGroupChange,
    ErrorNode,
    ErrorOccurrence,
    ErrorScan,
    NodeExecution,
    WorkflowExecution,
)
from executions.tests.factories import NodeExecutionFactory, WorkflowExecutionFactory, in_state
from workflows.models import Workflow
from workflows.tests.factories import NodeFactory, UserFactory, WorkflowFactory

pytestmark = pytest.mark.django_db(transaction=True)  # a scan reads what is committed

TRACEBACK = """Traceback (most recent call last):
  File "/srv/app/jobs/prices.py", line {line}, in fetch
    return book["close"]
  File "/srv/venv/lib/python3.12/site-packages/books/core.py", line 7, in __getitem__
    raise KeyError(name)
KeyError: 'close'
"""


def failed_run(workflow: Workflow, message: str = "went wrong") -> WorkflowExecution:
    run = in_state(WorkflowExecutionFactory(workflow=workflow), "running")
    run.fail(message)
    return run


def run_with_failed_nodes(workflow: Workflow, *failures: tuple[str, str, str | None]) -> WorkflowExecution:
    """Return a failed run, with a node of each name that failed with message and traceback."""
    run = in_state(WorkflowExecutionFactory(workflow=workflow), "running")
    for name, message, traceback in failures:
        node = workflow.nodes.filter(name=name).first() or NodeFactory(workflow=workflow, name=name)
        row: NodeExecution = in_state(NodeExecutionFactory(workflow_execution=run, node=node), "running")
        row.fail(message, traceback)
    run.refresh_from_db()
    run.fail("a node failed")
    return run


@pytest.fixture
def first_scan(transactional_db: None) -> None:
    scan()


@pytest.mark.usefixtures("first_scan")
class TestOccurrences:
    def test_equal_failures_are_one_group(self, workflow: Workflow) -> None:
        failed_run(workflow, "no prices for 2026-11-28")
        failed_run(workflow, "no prices for 2026-11-29")
        failed_run(workflow, "the exchange is closed")
        assert scan() == 3
        assert list(ErrorGroup.objects.order_by("seen").values_list("title", "seen", "state")) == [
            ("the exchange is closed", 1, "open"),
            ("no prices for #", 2, "open"),
        ]

    def test_a_second_scan_finds_nothing_new(self, workflow: Workflow) -> None:
        failed_run(workflow)
        assert (scan(), scan()) == (1, 0)
        assert ErrorGroup.objects.get().seen == 1

    def test_the_nodes_that_failed_count_and_not_the_error_of_their_run(self, workflow: Workflow) -> None:
        run = run_with_failed_nodes(workflow, ("load", "no prices", None), ("mail", "no server", None))
        scan()
        found = ErrorOccurrence.objects.order_by("node_name").values_list("workflow_execution", "node_name", "attempt")
        assert list(found) == [(run.pk, "load", 1), (run.pk, "mail", 1)]

    def test_nodes_of_a_run_that_fail_alike_are_one_occurrence(self, workflow: Workflow) -> None:
        run_with_failed_nodes(workflow, *((f"part {n}", "no prices", None) for n in range(5)))
        scan()
        assert ErrorGroup.objects.get().seen == 1

    def test_a_failed_node_of_a_run_that_completed(self, workflow: Workflow) -> None:
        run = in_state(WorkflowExecutionFactory(workflow=workflow), "running")
        in_state(NodeExecutionFactory(workflow_execution=run, node=NodeFactory(workflow=workflow)), "failed")
        run.refresh_from_db()
        run.complete()
        assert scan() == 1

    def test_each_attempt_of_a_run_that_is_retried_before_the_scan(self, workflow: Workflow) -> None:
        run = run_with_failed_nodes(workflow, ("load", "no prices", None))
        run.retry()
        run.start()
        run.fail("killed")
        scan()
        found = ErrorOccurrence.objects.order_by("attempt").values_list("attempt", "node_name", "fingerprint__title")
        assert list(found) == [(1, "load", "no prices"), (2, "", "killed")]

    def test_a_run_that_was_deleted_before_the_scan(self, workflow: Workflow) -> None:
        WorkflowExecution.objects.filter(pk=failed_run(workflow).pk).delete()
        assert scan() == 0

    def test_more_failures_than_one_step_reads(self, workflow: Workflow, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("executions.error_groups.scan.STEP", 2)
        for _ in range(5):
            failed_run(workflow)
        in_state(WorkflowExecutionFactory(workflow=workflow), "completed")
        assert scan() == 5
        assert ErrorGroup.objects.get().seen == 5

    def test_another_scan_under_way_is_left_alone(self, workflow: Workflow) -> None:
        other = connection.copy()
        try:
            with transaction.atomic():
                scan()  # holds the lock until the end of this transaction
                with other.cursor() as cursor:
                    cursor.execute(
                        "SELECT pg_try_advisory_xact_lock(hashtextextended(%s, 0))", ["executions.error_groups"]
                    )
                    assert cursor.fetchone() == (False,)
        finally:
            other.close()

    def test_occurrences_go_with_their_runs_and_groups_stay(self, workflow: Workflow) -> None:
        run = failed_run(workflow)
        scan()
        WorkflowExecution.objects.filter(pk=run.pk).delete()
        assert not ErrorOccurrence.objects.exists()
        assert ErrorGroup.objects.get().seen == 1


@pytest.mark.usefixtures("first_scan")
class TestCounts:
    def test_by_day_and_by_node(self, workflow: Workflow) -> None:
        run_with_failed_nodes(workflow, ("load", "no prices", None))
        run_with_failed_nodes(workflow, ("load", "no prices", None))
        scan()
        assert list(ErrorDay.objects.values_list("day", "seen")) == [(datetime.now(UTC).date(), 2)]
        assert list(ErrorNode.objects.values_list("node_name", "seen")) == [("load", 2)]

    def test_first_and_last_seen_are_the_times_of_failures(self, workflow: Workflow) -> None:
        first, last = failed_run(workflow), failed_run(workflow)
        scan()
        group = ErrorGroup.objects.get()
        assert (group.first_seen, group.last_seen) == (first.ended_at, last.ended_at)

    def test_at_most_a_hundred_names_of_nodes_are_counted(self, workflow: Workflow) -> None:
        group = ErrorGroup.objects.create(title="x", first_seen=timezone.now(), last_seen=timezone.now())
        fingerprint = ErrorFingerprint.objects.create(
            workflow=workflow, group=group, digest="x", rule="message",
            first_seen=group.first_seen, last_seen=group.last_seen,
        )  # fmt: skip
        run = WorkflowExecutionFactory(workflow=workflow)
        ErrorOccurrence.objects.bulk_create(
            ErrorOccurrence(
                fingerprint=fingerprint,
                workflow_execution=run,
                attempt=n,
                node_name=f"n{n}",
                happened_at=timezone.now(),
            )
            for n in range(120)
        )
        assert ErrorNode.objects.count() == 100
        assert ErrorGroup.objects.get().seen == 120


@pytest.mark.usefixtures("first_scan")
class TestFingerprintsOfAWorkflow:
    def test_workflows_of_one_owner_share_a_group(self, workflow: Workflow) -> None:
        failed_run(workflow)
        failed_run(WorkflowFactory(owner=workflow.owner))
        scan()
        assert ErrorGroup.objects.get().fingerprints.count() == 2

    def test_those_of_different_owners_do_not(self, workflow: Workflow) -> None:
        failed_run(workflow)
        failed_run(WorkflowFactory(owner=UserFactory()))
        scan()
        assert ErrorGroup.objects.count() == 2

    def test_the_rule_of_the_workflow_counts(self) -> None:
        workflow = WorkflowFactory(config={"error_grouping": "node"})
        run_with_failed_nodes(workflow, ("load", "no prices", None))
        run_with_failed_nodes(workflow, ("load", "no server", None))
        scan()
        fingerprint = ErrorFingerprint.objects.get()
        assert (fingerprint.seen, fingerprint.rule, fingerprint.values) == (2, "node", {"node": "load"})

    def test_a_rule_that_does_not_exist_is_refused(self) -> None:
        with pytest.raises(Exception, match="expected one of traceback, message, class, node"):
            WorkflowFactory(config={"error_grouping": "mood"})

    def test_failures_that_all_differ_share_one_beyond_the_limit(
        self, workflow: Workflow, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("executions.limits.FINGERPRINTS", 2)
        for word in ("red", "green", "blue", "white"):
            failed_run(workflow, word)
        scan()
        failed_run(workflow, "black")
        failed_run(workflow, "red")
        scan()
        found = ErrorFingerprint.objects.order_by("title").values_list("title", "seen")
        assert list(found) == [("", 3), ("green", 1), ("red", 2)]

    def test_an_error_that_cannot_be_read_keeps_no_other_from_being_recorded(
        self, workflow: Workflow, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(message: str, *_more: Any) -> Any:
            raise RecursionError

        monkeypatch.setattr(recording, "make_fingerprint", refuse)
        failed_run(workflow)
        assert scan() == 1


class TestBackfill:
    def test_failures_from_before_the_first_scan_are_read_in_steps(
        self, workflow: Workflow, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("executions.error_groups.scan.STEP", 2)
        runs = [failed_run(workflow) for _ in range(5)]
        assert [scan() for _ in range(5)] == [2, 2, 1, 0, 0]
        assert ErrorOccurrence.objects.count() == len(runs)
        assert ErrorScan.read().backfill_from is None

    def test_the_group_that_failed_first_of_all_is_the_last_one(self, workflow: Workflow) -> None:
        for days, word in ((1, "red"), (3, "blue"), (2, "green")):
            run = failed_run(workflow, word)
            then = timezone.now() - timedelta(days=days)
            WorkflowExecution.objects.filter(pk=run.pk).update(started_at=then, ended_at=then)
        scan()
        assert [group.title for group in ErrorGroup.objects.all()] == ["red", "green", "blue"]

    def test_older_ones_are_not_read(self, workflow: Workflow) -> None:
        run = failed_run(workflow)
        long_ago = timezone.now() - timedelta(days=31)
        WorkflowExecution.objects.filter(pk=run.pk).update(started_at=long_ago, ended_at=long_ago)
        assert (scan(), scan()) == (0, 0)


@pytest.mark.usefixtures("first_scan")
class TestStates:
    def test_a_resolved_group_that_fails_again_is_a_regression(self, workflow: Workflow) -> None:
        failed_run(workflow)
        scan()
        ErrorGroup.objects.update(state="resolved", resolved_at=timezone.now())
        failed_run(workflow)
        scan()
        group = ErrorGroup.objects.get()
        assert (group.state, group.is_regression, group.resolved_at) == ("open", True, None)
        acts = ErrorGroupChange.objects.order_by("happened_at").values_list("act", "through", "username")
        assert list(acts) == [
            ("new", "in_process", "upkeep"),
            ("change", "sql", ""),
            ("regression", "in_process", "upkeep"),
        ]

    def test_a_failure_from_before_it_was_resolved_is_none(self, workflow: Workflow) -> None:
        failed_run(workflow)
        scan()
        failed_run(workflow)
        ErrorGroup.objects.update(state="resolved", resolved_at=timezone.now())
        scan()
        assert ErrorGroup.objects.get().state == "resolved"

    def test_a_mute_ends_by_itself(self, workflow: Workflow) -> None:
        failed_run(workflow)
        scan()
        ErrorGroup.objects.update(state="muted", muted_until=timezone.now() - timedelta(seconds=1))
        scan()
        assert ErrorGroup.objects.get().state == "open"

    @pytest.mark.parametrize(
        "fields", [{"state": "muted"}, {"state": "resolved"}, {"muted_until": timezone.now()}, {"state": "gone"}]
    )
    def test_the_database_refuses_states_that_do_not_fit(self, workflow: Workflow, fields: dict[str, Any]) -> None:
        failed_run(workflow)
        scan()
        with pytest.raises(IntegrityError):
            ErrorGroup.objects.update(**fields)

    def test_the_history_cannot_be_changed(self, workflow: Workflow) -> None:
        failed_run(workflow)
        scan()
        with pytest.raises(DatabaseError, match="cannot be changed"):
            ErrorGroupChange.objects.update(reason="another")
