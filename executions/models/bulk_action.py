"""BulkAction: one verb on many runs, done in the background, and the result of each run."""

from django.contrib.auth import get_user_model
from django.db import models
from django.db.models import Count, Q
from django.utils.translation import gettext_lazy as _

from ledgerkit.db.indexes import Index
from ledgerkit.db.models import UUID7Model, json_value
from workflows.history import AuditFields
from workflows.querysets import User, can_view_all

type Counts = dict[str, int]


class BulkVerb(models.TextChoices):
    CANCEL = "cancel", _("Cancel")
    RETRY = "retry", _("Retry")
    RERUN = "rerun", _("Run again")
    FAIL = "fail", _("Mark as failed")
    KEEP = "keep", _("Keep")
    RELEASE = "release", _("Do not keep any longer")
    DELETE = "delete", _("Delete")


class BulkState(models.TextChoices):
    WAITING = "waiting", _("waiting")
    DONE = "done", _("done")
    REFUSED = "refused", _("refused")


class BulkActionState(models.TextChoices):
    OPEN = "open", _("at work")
    STOPPED = "stopped", _("stopped")
    ENDED = "ended", _("ended")


class BulkActionQuerySet(models.QuerySet["BulkAction"]):
    def visible_to(self, user: User) -> "BulkActionQuerySet":
        """Filter to the user's own actions; staff who may view runs see all."""
        if can_view_all(user, "executions.view_workflowexecution"):
            return self
        return self.filter(user_id=str(user.pk)) if user.pk else self.none()

    def open(self) -> "BulkActionQuerySet":
        """Filter to actions that are not finished, the oldest first."""
        return self.filter(ended_at=None).order_by("happened_at", "id")


class BulkAction(AuditFields):
    """The audit fields belong to the confirmation: the verbs are called in that name and for that reason. `number` is
    the number of runs chosen then. `done` and `refused` are updated after each second of work."""

    verb = models.CharField(_("action"), max_length=20, choices=BulkVerb)
    filters = models.JSONField(_("filters"), db_default=json_value({}))
    number = models.PositiveIntegerField(_("runs"))
    done = models.PositiveIntegerField(_("done"), default=0, db_default=0)
    refused = models.PositiveIntegerField(_("refused"), default=0, db_default=0)
    stopped_at = models.DateTimeField(_("stopped"), null=True)
    stopped_by = models.TextField(_("stopped by"), default="", db_default="")
    ended_at = models.DateTimeField(_("ended"), null=True)

    objects = BulkActionQuerySet.as_manager()

    class Meta:
        db_table = "bulk_actions"
        verbose_name = _("bulk action")
        verbose_name_plural = _("bulk actions")
        default_permissions = ()
        ordering = ["-happened_at", "-id"]
        indexes = [
            Index(fields=["-happened_at", "-id"], name="idx_bulk_actions_happened"),
            Index(fields=["happened_at", "id"], name="idx_bulk_actions_open", condition=Q(ended_at=None)),
        ]
        constraints = [
            models.CheckConstraint(condition=Q(verb__in=BulkVerb.values), name="bulk_action_verb_known"),
        ]

    def __str__(self) -> str:
        return f"{self.get_verb_display()} · {self.id}"

    @property
    def owner_id(self) -> object:
        """Return the id of the user who confirmed it."""
        return get_user_model()._meta.pk.to_python(self.user_id)

    @property
    def left(self) -> int:
        return self.number - self.done - self.refused

    def counts(self) -> Counts:
        """Count the runs in each state now."""
        rows = self.runs.order_by().values_list("state").annotate(Count("id"))
        return dict.fromkeys(BulkState.values, 0) | {str(state): number for state, number in rows}


class BulkActionRun(UUID7Model):
    """A run of the action. The ids are in the order of the work. The run itself may be deleted meanwhile."""

    action = models.ForeignKey(BulkAction, on_delete=models.DB_CASCADE, db_index=False, related_name="runs")
    workflow_execution_id = models.UUIDField(_("workflow execution"))
    workflow_name = models.TextField(_("workflow"), db_default="")
    state = models.CharField(
        _("state"), max_length=20, choices=BulkState, default=BulkState.WAITING, db_default=BulkState.WAITING.value
    )
    answer = models.TextField(_("why refused"), default="", db_default="")
    done_at = models.DateTimeField(_("time"), null=True)

    class Meta:
        db_table = "bulk_action_runs"
        verbose_name = _("run of a bulk action")
        verbose_name_plural = _("runs of a bulk action")
        default_permissions = ()
        ordering = ["id"]
        indexes = [Index(fields=["action", "state", "id"], name="idx_bulk_action_runs_state")]
        constraints = [
            models.UniqueConstraint(fields=["action", "workflow_execution_id"], name="bulk_action_run_once"),
            models.CheckConstraint(condition=Q(state__in=BulkState.values), name="bulk_action_run_state_known"),
        ]

    def __str__(self) -> str:
        return f"{self.workflow_name} · {self.workflow_execution_id}"
