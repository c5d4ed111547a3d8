"""NodeExecution: the execution of one node within one run."""

from typing import Any, ClassVar
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import models, transaction
from django.db.models import Q
from django.utils.functional import cached_property
from django.utils.translation import gettext_lazy as _

from executions import refusal_reasons, report_texts, retry, states
from executions.exceptions import InvalidTransition
from executions.querysets import NODES_RETRY_CONFIG, NodeExecutionQuerySet
from executions.states import ACTIVE, ExecutionStatus
from ledgerkit.db.indexes import Index
from workflows.models import Node, retries_in

from .base import END, RESET, STARTED, Execution, state_constraints
from .workflow_execution import WorkflowExecution

RUN_STATES = {"start": (ExecutionStatus.RUNNING,), "retry": ACTIVE, "add a node to": ACTIVE}


class NodeExecution(Execution):
    TRANSITIONS = states.NODE_EXECUTION

    workflow_execution = models.ForeignKey(
        WorkflowExecution,
        on_delete=models.DB_CASCADE,
        db_index=False,
        related_name="node_executions",
        verbose_name=_("workflow execution"),
    )
    # ON DELETE RESTRICT, from the migration: a node that has been executed cannot be deleted.
    node = models.ForeignKey(
        Node,
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        db_index=False,
        related_name="executions",
        verbose_name=_("node"),
    )
    # The database writes it, once (sql/node_names.sql): as the graph that the run remembers has it.
    node_name = models.CharField(_("node name"), max_length=255, db_default="", editable=False)
    error_traceback = models.TextField(_("traceback"), null=True, blank=True)  # noqa: DJ001  # NULL is "no error"
    retry_count = models.IntegerField(_("retries"), default=0, db_default=0)
    execution_order = models.IntegerField(_("order"))
    settled = models.BooleanField(
        _("settled"), default=False, db_default=False, editable=False, help_text=_("Ended by the end of its run.")
    )

    objects: ClassVar[Any] = NodeExecutionQuerySet.as_manager()

    class Meta:
        db_table = "node_executions"
        verbose_name = _("node execution")
        verbose_name_plural = _("node executions")
        ordering = ["execution_order", "id"]
        constraints = [
            *state_constraints("node_execution"),
            models.CheckConstraint(condition=Q(retry_count__gte=0), name="node_execution_retry_count_from_zero"),
            # Gives the log lines' foreign key (run, node execution) something to point at.
            models.UniqueConstraint(fields=["workflow_execution", "id"], name="node_execution_of_workflow_execution"),
        ]
        indexes = [
            Index(fields=["workflow_execution"], name="idx_node_executions_workflow_execution"),
            Index(fields=["node", "-created_at", "-id"], name="idx_node_executions_node"),
            Index(fields=["status"], name="idx_node_executions_status"),
            Index(fields=["workflow_execution", "execution_order"], name="idx_node_executions_order"),
            Index(fields=["-created_at", "-id"], name="idx_node_executions_created"),
        ]

    def __str__(self) -> str:
        return f"{self.node_name} · {self.id}"

    def clean(self) -> None:
        super().clean()
        if self.node_id and self.workflow_execution_id and self.node.workflow_id != self.workflow_execution.workflow_id:
            raise ValidationError({"node": _("The node belongs to another workflow than the execution.")})

    @property
    def run_id(self) -> UUID:
        return self.workflow_execution_id

    @cached_property
    def owner_id(self) -> Any:
        """Return the id of its workflow's owner. An annotation of this name takes its place."""
        return self.workflow_execution.owner_id

    @property
    def can_retry(self) -> bool:
        """Failed, and not yet retried as often as its node's retry_config allows."""
        return self.status == ExecutionStatus.FAILED and self.retry_count < self.max_retries

    @property
    def max_retries(self) -> int:
        """Return how many retries its node's retry_config allows."""
        known = vars(self).get(NODES_RETRY_CONFIG)
        return self.node.max_retries if known is None else retries_in(known)

    def start(self) -> None:
        """pending → running. Refused unless its run is running."""
        run_is_running = self._of_locked(status=ExecutionStatus.RUNNING)
        self._move("start", ExecutionStatus.RUNNING, where=run_is_running, started_at=STARTED)

    def complete(self, output_data: Any = None) -> None:
        """running → completed."""
        output = {} if output_data is None else {"output_data": output_data}
        self._move("complete", ExecutionStatus.COMPLETED, ended_at=END, **output)

    def fail(self, error_message: object, error_traceback: str | None = None) -> None:
        """running → failed. Takes the exception itself too."""
        message, trace = report_texts.error(error_message, error_traceback)
        error: dict[str, Any] = {"error_message": message, "error_traceback": trace}
        self._move("fail", ExecutionStatus.FAILED, ended_at=END, **error)

    def skip(self) -> None:
        """pending → skipped."""
        self._move("skip", ExecutionStatus.SKIPPED, ended_at=END)

    def cancel(self) -> None:
        """pending or running → cancelled."""
        self._move("cancel", ExecutionStatus.CANCELLED, ended_at=END)

    def retry(self) -> None:
        """failed → pending, while `can_retry`; the failed attempt is kept. Refused where its run has ended: the
        retry of a failed run retries its failed nodes."""
        with transaction.atomic():
            moved = retry.retry_node(self)
        self._take_over(RESET | {"status": ExecutionStatus.PENDING, "error_traceback": None, "settled": False} | moved)

    def _run_as_read(self) -> "WorkflowExecution | None":
        is_read = NodeExecution.workflow_execution.is_cached(self)
        return self.workflow_execution if is_read else None

    def _knows(self, encrypted: str | None) -> Q:
        return self._of_locked(encrypted_secrets=encrypted)

    def _of_locked(self, **run: Any) -> Q:
        """Match the row only if its run matches `run`. The subquery locks the run first, so a concurrent change either
        commits before we look, or waits for us."""
        runs = WorkflowExecution.objects.select_for_update(no_key=True).filter(pk=self.run_id, **run)
        return Q(workflow_execution__in=runs.values("pk"))

    def _refusal(self, act: str, to: ExecutionStatus) -> InvalidTransition:
        if act in RUN_STATES:
            self._lock_run(act)
        return super()._refusal(act, to)

    def _lock_run(self, act: str) -> None:
        """Keep the run from ending until the transaction ends. Raise InvalidTransition unless its state fits."""
        runs = WorkflowExecution.objects.select_for_update(no_key=True).filter(pk=self.workflow_execution_id)
        state = runs.values_list("status", flat=True).get()
        if state not in RUN_STATES[act]:
            row = type(self).objects.only("status", "version").filter(pk=self.pk).first()
            if row is None:
                raise InvalidTransition(act, state)
            reason = refusal_reasons.run_is(ExecutionStatus(state), act)
            raise InvalidTransition(act, row.status, reason, row.version)
