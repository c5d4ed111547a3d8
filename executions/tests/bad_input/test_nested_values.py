"""Bad values below the fields of documents that the ledger itself reads: through creation, a lapse, upkeep, a page."""

import json
from typing import Any

import pytest

from executions.models import NodeExecution, WorkflowExecution
from executions.tests.facts.reporting import new_id, send
from executions.upkeep.overdue_attempts import end_overdue
from executions.upkeep.runner import plan_all
from ledgerkit.tests.clients import client_of
from pastetrader.tests.proofs import LONG

from .inputs import VALUES

pytestmark = pytest.mark.django_db
NUMBERS = {name: text for name, text in VALUES.items() if not text.startswith(('"', "[", "{"))}
OTHERS = {name: VALUES[name] for name in ("surrogate", "digits-in-text", "nulls", "objects", "nul-key", "empty-text")}
CHOSEN = NUMBERS | OTHERS
PLACES = (
    "node/retry_config/max_retries", "node/retry_config/delay", "node/timeout_seconds", "run/metadata/timeout_seconds",
    "workflow/config/log_level", "workflow/config/retention_days", "workflow/config/log_retention_days",
    "run/metadata/tags", "run/metadata/correlation_id", "run/metadata/allow_concurrent", "run/context/secrets",
)  # fmt: skip


def bodies(place: str, value: str) -> list[str]:
    """Return a workflow of one node and a run of it, as texts, with the value at its place in one of them."""
    workflow: dict[str, Any] = {"id": new_id(), "name": f"w {new_id()}", "config": {}}
    node: dict[str, Any] = {"name": "fetch", "node_type": "tool", "retry_config": {"delay": 0}}
    run: dict[str, Any] = {
        "id": new_id(),
        "workflow": workflow["id"],
        "trigger_type": "manual",
        "metadata": {},
        "context": {},
    }
    of, *path, last = place.split("/")
    found = {"node": node, "workflow": workflow, "run": run}[of]
    for name in path:
        found = found[name]
    found[last] = "{value}"
    return [json.dumps(body).replace('"{value}"', value) for body in ({**workflow, "nodes": [node]}, run)]


@pytest.mark.slow
@pytest.mark.parametrize("what", CHOSEN)
def test_a_nested_value_is_refused_or_breaks_nothing_later(engine: Any, staff: Any, what: str) -> None:
    at = list(CHOSEN).index(what)
    for place in PLACES if LONG else PLACES[at % 3 :: 3]:
        if (run := _create(engine, *bodies(place, CHOSEN[what]))) is not None:
            _lapse(engine, run)
            end_overdue()
            assert [outcome for outcome in plan_all() if outcome.error] == []
            page = client_of(staff).get(f"/admin/executions/workflowexecution/{run}/change/")
            assert page.status_code == 200, place


def _create(client: Any, workflow: str, run: str) -> str | None:
    """Return the id of the run, None if the ledger refuses one of the two with its place."""
    client.raise_request_exception = False
    for path, body in (("workflows/", workflow), ("executions/", run)):
        answer = client.generic("POST", f"/api/v1/{path}", body, content_type="application/json")
        if answer.status_code == 400:
            assert answer.json()["detail"], body
            return None
        assert answer.status_code == 201, (body[:300], answer.content[:300])
    return str(answer.json()["id"])


def _lapse(client: Any, run: str) -> None:
    """Let a node of the run fail by its lease."""
    node = new_id()
    of_node = {"id": node, "workflow_execution": run}
    facts = [{"kind": "execution.start", "id": run}, {"kind": "node.create", "node": "fetch", **of_node}]
    assert send(client, *facts, {"kind": "node.start", **of_node})["refusals"] == []
    NodeExecution.objects.get(pk=node).fail_overdue("lease_expired", "The lease expired.")
    assert WorkflowExecution.objects.get(pk=run).status == "running"
