"""The ledger against a model of it in plain Python, driven by Hypothesis through any sequence of verbs."""

from typing import Any

import pytest
from django.db import transaction
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from executions.exceptions import InvalidTransition
from executions.models import NodeExecution, WorkflowExecution
from executions.tests.factories import NodeExecutionFactory, WorkflowExecutionFactory
from pastetrader.tests.proofs import times
from workflows.tests.factories import NodeFactory, WorkflowFactory

ACTIVE = {"pending", "running"}
MOVES = {
    "start": ({"pending"}, "running"),
    "complete": ({"running"}, "completed"),
    "fail": ({"running"}, "failed"),
    "cancel": (ACTIVE, "cancelled"),
    "skip": ({"pending"}, "skipped"),
    "retry": ({"failed"}, "pending"),
}
ARGUMENTS: dict[str, tuple[Any, ...]] = {"fail": ("broke",), "complete": ({"done": True},)}
MAX_RETRIES = 2
EXAMPLES = times(8, 200)
NODES = 3


class Ledger(RuleBasedStateMachine):
    """One run of three nodes without edges. `run` and `nodes` are what plain Python says they should be."""

    @initialize()
    def begin(self) -> None:
        self.atomic = transaction.atomic()
        self.atomic.__enter__()
        workflow = WorkflowFactory()
        self.row = WorkflowExecutionFactory(workflow=workflow)
        config = {"max_retries": MAX_RETRIES}
        nodes = [NodeFactory(workflow=workflow, retry_config=config) for _ in range(NODES)]
        self.rows = [
            NodeExecutionFactory(workflow_execution=self.row, node=n, execution_order=i) for i, n in enumerate(nodes)
        ]
        self.run, self.nodes = "pending", ["pending"] * NODES
        self.settled, self.retries, self.kept = [False] * NODES, [0] * NODES, [0] * NODES

    @rule(verb=st.sampled_from(["start", "complete", "fail", "cancel", "retry"]))
    def say_to_run(self, verb: str) -> None:
        sources, to = MOVES[verb]
        legal = self.run in sources and not (verb == "complete" and "running" in self.nodes)
        legal &= verb != "retry" or MAX_RETRIES not in self.retries_of_failed()
        if self.say(WorkflowExecution, self.row.pk, verb, legal):
            self.run = to
            self.settle(verb)

    @rule(index=st.integers(0, NODES - 1), verb=st.sampled_from(list(MOVES)))
    def say_to_node(self, index: int, verb: str) -> None:
        sources, to = MOVES[verb]
        legal = self.nodes[index] in sources
        legal &= verb != "start" or self.run == "running"
        legal &= verb != "retry" or (self.run in ACTIVE and self.retries[index] < MAX_RETRIES)
        if self.say(NodeExecution, self.rows[index].pk, verb, legal):
            self.nodes[index] = to
            self.retries[index] += verb == "retry"
            self.kept[index] += verb == "retry"

    def say(self, model: Any, pk: Any, verb: str, legal: bool) -> bool:
        row = model.objects.get(pk=pk)
        try:
            getattr(row, verb)(*ARGUMENTS.get(verb, ()))
        except InvalidTransition:
            if legal:
                raise
            return False
        assert legal, f"{verb} was not refused in {row.status}"
        return True

    def retries_of_failed(self) -> list[int]:
        return [retries for retries, state in zip(self.retries, self.nodes, strict=True) if state == "failed"]

    def settle(self, verb: str) -> None:
        endings = {
            "complete": {"pending": "skipped"},
            "fail": {"pending": "skipped", "running": "cancelled"},
            "cancel": {"pending": "cancelled", "running": "cancelled"},
        }
        for i, state in enumerate(self.nodes):
            if state in endings.get(verb, {}):
                self.nodes[i], self.settled[i] = endings[verb][state], True
        if verb == "retry":
            self.retry_nodes()

    def retry_nodes(self) -> None:
        for i, state in enumerate(self.nodes):
            reset = state in {"skipped", "cancelled"} and self.settled[i]
            self.retries[i] += state == "failed"
            self.kept[i] += state == "failed"
            if state == "failed" or reset:
                self.nodes[i], self.settled[i] = "pending", False

    @invariant()
    def the_ledger_says_what_the_model_says(self) -> None:
        if not hasattr(self, "run"):
            return
        rows = list(self.row.node_executions.all())
        assert str(WorkflowExecution.objects.get(pk=self.row.pk).status) == self.run
        assert [str(row.status) for row in rows] == self.nodes
        assert [row.settled for row in rows] == self.settled
        assert [row.retry_count for row in rows] == self.retries
        assert [row.attempts.filter(status="failed").count() for row in rows] == self.kept

    @invariant()
    def nothing_runs_in_a_run_that_has_ended(self) -> None:
        if getattr(self, "run", "pending") in {"completed", "cancelled", "failed"}:
            assert not ACTIVE & set(self.nodes)

    def teardown(self) -> None:
        if hasattr(self, "atomic"):
            transaction.set_rollback(True)
            self.atomic.__exit__(None, None, None)


@pytest.mark.slow
@pytest.mark.django_db
def test_any_sequence_of_verbs_does_what_the_model_does() -> None:
    run_state_machine_as_test(
        Ledger,
        settings=settings(
            max_examples=EXAMPLES, stateful_step_count=20, deadline=None, derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )  # fmt: skip
