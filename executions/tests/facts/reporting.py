"""Facts as an engine sends them."""

import json
from typing import Any

from ledgerkit.db.models import uuid7

URL = "/api/v1/events/"


def new_id() -> str:
    return str(uuid7())


def send(client: Any, *facts: Any, status: int = 200, **headers: Any) -> Any:
    """Return the answer to a batch."""
    response = client.post(URL, json.dumps(facts), content_type="application/json", **headers)
    assert response.status_code == status, response.content
    return response.json()


def run_facts(workflow: Any, run: str, nodes: dict[str, str] | None = None, lines: int = 0, **fields: Any) -> list[Any]:
    """Return the facts of a whole run that completes, with its node executions by name."""
    facts: list[Any] = [
        {"kind": "execution.create", "id": run, "workflow": str(workflow.pk), "trigger_type": "manual", **fields},
        {"kind": "execution.start", "id": run},
    ]
    for name, id in (nodes or {}).items():
        of_node = {"id": id, "workflow_execution": run}
        facts += [
            {"kind": "node.create", "node": name, "input_data": {"of": name}, **of_node},
            {"kind": "node.start", **of_node},
            {"kind": "node.complete", "output_data": {"by": name}, **of_node},
        ]
    facts += [line(run, f"line {number}") for number in range(lines)]
    return [*facts, {"kind": "execution.complete", "id": run, "output_data": {"ok": True}}]


def line(run: str, message: str, **fields: Any) -> dict[str, Any]:
    return {"kind": "log", "id": new_id(), "workflow_execution": run, "level": "info", "message": message, **fields}
