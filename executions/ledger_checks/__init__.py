"""Checks of the whole ledger: rows, attempts and rollups are those that the transitions of the history lead to.

They read tables and no indexes, so that an index which lacks rows, as after a crash of a disk, hides nothing. One
snapshot is read, so engines may report meanwhile.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NamedTuple
from uuid import UUID

from django.db import connection, transaction

from executions.states import ENDED, NODE_EXECUTION, STOPPED, WORKFLOW_EXECUTION, ExecutionStatus, Transitions

from .statements import STATEMENTS

MAX_VIOLATIONS = 20  # violations of one check that are listed
BEGIN = """
SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY;
SET LOCAL statement_timeout = 0;
SET LOCAL enable_indexscan = off;
SET LOCAL enable_indexonlyscan = off;
SET LOCAL enable_bitmapscan = off;
SET LOCAL jit = off; -- what is off counts as very expensive, so that each statement would be compiled, for a second
SET LOCAL enable_nestloop = off -- it is chosen where few rows are expected, and reads all moves again for each row
"""

type Pairs = list[str]
type Parameters = Mapping[str, Pairs | bool | int]


class Violation(NamedTuple):
    """A row that contradicts the rules. `run` is None for a rollup."""

    run: UUID | None
    node: UUID | None
    text: str

    def __str__(self) -> str:
        where = "" if self.run is None else f"run {self.run}" + (f", node execution {self.node}" if self.node else "")
        return f"{where}: {self.text}" if where else self.text


@dataclass
class Finding:
    """The outcome of one check."""

    name: str
    number: int = 0
    violations: list[Violation] = field(default_factory=list)  # the first ones


def check_ledger(*, strict: bool = False) -> Iterator[Finding]:
    """Yield what each check found. `strict` also reports ends that lineage events have corrected, rows that were saved
    without a transition, and those that SQL inserted as ended: verbs and facts alone make none of them."""
    parameters: Parameters = {
        "of_runs": _pairs(WORKFLOW_EXECUTION) + ([] if strict else _corrections()),
        "of_nodes": [*_pairs(NODE_EXECUTION), *_restarts(), *([] if strict else _corrections())],
        "ended": [str(state) for state in ENDED],
        "strict": strict,
        "most": MAX_VIOLATIONS,
    }
    with _snapshot():
        for name, statement in STATEMENTS.items():
            yield _find(name, statement, parameters)


@contextmanager
def _snapshot() -> Iterator[None]:
    with transaction.atomic(durable=True):
        with connection.cursor() as cursor:
            cursor.execute(BEGIN)
        yield


def _find(name: str, statement: str, parameters: Parameters) -> Finding:
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT run, node, text, count(*) OVER () FROM ({statement}) AS found LIMIT %(most)s",  # noqa: S608  # of constants
            parameters,
        )
        rows = cursor.fetchall()
    return Finding(name, rows[0][3] if rows else 0, [Violation(*row[:3]) for row in rows])


def _pairs(transitions: Transitions) -> Pairs:
    return [f"{state} → {target}" for state, targets in transitions.items() for target in targets]


def _restarts() -> Pairs:
    """Return the moves of the nodes that are retried because their run is."""
    return [f"{state} → {ExecutionStatus.PENDING}" for state in STOPPED]


def _corrections() -> Pairs:
    """Return the moves by which a later observation corrects an end (facts/status_observations.py)."""
    return [f"{state} → {other}" for state in ENDED for other in ENDED if state != other]
