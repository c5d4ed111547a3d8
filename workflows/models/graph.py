"""Graph: the immutable copy of a workflow's graph that runs refer to."""

from typing import ClassVar
from uuid import UUID

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from ledgerkit.db.models import UUID7Model, json_value
from workflows import graph_algorithms


class Graph(UUID7Model):
    """An immutable copy of a graph, shared by the runs that were created with it. The database stores it with the run
    (`graph_of()` in sql/graphs.sql), so that runs inserted in any way have one."""

    NODE: ClassVar = ("id", "name", "node_type", "position_x", "position_y")
    EDGE: ClassVar = (
        "source_node", "target_node", "source_handle", "target_handle", "condition", "priority", "label",
    )  # fmt: skip

    workflow = models.ForeignKey(
        "workflows.Workflow",
        on_delete=models.DB_CASCADE,
        related_name="graphs",
        verbose_name=_("workflow"),
        db_index=False,
    )
    nodes = models.JSONField(_("nodes"), default=list, db_default=json_value([]))  # dicts of NODE, ids as text
    edges = models.JSONField(_("edges"), default=list, db_default=json_value([]))  # dicts of EDGE
    is_current = models.BooleanField(_("current"), default=False, db_default=False)
    created_at = models.DateTimeField(_("created"), db_default=Now(), editable=False)

    class Meta:
        db_table = "graphs"
        verbose_name = _("graph")
        verbose_name_plural = _("graphs")
        default_permissions = ()
        ordering = ["workflow_id", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["workflow"], condition=Q(is_current=True), name="one_current_graph_per_workflow"
            )
        ]
        indexes = [models.Index(fields=["workflow"], name="idx_graphs_workflow")]

    def __str__(self) -> str:
        return f"{self.workflow} · {self.id}"

    @property
    def pairs(self) -> list[tuple[UUID, UUID]]:
        return [(UUID(edge["source_node"]), UUID(edge["target_node"])) for edge in self.edges]

    def levels(self) -> dict[UUID, int]:
        """Return the topological level of each node by its id."""
        return graph_algorithms.levels([UUID(node["id"]) for node in self.nodes], self.pairs)

    @staticmethod
    def to_json(values: dict[str, object]) -> dict[str, object]:
        """Return the values of a node or edge as stored in `nodes` and `edges`."""
        return {name: str(value) if isinstance(value, UUID) else value for name, value in values.items()}
