"""The facts of one call: read what they are about, mask, lock, apply, store. Two calls may bring the same new rows at
once: the database lets one of them store, and the other begins again and finds them known."""

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction

from executions import audit, partitions, run_graph, run_secrets
from executions.encryption import extra_keys, purge_occasionally
from executions.models import ExecutionStatus, WorkflowExecution
from executions.secrets import Scrubber
from executions.states import ENDED

from . import facts as kinds
from .apply import apply_facts
from .definitions import Nodes, find_workflows, graphs
from .facts import Reported
from .moves import Known, Plan
from .refusals import BadFact, Refusal
from .rows import (
    RunRow,
    database_time,
    find_runs,
    history_of,
    lock_nodes,
    lock_runs,
    running,
    runs_of_nodes,
    stored_lines,
    take_turns,
)
from .store import store
from .texts import Masker

TRIES = 10  # each ends with a row that another call has stored
WHOLE = (kinds.RunComplete, kinds.RunFail, kinds.RunCancel, kinds.RunRetry)  # these change every node of the run
RETRIES = (kinds.RunRetry, kinds.NodeRetry)
CREATIONS = (kinds.RunCreate, kinds.NodeCreate)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who reports: what they see, and `may(kind, owner)`, which raises BadFact for what they may not do."""

    user: Any
    runs: Any
    workflows: Any
    may: Callable[[str, Any], None]


@dataclass(frozen=True, slots=True)
class Notice:
    """Somebody cancelled or retried a run meanwhile."""

    run: UUID
    act: str
    status: str
    attempt: int


@dataclass(slots=True)
class Outcome:
    """`refused` counts every fact of a run of which one was refused."""

    applied: int = 0
    known: int = 0
    refused: int = 0
    refusals: list[Refusal] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)


class _Again(Exception):
    """What was read has changed before it was locked."""


class Batch:
    def __init__(self, facts: Sequence[Reported], refusals: Sequence[Refusal], caller: Caller) -> None:
        self.caller = caller
        self.refusals = list(refusals)
        self.spoilt = {refusal.run for refusal in refusals} - {None}
        self.of_run: dict[UUID, list[Reported]] = defaultdict(list)
        for reported in facts:
            self.of_run[reported.fact.run].append(reported)
        self.masker = Masker()
        self.lines = [reported.fact.id for reported in facts if isinstance(reported.fact, kinds.Line)]
        self.looks_for_lines = False

    def report(self) -> Outcome:
        """Store what is new. Return what became of each fact."""
        partitions.ensure(self.lines)  # before the transaction: it may have to wait
        for _try in range(TRIES - 1):
            try:
                return self._report()
            except _Again:
                pass
            except IntegrityError:  # somebody has stored some of it, or started a run, a moment ago
                self.looks_for_lines = True
        return self._report()

    def _report(self) -> Outcome:
        self._read()
        outcome = Outcome(refusals=list(self.refusals), refused=len(self.refusals))
        self._mask(outcome)
        with transaction.atomic():
            known = self._lock()
            plans = self._apply(known, outcome)
            store(plans, self._note())
            for plan in plans:
                _remember_nodes(plan)
            if any(plan.run is not None and plan.run.moves and plan.run.status in ENDED for plan in plans):
                transaction.on_commit(purge_occasionally, robust=True)
        outcome.refusals.sort(key=lambda refusal: refusal.index)
        return outcome

    # --- before the transaction ---------------------------------------------
    def _read(self) -> None:
        self.runs, self.secrets = find_runs(self.caller.runs, self.of_run)
        creations = self._of(kinds.RunCreate)
        self.workflows = find_workflows(self.caller.workflows, self.caller.user, {each.workflow for each in creations})
        within = {run.workflow for run in self.runs.values()} | {each.id for each in self.workflows.values()}
        wanted = {each.node for each in self._of(kinds.NodeCreate)}
        self.graphs = graphs(
            [run.graph for run in self.runs.values()] + [each.graph for each in self.workflows.values()]
            if wanted or self._of(*RETRIES)
            else []
        )
        self.nodes = Nodes(within, wanted, self.graphs.values())

    def _of(self, *classes: type) -> list[Any]:
        return [each.fact for facts in self.of_run.values() for each in facts if isinstance(each.fact, classes)]

    def _mask(self, outcome: Outcome) -> None:
        self.masked: dict[UUID, run_secrets.RunSecrets] = {}
        for run, reported in self.of_run.items():
            try:
                self.masked[run] = self.masker.mask(run, reported, self.secrets)
            except BadFact as error:
                self._refuse(outcome, run, reported[0].index, error)

    # --- within it ----------------------------------------------------------
    def _lock(self) -> Known:
        moved = {run: facts for run, facts in self.of_run.items() if self._is_locked(run, facts)}
        retries = bool(self._of(*RETRIES))
        starting = {run.workflow for run in self._starting() if not run.allow_concurrent} | self._new_starting()
        take_turns(starting)
        there = [run for run in moved if run in self.runs]
        if there and not lock_runs(self.runs, there, texts=retries):
            raise _Again
        whole = [run for run in there if any(isinstance(each.fact, WHOLE) for each in moved[run])]
        ids = [each.id for each in self._of(kinds.NodeMove, kinds.NodeCreate)] if there else []
        nodes = lock_nodes(ids, whole, texts=retries)
        of_lines = {each.node_execution for each in self._of(kinds.Line)} - nodes.keys() - {None}
        new = {each.id for each in self._of(kinds.NodeCreate)}
        history: list[Any] = []

        def read_history() -> Any:
            if not history:
                history.append(history_of(list(self.runs)))
            return history[0]

        return Known(
            now=database_time(), runs=self.runs, nodes=nodes, line_nodes=runs_of_nodes(of_lines - new),
            workflows=self.workflows, graphs=self.graphs, nodes_of_workflows=self.nodes, slots=running(starting),
            stored_lines=stored_lines(self.lines) if self.looks_for_lines else {}, read_history=read_history,
            may=self.caller.may,
        )  # fmt: skip

    def _is_locked(self, run: UUID, facts: Sequence[Reported]) -> bool:
        """Return whether the facts change the run or its nodes; lines alone need no lock, unless they bring secrets."""
        return run in self.masker.found or any(not isinstance(each.fact, kinds.Line) for each in facts)

    def _starting(self) -> list[RunRow]:
        return [self.runs[each.id] for each in self._of(kinds.RunStart) if each.id in self.runs]

    def _new_starting(self) -> set[UUID]:
        starts = {each.id for each in self._of(kinds.RunStart)} - self.runs.keys()
        alone = [each for each in self._of(kinds.RunCreate) if each.metadata.get("allow_concurrent") is not True]
        found = (self.workflows.get(each.workflow) for each in alone if each.id in starts)
        return {workflow.id for workflow in found if workflow}

    def _apply(self, known: Known, outcome: Outcome) -> list[Plan]:
        nodes: dict[UUID, dict[UUID, Any]] = defaultdict(dict)
        for node in known.nodes.values():
            nodes[node.run][node.id] = node
        plans: list[Plan] = []
        for run, reported in self.of_run.items():
            if run not in self.masked:
                continue
            if run in self.spoilt:
                outcome.refused += len(reported)
                continue
            plan = self._plan(known, run, nodes[run])
            if refused := apply_facts(plan, reported):
                self._refuse(outcome, run, *refused)
            else:
                plans.append(plan)
                outcome.applied += plan.applied
                outcome.known += plan.already_known
            if (notice := _notice(plan, reported)) is not None:
                outcome.notices.append(notice)
        return plans

    def _plan(self, known: Known, run: UUID, nodes: dict[UUID, Any]) -> Plan:
        before = self.secrets.get(run)
        return Plan(
            known=known, id=run, run=self.runs.get(run), secrets=self.masked[run], nodes=nodes,
            secrets_before=before.scrubber.values if isinstance(before, run_secrets.RunSecrets) else frozenset(),
            secrets_error=before if isinstance(before, Exception) else None,
        )  # fmt: skip

    def _refuse(self, outcome: Outcome, run: UUID, index: int, error: Exception) -> None:
        outcome.refusals.append(Refusal.of(index, run, error))
        outcome.refused += len(self.of_run[run])

    def _note(self) -> str:
        """Return the note of the history. Where the caller chose the id of the request, it is clear of secrets."""
        given = audit.current().given_id
        values = self.masker.values().union(*(known.scrubber.values for known in self.masked.values())) if given else ()
        cleared = {"request_id": Scrubber(values, extra_keys()).text(given)} if given else {}
        return json.dumps(audit.current().note() | cleared | {"facts": True})


def _remember_nodes(plan: Plan) -> None:
    """Let the run remember nodes that came into its workflow after it was made: rare, and run by run."""
    if not plan.late_nodes:
        return
    run = WorkflowExecution.objects.select_related("graph", "workflow").get(pk=plan.id)
    for node in plan.late_nodes:
        run_graph.remember(run, node)


def _notice(plan: Plan, reported: Sequence[Reported]) -> Notice | None:
    """Return what the caller seems not to know of the run: that it was cancelled, or retried."""
    run = plan.run
    if run is None or run.is_new or run.moves:
        return None
    acts = Counter(each.fact.kind for each in reported)
    if run.status == ExecutionStatus.CANCELLED and not acts["execution.cancel"]:
        return Notice(run.id, "cancel", str(run.status), run.attempt)
    moves = [each.fact for each in reported if isinstance(each.fact, kinds.RunMove)]
    is_earlier = any((move.attempt or run.attempt) < run.attempt for move in moves)
    waits = run.status == ExecutionStatus.PENDING and run.attempt > 1
    if (is_earlier or waits) and not acts["execution.retry"]:
        return Notice(run.id, "retry", str(run.status), run.attempt)
    return None


def report(facts: Sequence[Reported], refusals: Sequence[Refusal], caller: Caller) -> Outcome:
    """Store the facts, and say what became of them."""
    return Batch(facts, refusals, caller).report()
