"""Send a batch of facts, and again without the refused ones: a refused fact undoes all facts of its run in the same
call."""

import json
import logging
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .bounded_dict import remember
from .definitions import Definitions, name_in
from .encoding import Draft, Fact, without_node
from .facts_awaiting_creation import FactsAwaitingCreation
from .graphs import TYPE
from .leases import Leases
from .run_watch import RunWatch
from .runs import Node, Run
from .transport import Answer, Refusal, TooLarge, Transport, Unavailable

ROUNDS = 5  # calls without the refused facts, before the rest is sent in halves
MISSING = {"execution.create", "node.create"}  # kinds that may name a workflow or a node that does not exist yet
PLACES, OTHERS = {"workflow.ensure": 0, "execution.create": 1}, 2  # order of kinds in a call
ENDED = {"completed", "failed", "skipped", "cancelled"}
RETRIES = {"execution.retry", "node.retry"}
NO_MOVES = {"log", *MISSING}
FENCED = "fenced"  # code of a refusal: another worker has the attempt
DENIED = "permission_denied"  # code of a refusal that applies to all facts of this kind and run
MAX_KNOWN = 10_000

logger = logging.getLogger("pastetrader_client")


class Batches:
    """Sends batches. `gone` has the refused or missing runs and nodes; `no_moves` the runs that take no transitions,
    because their start was refused or somebody else ended them; `resumed` the attempts of resumed runs; `specs` the
    nodes that the engine has described, by run and name; `definitions` the reported graphs.
    """

    def __init__(self, transport: Transport, watch: RunWatch, leases: Leases) -> None:
        self.transport, self.watch, self.leases = transport, watch, leases
        self.gone: dict[str, None] = {}
        self.no_moves: dict[str, None] = {}
        self.resumed: dict[str, int | None] = {}
        self.specs: dict[tuple[str, str], Mapping[str, object] | None] = {}
        self.definitions = Definitions()
        self.early = FactsAwaitingCreation()
        self.logged: dict[tuple[str, str, str], None] = {}
        self.taken = 0  # facts that the ledger has applied or had already

    def send(self, facts: Sequence[Fact], defined: set[str] | None = None) -> None:
        """Send until no fact is refused, except those that wait for a creation (`early`). Raises the exceptions of the
        transport; the same facts may be sent again then. `defined` has the runs whose workflows were completed."""
        wanted, defined = self._keep_accepted(facts), set() if defined is None else defined
        early: set[str] = set()
        for _round in range(ROUNDS):
            if not wanted:
                break
            answer = self.transport.send([fact.body for fact in wanted])
            self._note_answer(wanted, answer)
            refusals = self.early.without_early(wanted, answer.refusals, early)
            wanted = self._without_refused(wanted, refusals, defined) if refusals else []
        self.early.waiting += [fact for fact in facts if fact.run in early]
        if wanted:  # fewer facts than before, so this ends; the cost does not grow with facts times refusals
            send_in_halves(lambda half: self.send(half, defined), wanted)

    def send_heartbeats(self) -> bool:
        """Send the heartbeats that are due. They are not kept, as an old one is useless. Return whether the ledger has
        answered. Raises Stopped."""
        if not (heartbeats := self.leases.heartbeats()):
            return False
        try:
            self.send(heartbeats)
            self.early.take()
        except (Unavailable, TooLarge):
            self.leases.note_missed(heartbeats)
            return False
        return True

    def note_reported(self, draft: Draft) -> None:
        """Watch the run or node that a fact is about, and hold the lease of its attempt."""
        _size, kind, run, _encode, args = draft
        if isinstance(run, Run) and kind != "log":
            node = args[0] if args and isinstance(args[0], Node) else None
            self.watch.note_fact(kind, run, node)
            if kind.endswith(".start"):
                self.leases.begin(run, node)
            if node is not None or kind == "attach":
                self.leases.attach(run)
            if node is not None and kind == "node.create" and node.retries is not None:
                self.describe(run.id, node.name, {"retry_config": {"max_retries": node.retries}})

    def describe(self, run: str, name: str, fields: Mapping[str, object]) -> None:
        """Note the fields of a node, in case the workflow does not have it."""
        remember(self.specs, (run, name), fields, most=MAX_KNOWN)

    def resume(self, run: str, attempt: int) -> None:
        """Accept facts of the run again, for this attempt."""
        remember(self.resumed, run, attempt, most=MAX_KNOWN)
        self.gone.pop(run, None)
        self.no_moves.pop(run, None)

    def _keep_accepted(self, facts: Sequence[Fact]) -> list[Fact]:
        """Return the facts that the ledger may take, definitions and creations of runs first, as the files of another
        process may have them last. The lines of a refused node become lines of the run."""
        wanted: list[Fact] = []
        for fact in sorted(facts, key=lambda fact: PLACES.get(fact.kind, OTHERS)):
            if fact.kind == "execution.create":  # the run that was not found before is created now
                self.gone.pop(fact.run, None)
            if self._would_be_refused(fact):
                self.leases.release(fact)
            else:
                wanted.append(without_node(fact) if fact.kind == "log" and fact.node in self.gone else fact)
        return wanted

    def _would_be_refused(self, fact: Fact) -> bool:
        return (
            bool(fact.token and fact.token in self.leases.fenced)
            or bool({fact.run, fact.node if fact.kind != "log" else ""} & self.gone.keys())
            or (fact.run in self.no_moves and fact.kind not in NO_MOVES)
        )

    def _note_answer(self, facts: Sequence[Fact], answer: Answer) -> None:
        self.taken += answer.applied + answer.known
        self.watch.note_answered({fact.run for fact in facts})
        for notice in answer.notices:
            if self.watch.notice(notice):
                logger.warning("run %s was cancelled in the ledger", notice.run)
                remember(self.no_moves, notice.run, most=MAX_KNOWN)

    def _without_refused(self, facts: Sequence[Fact], refusals: Sequence[Refusal], defined: set[str]) -> list[Fact]:
        """Return the facts of runs with a refused fact, without the facts that would be refused again."""
        refused = _refusals_of_facts(facts, refusals)
        runs = {facts[index].run for index in refused} - {""}
        invalid = [facts[index] for index, each in refused.items() if each.code == "invalid"]
        missing = self._define(facts, invalid, defined)
        final = {index: each for index, each in refused.items() if facts[index].run not in missing}
        for index, refusal in final.items():
            self.leave_out(facts[index], refusal)
        remaining = [fact for index, fact in enumerate(facts) if fact.run in runs and index not in final]
        return self._keep_accepted(self._without_attempts_after(remaining, [facts[index] for index in final]))

    def _without_attempts_after(self, facts: Sequence[Fact], refused: Sequence[Fact]) -> list[Fact]:
        """Return the facts without the transitions of attempts whose retry was refused. Lines are kept."""
        retries = [fact for fact in reversed(refused) if fact.kind in RETRIES and fact.attempt]
        last = {fact.node or fact.run: fact.attempt for fact in retries}
        remaining: list[Fact] = []
        for fact in facts:
            if fact.kind != "log" and fact.attempt > last.get(fact.node or fact.run, fact.attempt):
                self.leases.release(fact)
            else:
                remaining.append(fact)
        return remaining

    def leave_out(self, fact: Fact, refusal: Refusal) -> None:
        """Log a refused fact, once per kind and run, and note which other facts it affects."""
        if refusal.code == FENCED and fact.token:
            self._fence(fact)
        else:
            self._note_refused(fact, refusal)
        self.leases.release(fact)
        subject = _subject(fact)
        key = (subject, fact.kind, refusal.code)
        if key not in self.logged:
            remember(self.logged, key, most=MAX_KNOWN)
            logger.error("the ledger refused %s of %s: %s: %s", fact.kind, subject, refusal.code, refusal.detail)

    def _note_refused(self, fact: Fact, refusal: Refusal) -> None:
        """Note which later facts would be refused too."""
        if fact.kind == "execution.create" or (refusal.code == "not_found" and fact.run and not fact.node):
            remember(self.gone, fact.run, most=MAX_KNOWN)
            self.watch.forget(fact.run)
        elif fact.kind == "workflow.ensure":
            self.definitions.note_refused(fact.body)
        elif fact.kind == "node.create":
            remember(self.gone, fact.node, most=MAX_KNOWN)
        elif fact.kind.startswith("execution.") and (fact.kind == "execution.start" or refusal.state in ENDED):
            remember(self.no_moves, fact.run, most=MAX_KNOWN)

    def _fence(self, fact: Fact) -> None:
        """Accept no more facts with the token of an attempt that another worker has. If this process executed the
        attempt, stop its run or node here; facts from the file of an ended process may belong to an earlier attempt."""
        if self.leases.is_own(fact.token):
            self._end_here(fact)
        self.leases.fence(fact.token)

    def _end_here(self, fact: Fact) -> None:
        """Stop the run or the node in this process, but not a newer attempt of the run that this process has
        resumed."""
        attempt, resumed = self.leases.attempt_of_run(fact.token), self.resumed.get(fact.run)
        if attempt and resumed and attempt < resumed:
            return
        if not fact.node or fact.is_of_run:
            remember(self.gone, fact.run, most=MAX_KNOWN)
            self.watch.forget(fact.run)
        else:
            self.watch.forget_node(fact.node)

    def _define(self, facts: Sequence[Fact], refused: Sequence[Fact], defined: set[str]) -> set[str]:
        """Add missing nodes to workflows, once for each run of a batch. Return the runs that may be sent again. A
        missing workflow is created without edges: the next run reports its definition."""
        runs = {fact.run for fact in refused if fact.kind in MISSING} - defined
        bodies: dict[str, list[Any]] = defaultdict(list)
        for fact in facts:
            if fact.run in runs and fact.kind in MISSING:
                bodies[fact.run].append(json.loads(fact.body))
        for fact in refused:
            if fact.kind == "execution.create":
                self.definitions.forget(str(json.loads(fact.body).get("workflow")))
        defined |= runs
        return {run for run in runs if self._define_for(run, bodies[run])}

    def _define_for(self, run: str, bodies: Sequence[Mapping[str, Any]]) -> bool:
        workflow = next((body["workflow"] for body in bodies if "workflow" in body), None)
        names = dict.fromkeys(body["node"] for body in bodies if "node" in body)
        nodes = [{"node_type": TYPE, **(self.specs.get((run, name)) or {}), "name": name} for name in names]
        return self.transport.define(workflow, run, nodes)


