"""A small engine: it executes a workflow and reports to the ledger with the same verbs as any other engine.

It executes one level after the other, with a thread for each node of a level. A thread cannot be stopped from outside,
so a node's timeout_seconds is not enforced.
"""

import json
import logging
import time
import traceback
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from contextvars import copy_context
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from django.db import connection, transaction

from executions.exceptions import InvalidTransition, StaleObject
from executions.models import ExecutionStatus, NodeExecution, WorkflowExecution
from workflows.models import Edge, Workflow

from .log_handler import record_logs
from .nodes import Job, NodeFunction

THREADS = 6  # with the engine's own, one less than the default number of connections in the pool

logger = logging.getLogger(__name__)


def _unseen(execution: NodeExecution) -> None:
    """The default for `progress`: do nothing."""


@dataclass(frozen=True)
class Engine:
    """An engine. `functions` maps the names in `config["function"]` to functions; `progress` is called at each change
    of a node."""

    functions: Mapping[str, NodeFunction]
    progress: Callable[[NodeExecution], None] = _unseen

    def execute(self, workflow: Workflow, **values: Any) -> WorkflowExecution:
        """Execute the workflow once. Return the ended run. Raises ConcurrentExecution, and creates no run then.

        `values` are fields of the run: trigger_type, input_data, context, metadata.
        """
        run, plan = _begin(workflow, values)
        with record_logs(run) as lines:
            try:
                self._run(run, plan, lines.flush)
            except BaseException as error:
                _abandon(run, error)
                raise
        return run

    def _run(self, run: WorkflowExecution, plan: "Plan", flush: Callable[[], None]) -> None:
        logger.info("Started with %d nodes", len(plan.executions))
        for level in plan.levels():
            self._run_level(level, plan, run)
            flush()
            run.refresh_from_db()
            if run.is_terminal:
                logger.warning("The run was ended by somebody else: it is %s", run.status)
                return
            if failed := [execution for execution in level if execution.status == ExecutionStatus.FAILED]:
                _give_up(run, failed)
                return
        run.complete(plan.result())

    def _run_level(self, level: list[NodeExecution], plan: "Plan", run: WorkflowExecution) -> None:
        due = [execution for execution in level if not self._skip_if_due(execution, plan, run)]
        connection.close()  # the threads need connections; this one only waits
        with ThreadPoolExecutor(THREADS) as threads:
            futures = [
                # Run in a copy of this thread's context, which holds the actor; threads of a pool have another context.
                threads.submit(copy_context().run, self._in_thread, execution, plan.inputs(execution), run)
                for execution in due
            ]
        for future in futures:
            future.result()

    def _skip_if_due(self, execution: NodeExecution, plan: "Plan", run: WorkflowExecution) -> bool:
        reason = plan.reason_to_skip(execution)
        if reason:
            with record_logs(run, execution):
                logger.info("Skipped: %s", reason)
                self._unless_changed(execution, execution.skip)
            self.progress(execution)
        return bool(reason)

    def _in_thread(self, execution: NodeExecution, inputs: dict[str, object], run: WorkflowExecution) -> None:
        try:
            with record_logs(run, execution) as lines:
                self._unless_changed(execution, lambda: self._run_node(execution, inputs, lines.flush))
        finally:
            connection.close()  # only this thread can return its connection to the pool

    def _unless_changed(self, execution: NodeExecution, act: Callable[[], None]) -> None:
        try:
            act()
        except (InvalidTransition, StaleObject) as refusal:
            logger.warning("Stopped, as somebody else changed this node or its run: %s", refusal)
            execution.refresh_from_db()

    def _run_node(self, execution: NodeExecution, inputs: dict[str, object], flush: Callable[[], None]) -> None:
        execution.input_data = inputs
        execution.save(update_fields=["input_data"])
        while not self._attempt(execution, flush):
            self._retry(execution)

    def _attempt(self, execution: NodeExecution, flush: Callable[[], None]) -> bool:
        """Run one attempt. Return whether it was the last one."""
        execution.start()
        self.progress(execution)
        try:
            output = self._compute(execution)
        except BaseException as error:  # in a thread, even SystemExit is a failure of the node only
            logger.exception("Attempt %d failed: %s", execution.attempt, error)
            flush()
            lines = "".join(traceback.format_exception(error))
            execution.fail(f"{type(error).__name__}: {error}", lines)
        else:
            flush()
            execution.complete(output)
        self.progress(execution)
        return not execution.can_retry

    def _compute(self, execution: NodeExecution) -> dict[str, object]:
        function = self.functions[execution.node.config["function"]]
        output = function(Job(execution.input_data, execution.node.config, execution.attempt))
        json.dumps(output, allow_nan=False)  # output that cannot be stored is a failure of the node, not of the engine
        return output

    def _retry(self, execution: NodeExecution) -> None:
        delay = (execution.node.retry_config or {}).get("delay", 1)
        again = f"retry {execution.retry_count + 1} of {execution.node.max_retries}"
        logger.warning("Trying again in %s s (%s)", delay, again, extra={"delay": delay})
        time.sleep(delay)
        execution.retry()
        self.progress(execution)


