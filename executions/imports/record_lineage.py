"""Record OpenLineage events: add nodes and edges to their workflows, and observe their runs and nodes."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from executions import audit, run_graph
from executions.facts import batch_recording as facts_recording
from executions.facts.body_decoding import decode_values
from executions.facts.call_outcome import Outcome
from executions.facts.caller import Caller
from executions.facts.record_in_process import trusted_caller
from executions.models import NodeExecution, WorkflowExecution
from workflows.models import Workflow

from . import openlineage, workflow_extension
from .conversion import Document, NotImportable
from .openlineage import Event, Job
from .record_facts import Recorded


def record(
    events: Sequence[Event], caller: Caller, owner: object, *, imports: bool,
    may_write: Callable[[Workflow | None], None] = lambda _workflow: None,
) -> Outcome:  # fmt: skip
    """Record events. `may_write` is called with each workflow before it is changed. Raises NotImportable."""
    events = _with_roots(events, caller)
    by_workflow: dict[str, list[Event]] = {}
    for event in events:
        by_workflow.setdefault(event.workflow, []).append(event)
    for name, some in by_workflow.items():
        workflow_extension.extend(name, openlineage.definition(some), owner, may_write)
    decoded = decode_values(openlineage.facts(events), imports=imports)
    outcome = facts_recording.report(decoded.facts, decoded.refusals, caller, careful=True)
    refused = {str(refusal.run) for refusal in outcome.refusals}
    recorded = [event for event in events if event.run not in refused]
    _renew_graphs({event.run for event in recorded})
    _set_triggers(recorded)
    return outcome


def _with_roots(events: Sequence[Event], caller: Caller) -> Sequence[Event]:
    """Return the events. If an event names no root and its parent is a known node, the run of that node is the root."""
    parents = {event.root.run for event in events if not event.names_root}
    if not parents:
        return events
    around = _roots_of_nodes(parents, caller)
    around |= {event.job.run: event.root for event in events if event.job.run != event.root.run}
    return [event if event.names_root else event._replace(root=_outermost(event.root, around)) for event in events]


def _roots_of_nodes(ids: set[str], caller: Caller) -> dict[str, Job]:
    """Return the run of each of these node executions that the caller sees."""
    nodes = NodeExecution.objects.filter(pk__in=[id for id in ids if UUID(id).version == 7])
    of_run = ("workflow", "workflow__owner", "metadata__run_id", "metadata__namespace", "metadata__job")
    rows = nodes.values_list("pk", *(f"workflow_execution__{name}" for name in of_run))
    return {
        str(node): Job(*job) for node, workflow, owner, *job in rows if caller.sees_run(workflow, owner) and all(job)
    }


def _outermost(job: Job, around: Mapping[str, Job]) -> Job:
    seen = set()
    while job.run in around and job.run not in seen:
        seen.add(job.run)
        job = around[job.run]
    return job


def record_documents(documents: Sequence[Document], owner: Any, *, dry_run: bool) -> Recorded:
    """Record the events of a file. Raises NotImportable with the number of an invalid event."""
    events = [event for number, each in enumerate(documents, 1) if (event := _read(each, number))]
    runs = {event.run for event in events}
    if dry_run:
        return Recorded(runs=len(runs))
    known_runs = WorkflowExecution.objects.filter(pk__in=runs).count()
    with audit.act_as(user=owner):
        outcome = record(events, trusted_caller(owner), owner, imports=True)
    if outcome.refusals:
        raise NotImportable(outcome.refusals[0].detail)
    return Recorded(len(runs) - known_runs, known_runs, outcome.applied, outcome.known)


def _read(document: Document, number: int) -> Event | None:
    try:
        return openlineage.read(document)
    except NotImportable as error:
        raise NotImportable(f"event {number}: {error}") from None


def _renew_graphs(runs: set[str]) -> None:
    """Set the graph of the runs to the current graph of their workflow, which has the nodes that their events added."""
    reported = WorkflowExecution.objects.filter(pk__in=runs)
    today = run_graph.current(set(reported.values_list("workflow", flat=True)))
    for workflow, graph in today.items():
        reported.filter(workflow=workflow).exclude(graph=graph).update(graph=graph)


def _set_triggers(events: Iterable[Event]) -> None:
    """Set the trigger of runs that an event without the trigger has created."""
    runs: dict[str, set[str]] = {}
    for event in events:
        if trigger := openlineage.trigger(event):
            runs.setdefault(trigger, set()).add(event.run)
    for trigger, ids in runs.items():
        made = WorkflowExecution.objects.filter(pk__in=ids, trigger_type=openlineage.DEFAULT_TRIGGER)
        made.exclude(trigger_type=trigger).update(trigger_type=trigger)
