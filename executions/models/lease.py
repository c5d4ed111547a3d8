"""Leases: the worker of an attempt, and until when it counts as alive (executions/leases.py)."""

import uuid
from uuid import UUID

from django.contrib.postgres.functions import RandomUUID
from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from executions.leases import MAX_WORKER
from ledgerkit.db.models import UUID7Model

from .node_execution import NodeExecution
from .workflow_execution import WorkflowExecution


class Lease(UUID7Model):
    """The lease of one attempt. A heartbeat changes this row alone: neither the run nor its history or version. The row
    remains when the attempt ends, so that a report with the token of an old attempt is recognized."""

    attempt = models.PositiveIntegerField(_("attempt"))
    token = models.UUIDField(_("token"), default=uuid.uuid4, db_default=RandomUUID())
    worker = models.CharField(_("worker"), max_length=MAX_WORKER, db_default="")
    seconds = models.PositiveIntegerField(_("seconds"), null=True, help_text=_("Empty: a worker without a lease."))
    heartbeat_at = models.DateTimeField(_("last heartbeat"), db_default=Now())
    expires_at = models.DateTimeField(_("expires"), null=True)
    lapsed_at = models.DateTimeField(_("ended by upkeep"), null=True)

    class Meta:
        abstract = True
        ordering = ["attempt"]

    def __str__(self) -> str:
        return f"{self.worker} · {self.attempt}"

    @property
    def execution_id(self) -> UUID:
        raise NotImplementedError  # the leases of runs and of node executions each implement it


class WorkflowExecutionLease(Lease):
    workflow_execution = models.ForeignKey(
        WorkflowExecution, on_delete=models.DB_CASCADE, related_name="leases", db_index=False
    )

    class Meta(Lease.Meta):
        db_table = "workflow_execution_leases"
        verbose_name = _("lease of a workflow execution")
        verbose_name_plural = _("leases of workflow executions")
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(fields=["workflow_execution", "attempt"], name="one_lease_per_attempt_of_run")
        ]

    @property
    def execution_id(self) -> UUID:
        return self.workflow_execution_id


class NodeExecutionLease(Lease):
    node_execution = models.ForeignKey(
        NodeExecution, on_delete=models.DB_CASCADE, related_name="leases", db_index=False
    )

    class Meta(Lease.Meta):
        db_table = "node_execution_leases"
        verbose_name = _("lease of a node execution")
        verbose_name_plural = _("leases of node executions")
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(fields=["node_execution", "attempt"], name="one_lease_per_attempt_of_node")
        ]

    @property
    def execution_id(self) -> UUID:
        return self.node_execution_id
