"""Record facts in this process, as `POST events/` does. `owner` owns the workflows, and is the actor in the history."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import batched

from executions.facts import record as record_facts
from executions.facts.body_decoding import decode_array
from executions.facts.refusals import Refusal
from executions.models import WorkflowExecution
from ledgerkit.db.json_validation import to_json
from ledgerkit.db.models import parse_uuid

from .conversion import Fact, NotImportable

MAX_FACTS = 5_000  # in one transaction


@dataclass(slots=True)
class Recorded:
    """Counts of an import. `known_runs` existed before."""

    runs: int = 0
    known_runs: int = 0
    applied: int = 0
    known: int = 0

    def add(self, other: "Recorded") -> None:
        self.runs += other.runs
        self.known_runs += other.known_runs
        self.applied += other.applied
        self.known += other.known


def record(facts: Iterable[Fact], owner: object) -> Recorded:
    """Record facts, in transactions of a bounded size. Raises NotImportable for the first refused fact. Workflows are
    defined only for new runs: an existing run may be older than the current definition, to which it may only add."""
    total = Recorded()
    for some in batched(facts, MAX_FACTS):
        total.add(_record(some, owner))
    return total


def check(facts: Sequence[Fact]) -> Recorded:
    """Check that the facts are valid, and store nothing. Raises NotImportable for the first invalid fact."""
    for some in batched(facts, MAX_FACTS):
        decoded = decode_array(to_json(some).encode(), imports=True)
        _raise_refusal(decoded.refusals, some)
    return Recorded(runs=sum(fact.get("kind") == "execution.create" for fact in facts))


def _record(facts: Sequence[Fact], owner: object) -> Recorded:
    created = {id for fact in facts if fact.get("kind") == "execution.create" and (id := parse_uuid(fact.get("id")))}
    there = WorkflowExecution.objects.filter(pk__in=created).count() if created else 0
    definitions = [fact for fact in facts if fact.get("kind") == "workflow.ensure"]
    rest = [fact for fact in facts if fact.get("kind") != "workflow.ensure"]
    if created and there == len(created):
        definitions = [fact for fact in definitions if fact["workflow"].get("only_add")]
    sent = [*definitions, *rest]
    outcome = record_facts(sent, user=owner)
    _raise_refusal(outcome.refusals, sent)
    return Recorded(len(created) - there, there, outcome.applied, outcome.known)


def _raise_refusal(refusals: Sequence[Refusal], facts: Sequence[Fact]) -> None:
    if refusals:
        first = refusals[0]
        kind, id = facts[first.index].get("kind"), facts[first.index].get("id", "")
        raise NotImportable(f"{kind} {id}: {first.detail}".replace(" :", ":"))
