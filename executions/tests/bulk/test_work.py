"""Bulk actions: what is chosen, what becomes of each run, and what a stop, a kill and other changes leave."""

import threading
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError, connection, transaction
from django.utils import timezone

from executions import limits
from executions.audit import Through, act_as
from executions.bulk import run_selection, runner
from executions.bulk.bulk_verbs import VERBS
from executions.models import BulkAction, BulkActionRun, BulkVerb, Deletion, KeptRun, WorkflowExecution
from executions.secrets.scrubber import MASK
from executions.tests.factories import NodeExecutionFactory, WorkflowExecutionFactory, in_state
from workflows.models import Workflow
from workflows.tests.factories import NodeFactory, UserFactory

pytestmark = pytest.mark.django_db


def runs(number: int, state: str = "pending", **fields: Any) -> list[WorkflowExecution]:
    metadata = {"allow_concurrent": True}
    return [in_state(WorkflowExecutionFactory(metadata=metadata, **fields), state) for _ in range(number)]


def begin(user: Any, verb: str, reason: str = "the feed is wrong", **where: Any) -> BulkAction:
    with act_as(through=Through.ADMIN, user=user, request_id="req-1"):
        found = WorkflowExecution.objects.visible_to(user).filter(**where)
        return run_selection.begin(found, VERBS[BulkVerb(verb)], {"status": ["any"]}, reason, timezone.now())


def statuses(rows: list[WorkflowExecution]) -> list[str]:
    return [str(WorkflowExecution.objects.values_list("status", flat=True).get(pk=row.pk)) for row in rows]


def answers(action: BulkAction) -> dict[Any, tuple[str, str]]:
    return {run.workflow_execution_id: (run.state, run.answer) for run in action.runs.all()}


