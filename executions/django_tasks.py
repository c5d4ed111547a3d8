"""The results of Django's tasks (django.tasks) as runs, if EXECUTIONS["RECORD_TASKS_AS"] names the user who is to own
their workflows.

Each signal reports all that is known of a result by then. What is recorded already does not change, so that a run is
complete at the end whichever of its signals were lost.
"""

import hashlib
import logging
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.db import transaction
from django.tasks import TaskResult, TaskResultStatus
from django.tasks.signals import task_enqueued, task_finished, task_started
from django.utils import timezone
from django.utils.translation import override

from executions.conf import executions_settings
from ledgerkit.db.json_validation import check

RETRIES = 1_000  # of the node: the backend decides how often it tries
NO_ERROR = "The attempt ended without a result."

logger = logging.getLogger(__name__)

type Result = TaskResult[Any, Any]
type Facts = Iterator[dict[str, object]]


def connect() -> None:
    for signal in (task_enqueued, task_started, task_finished):
        signal.connect(record, dispatch_uid="executions.django_tasks")


def record(task_result: Result, **_kwargs: object) -> None:
    """Report the result, if tasks are recorded. A failure is logged: a task must not fail because its record does."""
    if not (owner := executions_settings.RECORD_TASKS_AS):
        return
    from executions.facts import record as record_facts  # noqa: PLC0415  # this module is loaded before the models

    try:
        with transaction.atomic():
            user = get_user_model().objects.get_by_natural_key(owner)
            outcome = record_facts(facts_of(task_result), user=user)
    except Exception:
        logger.exception("The task result %s was not recorded as a run of %s.", task_result.id, owner)
        return
    for refusal in outcome.refusals:
        logger.warning("Task result %s: the ledger refused %s", task_result.id, refusal.detail)


def facts_of(result: Result) -> Facts:
    """Yield the facts of `POST events/` that a result stands for."""
    is_ready = result.status == TaskResultStatus.READY
    last = max(result.attempts, 1)
    yield from _creations(result)
    for attempt in range(1, result.attempts + is_ready):
        yield from _failed_attempt(result, attempt)
    if not is_ready:
        yield from _start(result, last, result.last_attempted_at or result.finished_at)
    if result.status == TaskResultStatus.SUCCESSFUL:
        output = document_or_reason("output_data", result.return_value)
        yield from _end(result, "complete", last, {"output_data": output})
    elif result.status == TaskResultStatus.FAILED:
        yield from _end(result, "fail", last, _error_of(result, last))


def run_id(result: Result) -> UUID:
    """Return the id of its run: a UUID version 7 with the time at which it was enqueued, the same in every process."""
    enqueued = result.enqueued_at or result.started_at or timezone.now()
    return _id_of(enqueued, result.backend, result.id)


def _id_of(moment: datetime, *parts: str) -> UUID:
    digest = int.from_bytes(hashlib.sha256("\0".join(parts).encode()).digest()[:10])
    milliseconds = int(moment.timestamp() * 1000)
    return UUID(int=milliseconds << 80 | 7 << 76 | (digest >> 62 & 0xFFF) << 64 | 2 << 62 | digest & (1 << 62) - 1)


def _creations(result: Result) -> Facts:
    name, node = result.task.module_path, result.task.name
    spec = {"name": node, "node_type": "tool", "retry_config": {"max_retries": RETRIES}}
    yield {"kind": "workflow.ensure", "workflow": {"name": name, "nodes": [spec]}}
    yield _of_run(result, "create", result.enqueued_at) | {
        "workflow": name, "trigger_type": "event",
        "metadata": {"allow_concurrent": True, "correlation_id": result.id, "tags": [result.task.queue_name]},
    }  # fmt: skip
    given = document_or_reason("input_data", {"args": result.args, "kwargs": result.kwargs})
    yield _of_node(result, "create", result.enqueued_at) | {"node": node, "input_data": given}


def _start(result: Result, attempt: int, moment: datetime | None) -> Facts:
    yield _of_run(result, "start", moment) | {"attempt": attempt}
    yield _of_node(result, "start", moment) | {"attempt": attempt}


def _end(result: Result, act: str, attempt: int, texts: Mapping[str, object]) -> Facts:
    of_run = {name: value for name, value in texts.items() if name != "error_traceback"}
    yield _of_node(result, act, result.finished_at) | {"attempt": attempt, **texts}
    yield _of_run(result, act, result.finished_at) | {"attempt": attempt, **of_run}


def _failed_attempt(result: Result, attempt: int) -> Facts:
    yield from _start(result, attempt, result.started_at if attempt == 1 else None)
    texts = _error_of(result, attempt)
    yield _of_node(result, "fail", None) | {"attempt": attempt, **texts}
    yield _of_run(result, "fail", None) | {"attempt": attempt, "error_message": texts["error_message"]}
    yield _of_run(result, "retry", None) | {"attempt": attempt}


def _error_of(result: Result, attempt: int) -> dict[str, object]:
    if attempt > len(result.errors):
        return {"error_message": NO_ERROR}
    error = result.errors[attempt - 1]
    return {
        "error_message": message_in(error.traceback, error.exception_class_path),
        "error_traceback": error.traceback,
    }


def message_in(traceback: str, class_path: str) -> str:
    """Return the last lines of a traceback, from the name of the exception on."""
    name = class_path.rpartition(".")[2]
    for begin in (f"\n{class_path}", f"\n{name}"):
        if (found := traceback.rfind(begin)) >= 0:
            return traceback[found:].strip()
    return name


def document_or_reason(field: str, document: object) -> object:
    """Return the document, or a sentence that says why it cannot be stored: the run is recorded without it."""
    with override("en"):  # as the API answers, whoever enqueues the task
        try:
            check(field, document)
        except ValidationError as error:
            return {"not_recorded": error.messages[0]}
    return document


def _of_run(result: Result, act: str, moment: datetime | None) -> dict[str, Any]:
    return {"kind": f"execution.{act}", "id": str(run_id(result))} | _at(moment)


def _of_node(result: Result, act: str, moment: datetime | None) -> dict[str, Any]:
    run = run_id(result)
    node = UUID(int=run.int ^ 1)  # differs from it in the last bit
    return {"kind": f"node.{act}", "id": str(node), "workflow_execution": str(run)} | _at(moment)


def _at(moment: datetime | None) -> dict[str, str]:
    return {} if moment is None else {"at": moment.isoformat()}
