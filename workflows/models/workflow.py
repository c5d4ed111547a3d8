"""The definition of a workflow: Workflow, Node and Edge. A saved graph is always a DAG."""

from typing import Unpack
from uuid import UUID

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models, transaction
from django.db.models import F, Q
from django.db.models.functions import Coalesce, Now
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from ledgerkit.db import json_validation, names
from ledgerkit.db.fields import NameField
from ledgerkit.db.models import AuditedModel, AuditedQuerySet, SaveArguments, UUID7Model, VersionedModel, json_value
from workflows import graph_algorithms, grouping_config, retention_config, retry_config
from workflows.exceptions import CyclicGraph, HasHistory
from workflows.fields import DefinitionField, SchemaField
from workflows.querysets import NodeQuerySet, WorkflowQuerySet
from workflows.retry_config import default_retry_config, retries_in

from .graph import Graph

MAX_NAME = 255
DEFAULT_TIMEOUT = 300  # seconds


class NodeType(models.TextChoices):
    TRIGGER = "trigger", _("trigger")
    TOOL = "tool", _("tool")
    AGENT = "agent", _("agent")
    CONDITION = "condition", _("condition")
    ADAPTER = "adapter", _("adapter")
    PARALLEL = "parallel", _("parallel")
    AGGREGATOR = "aggregator", _("aggregator")


class Workflow(AuditedModel, VersionedModel):
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.DB_SET_NULL,
        null=True,
        blank=True,
        related_name="workflows",
        verbose_name=_("owner"),
    )
    name = NameField(_("name"), max_length=MAX_NAME)
    description = models.TextField(_("description"), blank=True, default="", db_default="")
    config = DefinitionField(_("config"), default=dict, db_default=json_value({}), blank=True)
    variables = DefinitionField(_("variables"), default=dict, db_default=json_value({}), blank=True)
    is_active = models.BooleanField(_("active"), default=True, db_default=True)
    deleted_at = models.DateTimeField(_("deleted"), null=True, blank=True, editable=False)

    objects = WorkflowQuerySet.as_manager()

    class Meta:
        db_table = "workflows"
        verbose_name = _("workflow")
        verbose_name_plural = _("workflows")
        ordering = ["name", "id"]
        constraints = [names.constraint("name", "workflow_name_clean")]

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        super().clean()
        json_validation.check("description", self.description)
        retention_config.check(self.config)
        grouping_config.check(self.config)

    def save(self, **kwargs: Unpack[SaveArguments]) -> None:
        """Validate and save. Raises ValidationError before any statement is sent; else as VersionedModel.save()."""
        names.check("name", self.name)
        for name in ("description", "config", "variables"):
            json_validation.check(name, self.__dict__.get(name))
        if "config" in (kwargs.get("update_fields") or ["config"]):
            retention_config.check(self.__dict__.get("config"))
            grouping_config.check(self.__dict__.get("config"))
        super().save(**kwargs)

    def soft_delete(self) -> None:
        """Mark as deleted; the history is kept. A second call changes nothing."""
        if self.deleted_at is None:
            self.deleted_at = Now()
            self.save(update_fields=["deleted_at"])

    def restore(self) -> None:
        """Undo soft_delete()."""
        self.deleted_at = None
        self.save(update_fields=["deleted_at"])

    def delete(self, using: str | None = None, keep_parents: bool = False) -> tuple[int, dict[str, int]]:
        """Delete the workflow. Raises HasHistory if it was executed."""
        with HasHistory.translate_errors(Workflow):
            return super().delete(using, keep_parents)

    def levels(self) -> dict[object, int]:
        """Return the topological level of each node by its id, the base of `execution_order`."""
        nodes = self.nodes.current().values_list("id", flat=True)
        return graph_algorithms.levels(nodes, self.edges.values_list("source_node_id", "target_node_id"))

    def graph_now(self) -> Graph:
        """Return the current graph, not stored."""
        nodes, edges = self.nodes.current().values(*Graph.NODE), self.edges.values(*Graph.EDGE)
        return Graph(workflow=self, nodes=[*map(Graph.to_json, nodes)], edges=[*map(Graph.to_json, edges)])

    @transaction.atomic
    def duplicate(self, **fields: object) -> "Workflow":
        """Return a new workflow with the same definition, except for `fields`. The history is not copied."""
        named = {"name": _copy_name(self.name), "owner": self.owner} | fields
        kept = {name: getattr(self, name) for name in ("description", "config", "variables", "is_active")}
        new: Workflow = Workflow.objects.create(**kept | named)
        nodes = {node.pk: _copy_row(node, new) for node in self.nodes.current()}
        edges = [_copy_row(edge, new) for edge in self.edges.all()]
        for edge in edges:
            edge.source_node, edge.target_node = nodes[edge.source_node_id], nodes[edge.target_node_id]
        Node.objects.bulk_create(nodes.values())
        Edge.objects.bulk_create(edges)
        return new


