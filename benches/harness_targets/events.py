"""This ledger, a whole run in one call of `POST events/`. It is loaded in the harness, whose adapters it imports."""

import os
from collections.abc import Iterator
from typing import Any

from targets.ledger import LEVEL, Ledger

from pastetrader_client.ids import uuid7

MANY = 50  # runs in a call


class Events(Ledger):
    name = "ledger-events"

    def record_run(self, name: str, given: Any, output: Any, nodes: int, lines: Any) -> None:
        """Record a run with its nodes and lines."""
        self.send(list(_run_facts(name, given, output, nodes, lines)))

    def send(self, facts: list[dict[str, Any]]) -> None:
        """Send facts. Raises RuntimeError if one is refused."""
        answer: bytes = self.call("POST", "/events/", facts)
        if b'"refused":0' not in answer.replace(b" ", b""):
            raise RuntimeError(answer[:500])


class ManyRuns(Events):
    """Many runs in each call, which the harness counts as one."""

    name = "ledger-many-runs"
    per_run = tuple(MANY * rows for rows in Ledger.per_run)

    def record_run(self, name: str, given: Any, output: Any, nodes: int, lines: Any) -> None:
        """Record so many equal runs."""
        self.send([fact for _ in range(MANY) for fact in _run_facts(name, given, output, nodes, lines)])


def _run_facts(name: str, given: Any, output: Any, nodes: int, lines: Any) -> Iterator[dict[str, Any]]:
    run = uuid7()
    yield from _begin(run, name, given)
    yield from _nodes(run, nodes, given, output)
    yield from _lines(run, lines)
    yield {"kind": "execution.complete", "id": run, "output_data": output}


def _begin(run: str, name: str, given: Any) -> Iterator[dict[str, Any]]:
    yield {
        "kind": "execution.create", "id": run, "workflow": os.environ["LEDGER_WF"], "trigger_type": "manual",
        "input_data": given, "metadata": {"allow_concurrent": True, "correlation_id": name},
    }  # fmt: skip
    yield {"kind": "execution.start", "id": run}


def _nodes(run: str, number: int, given: Any, output: Any) -> Iterator[dict[str, Any]]:
    for index in range(number):
        node = {"id": uuid7(), "workflow_execution": run}
        yield {"kind": "node.create", "node": f"step_{index}", "input_data": given, **node}
        yield {"kind": "node.start", **node}
        yield {"kind": "node.complete", "output_data": output, **node}


def _lines(run: str, lines: Any) -> Iterator[dict[str, Any]]:
    for _at, level, message in lines:
        yield {"kind": "log", "id": uuid7(), "workflow_execution": run, "level": LEVEL[level], "message": message}
