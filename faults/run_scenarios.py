"""Runs from their creation to their end, request by request, as engines make them. Each answer is noted."""

import random
import threading
import uuid
from collections.abc import Callable

import uuid_utils

from .calls import Calls, Unanswered
from .journal import Journal, Record

RUNS, NODES = "executions/", "node-executions/"
CONCURRENT = {"allow_concurrent": True}


class RunScenario:
    """The requests about one run of `workflow`, which has the node `one` that may be retried."""

    def __init__(self, calls: Calls, journal: Journal, workflow: str, chance: random.Random) -> None:
        self.calls, self.journal, self.workflow, self.chance = calls, journal, workflow, chance
        self.key = str(uuid.uuid4())
        self.record = Record("")

    def run(self) -> None:
        end: Callable[[], None] = self.chance.choice([self.complete, self.complete, self.fail, self.retry, self.batch])
        if end == self.batch:
            self.batch()
            return
        self.begin()
        end()

    def begin(self) -> None:
        self.create()
        self.move_node("start")
        self.log()

    def create(self) -> None:
        """Create the run, start it, and create its node."""
        created = self.calls.act(RUNS, {
            "workflow": self.workflow, "trigger_type": "event", "metadata": CONCURRENT, "context": {"key": self.key},
        })  # fmt: skip
        self.record = Record(created["id"], {created["id"]: 1})
        self.journal.add(self.record)
        self.move_run("start")
        self.node = self.about(f"{RUNS}{self.record.run}/nodes/", {"node": "one", "input_data": {"key": self.key}})[
            "id"
        ]
        self.record.versions[self.node] = 1

    def complete(self) -> None:
        self.move_node("complete", {"output_data": {"key": self.key}})
        self.log()
        self.move_run("complete", {"output_data": {"key": self.key}})

    def fail(self) -> None:
        """Fail the run, which cancels its node."""
        self.move_run("fail", {"error_message": "on purpose"}, self.node)

    def retry(self) -> None:
        self.move_node("fail", {"error_message": "on purpose"})
        self.move_run("fail", {"error_message": "on purpose"})
        self.move_run("retry", {}, self.node)
        self.move_run("start")
        self.move_node("start")
        self.complete()

    def batch(self) -> None:
        """Report the whole run in one call, again and again until it is answered."""
        run, node = str(uuid_utils.uuid7()), str(uuid_utils.uuid7())
        of_node, line = {"id": node, "workflow_execution": run}, f"{self.key} in a batch"
        facts = [
            {"kind": "execution.create", "id": run, "workflow": self.workflow, "trigger_type": "event",
             "metadata": CONCURRENT, "context": {"key": self.key}},
            {"kind": "execution.start", "id": run},
            {"kind": "node.create", "node": "one", **of_node},
            {"kind": "node.start", **of_node},
            {"kind": "log", "id": str(uuid_utils.uuid7()), "workflow_execution": run, "level": "info", "message": line},
            {"kind": "node.complete", "output_data": {"key": self.key}, **of_node},
            {"kind": "execution.complete", "id": run},
        ]  # fmt: skip
        found = self.calls.act("events/", facts)
        if found["refused"]:
            raise Unanswered(f"facts were refused: {found['refusals']}")
        self.record = Record(run, {run: 3, node: 3}, {line})
        self.journal.add(self.record)

    # --- requests ---------------------------------------------------------------
    def move_run(self, verb: str, body: dict[str, object] | None = None, *moved: str) -> None:
        """Move the run; `moved` are the nodes that this moves too."""
        found = self.about(f"{RUNS}{self.record.run}/{verb}/", body or {})
        self._note(self.record.run, found["version"], verb)
        for node in moved:
            self.record.versions[node] += 1
        self.record.ahead = 0

    def move_node(self, verb: str, body: dict[str, object] | None = None) -> None:
        found = self.about(f"{NODES}{self.node}/{verb}/", body or {})
        self._note(self.node, found["version"], verb)
        self.record.ahead = 0

    def _note(self, row: str, version: int, verb: str) -> None:
        if version != self.record.versions[row] + 1:
            raise Unanswered(f"{verb} of {row} led from version {self.record.versions[row]} to {version}")
        self.record.versions[row] = version

    def log(self) -> None:
        lines = [f"{self.key} {uuid.uuid4()} {number}" for number in range(self.chance.randint(1, 4))]
        self.about(f"{RUNS}{self.record.run}/logs/", [{"level": "info", "message": line} for line in lines])
        self.record.lines.update(lines)
        self.record.ahead = 0

    def about(self, path: str, body: object) -> dict[str, object]:
        self.record.ahead = 1
        found: dict[str, object] = self.calls.act(path, body)
        return found


class ScenarioClient(threading.Thread):
    """A client that runs scenarios until it is stopped. `errors` are answers that no client should get."""

    def __init__(
        self,
        calls: Calls,
        journal: Journal,
        workflow: str,
        seed: str,
        most: int = 10**9,
        kind: type[RunScenario] = RunScenario,
    ) -> None:
        super().__init__(daemon=True)
        self.calls, self.journal, self.workflow, self.chance = calls, journal, workflow, random.Random(seed)
        self.most, self.errors, self.count, self.kind = most, list[str](), 0, kind
        self.is_wanted = True

    def run(self) -> None:
        while self.is_wanted and self.count < self.most:
            try:
                self.kind(self.calls, self.journal, self.workflow, self.chance).run()
            except Unanswered as error:
                self.errors.append(str(error))
            self.count += 1

    def stop(self) -> None:
        self.is_wanted = False
        self.join()
