"""New runs and node executions as a request describes them. Their own serializers have the fields that a request takes
and no others: building the fields of a row takes longer than all else that a request for a new one does in Python."""

from contextlib import suppress
from typing import Any

from django.db import transaction
from drf_spectacular.utils import extend_schema_serializer
from rest_framework import serializers

from executions import run_graph, validators
from executions.exceptions import QueuedExecution
from executions.models import NodeExecution, TriggerType, WorkflowExecution
from ledgerkit.rest.fields import ChoiceField, MomentField, ObjectField, RelatedField, UUID7Field, UUIDField
from ledgerkit.rest.strict_types import StrictTypes
from tokens.permissions import limit_to_token
from workflows.models import Node, Workflow

from . import json_rows
from .serializers import LAST_PLACE, RowOutput


class EngineTimeSerializer(serializers.Serializer[Any]):
    """A time of the engine. `at` is the time of the creation by the engine's clock; it defaults to the server's
    time."""

    at = MomentField(source="created_at", required=False, allow_null=True, write_only=True)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if (at := attrs.pop("created_at", None)) is None:
            return attrs
        validators.check_at(at)
        return attrs | {"created_at": at}


class OwnWorkflowField(RelatedField):
    """A workflow that the caller may execute. Others do not exist for the caller."""

    def get_queryset(self) -> Any:
        request = self.context.get("request")
        if request is None:
            return Workflow.objects.none()
        return limit_to_token(Workflow.objects.visible_to(request.user).alive(), request, "id")


@extend_schema_serializer(component_name="WorkflowExecution")
class NewWorkflowExecutionSerializer(StrictTypes, RowOutput, EngineTimeSerializer):
    row = json_rows.run_detail
    id = UUID7Field(required=False)
    workflow = OwnWorkflowField()
    trigger_type = ChoiceField(TriggerType.choices)
    start = serializers.BooleanField(required=False, write_only=True, help_text="Start the run in the same call.")
    queue = serializers.BooleanField(
        source="is_queued",
        required=False,
        help_text="Wait while another run of the workflow is running. With `start`, start the run if it may.",
    )
    input_data = ObjectField(required=False)
    context = ObjectField(required=False)  # type: ignore[assignment]  # REST framework removes it from the class
    metadata = ObjectField(required=False)

    def create(self, validated_data: dict[str, Any]) -> WorkflowExecution:
        """Create a pending run; with `start`, a running one, or none if it cannot be started and does not wait. The
        header `traceparent` is kept in the metadata, unless they have one."""
        start = validated_data.pop("start", False)
        trace = validated_data.pop("traceparent", "")
        if validators.is_traceparent(trace):  # a wrong header is ignored, as W3C Trace Context wants it
            validated_data["metadata"] = {"traceparent": trace} | validated_data.get("metadata", {})
        with transaction.atomic():
            run: WorkflowExecution = WorkflowExecution.objects.create(**validated_data)
            if start:
                with suppress(QueuedExecution):  # it waits
                    run.start(at=validated_data.get("created_at"))
        return run

    def validate_metadata(self, metadata: object) -> object:
        """Return the metadata as it will be stored, so that a repeated request can be compared with the row."""
        return validators.with_names(metadata)

    def validate_workflow(self, workflow: Workflow) -> Workflow:
        if not workflow.is_active:
            raise serializers.ValidationError("This workflow is not active: activate it before you execute it.")
        return workflow


@extend_schema_serializer(component_name="NodeExecution")
class NewNodeExecutionSerializer(StrictTypes, RowOutput, EngineTimeSerializer):
    """A new node execution. `node` is an id or a name; `execution_order` defaults to the topological level."""

    row = json_rows.node_detail
    id = UUID7Field(required=False)
    node = serializers.CharField(source="node_id")
    execution_order = serializers.IntegerField(required=False, min_value=0, max_value=LAST_PLACE)
    input_data = ObjectField(required=False)
    run_token = UUIDField(
        required=False,
        allow_null=True,
        write_only=True,
        help_text="Token of the run's attempt: a worker whose run was given to another one adds no node.",
    )

    def validate_node(self, value: str) -> Node:
        found = run_graph.node_in(self.context["execution"], value)
        if found is None:
            raise serializers.ValidationError("The workflow of this execution has no node with this id or name.")
        return found

    def create(self, validated_data: dict[str, Any]) -> NodeExecution:
        node = validated_data.pop("node_id")
        run: WorkflowExecution = self.context["execution"]
        return run.add_node(node, **validated_data)
