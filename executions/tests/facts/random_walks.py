"""Random walks of an engine through the states of a run and its nodes: each step is one that the verbs allow."""

from collections import Counter
from random import Random
from typing import Any

from executions.tests.facts.reporting import line, new_id

SECRET = "hunter2-and-more"
NAMES = ("fetch", "rank", "report")


class Walk:
    """Facts of one run, in the order of an engine that makes no mistakes. With `names_attempts` they may be sent in any
    pieces: those that retry a row need not have its creation."""

    def __init__(self, random: Random, workflow: str, *, names_attempts: bool = False) -> None:
        self.names_attempts = names_attempts
        self.attempts: Counter[str] = Counter()  # that were retried
        self.random, self.run = random, new_id()
        self.status = "pending"
        self.retries = 0
        self.nodes: dict[str, str] = {}
        self.states: dict[str, str] = {}
        context = random.choice([{}, {"secrets": {"db": SECRET}}])
        create = {"id": self.run, "workflow": workflow, "trigger_type": "manual", "context": context}
        self.facts = [{"kind": "execution.create", "metadata": {"allow_concurrent": True}, **create}]

    def steps(self, number: int) -> "Walk":
        for _step in range(number):
            getattr(self, self.random.choice(self._possible()))()
        return self

    def _possible(self) -> list[str]:
        possible = ["log"]
        if self.status in {"pending", "running"}:
            possible += ["cancel_run"] + ["add_node"] * 2 * (len(self.nodes) < len(NAMES))
            possible += ["move_node"] * 6 * bool(self._movable())
        if self.status == "pending":
            possible += ["start_run"] * 8
        if self.status == "running":
            possible += ["fail_run"] * 2 + ["complete_run"] * ("running" not in self.states.values())
        if self.status == "failed" and self.retries < 2:
            possible += ["retry_run"] * 6
        return possible

    def _say(self, kind: str, **fields: Any) -> None:
        self.facts.append({"kind": kind, **fields})

    def _move(self, kind: str, id: str, **fields: Any) -> None:
        attempt = {"attempt": self.attempts[id] + 1} if self.names_attempts else {}
        self._say(kind, id=id, **attempt, **fields)
        self.attempts[id] += kind.endswith(".retry")

    def _text(self) -> str:
        return self.random.choice(["went wrong", f"refused {SECRET}", ""])

    def log(self) -> None:
        node = self.random.choice([None, *self.nodes.values()])
        self.facts.append(line(self.run, f"line with {SECRET}", node_execution=node, data={"n": len(self.facts)}))

    def start_run(self) -> None:
        self.status = "running"
        self._move("execution.start", self.run)

    def complete_run(self) -> None:
        self.status = "completed"
        self._settle("skipped", "running")
        self._move("execution.complete", self.run, output_data={"text": self._text()})

    def fail_run(self) -> None:
        self.status = "failed"
        self._settle("skipped", "cancelled")
        self._move("execution.fail", self.run, error_message=self._text())

    def cancel_run(self) -> None:
        self.status = "cancelled"
        self._settle("cancelled", "cancelled")
        self._move("execution.cancel", self.run, reason=self._text())

    def retry_run(self) -> None:
        self.status = "pending"
        self.retries += 1
        self.states.clear()  # which are pending again the ledger decides: no node moves any more
        self._move("execution.retry", self.run, reason=self._text())

    def add_node(self) -> None:
        name = NAMES[len(self.nodes)]
        id = self.nodes[name] = new_id()
        self.states[name] = "pending"
        self._say("node.create", id=id, workflow_execution=self.run, node=name, input_data={"of": name})

    def _movable(self) -> list[tuple[str, str]]:
        moves = {"pending": ["skip", "cancel"], "running": ["complete", "fail", "cancel"], "failed": ["retry"]}
        if self.status == "running":
            moves["pending"] = ["start", "start", "start", "skip", "cancel"]
        return [(name, act) for name, state in self.states.items() for act in moves.get(state, [])]

    def move_node(self) -> None:
        name, act = self.random.choice(self._movable())
        if act == "retry":
            self.retries += 1
        texts = {
            "complete": {"output_data": {"by": self._text()}},
            "fail": {"error_message": self._text(), "error_traceback": f"Traceback\nValueError: {SECRET}"},
            "cancel": {"reason": self._text()},
            "retry": {"reason": self._text()},
        }
        states = {
            "start": "running",
            "complete": "completed",
            "fail": "failed",
            "skip": "skipped",
            "cancel": "cancelled",
        }
        self.states[name] = states.get(act, "pending")
        self._move(f"node.{act}", self.nodes[name], workflow_execution=self.run, **texts.get(act, {}))

    def _settle(self, pending: str, running: str) -> None:
        ended = {"pending": pending, "running": running}
        self.states = {name: ended.get(state, state) for name, state in self.states.items()}