class Node(AuditedModel, UUID7Model):
    workflow = models.ForeignKey(
        Workflow, on_delete=models.DB_CASCADE, related_name="nodes", verbose_name=_("workflow"), db_index=False
    )
    name = NameField(_("name"), max_length=MAX_NAME)
    node_type = models.CharField(_("type"), max_length=50, choices=NodeType)
    position_x = models.FloatField(_("position x"), default=0, db_default=0)
    position_y = models.FloatField(_("position y"), default=0, db_default=0)
    config = DefinitionField(_("config"), default=dict, db_default=json_value({}), blank=True)
    input_schema = SchemaField(_("input schema"), default=dict, db_default=json_value({}), blank=True)
    output_schema = SchemaField(_("output schema"), default=dict, db_default=json_value({}), blank=True)
    timeout_seconds = models.PositiveIntegerField(
        _("timeout in seconds"), default=DEFAULT_TIMEOUT, db_default=DEFAULT_TIMEOUT
    )
    retry_config = DefinitionField(
        _("retry config"), default=default_retry_config, db_default=json_value(default_retry_config()), blank=True
    )
    created_at = models.DateTimeField(_("created"), db_default=Now(), editable=False)
    updated_at = models.DateTimeField(_("updated"), auto_now=True, db_default=Now())
    # A retired node is in no graph and has no edges. It is kept for the runs that refer to it.
    retired_at = models.DateTimeField(_("retired"), null=True, blank=True, editable=False)

    objects = NodeQuerySet.as_manager()

    class Meta:
        db_table = "nodes"
        verbose_name = _("node")
        verbose_name_plural = _("nodes")
        default_permissions = ()
        ordering = ["workflow_id", "name"]
        constraints = [
            models.UniqueConstraint(
                fields=["workflow", "name", "retired_at"],
                name="node_name_unique_in_workflow",
                nulls_distinct=False,  # among active nodes: the name of a retired one is free
                deferrable=models.Deferrable.IMMEDIATE,  # checked after the statement: two nodes may swap their names
                violation_error_message=_("Another node of this workflow has this name: choose a different one."),
            ),
            # The target of the edges' foreign key (workflow, node).
            models.UniqueConstraint(fields=["workflow", "id"], name="node_of_workflow"),
            models.CheckConstraint(condition=Q(node_type__in=NodeType.values), name="node_type_known"),
            names.constraint("name", "node_name_clean"),
        ]

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        retry_config.check(self.retry_config)

    def delete(self, using: str | None = None, keep_parents: bool = False) -> tuple[int, dict[str, int]]:
        """Delete the node. Raises HasHistory if it was executed."""
        with HasHistory.translate_errors(Node):
            return super().delete(using, keep_parents)

    @property
    def max_retries(self) -> int:
        """Return how often a failed execution may be retried: 3 unless retry_config sets it."""
        return retries_in(self.retry_config)


