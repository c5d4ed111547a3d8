"""Facts recorded in this process, as `POST events/` records them. Whoever runs this may report of every run; the owner
is that of the workflows, and the actor of the history."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import batched
from typing import Any
from uuid import UUID

from django.db import transaction

from executions import audit
from executions.facts import recording as facts_recording
from executions.facts.body_decoding import decode_array
from executions.facts.outcome import Caller
from executions.facts.refusals import Refusal
from executions.models import WorkflowExecution
from ledgerkit.db.json_validation import to_json
from ledgerkit.db.locks import lock
from ledgerkit.db.names import nfc
from workflows.api.serializers import EnsureSerializer
from workflows.models import Workflow

from .documents import Fact, NotImportable

MAX_FACTS = 5_000  # in one transaction
MAX_FAULT = 300  # characters


@dataclass(slots=True)
class Recorded:
    """`known_runs` were there before."""

    runs: int = 0
    known_runs: int = 0
    applied: int = 0
    known: int = 0

    def add(self, other: "Recorded") -> None:
        self.runs += other.runs
        self.known_runs += other.known_runs
        self.applied += other.applied
        self.known += other.known


def record(facts: Iterable[Fact], owner: Any) -> Recorded:
    """Record facts, in transactions of a bounded size. Raises NotImportable with the first that is refused. Workflows
    are defined only where a run is new: one that is known already may be older than the definition of today."""
    total = Recorded()
    for some in batched(facts, MAX_FACTS):
        total.add(_record(some, owner))
    return total


def check(facts: Sequence[Fact]) -> Recorded:
    """Check that facts are well-formed, and store nothing. Raises NotImportable with the first that is not."""
    for some in batched(facts, MAX_FACTS):
        decoded = decode_array(to_json(some).encode(), imports=True)
        _raise_refusal(decoded.refusals, some)
    return Recorded(runs=sum(fact.get("kind") == "execution.create" for fact in facts))


def _record(facts: Sequence[Fact], owner: Any) -> Recorded:
    created = {str(fact["id"]) for fact in facts if fact.get("kind") == "execution.create" and "id" in fact}
    there = {str(id) for id in _stored(created)}
    has_definitions = bool(created - there) or not created
    with audit.act_as(user=owner):
        for fact in facts:
            if fact.get("kind") == "workflow.ensure" and has_definitions:
                ensure(fact.get("workflow"), owner)
        rest = [fact for fact in facts if fact.get("kind") != "workflow.ensure"]
        decoded = decode_array(to_json(rest).encode(), imports=True)
        outcome = facts_recording.report(decoded.facts, decoded.refusals, caller(owner))
    _raise_refusal(outcome.refusals, rest)
    return Recorded(len(created - there), len(there), outcome.applied, outcome.known)


def _stored(ids: Iterable[str]) -> set[UUID]:
    valid = [id for id in ids if _is_uuid(id)]
    return set(WorkflowExecution.objects.filter(pk__in=valid).values_list("pk", flat=True)) if valid else set()


def _is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True


def _raise_refusal(refusals: Sequence[Refusal], facts: Sequence[Fact]) -> None:
    if refusals:
        first = refusals[0]
        kind, id = facts[first.index].get("kind"), facts[first.index].get("id")
        raise NotImportable(f"{kind} {id}: {first.detail}")


def caller(owner: Any) -> Caller:
    return Caller(
        user=owner.pk, runs=WorkflowExecution.objects.all(), workflows=Workflow.objects.all().alive(),
        may=lambda _kind, _owner: None, release=lambda: None,
    )  # fmt: skip


@transaction.atomic
def ensure(body: Any, owner: Any) -> None:
    """Find or make the workflow as POST workflows/ensure/ does it. Raises NotImportable."""
    if not isinstance(body, dict) or not isinstance(body.get("name"), str):
        raise NotImportable("workflow: expected an object with a name.")
    found = named(body["name"], owner)
    wish = EnsureSerializer(found, data=body)
    if not wish.is_valid():
        raise NotImportable(f"workflow {body['name']}: {json.dumps(wish.errors, default=str)[:MAX_FAULT]}")
    wish.save(**({} if found else {"owner": owner}))


def named(name: str, owner: Any) -> Workflow | None:
    """Return the owner's first workflow of this name. Until the transaction ends, nobody makes one."""
    lock(f"workflow {owner.pk} {nfc(name)}")
    return Workflow.objects.alive().filter(owner=owner, name=nfc(name)).order_by("id").first()
