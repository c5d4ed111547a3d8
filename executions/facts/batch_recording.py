"""Record the facts of one call: read their rows, mask texts, lock, apply the facts, store. If two calls create the same
rows at once, the database accepts one of them; the other starts again and finds the rows stored."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from contextlib import nullcontext
from datetime import UTC, datetime
from functools import cache
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction

from executions import audit, partitions
from executions.dropped_log_lines import count_dropped
from executions.secrets import run_secrets
from executions.secrets.retention import purge_occasionally
from executions.secrets.scrubber import RedactEverything, Scrubber
from executions.states import ENDED, ExecutionStatus
from ledgerkit.conf import ledgerkit_settings

from . import fact_kinds as kinds
from .apply_facts import apply_facts, in_order_of_slots
from .attempt_leases import read_leases, store_leases
from .call_outcome import Outcome, notices_of
from .caller import Caller
from .fact_kinds import Reported
from .facts_by_kind import NODE_CREATIONS, NODE_MOVES, RETRIES, WHOLE, FactsOfCall
from .loaded_data import LoadedData
from .refusals import NO_RUN, NO_WORKFLOW, TOO_MANY_PARTITIONS, BadFact, NotFacts, Refusal
from .row_reading import (
    find_runs,
    history_of,
    keep_secrets,
    known_secrets,
    lock_nodes,
    lock_runs,
    read_nodes,
    runs_of_nodes,
    stored_lines,
    taken_runs,
)
from .row_storage import count_transitions, remember_nodes, store, transaction_if, was_overtaken
from .run_plan import Plan
from .run_queues import Turns, take_turns
from .text_masking import Masker
from .workflow_definitions import Nodes, find_named, find_workflows, graphs, graphs_of_today

TRIES = 10  # a try fails if another call has stored a row meanwhile


class _Again(Exception):
    """A run that was assumed to be new exists."""


class Batch:
    """One batch of facts to store. The first try assumes that created rows are new: if one exists, the database refuses
    the try, or a fact is refused. Later tries are `careful`: they look these rows up first."""

    def __init__(
        self, facts: Sequence[Reported], refusals: Sequence[Refusal], caller: Caller, *, careful: bool
    ) -> None:
        self.caller = caller
        self.refusals = list(refusals)
        self.refused_runs = {refusal.run for refusal in refusals} - {None}
        of_run: dict[int, list[Reported]] = defaultdict(list)  # by int: the hash of a UUID takes as long as the rest
        for reported in facts:
            of_run[reported.fact.run.int].append(reported)
        self.of_run = {reported[0].fact.run: reported for reported in of_run.values()}
        self.all_facts = FactsOfCall(facts)
        self.masker, self.careful = Masker(), careful

    def report(self) -> Outcome:
        """Store what is new. Return the result of each fact."""
        for _try in range(TRIES - 1):
            try:
                return self._report()
            except _Again:
                self.careful = True
            except IntegrityError as error:
                if partitions.is_missing_for(error):  # upkeep has removed one since
                    partitions.forget()
                elif not was_overtaken(error):
                    raise
                self.careful = True
        return self._report()

    def _report(self) -> Outcome:
        self.facts = self.all_facts
        self._read()
        outcome = Outcome(refusals=list(self.refusals), refused=len(self.refusals))
        self._check_rights(outcome)
        self._make_partitions()
        self.caller.release()
        self.masked: dict[UUID, run_secrets.RunSecrets] = {}
        self._mask(outcome, self.admitted)
        starting = self._starting()
        with transaction_if(is_needed=bool(self.runs or starting)):
            known = self._lock(outcome, starting)
            plans = self._apply(known, outcome)
            self._check_refused(outcome)
            self._store(plans)
        outcome.refusals.sort(key=lambda refusal: refusal.index)
        return outcome

    def _store(self, plans: Sequence[Plan]) -> None:
        late = [plan for plan in plans if plan.late_nodes]
        dropped = [line for plan in plans for line in plan.dropped]
        leases = [lease for plan in plans for lease in plan.leases]
        with transaction.atomic() if late or dropped or leases else nullcontext():
            store(plans, self._note() if self.facts.has_moves else None)
            store_leases(leases)
            count_dropped(dropped)
            if late:
                remember_nodes(late)
        count_transitions(plans)
        if any(plan.run is not None and plan.run.moves and plan.run.status in ENDED for plan in plans):
            transaction.on_commit(purge_occasionally, robust=True)

    def _check_refused(self, outcome: Outcome) -> None:
        """Raise _Again if a refused new run exists by now: its facts may be stored already."""
        created = {each.id for each in self.all_facts.of_kinds(kinds.RunCreate)} - self.runs.keys()
        refused = created & {refusal.run for refusal in outcome.refusals}
        if find_runs(self.caller.sees_run, refused)[1]:
            raise _Again

    def _read(self) -> None:
        creations = self.facts.of_kinds(kinds.RunCreate)
        presumed_new = set() if self.careful else {each.id for each in creations}
        runs_read_at, self.runs, self.secrets = find_runs(self.caller.sees_run, self.of_run.keys() - presumed_new)
        read_at, self.workflows = find_workflows(self.caller, {each.workflow for each in creations})
        self.now = (read_at or runs_read_at or datetime.now(UTC)).astimezone(UTC)  # without rows every fact is refused
        self._read_graphs({each.node for each in self.facts.of_kinds(*NODE_CREATIONS)})

    def _read_graphs(self, wanted: set[str]) -> None:
        """Read the graphs of the runs. Read the rows of the wanted nodes too, unless each graph has all of them."""
        retries = bool(self.facts.of_kinds(*RETRIES))
        among: list[Any] = [*self.runs.values(), *self.workflows.values()] if wanted or retries else []
        self.graphs = graphs([each.graph for each in among])
        if self.careful or retries or not all(graph.has(name) for graph in self.graphs.values() for name in wanted):
            self.nodes = Nodes(self._workflows(), wanted, self.graphs.values())
        else:
            self.nodes = Nodes((), (), ())

    def _workflows(self) -> set[UUID]:
        return {run.workflow for run in self.runs.values()} | {each.id for each in self.workflows.values()}

    def _check_rights(self, outcome: Outcome) -> None:
        """Refuse the runs with a fact that the caller may not report. Their rows are not locked."""
        self.admitted = {run: facts for run, facts in self.of_run.items() if self._is_admitted(outcome, run, facts)}
        if len(self.admitted) < len(self.of_run):
            self.facts = FactsOfCall(each for facts in self.admitted.values() for each in facts)

    def _is_admitted(self, outcome: Outcome, run: UUID, facts: Sequence[Reported]) -> bool:
        if run in self.refused_runs:
            outcome.refused += len(facts)
            return False
        first: dict[type, int] = {}  # index of the first fact of each kind: all facts of a kind need the same right
        for each in facts:
            first.setdefault(type(each.fact), each.index)
        index = facts[0].index
        try:
            owner = self._owner(run, facts)
            for kind, index in first.items():  # noqa: B007  # for the refusal below
                self.caller.may(kinds.KIND_OF[kind], owner)
        except BadFact as error:
            self._refuse(outcome, run, index, error)
            return False
        return True

    def _owner(self, run: UUID, facts: Sequence[Reported]) -> Any:
        """Return the owner of the run. Raises BadFact if it neither exists nor is created by its first fact."""
        if (existing := self.runs.get(run)) is not None:
            return existing.owner
        first = facts[0].fact
        if type(first) is not kinds.RunCreate:
            raise BadFact("not_found", NO_RUN)
        if (workflow := find_named(self.workflows, first.workflow)) is None:
            raise BadFact("invalid", NO_WORKFLOW)
        return workflow.owner

    def _make_partitions(self) -> None:
        """Create missing partitions, before the transaction because it may wait. Raises NotFacts for too many."""
        ids = self.facts.one_line_of_each_hour()
        most = self.caller.max_partitions
        if most is not None and len(ids) > most and (missing := partitions.count_missing(ids)) > most:
            raise NotFacts(TOO_MANY_PARTITIONS.format(missing, most))
        partitions.ensure(ids)

    def _mask(self, outcome: Outcome, runs: Iterable[UUID]) -> None:
        for run in runs:
            try:
                self.masked[run] = self.masker.mask(run, self.admitted[run], self.secrets)
            except BadFact as error:
                self.masked.pop(run, None)
                self._refuse(outcome, run, self.admitted[run][0].index, error)

    def _lock(self, outcome: Outcome, starting: set[UUID]) -> LoadedData:
        retries = bool(self.facts.of_kinds(*RETRIES))
        take_turns(starting)
        self._lock_runs(outcome, texts=retries)
        there = [run for run in self.masked if run in self.runs]
        ids = [each.id for each in self.facts.of_kinds(*NODE_CREATIONS, *NODE_MOVES)]
        nodes = lock_nodes(ids, there, self._runs_with_every_node(set(there)), texts=retries)
        named = self.facts.named_nodes()
        new = {each.id for each in self.facts.of_kinds(*NODE_CREATIONS)}
        created = {each.id for each in self.facts.of_kinds(kinds.RunCreate)}
        return LoadedData(
            now=self.now, runs=self.runs, nodes=nodes,
            read_nodes=read_nodes(named - new - nodes.keys()), workflows=self.workflows, graphs=self.graphs,
            nodes_of_workflows=self.nodes, turns=Turns(starting | self._in_queue(), len(self.masked)),
            stored_lines=stored_lines([each.id for each in self.facts.of_kinds(kinds.Line)]) if self.careful else None,
            taken_runs=taken_runs(created - self.runs.keys()) if self.careful else set(),
            taken_nodes=runs_of_nodes(new - nodes.keys()) if self.careful else {},
            leases=read_leases(self.facts, there, {*nodes, *named}),
            read_history=cache(lambda: history_of(*self.facts.rows_and_acts_of_moves())),
            read_graphs_of_today=cache(lambda: graphs_of_today(self._workflows())),
        )  # fmt: skip

    def _lock_runs(self, outcome: Outcome, *, texts: bool) -> None:
        """Lock the runs in one statement, so in one order. For log lines alone, only prevent new secrets. Mask again
        where secrets were added since the runs were read."""
        existing = [run for run in self.masked if run in self.runs]
        if not existing:
            return
        changes = self.facts.has_moves or self.masker.found
        changed = lock_runs(self.runs, existing, texts=texts) if changes else keep_secrets(self.runs, existing)
        for run in existing:
            if run not in self.runs:
                del self.masked[run]
                self._refuse(outcome, run, self.admitted[run][0].index, BadFact("not_found", NO_RUN))
        self.secrets |= {run: known_secrets(self.runs[run]) for run in changed}
        self._mask(outcome, changed)

    def _runs_with_every_node(self, there: Collection[UUID]) -> set[UUID]:
        """Return the existing runs with a fact that may change every node."""
        ends = {each.id for each in self.facts.of_kinds(*WHOLE)}
        observed = [each for each in self.facts.of_kinds(kinds.RunObserve) if each.id in there]
        ends |= {each.id for each in observed if each.state in ENDED or self.runs[each.id].status in ENDED}
        return ends.intersection(there)

    def _starting(self) -> set[UUID]:
        """Return the workflows of started runs that may not run beside other runs."""
        starts = {each.id for each in self.facts.of_kinds(kinds.RunStart)}
        of_existing = [run.workflow for run in self.runs.values() if run.id in starts and not run.allow_concurrent]
        new = [each for each in self.facts.of_kinds(kinds.RunCreate) if each.id in starts and each.id not in self.runs]
        workflows_of_new = [find_named(self.workflows, each.workflow) for each in new if not each.is_concurrent]
        return {*of_existing, *(workflow.id for workflow in workflows_of_new if workflow)}

    def _in_queue(self) -> set[UUID]:
        """Return the workflows of queued runs in the call: their engines get a notice when a run may start."""
        return {run.workflow for run in self.runs.values() if run.is_queued and run.status == ExecutionStatus.PENDING}

    def _apply(self, known: LoadedData, outcome: Outcome) -> list[Plan]:
        nodes: dict[UUID, dict[UUID, Any]] = defaultdict(dict)
        for node in known.nodes.values():
            nodes[node.run][node.id] = node
        plans: list[Plan] = []
        for run in in_order_of_slots({run: self.admitted[run] for run in self.masked}, self.runs):
            reported = self.admitted[run]
            plan = self._plan(known, run, nodes[run])
            if refused := apply_facts(plan, reported):
                self._refuse(outcome, run, *refused)
            else:
                plans.append(plan)
                outcome.applied += plan.applied
                outcome.known += plan.already_known
                outcome.tokens |= plan.tokens
            outcome.notices += notices_of(plan, reported)
        return plans

    def _plan(self, known: LoadedData, run: UUID, nodes: dict[UUID, Any]) -> Plan:
        before = self.secrets.get(run)
        return Plan(
            known=known, id=run, run=self.runs.get(run), secrets=self.masked[run], nodes=nodes,
            secrets_before=before.scrubber.values if isinstance(before, run_secrets.RunSecrets) else frozenset(),
            secrets_error=before if isinstance(before, Exception) else None,
        )  # fmt: skip

    def _refuse(self, outcome: Outcome, run: UUID, index: int, error: Exception) -> None:
        outcome.refusals.append(Refusal.from_error(index, run, error))
        outcome.refused += len(self.of_run[run])

    def _scrubber(self) -> Scrubber:
        """Return a scrubber of the secrets of all runs. It redacts everything if the secrets of one run are unknown."""
        if any(isinstance(self.secrets.get(run), Exception) for run in self.masked):
            return RedactEverything()
        values = self.masker.values().union(*(known.scrubber.values for known in self.masked.values()))
        return Scrubber(values, ledgerkit_settings.SECRET_KEYS_EXTRA)

    def _note(self) -> str:
        """Return the audit note for the history. A request id that the caller chose is masked."""
        given = audit.current().given_id
        cleared = {"request_id": self._scrubber().text(given)} if given else {}
        return audit.current().note(facts=True, **cleared)


def report(facts: Sequence[Reported], refusals: Sequence[Refusal], caller: Caller, *, careful: bool = False) -> Outcome:
    """Store the facts and return their results. Set `careful` if most of the created rows exist already."""
    return Batch(facts, refusals, caller, careful=careful).report()
