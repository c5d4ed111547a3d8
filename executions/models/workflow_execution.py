"""WorkflowExecution: one execution of a workflow.

A verb (`start()`, `complete()`, ...) changes the state of a row by one guarded UPDATE, `_transition()`. The other work
(settle the nodes, keep the attempt) is part of the same database call, under the same row lock. Locks are always taken
first on the run and then on its nodes, so that verbs do not deadlock.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Unpack
from uuid import UUID

from django.db import DEFAULT_DB_ALIAS, IntegrityError, models, transaction
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from executions import (
    audit,
    leases,
    masking,
    queue,
    refusal_reasons,
    rerun,
    retry,
    run_graph,
    states,
    text_limits,
    validators,
)
from executions.exceptions import ConcurrentExecution, InvalidTransition, QueuedExecution
from executions.querysets import WorkflowExecutionQuerySet
from executions.secrets.encryption import encrypt
from executions.states import SETTLED, ErrorCode, ExecutionStatus, TriggerType
from ledgerkit.db import function_calls
from ledgerkit.db.exceptions import violated_constraint
from ledgerkit.db.models import Column, SaveArguments, json_value
from ledgerkit.db.models import Value as FieldValue
from workflows.models import Graph, Node, Workflow

from .base import RESET, Changes, Execution, state_constraints
from .run_indexes import INDEXES

if TYPE_CHECKING:
    from .lease import WorkflowExecutionLease
    from .node_execution import NodeExecution


ONE_RUNNING = "one_running_execution_per_workflow"
ADD_NODE = "add a node to"
CODED = (ExecutionStatus.FAILED, ExecutionStatus.CANCELLED)  # by upkeep, with an error code
NEVER_SAVED = {"encrypted_secrets", "failed_nodes"}


class WorkflowExecution(Execution):
    TRANSITIONS = states.WORKFLOW_EXECUTION
    SOURCES = states.sources(TRANSITIONS)

    # The migration makes it ON DELETE RESTRICT: no interface can delete a workflow that has runs.
    workflow = models.ForeignKey(
        Workflow,
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        db_index=False,
        related_name="executions",
        verbose_name=_("workflow"),
    )
    # Written once, by a trigger (sql/workflow_names.sql).
    workflow_name = models.CharField(_("workflow name"), max_length=255, db_default="", editable=False)
    trigger_type = models.CharField(_("trigger"), max_length=50, choices=TriggerType)
    # The workflow's graph at the time of the run, set by a trigger (sql/remember_graph.sql).
    graph = models.ForeignKey(
        Graph,
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        db_default=models.Value(None, output_field=models.UUIDField()),
        db_index=False,
        editable=False,
        null=True,
        related_name="executions",
        verbose_name=_("graph"),
    )
    # The values of its secrets (secrets/encryption.py). They are in the run's own row because a statement that waited
    # for the row's lock then reads the newest values.
    encrypted_secrets = models.TextField(_("encrypted secrets"), null=True, editable=False)  # noqa: DJ001  # NULL is "none"
    # Counted by the statement that ends the run, so that lists do not read nodes. Triggers (sql/failed_nodes.sql)
    # correct it after plain SQL, and after the transition of a node at the same moment.
    failed_nodes = models.PositiveIntegerField(
        _("failed nodes"),
        default=0,
        db_default=0,
        editable=False,
        help_text=_("How many of its node executions failed, counted when the run ends; 0 until then."),
    )
    is_queued = models.BooleanField(_("queued"), default=False, db_default=False, editable=False)
    context = models.JSONField(_("context"), default=dict, db_default=json_value({}), blank=True)
    metadata = models.JSONField(_("metadata"), default=dict, db_default=json_value({}), blank=True)

    objects = WorkflowExecutionQuerySet.as_manager()

    class Meta:
        db_table = "workflow_executions"
        verbose_name = _("workflow execution")
        verbose_name_plural = _("workflow executions")
        ordering = ["-created_at", "-id"]
        constraints = [
            *state_constraints("workflow_execution"),
            models.CheckConstraint(
                condition=Q(error_code="") | Q(status__in=[str(state) for state in CODED]),
                name="workflow_execution_code_of_end",
            ),
            models.CheckConstraint(
                condition=Q(trigger_type__in=TriggerType.values), name="workflow_execution_trigger_known"
            ),
            # `@>` is false where the key is absent; `->` would be NULL, and the row would slip out of the index.
            models.UniqueConstraint(
                fields=["workflow"],
                condition=Q(status=ExecutionStatus.RUNNING) & ~Q(metadata__contains={"allow_concurrent": True}),
                name=ONE_RUNNING,
            ),
        ]
        indexes = INDEXES

    def __str__(self) -> str:
        return f"{self.workflow_name} · {self.id}"

    def save(self, **kwargs: Unpack[SaveArguments]) -> None:
        """Save the run. Raises ConcurrentExecution if another run of the workflow is running, and the errors of
        Execution.save()."""
        using = kwargs.get("using") or self._state.db or DEFAULT_DB_ALIAS
        new = bool(kwargs.get("force_insert")) or (self._state.adding and not kwargs.get("force_update"))
        self.check_documents()
        found = masking.mask_rows([self], self.ACT, using, new=new)
        if new and found:
            self.encrypted_secrets = encrypt(found[self.pk])
        with self._one_running("save"), ExitStack() as around:
            if self.status == ExecutionStatus.RUNNING:
                around.enter_context(transaction.atomic(using=using))
            if new:
                self.updated_at = Now()
                around.enter_context(audit.audit_note(masking.note_of_new(found.get(self.pk, ())), using))
            super().save(**kwargs)

    def _mask_secrets(self, using: str | None) -> None:
        """Do nothing: save() has masked them."""

    def leases_of_attempts(self) -> "models.Manager[WorkflowExecutionLease]":
        return self.leases

    @property
    def run_id(self) -> UUID:
        return self.pk

    @property
    def owner_id(self) -> object:
        """Return the id of its workflow's owner."""
        return self.workflow.owner_id

    def check_documents(self) -> None:
        """Check the types of known keys of context and metadata too, and that a queued run is not concurrent. The
        ValidationError begins with the path."""
        super().check_documents()
        if "metadata" in self.__dict__:
            self.metadata = validators.with_names(self.metadata)
        for field in ("context", "metadata"):
            if field in self.__dict__:
                validators.check(field, self.__dict__[field])
        if self.__dict__.get("is_queued") and "metadata" in self.__dict__:
            validators.check_queued(self.metadata)

    def start(self, at: datetime | None = None, *, worker: str = "", lease_seconds: int | None = None) -> UUID | None:
        """pending → running. Raises ConcurrentExecution if another run of the workflow is running, QueuedExecution if
        the run is queued and it is not its turn. With a worker or a lease, return the token of the attempt
        (executions/leases.py)."""
        try:
            return self._start_alone(at, worker, lease_seconds)
        except ConcurrentExecution as error:
            if not self.is_queued or isinstance(error, QueuedExecution):
                raise
        return self._start_alone(at, worker, lease_seconds)  # the run that it waited for has just ended

    def _start_alone(self, at: datetime | None, worker: str, lease_seconds: int | None) -> UUID | None:
        with self._one_running("start"):
            return self._start(at, worker, lease_seconds)

    def complete(self, output_data: object = None, at: datetime | None = None, token: UUID | None = None) -> None:
        """running → completed; pending nodes are skipped. Raises InvalidTransition, with their number, while nodes are
        running, and FencedExecution if `token` is not that of the attempt."""
        self._transition("complete", {} if output_data is None else {"output_data": output_data}, at, token)

    def fail(self, error_message: object, at: datetime | None = None, token: UUID | None = None) -> None:
        """running → failed; pending nodes are skipped, running ones cancelled. `error_message` may be an exception.
        Raises FencedExecution if `token` is not that of the attempt."""
        error, _trace = text_limits.standard_error(error_message)
        self._transition("fail", {"error_message": error}, at, token)

    def cancel(self, at: datetime | None = None) -> None:
        """pending or running → cancelled, with every pending or running node."""
        self._transition("cancel", at=at)

    def expire(self, error_message: str) -> None:
        """pending → cancelled, because it was never started. Called by upkeep."""
        self._transition("cancel", {"error_message": error_message, "error_code": str(ErrorCode.EXPIRED)})

    def retry(self, at: datetime | None = None, *, override_max_retries: bool = False) -> None:
        """failed → pending. The failed attempt is kept. Failed nodes are retried too; nodes that were skipped or
        cancelled because of the failure become pending again; completed ones do not change. Raises InvalidTransition if
        a failed node has no retry left, unless this one is granted beyond `max_retries`, which needs a reason. `at` is
        checked as in every verb, and stored in no column of a pending row."""
        validators.check_at(at)
        with transaction.atomic():
            moved = retry.retry_run(self, override_max_retries)
        self._set_changes(RESET | {"status": ExecutionStatus.PENDING, "failed_nodes": 0} | moved)

    def rerun(
        self, input_data: dict[str, object] | None = None, *, from_node: str | None = None, id: UUID | None = None
    ) -> "WorkflowExecution":
        """Create a pending run with the input of this one, or another, and return it (executions/rerun.py). With the id
        or name of a node, the engine should start there and use the outputs of the completed nodes before it."""
        return rerun.rerun(self, input_data, from_node, id)

    def delete(self, using: str | None = None, keep_parents: bool = False) -> tuple[int, dict[str, int]]:
        """Delete the run and all rows that belong to it in one statement. A Deletion remains, with the actor and the
        reason."""
        return type(self).objects.using(using).filter(pk=self.pk).delete()

    def delete_unless_running(self) -> None:
        """Delete the run. Raises InvalidTransition while it is running, because its engine still reports to it."""
        running = Q(status=ExecutionStatus.RUNNING)
        rows = type(self).objects.filter(pk=self.pk)
        if not rows.exclude(running).delete()[0] and rows.filter(running).exists():
            raise InvalidTransition("delete", ExecutionStatus.RUNNING, refusal_reasons.CANCEL_FIRST, self.version)

    def add_node(
        self, node: Node, execution_order: int | None = None, run_token: UUID | None = None, **fields: object
    ) -> "NodeExecution":
        """Create a pending execution of `node`. `execution_order` defaults to the node's topological level.

        Raises InvalidTransition if the run has ended, ValidationError if the node belongs to another workflow,
        FencedExecution if `run_token` is not that of the run's attempt.
        """
        if run_token is None:
            return self._add_node(node, execution_order, fields)
        with transaction.atomic():  # else another worker might get the run before the row is inserted
            type(self).objects.select_for_update(no_key=True).only("pk").get(pk=self.pk)
            leases.check(self, ADD_NODE, run_token)
            return self._add_node(node, execution_order, fields)

    def _add_node(self, node: Node, execution_order: int | None, fields: dict[str, object]) -> "NodeExecution":
        if execution_order is None:
            execution_order = run_graph.level_in(self, node.pk)
        new = self.node_executions.model(workflow_execution=self, node=node, execution_order=execution_order, **fields)
        new.clean()
        is_usual = fields.keys() <= {"id", "input_data", "created_at"} and node.pk in run_graph.node_ids(self)
        if is_usual and new.insert_as_read():
            return new
        with transaction.atomic():
            new._lock_run(ADD_NODE)
            new.save(force_insert=True)
            run_graph.remember(self, node.pk)
        return new

    @contextmanager
    def _one_running(self, act: str) -> Iterator[None]:
        """Translate the IntegrityError of a second running execution to ConcurrentExecution."""
        try:
            yield
        except IntegrityError as error:
            if violated_constraint(error) != ONE_RUNNING:
                raise
            if self.is_queued and (ahead := queue.first_ahead(self.pk)):
                raise QueuedExecution(act, self.status, ahead, self.version) from error
            raise ConcurrentExecution(act, self.status, refusal_reasons.ANOTHER_RUNS, self.version) from error

    def _transition_error(self, act: str) -> InvalidTransition:
        if act == "start" and self.is_queued and (ahead := queue.first_ahead(self.pk)):
            return QueuedExecution(act, self.status, ahead, self.version)
        return super()._transition_error(act)

    def _run_as_read(self) -> "WorkflowExecution":
        return self

    def _call_move(self, act: str, **arguments: object) -> Changes | None:
        """Move the run and its nodes. Raises InvalidTransition if running nodes have to end first."""
        pending, running = SETTLED.get(act, (None, None))
        settled = {"settled_pending": pending and str(pending), "settled_running": running and str(running)}
        del arguments["trace"]  # a run has none
        moved = function_calls.call("move_run", run=self.pk, **settled, **arguments)
        if moved is not None and (still := int(str(moved.pop("still_running")))):
            raise InvalidTransition(act, self.status, refusal_reasons.still_running(still), self.version)
        return moved

    def _with_version_bump(self, values: list[FieldValue]) -> tuple[list[FieldValue], list[Column]]:
        """Leave out the secrets, which only run_secrets.store_secrets() changes, and the count of failed nodes, which
        may be old."""
        return super()._with_version_bump([value for value in values if value[0].name not in NEVER_SAVED])
