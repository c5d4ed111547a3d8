"""The attempts of a run or a node execution that a retry has replaced."""

from typing import ClassVar, Unpack
from uuid import UUID

from django.db import models
from django.utils.translation import gettext_lazy as _

from executions import masking
from executions.querysets import GuardedQuerySet
from executions.states import ExecutionStatus
from ledgerkit.db.models import SaveArguments, UUID7Model

from .base import MaskedTexts, Timed
from .node_execution import NodeExecution
from .workflow_execution import WorkflowExecution


class Attempt(MaskedTexts, UUID7Model, Timed):
    """An earlier attempt. The current attempt is the row itself."""

    ACT: ClassVar[str] = "retry"

    number = models.PositiveIntegerField(_("number"))
    status = models.CharField(_("status"), max_length=50, choices=ExecutionStatus)
    output_data = models.JSONField(_("output"), null=True, blank=True)
    error_message = models.TextField(_("error"), null=True, blank=True)  # noqa: DJ001  # NULL is "no error", as in its row
    error_code = models.CharField(_("error code"), max_length=50, default="", db_default="", blank=True)

    objects = GuardedQuerySet.as_manager()

    class Meta:
        abstract = True
        ordering = ["number"]

    def __str__(self) -> str:
        return f"{self.number} · {self.get_status_display()}"

    @property
    def run_id(self) -> UUID:
        raise NotImplementedError  # the attempts of runs and of node executions each implement it

    def save(self, **kwargs: Unpack[SaveArguments]) -> None:
        masking.mask_rows([self], self.ACT, kwargs.get("using"))
        super().save(**kwargs)


class WorkflowExecutionAttempt(Attempt):
    workflow_execution = models.ForeignKey(
        WorkflowExecution, on_delete=models.DB_CASCADE, related_name="attempts", db_index=False
    )

    class Meta(Attempt.Meta):
        db_table = "workflow_execution_attempts"
        verbose_name = _("attempt of a workflow execution")
        verbose_name_plural = _("attempts of workflow executions")
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(fields=["workflow_execution", "number"], name="workflow_execution_attempt_number")
        ]

    @property
    def run_id(self) -> UUID:
        return self.workflow_execution_id


class NodeExecutionAttempt(Attempt):
    node_execution = models.ForeignKey(
        NodeExecution, on_delete=models.DB_CASCADE, related_name="attempts", db_index=False
    )
    error_traceback = models.TextField(_("traceback"), null=True, blank=True)  # noqa: DJ001  # NULL is "no error"

    class Meta(Attempt.Meta):
        db_table = "node_execution_attempts"
        verbose_name = _("attempt of a node execution")
        verbose_name_plural = _("attempts of node executions")
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(fields=["node_execution", "number"], name="node_execution_attempt_number")
        ]

    @property
    def run_id(self) -> UUID:
        return self.node_execution.workflow_execution_id