class TestTheRunsOfAnAction:
    def test_are_those_that_match_in_a_status_of_the_verb(self, staff: Any, workflow: Workflow) -> None:
        chosen, _others = [*runs(1, workflow=workflow), *runs(1, "running", workflow=workflow)], runs(1)
        runs(1, "failed", workflow=workflow)
        action = begin(staff, "cancel", workflow=workflow)
        assert action.number == 2
        assert set(answers(action)) == {run.pk for run in chosen}

    def test_are_chosen_once_so_that_what_begins_to_match_later_stays_as_it_is(
        self, staff: Any, workflow: Workflow
    ) -> None:
        first = runs(2, workflow=workflow)
        begin(staff, "cancel", workflow=workflow)
        later = runs(1, workflow=workflow)
        runner.work_open()
        assert statuses([*first, *later]) == ["cancelled", "cancelled", "pending"]

    def test_were_created_until_the_time_of_the_count(self, staff: Any) -> None:
        runs(1)
        verb, until = VERBS[BulkVerb.CANCEL], timezone.now() - timedelta(hours=1)
        assert run_selection.preview(WorkflowExecution.objects.all(), verb, until).chosen == 0

    def test_are_counted_before_with_those_left_out_and_a_sample(self, staff: Any, workflow: Workflow) -> None:
        chosen = runs(12, workflow=workflow)
        runs(3, "cancelled", workflow=workflow)
        found = run_selection.preview(workflow.executions.all(), VERBS[BulkVerb.CANCEL], timezone.now())
        assert (found.matching, found.chosen) == (15, 12)
        assert found.sample == chosen[: -limits.BULK_SAMPLE - 1 : -1]

    def test_are_no_more_than_the_limit(self, staff: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(limits, "BULK_RUNS", 2)
        runs(3)
        assert run_selection.preview(
            WorkflowExecution.objects.all(), VERBS[BulkVerb.CANCEL], timezone.now()
        ).is_too_many
        with pytest.raises(run_selection.TooMany):
            begin(staff, "cancel")
        assert not BulkAction.objects.exists()

    def test_are_some(self, staff: Any) -> None:
        runs(1, "completed")
        with pytest.raises(run_selection.NothingMatches):
            begin(staff, "cancel")


class TestTheWork:
    def test_calls_the_verb_in_the_name_of_the_user_and_with_the_reason(self, staff: Any) -> None:
        chosen = runs(3, "running")
        action = begin(staff, "cancel")
        progress: list[int] = []
        assert runner.work_open(progress.append) == 3
        assert progress == [3]
        for run in chosen:
            entry = run.history.get(act="cancel")
            assert (entry.username, entry.through, entry.reason, entry.request_id) == (
                "staff", "admin", "the feed is wrong", "req-1",
            )  # fmt: skip
        action.refresh_from_db()
        assert (action.done, action.refused, action.left) == (3, 0, 0)
        assert action.ended_at
        assert runner.work_open() == 0

    def test_does_what_the_actions_of_the_list_do(self, staff: Any) -> None:
        (failed,), (running,), (old,) = runs(1, "failed"), runs(1, "running"), runs(1, "completed")
        begin(staff, "keep", status="completed")
        runner.work_open()
        assert KeptRun.objects.get().reason == "the feed is wrong"
        begin(staff, "release")
        runner.work_open()
        assert not KeptRun.objects.exists()
        begin(staff, "retry")
        begin(staff, "fail")
        begin(staff, "delete", status="completed")
        runner.work_open()
        assert statuses([failed, running]) == ["pending", "failed"]
        running.refresh_from_db()
        assert running.error_message == "the feed is wrong"
        assert not WorkflowExecution.objects.filter(pk=old.pk).exists()
        assert Deletion.objects.get(workflow_execution_id=old.pk).reason == "the feed is wrong"

    def test_runs_again_what_ended_as_new_runs_and_names_them(self, staff: Any, workflow: Workflow) -> None:
        (failed,), (masked,) = runs(1, "failed", workflow=workflow, input_data={"day": 1}), runs(1, "failed")
        WorkflowExecution.objects.filter(pk=masked.pk).update(input_data={"key": MASK})
        action = begin(staff, "rerun")
        runner.work_open()
        new = WorkflowExecution.objects.get(metadata__rerun_of=str(failed.pk))
        assert (new.status, new.input_data) == ("pending", {"day": 1})
        assert answers(action)[failed.pk] == ("done", f"The new run is {new.pk}.")
        assert answers(action)[masked.pk][0] == "refused"
        assert "masked values" in answers(action)[masked.pk][1]

    def test_refuses_a_run_that_changed_meanwhile_and_says_why(self, staff: Any) -> None:
        ended, gone, still = runs(3)
        action = begin(staff, "cancel")
        in_state(ended, "completed")
        gone.delete()
        runner.work_open()
        found = answers(action)
        assert found[ended.pk] == ("refused", "Cannot cancel execution in completed state")
        assert found[gone.pk] == ("refused", runner.RUN_DELETED)
        assert found[still.pk] == ("done", "")
        action.refresh_from_db()
        assert (action.done, action.refused) == (1, 2)

    def test_refuses_a_retry_beyond_the_last_one_and_goes_on(self, staff: Any, workflow: Workflow) -> None:
        spent, other = runs(2, "running", workflow=workflow)
        node = NodeFactory(workflow=workflow, name="load", retry_config={"max_retries": 0})
        in_state(NodeExecutionFactory(workflow_execution=spent, node=node), "failed")
        for run in (spent, other):
            run.fail("went wrong")
        action = begin(staff, "retry")
        runner.work_open()
        assert statuses([spent, other]) == ["failed", "pending"]
        assert "has used 0 of 0 retries" in answers(action)[spent.pk][1]

    def test_refuses_to_delete_a_run_that_was_kept_meanwhile(self, staff: Any) -> None:
        (run,) = runs(1, "completed")
        action = begin(staff, "delete")
        KeptRun.keep(run)
        runner.work_open()
        assert answers(action)[run.pk] == ("refused", "The run is kept: end that first.")

    def test_goes_on_after_a_run_that_fails_in_the_database(self, staff: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        bad, good = runs(2)
        action = begin(staff, "cancel")
        cancel = WorkflowExecution.cancel

        def fail_for_one(run: WorkflowExecution) -> None:
            if run.pk == bad.pk:
                raise OperationalError("canceling statement due to statement timeout")
            cancel(run)

        monkeypatch.setattr(WorkflowExecution, "cancel", fail_for_one)
        runner.work_open()
        assert answers(action)[bad.pk] == ("refused", runner.FAILED.format(name="OperationalError"))
        assert statuses([bad, good]) == ["pending", "cancelled"]

    def test_tries_a_run_once_more_after_an_error_of_the_database(
        self, staff: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (run,) = runs(1)
        action, cancel, calls = begin(staff, "cancel"), WorkflowExecution.cancel, []

        def fail_first(run: WorkflowExecution) -> None:
            calls.append(run.pk)
            cancel(run)
            if len(calls) == 1:
                raise OperationalError("deadlock detected")

        monkeypatch.setattr(WorkflowExecution, "cancel", fail_first)
        runner.work_open()
        assert (calls, answers(action)) == ([run.pk] * 2, {run.pk: ("done", "")})
        assert run.history.filter(act="cancel").count() == 1

    def test_is_done_in_turns_so_that_a_small_action_does_not_wait_for_a_large_one(
        self, staff: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        runs(2)
        large = begin(staff, "cancel", status="pending")
        runs(1, "failed")
        small = begin(staff, "retry", status="failed")
        clock = iter(range(1_000))
        monkeypatch.setattr(runner.time, "monotonic", lambda: next(clock))
        assert runner.work_at(BulkAction.objects.open()[0], 1.5) == 1
        assert runner.work_at(BulkAction.objects.open()[1], 1.5) == 1
        small.refresh_from_db()
        assert small.done == 1
        assert list(BulkAction.objects.open()) == [large]

    def test_masks_the_reason_by_the_secrets_of_each_run(self, staff: Any) -> None:
        run = WorkflowExecutionFactory(context={"secrets": {"key": "sesame-opens"}})
        action = begin(staff, "cancel", reason="sesame-opens was published")
        runner.work_open()
        assert BulkAction.objects.get().reason == f"{MASK} was published"
        assert run.history.get(act="cancel").reason == f"{MASK} was published"
        assert answers(action)[run.pk] == ("done", "")


class TestAnEndBeforeTheLastRun:
    def test_a_stop_leaves_the_others_as_they_are(self, staff: Any) -> None:
        chosen = runs(3)
        action = begin(staff, "cancel")
        with runner.Work(action).as_its_user():
            assert runner.Work(action).do_next()
        assert runner.stop(action, "ann")
        assert runner.work_open() == 0
        assert statuses(chosen) == ["cancelled", "pending", "pending"]
        action.refresh_from_db()
        assert (action.done, action.stopped_by, action.left) == (1, "ann", 2)
        assert action.ended_at
        assert not runner.stop(action, "bob")

    def test_a_user_who_left_or_lost_the_permission_does_nothing_any_more(self, staff: Any) -> None:
        chosen = runs(1)
        action = begin(staff, "cancel")
        type(staff).objects.update(is_active=False)
        assert runner.work_open() == 0
        action.refresh_from_db()
        assert (action.stopped_by, statuses(chosen)) == (runner.NOBODY, ["pending"])
        type(staff).objects.update(is_active=True, is_superuser=False)
        again = begin(staff, "cancel")
        runner.work_open()
        again.refresh_from_db()
        assert (again.stopped_by, statuses(chosen)) == (runner.NO_RIGHT, ["pending"])

    def test_through_the_api_an_owner_changes_own_runs_alone(self, workflow: Workflow) -> None:
        own, (other,) = runs(1, workflow=workflow), runs(1)
        owner = workflow.owner
        with act_as(through=Through.API, user=owner):
            action = run_selection.begin(
                WorkflowExecution.objects.all(), VERBS[BulkVerb.CANCEL], {}, "", timezone.now()
            )
        runner.work_open()
        assert statuses([*own, other]) == ["cancelled", "pending"]
        assert answers(action)[other.pk] == ("refused", runner.RUN_DELETED)

    def test_what_was_stored_before_a_kill_is_not_done_twice(self, staff: Any) -> None:
        chosen = runs(2)
        action = begin(staff, "cancel")
        with transaction.atomic():  # as a process that dies: its transaction is lost
            runner.Work(action).do_next()
            transaction.set_rollback(True)
        assert statuses(chosen) == ["pending", "pending"]
        assert {state for state, _answer in answers(action).values()} == {"waiting"}
        runner.work_open()
        assert [run.history.filter(act="cancel").count() for run in chosen] == [1, 1]


@pytest.mark.django_db(transaction=True)
class TestSeveralProcesses:
    def test_share_the_runs_and_none_is_changed_twice(self) -> None:
        staff = UserFactory(username="staff", is_staff=True, is_superuser=True)
        chosen = runs(20)
        action = begin(staff, "cancel")
        done: list[int] = []

        def work_and_close() -> None:
            try:
                done.append(runner.work_open())
            finally:
                connection.close()

        threads = [threading.Thread(target=work_and_close) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        action.refresh_from_db()
        assert (sum(done), action.done) == (20, 20)
        assert action.ended_at
        assert [run.history.filter(act="cancel").count() for run in chosen] == [1] * 20
        assert BulkActionRun.objects.filter(state="done").count() == 20
