"""Definitions of workflows that this process has reported. Each is a fact before the first run that needs it, and is
reported once. If the ledger refuses definitions of a workflow, one of them a minute is reported again, with a run that
needs it: most would be refused again, and to check one takes time that grows with the whole workflow."""

import json
import time
from collections.abc import Callable, Mapping
from hashlib import blake2b

from .bounded_dict import remember
from .documents import capture, document
from .encoding import Draft, Fact, draft_of, fact_of
from .graphs import Graph, Stages, addition, definition

MOST_WORKFLOWS, MOST_GRAPHS, MOST_KEYS = 1_000, 20, 1_000  # graphs and keys of each workflow that are remembered
MOST_ADDED, LONGEST = 200, 100  # remembered stages, and their longest: a key of 100 takes 0.5 ms
AGAIN = 60.0  # seconds after a refusal

type Add = Callable[[Draft], bool]  # returns whether it took the fact
type Keys = dict[bytes, None]


class Definitions:
    """Definitions by workflow: `declared` has graphs with the keys of their definitions, `reported` and `refused` have
    keys, and `again` the time from which a refused one is reported again. `added` has keys by workflow and stages.

    A fact is added before its key is remembered, so that no thread creates a run before the definition; two threads may
    add it twice. A refusal in between is not lost, because `refused` is checked first.
    """

    def __init__(self) -> None:
        self.declared: dict[str, dict[bytes, object] | None] = {}
        self.added: dict[tuple[str, Stages], bytes | None] = {}
        self.reported: dict[str, Keys | None] = {}
        self.refused: dict[str, Keys | None] = {}
        self.again: dict[str, float | None] = {}

    def declare(self, workflow: str, graph: Graph, add: Add) -> None:
        """Add the fact that defines this graph of the workflow, unless it was reported."""
        declared = self.declared.get(workflow) or {}
        wanted = list(graph) if isinstance(graph, tuple) else graph
        key = next((key for key, each in list(declared.items()) if each == wanted), None)
        if key is None or self._is_due(workflow, key):
            fact = _fact(definition(workflow, graph))  # raises for an invalid graph
            captured, _size = capture(graph)
            remember(declared, _key(fact.body), captured, most=MOST_GRAPHS)
            remember(self.declared, workflow, declared, most=MOST_WORKFLOWS)
            self._report(workflow, fact, add)

    def add(self, workflow: str, stages: Stages, add: Add) -> None:
        """Add the fact that adds missing nodes and edges of these stages to the workflow, unless it was reported."""
        key = self.added.get((workflow, stages))
        if key is None or self._is_due(workflow, key):
            fact = _fact(addition(workflow, stages))
            if len(stages) <= LONGEST:
                remember(self.added, (workflow, stages), _key(fact.body), most=MOST_ADDED)
            self._report(workflow, fact, add)

    def note_refused(self, body: bytes) -> None:
        """Note that the ledger has refused this definition."""
        if workflow := name_in(body):
            _note(self.refused, workflow, _key(body))
            self._wait(workflow)

    def forget(self, workflow: str) -> None:
        """Report the definitions of a workflow again, because the ledger has lost it."""
        self.reported.pop(workflow, None)

    def _report(self, workflow: str, fact: Fact, add: Add) -> None:
        key = _key(fact.body)
        if not self._is_due(workflow, key):
            return
        if key in (refused := self.refused.get(workflow) or {}):
            for keys in (refused, self.reported.get(workflow) or {}):
                keys.pop(key, None)
            self._wait(workflow)
        if add(draft_of(fact)):
            _note(self.reported, workflow, key)

    def _is_due(self, workflow: str, key: bytes) -> bool:
        if key in (self.refused.get(workflow) or ()):
            return time.monotonic() >= (self.again.get(workflow) or 0.0)
        return key not in (self.reported.get(workflow) or ())

    def _wait(self, workflow: str) -> None:
        if (now := time.monotonic()) >= (self.again.get(workflow) or 0.0):
            remember(self.again, workflow, now + AGAIN, most=MOST_WORKFLOWS)


def name_in(body: bytes) -> str:
    """Return the name of the workflow in a definition, "" if there is none."""
    wish = json.loads(body).get("workflow")
    name = wish.get("name") if isinstance(wish, dict) else None
    return name if isinstance(name, str) else ""


def _note(by_workflow: dict[str, Keys | None], workflow: str, key: bytes) -> None:
    keys = by_workflow.get(workflow) or {}
    remember(keys, key, most=MOST_KEYS)
    remember(by_workflow, workflow, keys, most=MOST_WORKFLOWS)


def _key(body: bytes) -> bytes:
    return blake2b(body, digest_size=16).digest()


def _fact(body: Mapping[str, object]) -> Fact:
    return fact_of("", "workflow.ensure", "", {"workflow": document(body)})
