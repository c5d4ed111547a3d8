"""History of runs and their node executions, and of deletions. Triggers write it (sql/history.sql, sql/deletions.sql)
and keep it immutable."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from executions.exceptions import ACTS
from executions.querysets import DeletionQuerySet, HistoryQuerySet
from executions.states import ExecutionStatus, TriggerType
from ledgerkit.db.indexes import Index
from workflows.history import AuditFields

BY_HAND = ("admin", "command", "sql")


class HistoryEntry(AuditFields):
    """A transition of a run or of a node execution."""

    workflow_execution = models.ForeignKey(
        "executions.WorkflowExecution",
        on_delete=models.DB_CASCADE,
        db_index=False,
        related_name="history",
        verbose_name=_("workflow execution"),
    )
    # Without a constraint: the entry outlives a node execution that is deleted alone.
    node_execution = models.ForeignKey(
        "executions.NodeExecution",
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        db_index=False,
        null=True,
        related_name="+",
        verbose_name=_("node execution"),
    )
    attempt = models.PositiveIntegerField(_("attempt"))
    from_status = models.CharField(_("from"), max_length=50, choices=ExecutionStatus, null=True)  # noqa: DJ001  # NULL is "it was made"
    to_status = models.CharField(_("to"), max_length=50, choices=ExecutionStatus)
    act = models.CharField(_("act"), max_length=50, db_default="")

    objects = HistoryQuerySet.as_manager()

    class Meta:
        db_table = "execution_history"
        verbose_name = _("history entry")
        verbose_name_plural = _("history")
        default_permissions = ()
        ordering = ["happened_at", "id"]
        indexes = [
            Index(fields=["workflow_execution", "happened_at", "id"], name="idx_execution_history_workflow_execution"),
            # For acts of people: reports of engines, which have a token, are in neither index.
            Index(
                fields=["username", "id"],
                name="idx_execution_history_username",
                condition=models.Q(token_id=None) & ~models.Q(username=""),
            ),
            Index(fields=["id"], name="idx_execution_history_by_hand", condition=models.Q(through__in=BY_HAND)),
        ]

    @property
    def shown_act(self) -> object:
        """Return the verb in the language of the page, "" if there is none."""
        return ACTS.get(self.act, self.act)

    def __str__(self) -> str:
        return f"{self.act}: {self.from_status} → {self.to_status}"


class Deletion(AuditFields):
    """The record of a deleted run. It has no foreign keys, so it outlives the rows that it names."""

    workflow_execution_id = models.UUIDField(_("workflow execution"))
    workflow_id = models.UUIDField(_("workflow id"))
    workflow_name = models.TextField(_("workflow"), db_default="")
    trigger_type = models.CharField(_("trigger"), max_length=50, choices=TriggerType)
    status = models.CharField(_("status"), max_length=50, choices=ExecutionStatus)
    attempt = models.PositiveIntegerField(_("attempt"))
    made_at = models.DateTimeField(_("created"))
    started_at = models.DateTimeField(_("started"), null=True)
    ended_at = models.DateTimeField(_("ended"), null=True)

    objects = DeletionQuerySet.as_manager()

    class Meta:
        db_table = "execution_deletions"
        verbose_name = _("deletion of a workflow execution")
        verbose_name_plural = _("deletions of workflow executions")
        default_permissions = ("view",)
        ordering = ["-happened_at", "-id"]
        indexes = [
            Index(fields=["-happened_at", "-id"], name="idx_execution_deletions_happened"),
            Index(fields=["workflow_execution_id"], name="idx_execution_deletions_workflow_execution"),
            # For the turns of queued runs (sql/turns.sql): upkeep deletes what ended long ago.
            Index(
                fields=["workflow_id", "-happened_at"],
                name="idx_execution_deletions_workflow",
                condition=~models.Q(through="in_process", username="upkeep"),
            ),
            # For the activity of a user. Most rows are of upkeep, and are found fast without an index.
            Index(
                fields=["username", "id"],
                name="idx_execution_deletions_username",
                condition=models.Q(token_id=None) & ~models.Q(username="") & ~models.Q(username="upkeep"),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.workflow_name} · {self.workflow_execution_id}"
