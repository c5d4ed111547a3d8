"""Events of OpenLineage recorded: their workflows grow, their runs and nodes are observed."""

from collections.abc import Callable, Sequence
from typing import Any

from executions import audit, run_graph
from executions.facts import batch_recording as facts_recording
from executions.facts.body_decoding import decode_values
from executions.facts.call_outcome import Outcome
from executions.facts.caller import Caller
from executions.facts.record_in_process import trusted_caller
from executions.models import WorkflowExecution
from workflows.models import Workflow

from . import growing_workflows, openlineage
from .conversion import Document, NotImportable
from .openlineage import Event
from .record_facts import Recorded


def record(
    events: Sequence[Event], caller: Caller, owner: object, *, imports: bool,
    may_write: Callable[[Workflow | None], None] = lambda _workflow: None,
) -> Outcome:  # fmt: skip
    """Record events. `may_write` is called with a workflow before it grows. Raises NotImportable."""
    by_workflow: dict[str, list[Event]] = {}
    for event in events:
        by_workflow.setdefault(event.workflow, []).append(event)
    for name, some in by_workflow.items():
        growing_workflows.extend(name, openlineage.definition(some), owner, may_write)
    decoded = decode_values(openlineage.facts(events), imports=imports)
    outcome = facts_recording.report(decoded.facts, decoded.refusals, caller, careful=True)
    _renew_graphs({event.run for event in events})
    return outcome


def record_documents(documents: Sequence[Document], owner: Any, *, dry_run: bool) -> Recorded:
    """Record the events of a file. Raises NotImportable with the number of a bad one."""
    events = [event for number, each in enumerate(documents, 1) if (event := _read(each, number))]
    runs = {event.run for event in events}
    if dry_run:
        return Recorded(runs=len(runs))
    there = WorkflowExecution.objects.filter(pk__in=runs).count()
    with audit.act_as(user=owner):
        outcome = record(events, trusted_caller(owner), owner, imports=True)
    if outcome.refusals:
        raise NotImportable(outcome.refusals[0].detail)
    return Recorded(len(runs) - there, there, outcome.applied, outcome.known)


def _read(document: Document, number: int) -> Event | None:
    try:
        return openlineage.read(document)
    except NotImportable as error:
        raise NotImportable(f"event {number}: {error}") from None


def _renew_graphs(runs: set[str]) -> None:
    """Let runs remember the graph that their workflow has now: it has grown by what they report."""
    reported = WorkflowExecution.objects.filter(pk__in=runs)
    today = run_graph.current(set(reported.values_list("workflow", flat=True)))
    for workflow, graph in today.items():
        reported.filter(workflow=workflow).exclude(graph=graph).update(graph=graph)
