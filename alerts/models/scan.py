"""Scan: how far the scans have come."""

from typing import Self

from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _


class Scan(models.Model):
    """The only row of its table: when the last scan ended, and the snapshot of PostgreSQL up to which it has read the
    history of runs (executions/live/cursor.py)."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    scanned_at = models.DateTimeField(_("time"), db_default=Now())
    cursor = models.TextField(_("cursor"), default="", db_default="")

    class Meta:
        db_table = "alert_scans"
        default_permissions = ()
        constraints = [models.CheckConstraint(condition=models.Q(id=1), name="alert_scan_is_one")]

    def __str__(self) -> str:
        return f"{self.scanned_at:%Y-%m-%d %H:%M:%S}"

    @classmethod
    def read(cls) -> Self:
        return cls.objects.get_or_create(id=1)[0]
