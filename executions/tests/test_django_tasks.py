"""Results of Django's tasks as runs."""

import logging
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import transaction
from django.tasks import TaskResult, TaskResultStatus, task
from django.tasks.base import TaskError
from django.tasks.signals import task_enqueued, task_finished, task_started

from executions.models import NodeExecution, WorkflowExecution
from executions.tests.threads import in_thread
from workflows.tests.factories import UserFactory

pytestmark = pytest.mark.django_db
type Result = TaskResult[Any, Any]
ENQUEUED = datetime(2026, 11, 27, 21, 0, tzinfo=UTC)


@task
def double(number: int, password: str = "") -> int:
    return 2 * number


@task
def divide(number: int) -> float:
    return number / 0


@task
def repeat(text: str, times: int = 1) -> str:
    return text * times


@task(takes_context=True)
def count_attempts(context: Any) -> int:
    return int(context.attempt)


@pytest.fixture(autouse=True)
def owner(settings: Any) -> Any:
    settings.TASKS = {"default": {"BACKEND": "django.tasks.backends.immediate.ImmediateBackend"}}
    settings.EXECUTIONS = settings.EXECUTIONS | {"RECORD_TASKS_AS": "robot"}
    return UserFactory(username="robot")


def stored_result(**given: Any) -> Result:
    """Return a result as a backend with a store would return it."""
    fields = {
        "task": double, "id": "r1", "status": TaskResultStatus.READY, "enqueued_at": ENQUEUED, "started_at": None,
        "finished_at": None, "last_attempted_at": None, "args": [4], "kwargs": {}, "backend": "default", "errors": [],
        "worker_ids": [],
    }  # fmt: skip
    return TaskResult(**(fields | given))


def test_a_task_that_succeeds_is_a_completed_run(owner: Any) -> None:
    result = double.enqueue(21, password="hunter2-long")
    run, node = WorkflowExecution.objects.get(), NodeExecution.objects.get()
    assert (run.status, run.workflow.owner, run.workflow_name) == ("completed", owner, f"{__name__}.double")
    assert run.metadata["correlation_id"] == result.id
    assert run.created_at == result.enqueued_at
    assert run.ended_at == result.finished_at
    assert (node.node_name, node.status, node.output_data) == ("double", "completed", 42)
    assert node.input_data == {"args": [21], "kwargs": {"password": "***masked***"}}


def test_a_task_that_raises_is_a_failed_run_with_its_traceback() -> None:
    divide.enqueue(1)
    run, node = WorkflowExecution.objects.get(), NodeExecution.objects.get()
    assert (run.status, run.error_message) == ("failed", "ZeroDivisionError: division by zero")
    assert "return number / 0" in node.error_traceback


def test_two_tasks_of_one_function_are_runs_of_one_workflow() -> None:
    double.enqueue(1)
    double.enqueue(2)
    assert WorkflowExecution.objects.values("workflow").distinct().count() == 1
    assert WorkflowExecution.objects.count() == 2


def test_signals_that_arrive_twice_or_not_at_all_give_the_same_run() -> None:
    times = {"started_at": ENQUEUED, "last_attempted_at": ENQUEUED, "worker_ids": ["w"]}
    done = stored_result(**times, status=TaskResultStatus.SUCCESSFUL, finished_at=ENQUEUED + timedelta(seconds=3))
    for signal, result in (
        (task_finished, done),
        (task_enqueued, stored_result()),
        (task_started, stored_result(**times, status=TaskResultStatus.RUNNING)),
        (task_finished, done),
    ):
        signal.send(object, task_result=result)
    run = WorkflowExecution.objects.get()
    assert (run.status, run.attempt, run.ended_at) == ("completed", 1, ENQUEUED + timedelta(seconds=3))


def test_each_attempt_of_a_backend_that_tries_again_is_kept() -> None:
    error = TaskError(exception_class_path="builtins.OSError", traceback="Traceback ...\nOSError: no disk\n")
    times = {"started_at": ENQUEUED, "last_attempted_at": ENQUEUED, "worker_ids": ["w"]}
    task_started.send(object, task_result=stored_result(**times, status=TaskResultStatus.RUNNING))
    task_finished.send(object, task_result=stored_result(**times, status=TaskResultStatus.READY, errors=[error]))
    again = times | {"worker_ids": ["w", "v"], "last_attempted_at": ENQUEUED + timedelta(minutes=1)}
    finished = ENQUEUED + timedelta(minutes=2)
    task_finished.send(
        object,
        task_result=stored_result(**again, status=TaskResultStatus.SUCCESSFUL, errors=[error], finished_at=finished),
    )
    run, node = WorkflowExecution.objects.get(), NodeExecution.objects.get()
    assert (run.status, run.attempt, run.ended_at) == ("completed", 2, finished)
    assert [attempt.error_message for attempt in node.attempts.all()] == ["OSError: no disk"]


def test_a_task_that_could_not_start_is_a_failed_run() -> None:
    failed = stored_result(status=TaskResultStatus.FAILED, finished_at=ENQUEUED + timedelta(seconds=1))
    task_finished.send(object, task_result=failed)
    assert WorkflowExecution.objects.get().status == "failed"


@pytest.mark.parametrize(
    ("arguments", "reason"), [(("x" * 2_000_000, 0), "too large"), (("\x00", 0), "the character NUL")]
)
def test_a_task_whose_arguments_cannot_be_stored_is_recorded_without_them(arguments: Any, reason: str) -> None:
    repeat.enqueue(*arguments)
    node = NodeExecution.objects.get()
    assert (node.status, node.workflow_execution.status) == ("completed", "completed")
    assert reason in node.input_data["not_recorded"]


def test_a_task_whose_result_cannot_be_stored_is_completed_without_it() -> None:
    assert repeat.enqueue("x", 2_000_000).return_value == "x" * 2_000_000
    node = NodeExecution.objects.get()
    assert (node.status, node.workflow_execution.status) == ("completed", "completed")
    assert "too large" in node.output_data["not_recorded"]


def test_nothing_is_recorded_unless_the_setting_names_a_user(settings: Any) -> None:
    settings.EXECUTIONS = settings.EXECUTIONS | {"RECORD_TASKS_AS": ""}
    assert double.enqueue(1).return_value == 2
    assert not WorkflowExecution.objects.exists()


def test_a_task_does_not_fail_because_it_cannot_be_recorded(settings: Any, caplog: pytest.LogCaptureFixture) -> None:
    settings.EXECUTIONS = settings.EXECUTIONS | {"RECORD_TASKS_AS": "nobody"}
    with caplog.at_level(logging.ERROR, "executions.django_tasks"):
        assert double.enqueue(1).return_value == 2
    assert "was not recorded as a run of nobody" in caplog.text


def test_transactions_that_enqueue_the_same_task_do_not_wait_for_each_other(transactional_db: None) -> None:
    double.enqueue(1)
    with transaction.atomic():
        double.enqueue(2)
        in_thread(lambda: double.enqueue(3), 20)
    assert WorkflowExecution.objects.count() == 3


def test_transactions_that_enqueue_two_tasks_in_different_orders_do_not_deadlock(transactional_db: None) -> None:
    for each in (double, repeat):
        each.enqueue(1)

    def other() -> None:
        with transaction.atomic():
            repeat.enqueue(2)
            double.enqueue(2)

    with transaction.atomic():
        double.enqueue(3)
        in_thread(other, 20)
        repeat.enqueue(3)
    assert WorkflowExecution.objects.count() == 6
