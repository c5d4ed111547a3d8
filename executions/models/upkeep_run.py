"""UpkeepRun: one call of `manage.py upkeep`."""

from datetime import timedelta

from django.db import models
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from ledgerkit.db.indexes import Index
from ledgerkit.db.models import UUID7Model, json_value
from workflows.querysets import User, can_view_all

RECORD_RETENTION = timedelta(days=365)


class UpkeepRunQuerySet(models.QuerySet["UpkeepRun"]):
    def visible_to(self, user: User) -> "UpkeepRunQuerySet":
        return self if can_view_all(user, "executions.view_upkeeprun") else self.none()

    def expired(self) -> "UpkeepRunQuerySet":
        return self.filter(started_at__lt=timezone.now() - RECORD_RETENTION)

    def unfinished(self) -> "UpkeepRunQuerySet":
        return self.filter(ended_at=None, is_interrupted=False)


class UpkeepRun(UUID7Model):
    """Time and host of a call, and the result of each task: a list of {"task", "rows", "bytes", "seconds", "error",
    "notes"}, written after each task. `progressed_at` is the time of the last progress, null before the first."""

    started_at = models.DateTimeField(_("started"), db_default=Now())
    ended_at = models.DateTimeField(_("ended"), null=True)
    progressed_at = models.DateTimeField(_("last progress"), null=True)
    is_interrupted = models.BooleanField(_("interrupted"), default=False, db_default=False)
    host = models.TextField(_("host"))
    results = models.JSONField(_("results"), default=list, db_default=json_value([]))

    objects = UpkeepRunQuerySet.as_manager()

    class Meta:
        db_table = "upkeep_runs"
        verbose_name = _("upkeep")
        verbose_name_plural = _("upkeep")
        default_permissions = ("view",)
        ordering = ["-started_at", "-id"]
        indexes = [Index(fields=["-started_at", "-id"], name="idx_upkeep_runs_started")]

    def __str__(self) -> str:
        return f"{self.started_at:%Y-%m-%d %H:%M}"
