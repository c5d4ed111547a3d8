"""A small engine: it executes a workflow and reports to the ledger with the reporter that any engine imports.

It executes one level after the other, with a thread for each node of a level. A thread cannot be stopped from outside,
so a node's timeout_seconds is not enforced. After a cancel in the ledger no further node begins.
"""

import json
import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context
from dataclasses import dataclass, field
from itertools import groupby
from time import sleep
from typing import Any

from pastetrader_client import Client, Node, NodeCancelled, Run, RunCancelled
from workflows import models
from workflows.models import Edge, Workflow

from .nodes import Job, NodeFunction

THREADS = 6
LOGGER = logging.getLogger(__package__)  # its lines, those of this module and of the nodes, are recorded

logger = logging.getLogger(__name__)


@dataclass
class Step:
    """A node of the workflow in one run."""

    node: models.Node
    level: int
    status: str = "pending"
    output: Any = None
    error: str = ""


def _ignore_progress(step: Step) -> None:
    """Do nothing: the default for `progress`."""


@dataclass
class Result:
    """The outcome of a run."""

    run: str
    status: str
    error: str = ""
    output: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Engine:
    """An engine. `functions` maps the names in `config["function"]` to functions; `progress` is called at each change
    of a node."""

    functions: Mapping[str, NodeFunction]
    client: Client
    progress: Callable[[Step], None] = _ignore_progress

    def execute(self, workflow: Workflow, **values: Any) -> Result:
        """Execute the workflow once. `values` are arguments of Client.run()."""
        plan = Plan(workflow, values.get("input") or {})
        run = self.client.run(workflow=str(workflow.pk), concurrent=False, **values)
        with _record_errors(run):
            try:
                with run:
                    return self._run(run, plan)
            except RunCancelled:
                return Result(run.id, "cancelled", "The run was cancelled by somebody else.")

    def _run(self, run: Run, plan: "Plan") -> Result:
        try:
            logger.info("Started with %d nodes", len(plan.steps))
            for level in plan.levels():
                self._run_level(level, plan, run)
                if failed := [step for step in level if step.status == "failed"]:
                    return _give_up(run, plan, failed)
        except RunCancelled:
            raise
        except Exception as error:
            run.fail(f"The engine failed: {type(error).__name__}: {error}")
            raise
        except BaseException:
            run.cancel()
            raise
        run.output = plan.result()
        return Result(run.id, "completed", output=run.output)

    def _run_level(self, level: list[Step], plan: "Plan", run: Run) -> None:
        due = [step for step in level if not self._skip_if_due(step, plan, run)]
        with ThreadPoolExecutor(THREADS) as threads:
            # In a copy of this thread's context, which holds the run; threads of a pool have another context.
            futures = [threads.submit(copy_context().run, self._run_step, step, plan.inputs(step), run) for step in due]
        for future in futures:
            future.result()

    def _skip_if_due(self, step: Step, plan: "Plan", run: Run) -> bool:
        if reason := plan.reason_to_skip(step):
            node = run.node(step.node.name, order=step.level)
            node.info("Skipped: %s", reason)
            node.skip()
            step.status = "skipped"
            self.progress(step)
        return bool(reason)

    def _run_step(self, step: Step, inputs: dict[str, object], run: Run) -> None:
        node = run.node(step.node.name, input=inputs, order=step.level)
        while not self._attempt(node, step, inputs):
            self._wait(step, node.attempt)

    def _attempt(self, node: Node, step: Step, inputs: dict[str, object]) -> bool:
        """Run one attempt. Return whether it was the last one."""
        try:
            with node:
                step.output = node.output = self._compute(node, step, inputs)
                node.check_stopped()  # what comes after it must not build on an output that nobody wants
        except RunCancelled:
            raise
        except NodeCancelled:
            step.status = "cancelled"
        except BaseException as error:  # noqa: BLE001  # in a thread, even SystemExit is a failure of the node only
            step.status, step.error = "failed", f"{type(error).__name__}: {error}"
        else:
            step.status = "completed"
        self.progress(step)
        return step.status != "failed" or node.attempt > step.node.max_retries

    def _compute(self, node: Node, step: Step, inputs: dict[str, object]) -> Any:
        try:
            output = self.functions[step.node.config["function"]](Job(inputs, step.node.config, node.attempt))
            json.dumps(output, allow_nan=False)  # output that is no JSON is a failure of the node
        except BaseException as error:
            logger.exception("Attempt %d failed: %s", node.attempt, error)
            raise
        return output

    def _wait(self, step: Step, attempt: int) -> None:
        """Wait as long as the node's retry_config says. Entering the node again retries it."""
        delay = (step.node.retry_config or {}).get("delay", 1)
        again = f"retry {attempt} of {step.node.max_retries}"
        logger.warning("%s: trying again in %s s (%s)", step.node.name, delay, again, extra={"delay": delay})
        sleep(delay)
        step.status = "pending"
        self.progress(step)


class Plan:
    """The nodes of one run, and the edges between them."""

    def __init__(self, workflow: Workflow, input_data: dict[str, Any]) -> None:
        levels = workflow.levels()
        self.steps = {node.pk: Step(node, levels[node.pk]) for node in workflow.nodes.current()}
        self.before: dict[Any, list[Edge]] = defaultdict(list)
        for edge in workflow.edges.all():
            self.before[edge.target_node_id].append(edge)
        self.input_data = input_data

    def levels(self) -> Iterable[list[Step]]:
        ordered = sorted(self.steps.values(), key=lambda step: step.level)
        return [list(steps) for _level, steps in groupby(ordered, key=lambda step: step.level)]

    def inputs(self, step: Step) -> dict[str, Any]:
        """Return the outputs of the preceding nodes by name; without predecessors, the input of the run."""
        sources = [self.steps[edge.source_node_id] for edge in self.before[step.node.pk]]
        if not sources:
            return self.input_data
        return {source.node.name: source.output for source in sources if source.status == "completed"}

    def reason_to_skip(self, step: Step) -> str:
        """Return why the node is to be skipped: a condition does not hold, or no preceding node completed; ""
        otherwise."""
        edges = self.before[step.node.pk]
        for edge in edges:
            if edge.condition and not self._holds(edge):
                source = self.steps[edge.source_node_id].node.name
                return f"{edge.condition['field']} of {source} is not {edge.condition['equals']}"
        if edges and not self.inputs(step):
            return "nothing before it was completed"
        return ""

    def _holds(self, edge: Edge) -> bool:
        output = self.steps[edge.source_node_id].output or {}
        condition: dict[str, object] = edge.condition or {}
        return bool(output.get(condition["field"]) == condition["equals"])

    def result(self) -> dict[str, Any]:
        """Return the outputs of the last nodes by name."""
        inner = {edge.source_node_id for edges in self.before.values() for edge in edges}
        return {step.node.name: step.output for id, step in self.steps.items() if id not in inner}


def _give_up(run: Run, plan: Plan, failed: list[Step]) -> Result:
    """Fail the run. The ledger skips the nodes that it knows as pending."""
    message = "; ".join(f"{step.node.name}: {step.error}" for step in failed)
    for step in plan.steps.values():
        if step.status == "pending":
            run.node(step.node.name, order=step.level).create()
    logger.error("Failed: %s", message)
    run.fail(message)
    return Result(run.id, "failed", message)


@contextmanager
def _record_errors(run: Run) -> Iterator[None]:
    """Record what this package logs in the run."""
    handler = run.handler()
    LOGGER.addHandler(handler)
    try:
        yield
    finally:
        LOGGER.removeHandler(handler)
