"""Runs whose first worker falls silent: upkeep gives its node to a second one, and the first one changes nothing."""

import time
import uuid

import uuid_utils

from .calls import PATIENCE, Calls, Unanswered
from .journal import Record
from .run_scenarios import NODES, RunScenario

FIRST, SECOND = 1, 600  # seconds of their leases
LOOK = 0.5
BY_UPKEEP = 2  # moves: the attempt fails, the node is retried


class LeaseScenario(RunScenario):
    """The run of a workflow whose node `one` is retried at once after a lease."""

    def run(self) -> None:
        self.create()
        first = self.start_node("first", FIRST)
        wait_for_retry(self.calls, self.record, self.node)
        second = self.start_node("second", SECOND)
        self.record.fenced |= report_as_fenced(self.calls, self.record.run, self.node, first)
        self.log()
        self.move_node("complete", {"output_data": {"key": self.key}, "token": second})
        self.move_run("complete")

    def start_node(self, worker: str, seconds: int) -> str:
        """Start the node under a lease. Return its token."""
        found = self.about(f"{NODES}{self.node}/start/", {"worker": worker, "lease_seconds": seconds})
        self._note(self.node, int(str(found["version"])), "start")
        self.record.ahead = 0
        return str(found["token"])


def wait_for_retry(calls: Calls, record: Record, node: str) -> None:
    """Wait until upkeep has failed the first attempt of the node and retried it."""
    record.ahead, until = BY_UPKEEP, time.monotonic() + PATIENCE
    while (found := calls.read(f"{NODES}{node}/"))["attempt"] == 1:
        if time.monotonic() > until:
            raise Unanswered(f"{node} is {found['status']}: no upkeep has retried it in {PATIENCE:.0f} s")
        time.sleep(LOOK)
    record.versions[node] += BY_UPKEEP
    record.ahead = 0


def report_as_fenced(calls: Calls, run: str, node: str, token: str) -> set[str]:
    """Report with the token of the attempt that was replaced, in every way. Return the lines, which must not be stored.
    Raises Unanswered unless each report is refused as fenced."""
    for verb, body in (("heartbeat", {}), ("complete", {"output_data": {"by": "the first"}}), ("fail", {})):
        calls.refuse(f"{NODES}{node}/{verb}/", {**body, "token": token}, "fenced")
    of_node = {"workflow_execution": run, "token": token}
    line = f"fenced {uuid.uuid4()}"
    facts: list[dict[str, object]] = [
        {"kind": "log", "id": str(uuid_utils.uuid7()), "node_execution": node, "level": "info", "message": line},
        {"kind": "node.heartbeat", "id": node},
        {"kind": "node.complete", "id": node, "attempt": 1},
    ]
    for fact in facts:
        found = calls.act("events/", [fact | of_node])
        if [each["code"] for each in found["refusals"]] != ["fenced"]:
            raise Unanswered(f"{fact['kind']} of a worker that was replaced was answered {found}")
    return {line}
