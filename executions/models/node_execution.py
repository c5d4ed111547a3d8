"""NodeExecution: the execution of one node within one run.

A new row is inserted by one call of the database if possible, else by save() in a transaction that locks the run: `POST
nodes/` takes 2.7 ms of processor time, and 5.1 with save() alone (docs/decisions.md).
"""

from collections.abc import Callable
from contextlib import nullcontext
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING
from uuid import UUID

from django.contrib.postgres.indexes import OpClass
from django.core.exceptions import ValidationError
from django.db import DEFAULT_DB_ALIAS, connection, models, transaction
from django.db.models import F, Q
from django.db.models.functions import Upper
from django.utils.translation import gettext_lazy as _

from executions import leases, masking, refusal_reasons, retry, sort_keys, states, text_limits, validators
from executions.exceptions import InvalidTransition
from executions.querysets import NodeExecutionQuerySet
from executions.secrets import run_secrets
from executions.states import ACTIVE, ExecutionStatus
from ledgerkit.db import function_calls, json_validation
from ledgerkit.db.indexes import GinIndex, Index
from workflows.models import Node, retries_in

from .base import RESET, Changes, Execution, state_constraints
from .workflow_execution import ADD_NODE, WorkflowExecution

if TYPE_CHECKING:
    from .lease import NodeExecutionLease

RUN_STATES = {"start": (ExecutionStatus.RUNNING,), "retry": ACTIVE, ADD_NODE: ACTIVE}


