"""Serializers of workflows and their graphs, whose edges refer to nodes by id or name."""

from itertools import groupby
from operator import itemgetter
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from rest_framework import serializers

from ledgerkit.rest.fields import NameField, ObjectField, StrictModelSerializer, UUID7Field
from ledgerkit.rest.query_params import safe_name
from ledgerkit.rest.strict_types import StrictTypes
from workflows import grouping_config, retention_config, retry_config
from workflows.graph_merge import AddedGraph
from workflows.models import MAX_NAME, Edge, Graph, Node, NodeType, Workflow
from workflows.submitted_graph import SubmittedGraph, differs, too_many

from .json_rows import workflow_row

UNKNOWN_KEY = "Unknown key: retry_config takes {keys}; keep others in the node's config."
SCALARS = ["id", "name", "description", "config", "variables", "is_active", "version", "created_at", "updated_at"]


class NodeSerializer(StrictTypes, StrictModelSerializer[Node]):
    id = UUID7Field(required=False)
    config = ObjectField(required=False)
    input_schema = ObjectField(required=False)
    output_schema = ObjectField(required=False)
    retry_config = ObjectField(required=False)

    class Meta:
        model = Node
        fields = [
            "id", "name", "node_type", "position_x", "position_y", "config", "input_schema", "output_schema",
            "timeout_seconds", "retry_config",
        ]  # fmt: skip

    def validate_retry_config(self, value: Any) -> object:
        if unknown := list(retry_config.unknown_keys(value)):
            sentence = UNKNOWN_KEY.format(keys=" and ".join(retry_config.KEYS))
            raise serializers.ValidationError({safe_name(key): [sentence] for key in unknown})
        try:
            Node(retry_config=value).clean()
        except ValidationError as error:
            raise serializers.ValidationError(error.messages) from None
        return value


class EdgeSerializer(StrictTypes, StrictModelSerializer[Edge]):
    source_node = serializers.CharField(source="source_node_id")
    target_node = serializers.CharField(source="target_node_id")

    class Meta:
        model = Edge
        fields = [
            "id", "source_node", "target_node", "source_handle", "target_handle", "condition", "priority", "label",
        ]  # fmt: skip
        read_only_fields = ["id"]


class WorkflowListSerializer(StrictModelSerializer[Workflow]):
    row = workflow_row

    class Meta:
        model = Workflow
        fields = [*SCALARS, "owner"]
        read_only_fields = fields


class WorkflowSerializer(StrictTypes, StrictModelSerializer[Workflow]):
    """A workflow with its whole graph. An update with `version` is refused if the workflow is newer; without `nodes` or
    `edges` these do not change."""

    id = UUID7Field(required=False)
    config = ObjectField(required=False)
    variables = ObjectField(required=False)
    version = serializers.IntegerField(required=False, min_value=1, max_value=2**31 - 1)
    nodes = NodeSerializer(many=True, required=False)
    edges = EdgeSerializer(many=True, required=False)
    graph_class = SubmittedGraph

    class Meta:
        model = Workflow
        fields = [*SCALARS, "owner", "nodes", "edges"]
        read_only_fields = ["owner", "created_at", "updated_at"]

    def to_internal_value(self, data: Any) -> Any:
        """Check the number of nodes and edges before validating each."""
        kinds = ("nodes", "edges") if isinstance(data, dict) else ()
        if faults := {kind: [sentence] for kind in kinds if (sentence := too_many(kind, data.get(kind)))}:
            raise serializers.ValidationError(faults, code="too_many")
        return super().to_internal_value(data)

    def validate_config(self, value: object) -> object:
        try:
            retention_config.check(value)
            grouping_config.check(value)
        except ValidationError as error:
            raise serializers.ValidationError(error.message_dict["config"]) from error
        return value

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        wanted = self.graph_class(self.instance, attrs.pop("nodes", None), attrs.pop("edges", None))
        attrs["definition"] = wanted
        if wanted.faults:
            raise serializers.ValidationError({kind: _as_list(faults) for kind, faults in wanted.faults.items()})
        if wanted.cycle:
            raise serializers.ValidationError({"edges": wanted.cycle}, code="cycle")
        return attrs

    def create(self, validated_data: dict[str, Any]) -> Workflow:
        wanted, _version = validated_data.pop("definition"), validated_data.pop("version", None)
        with transaction.atomic():
            workflow = Workflow.objects.create(**validated_data)
            wanted.save(workflow)
        return _reload(workflow)

    def update(self, instance: Workflow, validated_data: dict[str, Any]) -> Workflow:
        """Save the workflow; the id is not changed. Raises StaleObject if `version` is not the row's."""
        wanted, _id = validated_data.pop("definition"), validated_data.pop("id", None)
        for name, value in validated_data.items():
            setattr(instance, name, value)
        with transaction.atomic():
            instance.save()
            wanted.save(instance)
        return _reload(instance)


