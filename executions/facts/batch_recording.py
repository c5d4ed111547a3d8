"""The facts of one call: read what they are about, mask, lock, apply, store. Two calls may bring the same new rows at
once: the database lets one of them store, and the other begins again and finds them known."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction

from executions import audit, partitions, run_graph
from executions.log_levels import count_dropped
from executions.models import WorkflowExecution
from executions.secrets import run_secrets
from executions.secrets.retention import purge_occasionally
from executions.secrets.scrubber import RedactEverything, Scrubber
from executions.states import ENDED
from ledgerkit.conf import ledgerkit_settings

from . import fact_kinds as kinds
from .call_outcome import Caller, Outcome, notices_of
from .fact_kinds import Reported
from .kind_handlers import apply_facts
from .loaded_rows import Known
from .locked_rows import (
    RunRow,
    database_time,
    find_runs,
    history_of,
    keep_secrets,
    lock_nodes,
    lock_runs,
    nodes_of_lines,
    running,
    runs_of_nodes,
    stored_lines,
    take_turns,
    taken_runs,
)
from .planned_changes import Plan
from .refusals import NO_RUN, NO_WORKFLOW, TOO_MANY_PARTITIONS, BadFact, NotFacts, Refusal
from .row_storage import store
from .text_masking import Masker
from .workflow_definitions import Nodes, find_named, find_workflows, graphs

HOUR = 3_600_000  # milliseconds
TRIES = 10  # each ends with a row that another call has stored
WHOLE = (kinds.RunComplete, kinds.RunFail, kinds.RunCancel, kinds.RunRetry)  # these change every node of the run
RETRIES = (kinds.RunRetry, kinds.NodeRetry)
NODE_CREATIONS = (kinds.NodeCreate, kinds.NodeObserve)
NODE_MOVES = tuple(kind for kind in kinds.KINDS if issubclass(kind, kinds.NodeMove))


class _Again(IntegrityError):
    """Raised if a row has changed between reading and locking it."""


class Batch:
    """One batch of facts to store. The first try assumes that created rows are new: if one exists, the database refuses
    the try, or a fact is refused. Later tries are `careful`: they look them up first."""

    def __init__(self, facts: Sequence[Reported], refusals: Sequence[Refusal], caller: Caller) -> None:
        self.caller = caller
        self.refusals = list(refusals)
        self.refused_runs = {refusal.run for refusal in refusals} - {None}
        of_run: dict[int, list[Reported]] = defaultdict(list)  # the hash of a UUID takes as long as all the rest
        for reported in facts:
            of_run[reported.fact.run.int].append(reported)
        self.of_run = {reported[0].fact.run: reported for reported in of_run.values()}
        self.all_by_kind = _by_kind(facts)
        self.masker = Masker()
        self.careful = False

    def report(self) -> Outcome:
        """Store what is new. Return what became of each fact."""
        for _try in range(TRIES - 1):
            try:
                return self._report()
            except IntegrityError:  # somebody has stored some of it, maybe a moment ago, or has started a run
                self.careful = True
        return self._report()

    def _report(self) -> Outcome:
        self.by_kind = self.all_by_kind
        self._read()
        outcome = Outcome(refusals=list(self.refusals), refused=len(self.refusals))
        self._check_rights(outcome)
        self._make_partitions()
        self.caller.release()
        self._mask(outcome)
        with transaction.atomic():
            known = self._lock()
            plans = self._apply(known, outcome)
            self._check_refused(outcome)
            store(plans, is_noted=self.moves)
            count_dropped(line for plan in plans for line in plan.dropped)
            for plan in plans:
                _remember_nodes(plan)
            if any(plan.run is not None and plan.run.moves and plan.run.status in ENDED for plan in plans):
                transaction.on_commit(purge_occasionally, robust=True)
        outcome.refusals.sort(key=lambda refusal: refusal.index)
        return outcome

    def _check_refused(self, outcome: Outcome) -> None:
        """Raise _Again if a refused new run exists by now: its facts may be known then."""
        created = {each.id for each in self.all_by_kind[kinds.RunCreate]} - self.runs.keys()
        refused = created & {refusal.run for refusal in outcome.refusals}
        if find_runs(self.caller.runs, refused)[0]:
            raise _Again

    # --- before the transaction ---------------------------------------------
    def _read(self) -> None:
        creations = self._of(kinds.RunCreate)
        presumed_new = set() if self.careful else {each.id for each in creations}
        self.runs, self.secrets = find_runs(self.caller.runs, self.of_run.keys() - presumed_new)
        self.workflows = find_workflows(self.caller.workflows, self.caller.user, {each.workflow for each in creations})
        self._read_graphs({each.node for each in self._of(*NODE_CREATIONS)})

    def _read_graphs(self, wanted: set[str]) -> None:
        """Read the graphs that runs remember, and the nodes themselves unless all are in each of these graphs."""
        retries = bool(self._of(*RETRIES))
        among: list[Any] = [*self.runs.values(), *self.workflows.values()] if wanted or retries else []
        self.graphs = graphs([each.graph for each in among])
        if self.careful or retries or not all(graph.has(name) for graph in self.graphs.values() for name in wanted):
            within = {run.workflow for run in self.runs.values()} | {each.id for each in self.workflows.values()}
            self.nodes = Nodes(within, wanted, self.graphs.values())
        else:
            self.nodes = Nodes((), (), ())

    def _of(self, *classes: type) -> list[Any]:
        return [fact for each in classes for fact in self.by_kind[each]]

    def _check_rights(self, outcome: Outcome) -> None:
        """Refuse runs of which the caller may not report some fact: of them nothing is locked."""
        self.admitted = {run: facts for run, facts in self.of_run.items() if self._is_admitted(outcome, run, facts)}
        if len(self.admitted) < len(self.of_run):
            self.by_kind = _by_kind(each for facts in self.admitted.values() for each in facts)

    def _is_admitted(self, outcome: Outcome, run: UUID, facts: Sequence[Reported]) -> bool:
        if run in self.refused_runs:
            outcome.refused += len(facts)
            return False
        index = facts[0].index
        try:
            owner = self._owner(run, facts)
            for each in facts:
                index = each.index
                self.caller.may(kinds.KIND_OF[type(each.fact)], owner)
        except BadFact as error:
            self._refuse(outcome, run, index, error)
            return False
        return True

    def _owner(self, run: UUID, facts: Sequence[Reported]) -> Any:
        """Return the owner of the run. Raises BadFact if there is no run and the first fact does not make one."""
        if (there := self.runs.get(run)) is not None:
            return there.owner
        first = facts[0].fact
        if type(first) is not kinds.RunCreate:
            raise BadFact("not_found", NO_RUN)
        if (workflow := find_named(self.workflows, first.workflow)) is None:
            raise BadFact("invalid", NO_WORKFLOW)
        return workflow.owner

    def _make_partitions(self) -> None:
        """Make missing partitions, before the transaction: it may have to wait. Raises NotFacts for too many."""
        ids = list(_one_of_each_hour(self.by_kind[kinds.Line]))
        most = self.caller.max_partitions
        if most is not None and len(ids) > most and (missing := partitions.count_missing(ids)) > most:
            raise NotFacts(TOO_MANY_PARTITIONS.format(missing, most))
        partitions.ensure(ids)

    def _mask(self, outcome: Outcome) -> None:
        self.masked: dict[UUID, run_secrets.RunSecrets] = {}
        for run, reported in self.admitted.items():
            try:
                self.masked[run] = self.masker.mask(run, reported, self.secrets)
            except BadFact as error:
                self._refuse(outcome, run, reported[0].index, error)

    # --- within it ----------------------------------------------------------
    def _lock(self) -> Known:
        retries = bool(self._of(*RETRIES))
        starting = {run.workflow for run in self._starting() if not run.allow_concurrent} | self._new_starting()
        take_turns(starting)
        there = [run for run in self.masked if run in self.runs]
        self._lock_runs(there, texts=retries)
        whole = [run for run in there if any(self._concerns_every_node(each.fact) for each in self.admitted[run])]
        nodes = lock_nodes([each.id for each in self._of(*NODE_CREATIONS, *NODE_MOVES)], there, whole, texts=retries)
        of_lines = {each.node_execution for each in self.by_kind[kinds.Line] if each.node_execution is not None}
        new = {each.id for each in self._of(*NODE_CREATIONS)}
        created = {each.id for each in self._of(kinds.RunCreate)}
        return Known(
            now=database_time(self._note() if self.moves else ""), runs=self.runs, nodes=nodes,
            line_nodes=nodes_of_lines(of_lines - new - nodes.keys()), workflows=self.workflows, graphs=self.graphs,
            nodes_of_workflows=self.nodes, slots=running(starting),
            stored_lines=stored_lines([each.id for each in self.by_kind[kinds.Line]]) if self.careful else None,
            taken_runs=taken_runs(created - self.runs.keys()) if self.careful else set(),
            taken_nodes=runs_of_nodes(new - nodes.keys()) if self.careful else {},
            read_history=cache(lambda: history_of(list(self.runs))),
        )  # fmt: skip

    def _lock_runs(self, there: Sequence[UUID], *, texts: bool) -> None:
        """Lock the runs, in one statement and so in one order. Lines alone need to know only that the secrets stay."""
        if not there:
            return
        changes = self.moves or self.masker.found
        if not (lock_runs(self.runs, there, texts=texts) if changes else keep_secrets(self.runs, there)):
            raise _Again

    def _concerns_every_node(self, fact: object) -> bool:
        if isinstance(fact, kinds.RunObserve):
            return fact.state in ENDED or self.runs[fact.run].status in ENDED
        return isinstance(fact, WHOLE)

    @property
    def moves(self) -> bool:
        """Return whether there are facts that the history would have an entry of."""
        return any(facts for kind, facts in self.by_kind.items() if kind is not kinds.Line)

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
        for run in self.masked:
            reported = self.admitted[run]
            plan = self._plan(known, run, nodes[run])
            if refused := apply_facts(plan, reported):
                self._refuse(outcome, run, *refused)
            else:
                plans.append(plan)
                outcome.applied += plan.applied
                outcome.known += plan.already_known
            outcome.notices += notices_of(plan, reported)
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

    def _scrubber(self) -> Scrubber:
        """Return a scrubber of the secrets of all runs; of everything if those of one are unknown."""
        if any(isinstance(self.secrets.get(run), Exception) for run in self.masked):
            return RedactEverything()
        values = self.masker.values().union(*(known.scrubber.values for known in self.masked.values()))
        return Scrubber(values, ledgerkit_settings.SECRET_KEYS_EXTRA)

    def _note(self) -> str:
        """Return the note of the history. Where the caller chose the id of the request, it is clear of secrets."""
        given = audit.current().given_id
        cleared = {"request_id": self._scrubber().text(given)} if given else {}
        return audit.current().note(facts=True, **cleared)


def _by_kind(facts: Iterable[Reported]) -> dict[type, list[Any]]:
    found: dict[type, list[Any]] = defaultdict(list)
    for reported in facts:
        found[type(reported.fact)].append(reported.fact)
    return found


def _one_of_each_hour(lines: Sequence[kinds.Line]) -> Iterable[UUID]:
    """Return ids of lines, one for each hour: a partition is at least a day."""
    return {(line.id.int >> 80) // HOUR: line.id for line in lines}.values()


def _remember_nodes(plan: Plan) -> None:
    """Let the run remember nodes that came into its workflow after it was made: rare, and run by run."""
    if not plan.late_nodes:
        return
    run = WorkflowExecution.objects.select_related("graph", "workflow").get(pk=plan.id)
    for node in plan.late_nodes:
        run_graph.remember(run, node)


def report(facts: Sequence[Reported], refusals: Sequence[Refusal], caller: Caller, *, careful: bool = False) -> Outcome:
    """Store the facts, and say what became of them. `careful` is for creations that are mostly known already."""
    found = Batch(facts, refusals, caller)
    found.careful = careful
    return found.report()