class Edge(AuditedModel, UUID7Model):
    workflow = models.ForeignKey(
        Workflow, on_delete=models.DB_CASCADE, related_name="edges", verbose_name=_("workflow"), db_index=False
    )
    source_node = models.ForeignKey(
        Node, on_delete=models.DB_CASCADE, related_name="edges_out", verbose_name=_("source node"), db_index=False
    )
    target_node = models.ForeignKey(
        Node, on_delete=models.DB_CASCADE, related_name="edges_in", verbose_name=_("target node")
    )
    source_handle = models.CharField(_("source handle"), max_length=255, null=True, blank=True)  # noqa: DJ001  # the contract's NULL
    target_handle = models.CharField(_("target handle"), max_length=255, null=True, blank=True)  # noqa: DJ001  # the contract's NULL
    condition = DefinitionField(_("condition"), null=True, blank=True)
    priority = models.IntegerField(_("priority"), default=0, db_default=0)
    label = NameField(_("label"), max_length=MAX_NAME, blank=True, default="", db_default="")
    created_at = models.DateTimeField(_("created"), db_default=Now(), editable=False)

    objects = AuditedQuerySet.as_manager()

    class Meta:
        db_table = "edges"
        verbose_name = _("edge")
        verbose_name_plural = _("edges")
        default_permissions = ()
        ordering = ["workflow_id", "priority", "id"]
        constraints = [
            models.CheckConstraint(
                condition=~Q(source_node=F("target_node")),
                name="edge_without_self_loop",
                violation_error_message=_("A node cannot lead to itself: choose another target."),
            ),
            # Coalesce, not NULLS NOT DISTINCT: no handle and the empty handle are the same (`identity`).
            models.UniqueConstraint(
                "source_node",
                "target_node",
                Coalesce("source_handle", models.Value("")),
                Coalesce("target_handle", models.Value("")),
                name="edge_unique",
                violation_error_message=_("The same edge exists already: remove one of the two."),
            ),
            names.constraint("label", "edge_label_clean"),
        ]
        indexes = [models.Index(fields=["workflow"], name="idx_edges_workflow")]

    def __str__(self) -> str:
        return f"{self.source_node} → {self.target_node}"

    @property
    def identity(self) -> tuple[object, ...]:
        """Return the key of the edge: edges with the same key are the same. No handle equals the empty one."""
        return self.source_node_id, self.target_node_id, self.source_handle or "", self.target_handle or ""

    def clean(self) -> None:
        """Validate with messages what the database enforces too: both ends in the edge's workflow, no cycle."""
        if self.source_node_id and self.target_node_id:
            self._check_ends()
            self._check_circle()

    def _check_ends(self) -> None:
        for name in ("source_node", "target_node"):
            if getattr(self, name).workflow_id != self.workflow_id:
                raise ValidationError({name: _("The node belongs to another workflow: choose one of this workflow.")})
            if getattr(self, name).retired_at:
                raise ValidationError({name: _("The node is retired: choose one of the graph.")})

    def _check_circle(self) -> None:
        others = Edge.objects.filter(workflow=self.workflow_id).exclude(pk=self.pk).select_related(None)
        names = dict(Node.objects.current().filter(workflow=self.workflow_id).values_list("id", "name"))
        pairs: list[tuple[UUID, UUID]] = [
            *others.values_list("source_node_id", "target_node_id"),
            (self.source_node_id, self.target_node_id),
        ]
        try:
            graph_algorithms.check_acyclic(names.values(), [(names[a], names[b]) for a, b in pairs])
        except CyclicGraph as error:
            raise ValidationError(error.sentence, code="cycle") from error


def _copy_name(name: str) -> str:
    sign = gettext("(copy)")
    return f"{name[: MAX_NAME - len(sign) - 1]} {sign}"


def _copy_row[M: Node | Edge](row: M, workflow: Workflow) -> M:
    """Return a new row with the same content."""
    left = {"id", "workflow", "created_at", "updated_at"}
    columns = [field.attname for field in row._meta.concrete_fields if field.name not in left]
    return type(row)(workflow=workflow, **{name: getattr(row, name) for name in columns})
