"""Generator of a lifelike ledger: few workflows have most of the runs, few runs fail, few have most lines.

Every row follows from the plan, ids included: two ledgers of one plan are equal, byte by byte. The rows obey the state
machine: no active node in an ended run, at most one running run per workflow, attempts numbered without gaps.
"""

import json
import math
from collections import deque
from collections.abc import Iterator
from itertools import batched
from random import Random
from uuid import UUID

from executions import ingest
from executions.models import (
    ExecutionLog,
    ExecutionStatus,
    LogLevel,
    NodeExecution,
    NodeExecutionAttempt,
    TriggerType,
    WorkflowExecution,
    WorkflowExecutionAttempt,
)

from . import seed_texts as texts
from .seed_definitions import Definitions
from .seed_distributions import creation_times, line_counts, node_counts
from .seed_plan import FIELDS, SECOND, Batch, Definition, Plan, Run, Step, to_microseconds, utc, uuid7_at

RUNS_IN_BATCH = 2_000
S = ExecutionStatus


class Ledger:
    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.random = Random(plan.seed)  # noqa: S311  # reproducible on purpose
        self.first, self.last = to_microseconds(plan.since), to_microseconds(plan.until)
        self.texts = texts.Texts(self.random)
        self.definitions = Definitions(plan, self.random)
        self.recent: deque[str] = deque(maxlen=200)

    def batches(self) -> Iterator[Batch]:
        """Yield the rows of RUNS_IN_BATCH runs, tables in the order of their foreign keys."""
        created = creation_times(self.plan, self.random)
        nodes_of_runs = node_counts(self.plan, self.random, self.definitions.of_runs)
        counts = zip(nodes_of_runs, line_counts(self.plan, self.random), strict=True)
        last_of = {id(definition): index for index, definition in enumerate(self.definitions.of_runs)}
        runs = zip(range(self.plan.runs), self.definitions.of_runs, created, counts, strict=True)
        for some in batched(runs, RUNS_IN_BATCH):
            batch: Batch = {model: [] for model in FIELDS}
            for index, definition, moment, (nodes, lines) in some:
                run = self._run(definition, moment, nodes, latest=last_of[id(definition)] == index)
                self._add_nodes(batch, run)
                self._add_run(batch, run)
                self._add_lines(batch, run, lines)
            yield batch

    # --- one run ------------------------------------------------------------
    def _run(self, definition: Definition, created: int, nodes: int, *, latest: bool) -> Run:
        random = self.random
        start = max(created + int(random.expovariate(2.5) * SECOND) + 1000, definition.free_at + SECOND // 5)
        end = start + int(random.lognormvariate(math.log(definition.seconds), 0.8) * SECOND) + 1000
        run = Run(self._id(created), definition, created, start, end, S.COMPLETED, definition.steps[:nodes])
        run.status = self._status(run, latest=latest)
        levels = run.steps[-1].level + 1 if run.steps else 1
        run.stop = levels - 1 if run.status == S.COMPLETED else random.randrange(levels)
        if run.status == S.FAILED:
            run.error = self.texts.error(random)
        if run.start and run.status != S.PENDING:
            definition.free_at = run.end
        run.retried = bool(run.steps) and run.status == S.COMPLETED and self._chance(0.01)
        return run

    def _status(self, run: Run, *, latest: bool) -> ExecutionStatus:
        if run.start >= self.last or (latest and self._chance(0.2)):
            return S.PENDING
        if run.end > self.last or (latest and self._chance(0.5)):
            run.end = self.last
            return S.RUNNING
        if self._chance(0.003):
            run.start, run.end = 0, min(self.last, run.created + 30 * SECOND)
            return S.CANCELLED
        return self.random.choices((S.COMPLETED, S.FAILED, S.CANCELLED), (953, 40, 7))[0]

    def _add_run(self, batch: Batch, run: Run) -> None:
        started = run.start if run.status != S.PENDING else 0
        ended = run.end if run.status not in {S.PENDING, S.RUNNING} else 0
        moves = bool(started) + bool(ended)
        if run.retried:
            # The first attempt is the first half of the run's time, see _add_nodes.
            middle = _midpoint(run)
            error = self.texts.error(self.random)
            batch[WorkflowExecutionAttempt].append(
                (self._id(middle), run.id, 1, S.FAILED, utc(run.start), utc(middle), error.message)
            )
            started, moves = middle + 1, moves + 3
        random = self.random
        trigger = random.choices((TriggerType.SCHEDULE, TriggerType.EVENT, TriggerType.MANUAL), (70, 22, 8))[0]
        batch[WorkflowExecution].append(
            (
                run.id, run.of.id, trigger, run.status, utc(run.created), utc(ended or started or run.created),
                utc(started), utc(ended), 1 + moves, 2 if run.retried else 1, self.texts.input(random),
                self.texts.output(random) if run.status == S.COMPLETED else None,
                run.error.message if run.error else None, self._context(run), self._metadata(run, trigger),
            )
        )  # fmt: skip
        self.recent.append(run.id)

    def _context(self, run: Run) -> ingest.Encoded:
        document: dict[str, object] = {
            "variables": {"symbols": self.texts.symbols(self.random), "window": 63},
            "environment": {"host": f"engine-{self.random.randrange(6)}", "version": "2.4.1"},
        }
        if self.recent and self._chance(0.05):
            document["parent_execution_id"] = str(UUID(self.random.choice(self.recent)))
        if run.retried:
            document["retry_info"] = {"attempt": 2, "max_attempts": 3}
        return ingest.Encoded(json.dumps(document))

    def _metadata(self, run: Run, trigger: TriggerType) -> ingest.Encoded:
        random = self.random
        document: dict[str, object] = {
            "tags": sorted(set(random.choices(texts.TAGS, texts.TAG_WEIGHTS, k=random.randrange(4)))),
            "correlation_id": f"{random.getrandbits(48):012x}",
            "priority": random.choices(("normal", "high", "low"), (85, 10, 5))[0],
            "triggered_by": texts.PEOPLE[int(random.random() * len(texts.PEOPLE))],
        }
        if trigger == TriggerType.SCHEDULE:
            document |= {"schedule_id": run.of.schedule, "triggered_by": "scheduler"}
        if self._chance(0.1):
            document["timeout_seconds"] = 900
        return ingest.Encoded(json.dumps(document))

    # --- node executions ----------------------------------------------------------
    def _add_nodes(self, batch: Batch, run: Run) -> None:
        failing = self._failing_step(run)
        start = _midpoint(run) + 1 if run.retried else run.start
        width = (run.end - start) / (run.stop + 1)
        for step in run.steps:
            opens = int(start + width * step.level)
            closes = max(opens, min(run.end, int(opens + width)))
            self._add_node(batch, run, step, failing=step is failing, opens=opens, closes=closes)

    def _failing_step(self, run: Run) -> Step | None:
        there = [step for step in run.steps if step.level == run.stop]
        return self.random.choice(there) if there and (run.status == S.FAILED or run.retried) else None

    def _add_node(self, batch: Batch, run: Run, step: Step, *, failing: bool, opens: int, closes: int) -> None:
        status, settled = self._node_status(run, step, failing=failing)
        new = self._id(run.created)
        started, ended = self._node_times(run, step, status, settled=settled, opens=opens, closes=closes)
        moves = bool(started) + bool(ended)
        error = run.error if status == S.FAILED else None
        if retries := self._retries(run, status, failing=failing):
            started = self._add_attempts(batch, new, run, retries, started, ended, failing=failing)
        if started:
            run.started_nodes.append((new, started, ended or run.end))
        batch[NodeExecution].append(
            (
                new, run.id, step.id, status, utc(run.created), utc(ended or started or run.created),
                utc(started), utc(ended), 1 + moves + 3 * retries, 1 + retries, retries, step.level, settled,
                self.texts.input(self.random), self.texts.output(self.random) if status == S.COMPLETED else None,
                error.message if error else None, error.traceback if error else None,
            )
        )  # fmt: skip

    def _node_times(
        self, run: Run, step: Step, status: ExecutionStatus, *, settled: bool, opens: int, closes: int
    ) -> tuple[int, int]:
        """Return start and end within the period from `opens` to `closes`; 0 for a time that there is not."""
        started = ended = 0
        was_running = status == S.CANCELLED and step.level == run.stop and run.start
        if status in {S.COMPLETED, S.FAILED, S.RUNNING} or was_running:
            started = opens + int((closes - opens) * 0.1 * self.random.random())
        if status not in {S.PENDING, S.RUNNING}:
            rest = closes - max(started, opens)
            ended = run.end if settled else closes - int(rest * self.random.random() / 2)
        return started, ended

    def _retries(self, run: Run, status: ExecutionStatus, *, failing: bool) -> int:
        if status == S.FAILED:
            return self.random.choice((0, 1, 3, 3))
        if run.retried and failing:
            return 1
        return self.random.choice((1, 1, 2)) if status == S.COMPLETED and self._chance(0.015) else 0

    def _add_attempts(
        self, batch: Batch, new: str, run: Run, retries: int, started: int, ended: int, *, failing: bool
    ) -> int:
        """Add the failed attempts and return when the last one started."""
        if run.retried and failing:
            self._add_attempt(batch, new, 1, run.start, _midpoint(run))
            return started
        piece = (ended - started) // (retries + 1)
        for number in range(retries):
            self._add_attempt(batch, new, number + 1, started + piece * number, started + piece * (number + 1))
        return started + piece * retries

    def _node_status(self, run: Run, step: Step, *, failing: bool) -> tuple[ExecutionStatus, bool]:
        """Return the status, and whether the end of the run set it."""
        if run.status == S.PENDING:
            return S.PENDING, False
        if not run.start:
            return S.CANCELLED, True
        if step.level < run.stop or run.status == S.COMPLETED:
            skipped = run.status == S.COMPLETED and not failing and self._chance(0.03)
            return (S.SKIPPED if skipped else S.COMPLETED), False
        if run.status == S.FAILED:
            return self._status_in_failed_run(run, step, failing=failing)
        if run.status == S.RUNNING:
            return (S.RUNNING if step.level == run.stop else S.PENDING), False
        return S.CANCELLED, True

    def _status_in_failed_run(self, run: Run, step: Step, *, failing: bool) -> tuple[ExecutionStatus, bool]:
        if failing:
            return S.FAILED, False
        if step.level > run.stop:
            return S.SKIPPED, True
        return (S.CANCELLED, True) if self._chance(0.3) else (S.COMPLETED, False)

    def _add_attempt(self, batch: Batch, node: str, number: int, start: int, end: int) -> None:
        error = self.texts.error(self.random)
        batch[NodeExecutionAttempt].append(
            (self._id(end), node, number, S.FAILED, utc(start), utc(end), error.message, error.traceback)
        )

    # --- log lines ----------------------------------------------------------
    def _add_lines(self, batch: Batch, run: Run, count: int) -> None:
        random, append = self.random, batch[ExecutionLog].append
        if run.error and count:
            count -= 1
            append((self._id(run.end), run.id, None, LogLevel.ERROR, run.error.message, None, utc(run.end)))
        opens, closes = (run.start, run.end) if run.start and run.status != S.PENDING else (run.created, run.created)
        levels, nodes = self.texts.levels(random, count), run.started_nodes
        for level in levels:
            node, start, end = None, opens, closes
            if nodes and self._chance(0.8):
                node, start, end = nodes[int(random.random() * len(nodes))]
            moment = start + int((end - start) * random.random())
            append(
                (self._id(moment), run.id, node, level, *self.texts.line(random, level), utc(moment)),
            )

    def _chance(self, of: float) -> bool:
        return self.random.random() < of

    def _id(self, micro: int) -> str:
        return uuid7_at(self.random, micro)


def _midpoint(run: Run) -> int:
    return (run.start + run.end) // 2