class Plan:
    """The node executions of one run, and the edges between them."""

    def __init__(
        self, executions: Iterable[NodeExecution], edges: Iterable[Edge], input_data: dict[str, object]
    ) -> None:
        self.executions = {execution.node_id: execution for execution in executions}
        self.before: dict[Any, list[Edge]] = defaultdict(list)
        for edge in edges:
            self.before[edge.target_node_id].append(edge)
        self.input_data = input_data

    def levels(self) -> Iterable[list[NodeExecution]]:
        ordered = sorted(self.executions.values(), key=lambda execution: execution.execution_order)
        return [list(level) for _order, level in groupby(ordered, key=lambda execution: execution.execution_order)]

    def inputs(self, execution: NodeExecution) -> dict[str, object]:
        """Return the outputs of the preceding nodes by name; without predecessors, the input of the run."""
        sources = [self.executions[edge.source_node_id] for edge in self.before[execution.node_id]]
        if not sources:
            return self.input_data
        completed = [source for source in sources if source.status == ExecutionStatus.COMPLETED]
        return {source.node.name: source.output_data for source in completed}

    def reason_to_skip(self, execution: NodeExecution) -> str:
        """Return why the node is to be skipped: a condition does not hold, or no preceding node completed; ""
        otherwise."""
        edges = self.before[execution.node_id]
        for edge in edges:
            if edge.condition and not self._holds(edge):
                return f"{edge.condition['field']} of {edge.source_node.name} is not {edge.condition['equals']}"
        if edges and not self.inputs(execution):
            return "nothing before it was completed"
        return ""

    def _holds(self, edge: Edge) -> bool:
        output = self.executions[edge.source_node_id].output_data or {}
        condition: dict[str, object] = edge.condition or {}
        return bool(output.get(condition["field"]) == condition["equals"])

    def result(self) -> dict[str, object]:
        """Return the outputs of the last nodes by name."""
        inner = {edge.source_node_id for edges in self.before.values() for edge in edges}
        last = [execution for node, execution in self.executions.items() if node not in inner]
        return {execution.node.name: execution.output_data for execution in last}


def _begin(workflow: Workflow, values: dict[str, object]) -> tuple[WorkflowExecution, Plan]:
    levels = workflow.levels()
    # durable: the threads see only committed rows
    with transaction.atomic(durable=True):
        run = WorkflowExecution.objects.create(workflow=workflow, **values)
        executions = NodeExecution.objects.bulk_create(
            NodeExecution(workflow_execution=run, node=node, execution_order=levels[node.pk])
            for node in workflow.nodes.current()
        )
        run.start()
    return run, Plan(executions, workflow.edges.select_related("source_node"), run.input_data)


def _give_up(run: WorkflowExecution, failed: list[NodeExecution]) -> None:
    message = "; ".join(f"{execution.node.name}: {execution.error_message}" for execution in failed)
    logger.error("Failed: %s", message)
    run.fail(message)


def _abandon(run: WorkflowExecution, error: BaseException) -> None:
    """Fail the run if the engine itself failed or was stopped: a run without an engine must not stay running."""
    with suppress(InvalidTransition):
        if isinstance(error, Exception):
            run.fail(f"The engine failed: {type(error).__name__}: {error}")
        else:
            run.cancel()
