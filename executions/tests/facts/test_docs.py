"""The example of docs/events.md is sent as it stands there."""

import json
import re
from typing import Any

import pytest

from executions.models import NodeExecution, WorkflowExecution
from executions.tests.facts.reporting import new_id, send
from pastetrader.tests.live_server import ROOT
from workflows.models import Workflow

pytestmark = pytest.mark.django_db


def test_the_example(api: Any, owner: Any, workflow: Workflow) -> None:
    facts, answer = re.findall(r"```json\n(.*?)```", (ROOT / "docs" / "events.md").read_text(), re.DOTALL)
    for name in ("run", "node", "line"):
        facts = facts.replace(f'"{{{name}}}"', f'"{new_id()}"')
    assert send(api(owner), *json.loads(facts)) == json.loads(answer)
    run, node = WorkflowExecution.objects.get(), NodeExecution.objects.get()
    assert (run.duration_seconds, node.duration_seconds, run.logs.get().timestamp.second) == (4.0, 2.0, 2)
    assert run.created_at < run.updated_at
