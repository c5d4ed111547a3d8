"""KeptRun: the mark of a run that retention does not remove."""

from typing import TYPE_CHECKING

from django.db import DEFAULT_DB_ALIAS, models, transaction
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from executions import audit, masking, text_limits
from ledgerkit.db import json_validation
from ledgerkit.db.audit import ActorColumns

from .recorded_act import RecordedAct, RecordedActName

if TYPE_CHECKING:
    from .workflow_execution import WorkflowExecution

CLOCK = models.Func(
    function="clock_timestamp", output_field=models.DateTimeField()
)  # not that of the statement's start


class KeptRun(models.Model):
    """The user who keeps a run, with time and reason. It has its own table, because few runs are kept. The name of the
    user or the token is a copy, because both may be deleted."""

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
        DoesNotExist if the run was deleted. While upkeep removes lines, the statement waits; its time is then after the
        removal.
        """
        with transaction.atomic():
            type(run).objects.select_for_update(no_key=True).only("pk").get(pk=run.pk)
            masked = _mask(run, reason)
            row = {"username": audit.current().display_name, "reason": masked["reason"]}
            is_same = cls._default_manager.filter(workflow_execution_id=run.pk, **row).exists()
            kept, _is_new = cls._default_manager.update_or_create(
                workflow_execution_id=run.pk, defaults=row, create_defaults={**row, "kept_at": CLOCK}
            )
            if not is_same:
                RecordedAct.record_for_run(run.pk, RecordedActName.KEEP, masked)
        kept.refresh_from_db()
        return kept

    @classmethod
    def release(cls, run: "WorkflowExecution") -> bool:
        """Remove the mark, and record who removed it. Return whether there was one."""
        with transaction.atomic():
            was_kept = bool(cls._default_manager.filter(workflow_execution_id=run.pk).delete()[0])
            if was_kept:
                RecordedAct.record_for_run(run.pk, RecordedActName.RELEASE, _mask(run, audit.current().reason))
        return was_kept


def _mask(run: "WorkflowExecution", reason: str) -> ActorColumns:
    """Return the reason, and a request id that the client may have chosen, without secrets of the run."""
    actor = audit.current()
    given: masking.Fields = {"reason": json_validation.to_storable_text(reason), "request_id": actor.request_id}
    has_text = bool(reason or actor.given_id)
    masked = masking.mask_or_hide(given, [run.pk], DEFAULT_DB_ALIAS) if has_text else given
    return {
        "reason": text_limits.cut_to_limits("reason", str(masked["reason"])), "request_id": str(masked["request_id"]),
    }  # fmt: skip
