"""Rollups of ended runs, which are read and written by the functions of sql/rollups.sql alone."""

from typing import TYPE_CHECKING

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils.translation import gettext_lazy as _

from ledgerkit.db.models import UUID7Model

if TYPE_CHECKING:
    Field = models.Field[str, str]
else:
    Field = models.Field


class TransactionIdField(Field):
    """Number of a transaction, written and read by SQL only."""

    def db_type(self, connection: object) -> str:
        return "xid8"


class RollupPeriod(UUID7Model):
    """An hour or a day. Until it is closed, nothing of it is stored."""

    start = models.DateTimeField(_("from"))
    until = models.DateTimeField(_("to"))
    seen_by = TransactionIdField()  # the first transaction that found the period to be over
    is_closed = models.BooleanField(_("closed"), db_default=False)

    class Meta:
        db_table = "rollup_periods"
        verbose_name = _("period of a rollup")
        verbose_name_plural = _("periods of a rollup")
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["start", "until"], name="one_rollup_per_period")]

    def __str__(self) -> str:
        return f"{self.start:%Y-%m-%d %H:%M} – {self.until:%Y-%m-%d %H:%M}"


class RollupResult(UUID7Model):
    """Results of the runs of a workflow that ended in a period. `numbers` counts the durations in each of `buckets`.
    There is no foreign key to the workflow: its deletion would wait for upkeep."""

    period = models.ForeignKey(
        RollupPeriod,
        on_delete=models.DB_CASCADE,
        db_index=False,  # the constraint has one
        related_name="results",
        verbose_name=_("period of a rollup"),
    )
    workflow_id = models.UUIDField(_("workflow"))
    completed = models.BigIntegerField(_("completed"))
    failed = models.BigIntegerField(_("failed"))
    ended = models.BigIntegerField(_("ended"))
    buckets = ArrayField(models.IntegerField(), verbose_name=_("buckets of durations"))
    numbers = ArrayField(models.IntegerField(), verbose_name=_("runs"))

    class Meta:
        db_table = "rollup_results"
        verbose_name = _("result of a period")
        verbose_name_plural = _("results of a period")
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(fields=["period", "workflow_id"], name="one_result_per_period_and_workflow")
        ]

    def __str__(self) -> str:
        return f"{self.workflow_id}: {self.ended}"


class RollupChange(UUID7Model):
    """An hour whose runs a transaction changed after it was over."""

    hour = models.DateTimeField(_("hour"))
    written_by = TransactionIdField()

    class Meta:
        db_table = "rollup_changes"
        verbose_name = _("changed hour")
        verbose_name_plural = _("changed hours")
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(fields=["hour", "written_by"], name="one_change_per_hour_and_transaction")
        ]

    def __str__(self) -> str:
        return f"{self.hour:%Y-%m-%d %H:%M}"
