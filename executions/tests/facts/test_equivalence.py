"""The same facts in one call, in several, and by the call for one row each: the same rows, but for ids and times."""

from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rest_framework.test import APIClient

from executions.models import WorkflowExecution
from executions.tests.facts.random_walks import SECRET, Walk
from executions.tests.facts.reporting import send
from pastetrader.tests.proofs import LONG
from tokens.models import Scope, Token
from workflows.tests.factories import WorkflowFactory

pytestmark = pytest.mark.django_db

EXAMPLES = 300 if LONG else 12


@pytest.mark.slow
@settings(max_examples=EXAMPLES)
@given(seed=st.integers(0, 2**32), length=st.integers(1, 24))
def test_one_batch_several_and_single_calls(seed: int, length: int) -> None:
    workflow = WorkflowFactory(chain=["fetch", "rank", "report"])
    _row, secret = Token.objects.issue(user=workflow.owner, name="engine", scopes=list(Scope.values))
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Token {secret}")
    whole, again, single = (Walk(Random(seed), str(workflow.pk)).steps(length) for _way in range(3))
    parts = Walk(Random(seed), str(workflow.pk), names_attempts=True).steps(length)

    assert send(client, *whole.facts)["refusals"] == []
    cut = Random(seed)
    rest = parts.facts
    while rest:
        size = cut.randint(1, 6)
        assert send(client, *rest[:size])["applied"] == len(rest[:size])
        assert send(client, *rest[:size])["known"] == len(rest[:size])
        rest = rest[size:]
    for upto in range(3, len(again.facts) + 3, 3):  # each time from the beginning
        assert send(client, *again.facts[:upto])["applied"] == min(3, len(again.facts) - upto + 3)
    for fact in single.facts:
        call(client, dict(fact))

    expected = snapshot(single)
    assert snapshot(whole) == expected
    assert snapshot(parts) == expected
    assert snapshot(again) == expected
    assert SECRET not in str(expected) or "secrets" not in str(single.facts[0])
    assert send(client, *whole.facts)["known"] == len(whole.facts)
    assert snapshot(whole) == expected


def call(client: Any, fact: dict[str, Any]) -> None:
    """Report one fact by the call for its row."""
    kind = fact.pop("kind")
    run = fact.pop("workflow_execution", None)
    if kind == "log":
        path = f"executions/{run}/logs/"
    elif kind == "execution.create":
        path = "executions/"
    elif kind == "node.create":
        path = f"executions/{run}/nodes/"
    else:
        noun = "executions" if kind.startswith("execution.") else "node-executions"
        path = f"{noun}/{fact.pop('id')}/{kind.partition('.')[2]}/"
    response = client.post(f"/api/v1/{path}", fact, format="json")
    assert response.status_code in {200, 201}, (kind, response.json())


def snapshot(walk: Walk) -> Any:
    """Return everything about a run that is not an id or a time."""
    run = WorkflowExecution.objects.get(pk=walk.run)
    names = {id: name for name, id in walk.nodes.items()}
    nodes = {names[str(node.pk)]: node for node in run.node_executions.all()}
    return {
        "run": row(run, "failed_nodes", "input_data", "context", "metadata"),
        "nodes": {name: row(node, "retry_count", "settled", "execution_order", "node_name", "input_data")
                  for name, node in nodes.items()},
        "attempts": [attempt(each) for each in run.attempts.all()],
        "attempts of nodes": {name: [attempt(each) for each in node.attempts.all()] for name, node in nodes.items()},
        "lines": sorted((each.message, each.level, str(each.data)) for each in run.logs.all()),
        "history": sorted(
            (names.get(str(each.node_execution_id), ""), each.attempt, each.from_status or "", each.to_status, each.act,
             each.reason, each.through, each.username, each.token_name)
            for each in run.history.all()
        ),
    }  # fmt: skip


def row(each: Any, *more: str) -> dict[str, Any]:
    names = ("status", "attempt", "version", "output_data", "error_message", *more)
    return {name: getattr(each, name) for name in names} | {
        "traceback": getattr(each, "error_traceback", None),
        "has started": each.started_at is not None,
        "has ended": each.ended_at is not None,
    }


def attempt(each: Any) -> tuple[Any, ...]:
    return (each.number, each.status, each.output_data, each.error_message, getattr(each, "error_traceback", None))