def _refusals_of_facts(facts: Sequence[Fact], refusals: Sequence[Refusal]) -> dict[int, Refusal]:
    """Return the refusals by the index of their facts. The ledger names one fact of a run; if the caller has no right
    to report its kind, all facts of this kind and run are refused. The ledger names every definition."""
    by_index = {each.index: each for each in refusals if each.index < len(facts)}
    of_runs = [(index, each) for index, each in by_index.items() if each.code == DENIED and facts[index].run]
    denied = {(facts[index].run, facts[index].kind): each for index, each in of_runs}
    of_facts = {index: by_index.get(index) or denied.get((fact.run, fact.kind)) for index, fact in enumerate(facts)}
    return {index: each for index, each in of_facts.items() if each is not None}


def _subject(fact: Fact) -> str:
    """Return the subject of a fact for a message of the log."""
    return f"run {fact.run}" if fact.kind != "workflow.ensure" else f"workflow {name_in(fact.body)}"


def send_in_halves(send: Callable[[Sequence[Fact]], None], facts: Sequence[Fact]) -> None:
    """Send the facts in two halves. Leave out a single fact, which is too large or cannot be read."""
    if len(facts) == 1:
        logger.error(
            "the ledger refused %s of %s: its body is too large or cannot be read", facts[0].kind, _subject(facts[0])
        )
        return
    middle = len(facts) // 2
    send(facts[:middle])
    send(facts[middle:])
