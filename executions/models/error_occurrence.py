"""ErrorOccurrence: an attempt of a run that failed with an error of a fingerprint; counts of occurrences by day and by
node; ErrorScan: how far the ledger was read."""

from typing import Self

from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from ledgerkit.db.indexes import Index
from ledgerkit.db.models import UUID7Model

from .error_group import ErrorFingerprint
from .node_execution import NodeExecution
from .workflow_execution import WorkflowExecution


class ErrorOccurrence(UUID7Model):
    """An attempt of a run, once for each fingerprint, however many of its nodes failed with it: `node_execution` is the
    first of these nodes, NULL for the error of the run itself. It is deleted with its run; the counts stay."""

    fingerprint = models.ForeignKey(
        ErrorFingerprint, on_delete=models.DB_CASCADE, db_index=False, related_name="occurrences",
        verbose_name=_("fingerprint of errors"),
    )  # fmt: skip
    workflow_execution = models.ForeignKey(
        WorkflowExecution, on_delete=models.DB_CASCADE, db_index=False, related_name="+",
        verbose_name=_("workflow execution"),
    )  # fmt: skip
    # Without a constraint: it would cost the deletion of each node execution a look-up.
    node_execution = models.ForeignKey(
        NodeExecution, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, null=True, related_name="+",
        verbose_name=_("node execution"),
    )  # fmt: skip
    node_name = models.TextField(_("node"), default="", db_default="")
    attempt = models.PositiveIntegerField(_("attempt"))
    happened_at = models.DateTimeField(_("time"))

    class Meta:
        db_table = "error_occurrences"
        verbose_name = _("occurrence of an error")
        verbose_name_plural = _("occurrences of errors")
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(
                fields=["workflow_execution", "attempt", "fingerprint"], name="error_occurrence_once"
            )
        ]
        indexes = [Index(fields=["fingerprint", "-happened_at", "-id"], name="idx_error_occurrences_fingerprint")]

    def __str__(self) -> str:
        return f"{self.workflow_execution_id} {self.attempt}"


class ErrorDay(UUID7Model):
    """Number of occurrences on a day of UTC."""

    fingerprint = models.ForeignKey(
        ErrorFingerprint, on_delete=models.DB_CASCADE, db_index=False, related_name="days",
        verbose_name=_("fingerprint of errors"),
    )  # fmt: skip
    day = models.DateField(_("day"))
    seen = models.PositiveBigIntegerField(_("failures"))

    class Meta:
        db_table = "error_days"
        verbose_name = _("day of an error")
        verbose_name_plural = _("days of an error")
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["fingerprint", "day"], name="error_day_once")]

    def __str__(self) -> str:
        return f"{self.day}: {self.seen}"


class ErrorNode(UUID7Model):
    """Number of occurrences at the nodes with a name, for at most 100 names of a fingerprint."""

    fingerprint = models.ForeignKey(
        ErrorFingerprint, on_delete=models.DB_CASCADE, db_index=False, related_name="nodes",
        verbose_name=_("fingerprint of errors"),
    )  # fmt: skip
    node_name = models.TextField(_("node"))
    seen = models.PositiveBigIntegerField(_("failures"))
    last_seen = models.DateTimeField(_("last seen"))

    class Meta:
        db_table = "error_nodes"
        verbose_name = _("node of an error")
        verbose_name_plural = _("nodes of an error")
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["fingerprint", "node_name"], name="error_node_once")]

    def __str__(self) -> str:
        return f"{self.node_name}: {self.seen}"


class ErrorScan(models.Model):
    """The only row of its table. `since` and `until` are snapshots of PostgreSQL (executions/live/cursor.py): the rows
    between them are being read, and are read up to `place`. `backfill_from` is the end of the oldest run read so far
    among those that failed before the first scan; NULL when all of these were read."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    scanned_at = models.DateTimeField(_("time"), db_default=Now())
    since = models.TextField(_("since"), default="", db_default="")
    until = models.TextField(_("until"), default="", db_default="")
    place = models.JSONField(_("place"), null=True)
    backfill_from = models.DateTimeField(_("backfilled from"), null=True)

    class Meta:
        db_table = "error_scans"
        default_permissions = ()
        constraints = [models.CheckConstraint(condition=models.Q(id=1), name="error_scan_is_one")]

    def __str__(self) -> str:
        return f"{self.scanned_at:%Y-%m-%d %H:%M:%S}"

    @classmethod
    def read(cls) -> Self:
        return cls.objects.get_or_create(id=1)[0]