class EnsureSerializer(WorkflowSerializer):
    """The name and the expected content of a workflow; missing fields keep their value or get their default."""

    only_add = serializers.BooleanField(
        required=False, write_only=True,
        help_text=(
            "Only add the nodes and edges that an existing workflow lacks: nothing is changed or removed. "
            "An edge that would close a cycle is left out; of more than 1,000 new edges none is, and they are refused "
            "if they form one. A node that was removed and comes back by its id is as submitted."
        ),
    )  # fmt: skip

    class Meta(WorkflowSerializer.Meta):
        fields = [*WorkflowSerializer.Meta.fields, "only_add"]
        read_only_fields = [*WorkflowSerializer.Meta.read_only_fields, "id", "version"]

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if not attrs.pop("only_add", False):
            return super().validate(attrs)
        self.graph_class = AddedGraph
        wanted = super().validate(attrs)
        if faults := wanted["definition"].too_many():
            raise serializers.ValidationError(faults, code="too_many")
        return wanted if self.instance is None else {name: wanted[name] for name in ("name", "definition")}

    def update(self, instance: Workflow, validated_data: dict[str, object]) -> Workflow:
        """Write only differences, so that the version is incremented only by a change."""
        if self.is_unchanged(instance):
            return instance
        return super().update(instance, validated_data)

    def is_unchanged(self, instance: Workflow) -> bool:
        wanted = dict(self.validated_data)
        definition = wanted.pop("definition")
        return not definition.is_new and not any(differs(instance, name, value) for name, value in wanted.items())


def _as_list(faults: dict[int, dict[str, list[str]]]) -> list[dict[str, list[str]]]:
    return [faults.get(index, {}) for index in range(max(faults) + 1)]


def _reload(workflow: Workflow) -> Workflow:
    anew: Workflow = Workflow.objects.with_graph().get(pk=workflow.pk)
    return anew


class DuplicateSerializer(StrictTypes, serializers.Serializer[Any]):
    name = NameField(required=False, max_length=MAX_NAME)


class GraphNodeSerializer(serializers.Serializer[Any]):
    """A node of the graph. `level` is the topological level, from 0; nodes that may run at the same time share one."""

    id = serializers.UUIDField()
    name = serializers.CharField()
    node_type = serializers.ChoiceField(NodeType.choices)
    position_x = serializers.FloatField()
    position_y = serializers.FloatField()
    level = serializers.IntegerField()


class GraphEdgeSerializer(serializers.ModelSerializer[Edge]):
    source_node = serializers.UUIDField()
    target_node = serializers.UUIDField()

    class Meta:
        model = Edge
        fields = Graph.EDGE


class GraphSerializer(serializers.Serializer[Any]):
    """A graph. `nodes` are sorted by level, then name; `levels` has a list of ids for each level, from 0."""

    workflow = serializers.UUIDField()
    version = serializers.IntegerField()
    levels = serializers.ListField(child=serializers.ListField(child=serializers.UUIDField()))
    nodes = GraphNodeSerializer(many=True)
    edges = GraphEdgeSerializer(many=True)

    def to_representation(self, instance: Graph) -> dict[str, object]:
        """Return the fields of a Graph, which are JSON already."""
        return {
            "workflow": str(instance.workflow_id),
            "version": instance.workflow.version,
            **graph_with_levels(instance),
        }


def graph_with_levels(graph: Graph) -> dict[str, Any]:
    level = {str(node): level for node, level in graph.levels().items()}
    nodes = [node | {"level": level[node["id"]]} for node in graph.nodes]
    nodes.sort(key=lambda node: (node["level"], node["name"]))
    levels = [[node["id"] for node in together] for _level, together in groupby(nodes, itemgetter("level"))]
    return {"levels": levels, "nodes": nodes, "edges": graph.edges}
