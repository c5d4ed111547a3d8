"""RecordedAct: acts of people that no other table records."""

from uuid import UUID

from django.db import models
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from executions import audit
from ledgerkit.db.audit import ActorColumns
from ledgerkit.db.indexes import Index
from workflows.history import AuditFields


class RecordedActName(models.TextChoices):
    KEEP = "keep", pgettext_lazy("act", "keep")
    RELEASE = "release", pgettext_lazy("act", "keep no longer")
    STOP = "stop", pgettext_lazy("act", "stop")


class RecordedKind(models.TextChoices):
    EXECUTION = "execution", _("execution")
    BULK_ACTION = "bulk_action", _("bulk action")


class RecordedAct(AuditFields):
    """A run was kept or released, or a bulk action was stopped. It has no foreign keys, so it outlives the row that it
    names, as the record of a deletion does."""

    kind = models.CharField(_("kind"), max_length=20, choices=RecordedKind)
    act = models.CharField(_("act"), max_length=50, choices=RecordedActName)
    workflow_execution_id = models.UUIDField(_("workflow execution"), null=True)
    bulk_action_id = models.UUIDField(_("bulk action"), null=True)

    class Meta:
        db_table = "recorded_acts"
        verbose_name = _("recorded act")
        verbose_name_plural = _("recorded acts")
        default_permissions = ()
        ordering = ["-id"]
        indexes = [
            # For the activity: of a run, of a kind, of a user.
            Index(fields=["workflow_execution_id"], name="idx_recorded_acts_workflow_execution"),
            Index(fields=["kind", "id"], name="idx_recorded_acts_kind"),
            Index(
                fields=["username", "id"],
                name="idx_recorded_acts_username",
                condition=models.Q(token_id=None) & ~models.Q(username=""),
            ),
        ]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(kind="execution", workflow_execution_id__isnull=False, bulk_action_id=None)
                | models.Q(kind="bulk_action", workflow_execution_id=None, bulk_action_id__isnull=False),
                name="recorded_act_of_one",
            ),
            models.CheckConstraint(condition=models.Q(act__in=RecordedActName.values), name="recorded_act_known"),
        ]

    def __str__(self) -> str:
        return f"{self.act} {self.workflow_execution_id or self.bulk_action_id}"

    @classmethod
    def record_for_run(cls, run: UUID, act: RecordedActName, texts: ActorColumns) -> None:
        """Record what the current actor did to a run. `texts` are the actor's texts without secrets of the run."""
        columns = audit.current().columns() | texts
        cls._default_manager.create(kind=RecordedKind.EXECUTION, act=act, workflow_execution_id=run, **columns)

    @classmethod
    def record_stop(cls, action: UUID) -> None:
        """Record that the current actor stopped a bulk action."""
        columns = audit.current().columns()
        cls._default_manager.create(
            kind=RecordedKind.BULK_ACTION, act=RecordedActName.STOP, bulk_action_id=action, **columns
        )
