"""Limits of the secrets of a run and of the values in a body."""

import gzip
import json
from typing import Any

import pytest
from django.core.exceptions import ValidationError

from executions.models import ExecutionLog, NodeExecution, WorkflowExecution
from executions.secrets.scrubber import MASK, Scrubber
from executions.tests.factories import NodeExecutionFactory, WorkflowExecutionFactory
from ledgerkit import json_reading
from ledgerkit.conf import ledgerkit_settings
from ledgerkit.db.json_validation import LARGE, has_more_elements
from workflows.secret_keys import LONGEST_KEPT, _names_secret

pytestmark = pytest.mark.django_db
RUNS = "/api/v1/executions/"


@pytest.fixture
def client(api: Any, owner: Any) -> Any:
    return api(owner)


def create(client: Any, workflow: Any, **fields: Any) -> Any:
    return client.post(RUNS, {"workflow": str(workflow.pk), "trigger_type": "manual", **fields}, format="json")


def test_a_secret_that_is_too_long_is_refused_at_its_place(client: Any, workflow: Any, settings: Any) -> None:
    secret = "a" + "\u0300\u0316" * 40_000
    answer = create(client, workflow, context={"secrets": {"list": [{"x": secret}]}})
    assert answer.status_code == 400
    (error,) = answer.json()["errors"]
    assert error["pointer"] == "/context"
    assert error["detail"].startswith(
        "context.secrets.list[0].x: a secret has at most 8192 characters (EXECUTIONS['SECRETS_"
    )
    settings.EXECUTIONS = settings.EXECUTIONS | {"SECRETS_MAX_LENGTH": 20}
    for secrets, status in (({"pin": "1" * 21}, 400), ({"pin": "1" * 20}, 201)):
        assert create(client, workflow, context={"secrets": secrets}).status_code == status


def test_more_secrets_than_a_run_may_have_are_refused(client: Any, workflow: Any, settings: Any) -> None:
    settings.EXECUTIONS = settings.EXECUTIONS | {"SECRETS_MAX": 3}
    secrets = [f"secret-{n}" for n in range(4)]
    for large in ("", "x" * LARGE):  # a large body is masked before the run is made
        answer = create(client, workflow, metadata={"note": large}, input_data={"secrets": secrets})
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (400, "/input_data")
        assert "input_data: a run has at most 3 secrets" in answer.json()["errors"][0]["detail"]
    assert not WorkflowExecution.objects.exists()


def test_secrets_that_come_one_after_the_other_are_counted_together(settings: Any) -> None:
    settings.EXECUTIONS = settings.EXECUTIONS | {"SECRETS_MAX": 3}
    run = WorkflowExecutionFactory(context={"secrets": {"all": ["secret-1", "secret-2"]}})
    node = NodeExecutionFactory(workflow_execution=run, input_data={"token": "secret-3"})
    line = {"workflow_execution": run, "level": "info", "message": "x"}
    ExecutionLog.objects.create(**line, data={"token": "secret-3"})
    with pytest.raises(ValidationError, match="data: a run has at most 3 secrets"):
        ExecutionLog.objects.create(**line, data={"token": "secret-4"})
    with pytest.raises(ValidationError, match="output_data: a run has at most 3"):
        NodeExecution.objects.filter(pk=node.pk).update(output_data={"token": "secret-4"})
    assert ExecutionLog.objects.create(**{**line, "message": "secret-3"}).message == MASK


def test_the_secrets_of_a_run_are_bounded_together(settings: Any) -> None:
    settings.EXECUTIONS = settings.EXECUTIONS | {"SECRETS_MAX_CHARACTERS": 30}
    with pytest.raises(ValidationError, match=r"at most 30 characters in all .* they have 40"):
        WorkflowExecutionFactory(context={"secrets": {"a": "a" * 20, "b": "b" * 20}})


def test_a_body_of_very_many_values_is_refused_before_it_is_parsed(
    client: Any, workflow: Any, monkeypatch: Any
) -> None:
    run = WorkflowExecutionFactory(workflow=workflow)
    monkeypatch.setattr(json_reading, "read", None)
    body = gzip.compress(b'{"message": "x", "data": [' + b"[]," * 3_000_000 + b"[]]}")
    headers = {"Content-Encoding": "gzip"}
    answer = client.generic("POST", f"{RUNS}{run.pk}/logs/", body, content_type="application/json", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (413, "too_many_elements")
    assert "MAX_BODY_ELEMENTS" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("value", "number"),
    [({"a": 1, "b": [1, 2]}, 4), ([[], [], {}], 6), ([",[{" * 50, 'a"b,' * 50, 1], 3), ("[,{" * 9, 0), ([], 1)],
)
def test_values_are_counted_without_what_stands_in_texts(value: Any, number: int) -> None:
    body = json.dumps(value).encode()
    assert not has_more_elements(body, number)
    assert number == 0 or has_more_elements(body, number - 1)


def test_the_bound_leaves_room_for_ten_thousand_lines(settings: Any) -> None:
    line = {
        "id": "x",
        "level": "info",
        "message": "x",
        "data": dict.fromkeys("abcdefghijklmnopqrstuvwxyz"),
        "timestamp": "x",
    }
    assert not has_more_elements(json.dumps([line] * 10_000).encode(), ledgerkit_settings.MAX_BODY_ELEMENTS)


def test_keys_of_any_length_are_not_remembered() -> None:
    scrubber = Scrubber(["hunter2pw"])
    _names_secret.cache_clear()
    for number in range(5):
        key = f"{number}{'k' * LONGEST_KEPT}"
        assert scrubber.document({key: 1, f"{key} hunter2pw": 2, f"{key}_password": "x"}) == {
            key: 1,
            f"{key} {MASK}": 2,
            f"{key}_password": MASK,
        }
    assert not scrubber._keys
    assert not scrubber._plain_keys
    assert not _names_secret.cache_info().currsize