class NodeExecution(Execution):
    TRANSITIONS = states.NODE_EXECUTION
    SOURCES = states.sources(TRANSITIONS)

    workflow_execution = models.ForeignKey(
        WorkflowExecution,
        on_delete=models.DB_CASCADE,
        db_index=False,
        related_name="node_executions",
        verbose_name=_("workflow execution"),
    )
    # The migration makes it ON DELETE RESTRICT: a node that was executed cannot be deleted.
    node = models.ForeignKey(
        Node,
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        db_index=False,
        related_name="executions",
        verbose_name=_("node"),
    )
    # Written once, by a trigger (sql/node_names.sql): the name in the run's graph.
    node_name = models.CharField(_("node name"), max_length=255, db_default="", editable=False)
    error_traceback = models.TextField(_("traceback"), null=True, blank=True)  # noqa: DJ001  # NULL is "no error"
    retry_count = models.IntegerField(_("retries"), default=0, db_default=0)
    execution_order = models.IntegerField(_("order"))
    settled = models.BooleanField(
        _("settled"), default=False, db_default=False, editable=False, help_text=_("Ended by the end of its run.")
    )

    nodes_retry_config: object = None  # in lists, of failed rows: annotated by for_lists()

    objects = NodeExecutionQuerySet.as_manager()

    class Meta:
        db_table = "node_executions"
        verbose_name = _("node execution")
        verbose_name_plural = _("node executions")
        default_permissions = ("add", "change", "view")
        ordering = ["execution_order", "id"]
        constraints = [
            *state_constraints("node_execution"),
            models.CheckConstraint(
                condition=Q(error_code="") | Q(status=ExecutionStatus.FAILED), name="node_execution_code_of_failure"
            ),
            models.CheckConstraint(condition=Q(retry_count__gte=0), name="node_execution_retry_count_from_zero"),
            # The target of the logs' foreign key (run, node execution).
            models.UniqueConstraint(fields=["workflow_execution", "id"], name="node_execution_of_workflow_execution"),
        ]
        indexes = [
            Index(fields=["workflow_execution"], name="idx_node_executions_workflow_execution"),
            Index(fields=["node", "-created_at", "-id"], name="idx_node_executions_node"),
            Index(fields=["status"], name="idx_node_executions_status"),
            Index(fields=["workflow_execution", "execution_order"], name="idx_node_executions_order"),
            Index(fields=["-created_at", "-id"], name="idx_node_executions_created"),
            Index(
                fields=["node", "-created_at", "-id"],
                name="idx_node_executions_failed",
                condition=Q(status=ExecutionStatus.FAILED),
            ),
            # The newest failed ones of all nodes, and those with an error, among which a text is searched.
            Index(
                fields=["-created_at", "-id"],
                name="idx_node_executions_failed_created",
                condition=Q(status=ExecutionStatus.FAILED) | Q(error_message__isnull=False),
            ),
            # For the order and the filter by duration.
            Index(
                sort_keys.NODE_DURATION,
                F("id"),
                name="idx_node_executions_duration",
                condition=sort_keys.HAS_NODE_DURATION,
            ),
            # For the filters of runs by a node that failed.
            GinIndex(
                OpClass(Upper("error_message"), "gin_trgm_ops"),
                name="idx_node_executions_error_text",
                condition=Q(error_message__isnull=False),
            ),
            Index(
                fields=["node_name", "workflow_execution"],
                name="idx_node_executions_failed_name",
                condition=Q(status=ExecutionStatus.FAILED),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.node_name} · {self.id}"

    def clean(self) -> None:
        super().clean()
        if self.node_id and self.workflow_execution_id and self.node.workflow_id != self.workflow_execution.workflow_id:
            raise ValidationError({"node": _("The node belongs to another workflow than the execution.")})

    def leases_of_attempts(self) -> "models.Manager[NodeExecutionLease]":
        return self.leases

    @property
    def run_id(self) -> UUID:
        return self.workflow_execution_id

    @property
    def owner_id(self) -> object:
        """Return the id of its workflow's owner."""
        return self.workflow_execution.owner_id

    @property
    def can_retry(self) -> bool:
        """Return whether it has failed and its node's retry_config allows another retry."""
        return self.status == ExecutionStatus.FAILED and self.retry_count < self.max_retries

    @property
    def max_retries(self) -> int:
        """Return how many retries its node's retry_config allows."""
        known = self.nodes_retry_config
        return self.node.max_retries if known is None else retries_in(known)

    def insert_as_read(self) -> bool:
        """Insert the row by one call of the database (sql/add_node.sql), masked by the secrets that were read with the
        run. Return whether that was possible. It is not if the run has ended, has other secrets by now, or gets a new
        one."""
        known = run_secrets.as_read(self.workflow_execution)
        masked = None if known is None else masking.mask_by_known({"input_data": self.input_data}, known)
        if known is None or masked is None:
            return False
        made = vars(self)["created_at"]  # an expression, unless the engine gave its time
        with transaction.atomic() if connection.in_atomic_block else nullcontext():  # a savepoint for the caller
            stored = function_calls.call(
                "add_node",
                node_execution=self.pk,
                run=self.workflow_execution_id,
                node=self.node_id,
                place=self.execution_order,
                input=json_validation.to_json(masked["input_data"]),
                moment=made if isinstance(made, datetime) else None,
                has_texts=bool(self.input_data),
                masked_by=known.encrypted,
            )
        if stored is not None:
            self._set_changes(masked | stored)
            self._state.adding, self._state.db = False, DEFAULT_DB_ALIAS
        return stored is not None

    def start(
        self, at: datetime | None = None, *, worker: str = "", lease_seconds: int | None = None,
        run_token: UUID | None = None,
    ) -> UUID | None:  # fmt: skip
        """pending → running. Raises InvalidTransition unless its run is running. With a worker or a lease, return the
        token of the attempt (executions/leases.py).

        `run_token`, here and below, is the token of the run's attempt, for a worker whose node has no token. Raises
        FencedExecution if it is another one."""
        return self._of_run("start", run_token, partial(self._start, at, worker, lease_seconds))

    def complete(
        self, output_data: object = None, at: datetime | None = None, token: UUID | None = None,
        run_token: UUID | None = None,
    ) -> None:  # fmt: skip
        """running → completed. Raises FencedExecution if `token` is not that of the attempt."""
        texts = {} if output_data is None else {"output_data": output_data}
        self._of_run("complete", run_token, partial(self._transition, "complete", texts, at, token))

    def fail(
        self, error_message: object, error_traceback: str | None = None, at: datetime | None = None,
        token: UUID | None = None, run_token: UUID | None = None,
    ) -> None:  # fmt: skip
        """running → failed. `error_message` may be an exception. Raises FencedExecution if `token` is not that of the
        attempt."""
        message, trace = text_limits.standard_error(error_message, error_traceback)
        texts: Changes = {"error_message": message, "error_traceback": trace}
        self._of_run("fail", run_token, partial(self._transition, "fail", texts, at, token))

    def skip(self, at: datetime | None = None, run_token: UUID | None = None) -> None:
        """pending → skipped."""
        self._of_run("skip", run_token, partial(self._transition, "skip", at=at))

    def _of_run[R](self, act: str, run_token: UUID | None, transition: Callable[[], R]) -> R:
        """Make the transition that a worker of the run reports. The run is locked meanwhile: a retry of it would leave
        the attempt of a pending node as it is, by which the transition is guarded."""
        if run_token is None:
            return transition()
        with transaction.atomic():
            rows = type(self.workflow_execution)._base_manager.select_for_update(no_key=True)
            run = rows.only("status", "attempt", "version").get(pk=self.workflow_execution_id)
            return leases.report(run, act, run_token, transition)

    def cancel(self, at: datetime | None = None) -> None:
        """pending or running → cancelled."""
        self._transition("cancel", at=at)

    def retry(self, at: datetime | None = None, *, override_max_retries: bool = False) -> None:
        """failed → pending, while `can_retry`, or beyond `max_retries` with a reason. The failed attempt is kept.
        Raises InvalidTransition if its run has ended: the retry of a failed run retries its failed nodes."""
        validators.check_at(at)
        with transaction.atomic():
            moved = retry.retry_node(self, override_max_retries)
        self._set_changes(
            RESET | {"status": ExecutionStatus.PENDING, "error_traceback": None, "settled": False} | moved
        )

    def _run_as_read(self) -> "WorkflowExecution | None":
        is_read = NodeExecution.workflow_execution.is_cached(self)
        return self.workflow_execution if is_read else None

    def _call_move(self, act: str, **arguments: object) -> Changes | None:
        return function_calls.call("move_node", node=self.pk, run=self.workflow_execution_id, **arguments)

    def _transition_error(self, act: str) -> InvalidTransition:
        if act in RUN_STATES:
            self._lock_run(act)
        return super()._transition_error(act)

    def _lock_run(self, act: str) -> None:
        """Lock the run, so that it does not end before the transaction. Raises InvalidTransition unless its state
        allows `act`."""
        runs = WorkflowExecution.objects.select_for_update(no_key=True).filter(pk=self.workflow_execution_id)
        state = runs.values_list("status", flat=True).get()
        if state not in RUN_STATES[act]:
            row = type(self).objects.only("status", "version").filter(pk=self.pk).first()
            if row is None:
                raise InvalidTransition(act, state)
            reason = refusal_reasons.run_is(ExecutionStatus(state), act)
            raise InvalidTransition(act, row.status, reason, row.version)
