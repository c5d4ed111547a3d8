"""LogRemoval and DroppedLines: log lines that are not stored, because retention removed them, or because they were
below the level of their workflow."""

from typing import TYPE_CHECKING

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from executions.states import LogLevel
from ledgerkit.db.models import UUID7Model, json_value

if TYPE_CHECKING:
    Field = models.Field[str, str]
else:
    Field = models.Field


class Int8MultiRange(Field):
    """A set of numbers, written and read by SQL only."""

    def db_type(self, connection: object) -> str:
        return "int8multirange"


class LogRemoval(UUID7Model):
    """Lines of a period that retention removed: all, or those of some levels. `number` is an estimate by the planner's
    statistics, or a count. Lines that arrive afterwards are removed later (`removed_at` is the last removal)."""

    start = models.DateTimeField(_("from"))
    end = models.DateTimeField(_("to"))
    levels = ArrayField(models.CharField(max_length=20, choices=LogLevel), default=list, verbose_name=_("levels"))
    days = models.PositiveIntegerField(_("rule in days"))
    number = models.BigIntegerField(_("lines"))
    is_estimate = models.BooleanField(_("estimated"), default=False)
    size = models.BigIntegerField(_("bytes"), default=0)
    files = models.JSONField(_("archive files"), default=list, db_default=json_value([]))
    removed_at = models.DateTimeField(_("removed"), db_default=Now())
    first_removed_at = models.DateTimeField(_("first removed"), db_default=Now())

    class Meta:
        db_table = "execution_log_removals"
        verbose_name = _("removal of log lines")
        verbose_name_plural = _("removals of log lines")
        default_permissions = ()
        ordering = ["start", "id"]
        constraints = [
            models.UniqueConstraint(fields=["start", "end", "levels"], name="one_log_removal_per_period_and_levels")
        ]

    def __str__(self) -> str:
        return f"{self.start:%Y-%m-%d} – {self.end:%Y-%m-%d}"


class DroppedLines(UUID7Model):
    """The number of lines of a run that were not stored, by their source ("" if they have none), because they were
    below the level. `seqs` are their numbers, which are not missing (log_gaps)."""

    workflow_execution = models.ForeignKey(
        "executions.WorkflowExecution",
        on_delete=models.DB_CASCADE,
        db_index=False,  # the constraint has one
        related_name="dropped_lines",
        verbose_name=_("workflow execution"),
    )
    source = models.TextField(_("source"), db_default="")
    level = models.CharField(_("level"), max_length=20, choices=LogLevel)
    number = models.BigIntegerField(_("lines"))
    seqs = Int8MultiRange(db_default=models.Value("{}"))

    class Meta:
        db_table = "execution_dropped_lines"
        verbose_name = _("dropped lines")
        verbose_name_plural = _("dropped lines")
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(fields=["workflow_execution", "source"], name="dropped_lines_of_run_and_source")
        ]

    def __str__(self) -> str:
        return f"{self.workflow_execution_id}: {self.number}"
