"""KeptRun: the mark of a run that retention does not remove."""

from typing import TYPE_CHECKING

from django.db import models, transaction
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from executions import audit, masking, text_limits

if TYPE_CHECKING:
    from .workflow_execution import WorkflowExecution

CLOCK = models.Func(
    function="clock_timestamp", output_field=models.DateTimeField()
)  # not that of the statement's start


class KeptRun(models.Model):
    """The user who keeps a run, since when and why. A table of its own, because few runs are kept. The name of the user
    or the token is a copy: both may be deleted."""

    workflow_execution = models.OneToOneField(
        "executions.WorkflowExecution",
        on_delete=models.DB_CASCADE,
        primary_key=True,
        related_name="kept_mark",
        verbose_name=_("workflow execution"),
    )
    username = models.TextField(_("user"), db_default="")
    reason = models.TextField(_("reason"), db_default="")
    kept_at = models.DateTimeField(_("time"), db_default=Now())

    class Meta:
        db_table = "execution_kept_runs"
        verbose_name = _("kept run")
        verbose_name_plural = _("kept runs")
        default_permissions = ()

    def __str__(self) -> str:
        return str(self.workflow_execution_id)

    @classmethod
    def keep(cls, run: "WorkflowExecution", reason: str = "") -> "KeptRun":
        """Keep the run from now on, with the masked reason. If it is kept already, user and reason are replaced.

        The run is locked, so that upkeep does not delete it at the same moment and it gets no other secret. Raises
        DoesNotExist if it is gone. While upkeep removes lines, the statement waits for it: the time is then that after
        the removal.
        """
        with transaction.atomic():
            type(run).objects.select_for_update(no_key=True).only("pk").get(pk=run.pk)
            text = text_limits.cut_to_limits("reason", masking.mask_reason(reason, [run.pk]))
            row = {"username": audit.current().display_name, "reason": text}
            kept, _is_new = cls._default_manager.update_or_create(
                workflow_execution_id=run.pk, defaults=row, create_defaults={**row, "kept_at": CLOCK}
            )
        kept.refresh_from_db()
        return kept

    @classmethod
    def release(cls, run: "WorkflowExecution") -> bool:
        """Remove the mark. Return whether there was one."""
        return bool(cls._default_manager.filter(workflow_execution_id=run.pk).delete()[0])
