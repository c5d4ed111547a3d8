"""Nodes that a workflow lacks are added to it over HTTP."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from pastetrader_client import Client
from pastetrader_client.http_transport import HttpTransport
from pastetrader_client.transport import Contended
from workflows.models import Workflow
from workflows.tests.factories import WorkflowFactory

THERE = {"id": "019ad000-0000-7000-8000-000000000000", "name": "w", "version": 1, "nodes": []}


def define(*answers: int) -> tuple[bool, list[str]]:
    """Define a node where the ledger answers so, after it has found the workflow. Return what define() does, and the
    calls."""
    calls: list[str] = []
    statuses = iter((200, *answers))

    def answer(request: httpx.Request) -> httpx.Response:
        calls.append(f"{request.method} {request.url.path.removeprefix('/api/v1')}")
        return httpx.Response(next(statuses), json=THERE)

    transport = HttpTransport("http://ledger", "token", httpx.MockTransport(answer))
    return transport.define("w", "", [{"name": "a", "node_type": "tool"}]), calls


def test_a_workflow_that_is_made_meanwhile_has_the_node() -> None:
    assert define(201) == (True, ["POST /workflows/ensure/"] * 2)


def test_a_ledger_of_an_earlier_version_gets_the_node_by_a_change() -> None:
    patch = f"PATCH /workflows/{THERE['id']}/"
    assert define(400, 200) == (True, [*["POST /workflows/ensure/"] * 2, patch])


def test_conflicts_are_no_outage() -> None:
    with pytest.raises(Contended, match="others change the workflow w"):
        define(409, 200, 409, 200, 409)


def test_a_workflow_is_named_by_its_id(connect: Callable[..., Client], owner: Any) -> None:
    workflow = WorkflowFactory(owner=owner, name="w", chain=["a"])
    client = connect()
    with client.run(str(workflow.pk)) as run, run.node("extra"):
        pass
    assert client.flush()
    assert Workflow.objects.get().nodes.count() == 2
