"""The contract's JSON: what goes in comes out, known keys have a type, and runs are found by them."""

from typing import Any

import pytest
from django.core.exceptions import ValidationError

from executions.models import ExecutionLog, LogLevel, WorkflowExecution
from executions.tests.acceptance import fresh, new_node_execution, new_run

pytestmark = pytest.mark.django_db

PAYLOAD = {
    "시장": "KOSPI",
    "threshold": 0.05,
    "big": 2**53 + 1,
    "none": None,
    "flags": [True, False, None, {"deep": [[], {}]}],
    "text": 'line\nbreak "quoted" \\ 🚀 \' %s',
    "": "",
}


# --- there and back --------------------------------------------------------------------
def test_json_comes_back_from_a_run_as_it_went_in() -> None:
    run = new_run(input_data=PAYLOAD, context={"variables": PAYLOAD}, metadata={"unknown": PAYLOAD})
    run.start()
    run.complete(output_data=PAYLOAD)
    found = fresh(run)
    assert (found.input_data, found.output_data) == (PAYLOAD, PAYLOAD)
    assert (found.context, found.metadata) == ({"variables": PAYLOAD}, {"unknown": PAYLOAD})


def test_json_comes_back_from_a_node_execution_and_a_line_as_it_went_in() -> None:
    run = new_run()
    run.start()
    row = new_node_execution(run, input_data=PAYLOAD)
    row.start()
    row.complete(output_data=PAYLOAD)
    line = ExecutionLog.objects.create(workflow_execution=run, level=LogLevel.DEBUG, message="x", data=PAYLOAD)
    assert (fresh(row).input_data, fresh(row).output_data, fresh(line).data) == (PAYLOAD, PAYLOAD, PAYLOAD)


# --- known keys --------------------------------------------------------------
@pytest.mark.parametrize(
    ("column", "content", "path"),
    [
        ("metadata", {"tags": "momentum"}, "metadata.tags: expected a list of strings"),
        ("metadata", {"tags": [1]}, "metadata.tags"),
        ("metadata", {"tags": {"a": 1}}, "metadata.tags"),
        ("metadata", {"triggered_by": 7}, "metadata.triggered_by"),
        ("metadata", {"schedule_id": []}, "metadata.schedule_id"),
        ("metadata", {"priority": {}}, "metadata.priority"),
        ("metadata", {"allow_concurrent": "true"}, "metadata.allow_concurrent"),
        ("metadata", {"allow_concurrent": 1}, "metadata.allow_concurrent"),
        ("metadata", {"timeout_seconds": "soon"}, "metadata.timeout_seconds"),
        ("metadata", {"correlation_id": 1}, "metadata.correlation_id"),
        ("context", {"variables": []}, "context.variables"),
        ("context", {"secrets": "hunter2"}, "context.secrets"),
        ("context", {"environment": 1}, "context.environment"),
        ("context", {"parent_execution_id": 5}, "context.parent_execution_id"),
        ("context", {"retry_info": 1}, "context.retry_info"),
        ("context", {"retry_info": {"attempt": "one"}}, "context.retry_info.attempt"),
        ("context", {"retry_info": {"max_attempts": []}}, "context.retry_info.max_attempts"),
    ],
)
def test_a_known_key_of_the_wrong_type_is_refused_with_its_path(
    column: str, content: dict[str, object], path: str
) -> None:
    fields: dict[str, Any] = {column: content}
    with pytest.raises((ValueError, ValidationError)) as refusal:
        new_run(**fields)
    assert path in str(refusal.value)
    assert not WorkflowExecution.objects.exists()


def test_a_known_key_of_the_wrong_type_is_refused_on_a_later_save_too() -> None:
    run = new_run(metadata={"tags": ["momentum"]})
    run.metadata = {"tags": "momentum"}
    with pytest.raises((ValueError, ValidationError), match=r"metadata\.tags: expected a list of strings"):
        run.save()
    assert fresh(run).metadata == {"tags": ["momentum"]}


def test_known_keys_of_the_right_type_and_unknown_keys_are_kept() -> None:
    metadata = {
        "triggered_by": "user_12345",
        "schedule_id": "schedule_789",
        "priority": "high",
        "tags": ["backtest", "momentum"],
        "allow_concurrent": False,
        "timeout_seconds": 3600,
        "correlation_id": "req_abc123",
        "desk": {"unknown": [1]},
    }
    context = {
        "variables": {"market": "KOSPI", "threshold": 0.05},
        "environment": {"mode": "production", "region": "ap-northeast-2"},
        "parent_execution_id": None,
        "retry_info": {"attempt": 1, "max_attempts": 3},
        "broker": "unknown",
    }
    run = fresh(new_run(metadata=metadata, context=context))
    assert (run.metadata, run.context) == (metadata, context)


@pytest.mark.parametrize(
    "question",
    [
        {"metadata__tags__contains": ["momentum"]},
        {"metadata__correlation_id": "req_abc123"},
        {"metadata__triggered_by": "user_12345"},
        {"metadata__schedule_id": "schedule_789"},
        {"metadata__priority": "high"},
        {"metadata__contains": {"priority": "high", "tags": ["backtest"]}},
    ],
)
def test_a_run_can_be_found_by_what_its_metadata_says(question: dict[str, object]) -> None:
    metadata = {"triggered_by": "user_12345", "schedule_id": "schedule_789", "correlation_id": "req_abc123"}
    run = new_run(metadata=metadata | {"priority": "high", "tags": ["backtest", "momentum"]})
    new_run(metadata={"tags": ["other"], "priority": "low"})
    assert list(WorkflowExecution.objects.filter(**question)) == [run]


def test_a_run_can_be_found_by_its_parent() -> None:
    parent = new_run()
    child = new_run(context={"parent_execution_id": str(parent.id)})
    assert list(WorkflowExecution.objects.filter(context__parent_execution_id=str(parent.id))) == [child]
