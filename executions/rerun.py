"""New runs on request: a rerun, with the same input or another, from the beginning or from a node on; or a run of a
workflow that somebody starts by hand.

The new run is pending, and an engine starts it like any other. It names the old one as `rerun_of` in its metadata.
"""

from typing import TYPE_CHECKING
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from ledgerkit.db import json_validation
from workflows import graph_algorithms, input_schemas
from workflows.models import Workflow
from workflows.secret_keys import MASK

from . import audit, masking, run_graph
from .states import ExecutionStatus, TriggerType

if TYPE_CHECKING:
    from .models import WorkflowExecution

RERUN_OF = "rerun_of"
OF_ONE_RUN = ("correlation_id", "traceparent", "schedule_id", "triggered_by")  # in the metadata
OF_ONE_ATTEMPT = ("secrets", "retry_info", "rerun")  # in the context

INACTIVE = _("the workflow is not active: activate it first.")
MASKED = _("the input has masked values, which the ledger does not know: give an input without them.")
NO_NODE = _("this run has executed no node with this id or name.")
MASKED_OUTPUT = _(
    "the output of the node “{node}” has masked values, which no engine can read: start from the beginning."
)

type Document = dict[str, object]


def rerun(
    run: "WorkflowExecution", input_data: Document | None, from_node: str | None, id: UUID | None
) -> "WorkflowExecution":
    """Create the new run. Raises ValidationError if the workflow is not active, if the input does not fit its schema or
    has masked values, and if the node is none of the run's."""
    context = {name: value for name, value in _without_masks(run.context).items() if name not in OF_ONE_ATTEMPT}
    if from_node is not None:
        context["rerun"] = _kept_nodes(run, from_node)
    kept = {name: value for name, value in run.metadata.items() if name not in OF_ONE_RUN}
    new = _new_run(run.workflow, run.input_data if input_data is None else input_data, id)
    new.context, new.is_queued = context, run.is_queued
    new.metadata = kept | new.metadata | {RERUN_OF: str(run.pk)}
    with transaction.atomic():
        # The new run does not know the secrets of the old one.
        reason = masking.mask_reason(audit.current().reason, [run.pk])
        with audit.act_as(reason=reason):
            return _create(new)


def start_by_hand(workflow: Workflow, input_data: Document, id: UUID | None = None) -> "WorkflowExecution":
    """Create a pending run of the workflow. Raises ValidationError like rerun()."""
    with transaction.atomic():
        return _create(_new_run(workflow, input_data, id))


def _new_run(workflow: Workflow, input_data: Document, id: UUID | None) -> "WorkflowExecution":
    if not workflow.is_active or workflow.deleted_at:
        raise ValidationError({"workflow": INACTIVE})
    input_schemas.check(workflow, input_data)
    named = {"id": id} if id else {}
    who = audit.current().display_name
    metadata = {"triggered_by": who} if who else {}
    model = workflow.executions.model
    return model(workflow=workflow, trigger_type=TriggerType.MANUAL, input_data=input_data, metadata=metadata, **named)


def _create(new: "WorkflowExecution") -> "WorkflowExecution":
    new.save(force_insert=True)
    if MASK in json_validation.to_json(
        new.input_data
    ):  # also what was masked now, as an engine reads only what is stored
        raise ValidationError({"input_data": MASKED})
    return new


def _without_masks(document: Document) -> Document:
    """Return an object without its values, at any depth, of which a part is masked."""
    return {
        name: _without_masks(value) if isinstance(value, dict) else value
        for name, value in document.items()
        if isinstance(value, dict) or MASK not in json_validation.to_json(value)
    }


def _kept_nodes(run: "WorkflowExecution", from_node: str) -> Document:
    """Return the node to start from, and by name the completed node executions whose outputs the engine uses."""
    first = run_graph.node_in(run, from_node)
    rows = run.node_executions.order_by("execution_order", "id")
    executed = {row.node_id: row for row in rows.only("node_id", "node_name", "status")}
    if first is None or first.pk not in executed:
        raise ValidationError({"from_node": NO_NODE})
    names = {node: row.node_name for node, row in executed.items()}
    again = {first.pk, *graph_algorithms.descendants([first.pk], run_graph.of_run(run, names).pairs)}
    kept = [row for row in executed.values() if row.status == ExecutionStatus.COMPLETED and row.node_id not in again]
    _check_outputs(run, [row.pk for row in kept])
    return {"from_node": names[first.pk], "completed": {row.node_name: str(row.pk) for row in kept}}


def _check_outputs(run: "WorkflowExecution", kept: list[UUID]) -> None:
    masked = run.node_executions.filter(pk__in=kept, output_data__icontains=MASK)
    if node := masked.order_by("id").values_list("node_name", flat=True).first():
        raise ValidationError({"from_node": format_lazy(MASKED_OUTPUT, node=node)})
