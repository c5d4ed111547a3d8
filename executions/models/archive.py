"""ArchiveFile and ArchivedRun: the files of the archive, and the runs in them (executions/archive). Neither refers to a
run by a foreign key, so both outlive the runs."""

from typing import Self

from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from ledgerkit.db.models import UUID7Model
from workflows.models import Workflow
from workflows.querysets import User, can_view_all


class ArchiveKind(models.TextChoices):
    RUNS = "runs", _("runs")
    LINES = "lines", _("log lines")


class ArchiveFile(UUID7Model):
    """A complete file of the archive. `snapshot` is the PostgreSQL snapshot in which its rows were read: rows that were
    written later are not in the file. `cluster` is the system identifier of the database cluster."""

    name = models.TextField(_("name"), unique=True)
    kind = models.CharField(_("kind"), max_length=20, choices=ArchiveKind)
    day = models.DateField(_("day"))
    sha256 = models.CharField(_("SHA-256"), max_length=64)
    size = models.BigIntegerField(_("bytes"))
    run_count = models.BigIntegerField(_("runs"))
    row_count = models.BigIntegerField(_("rows"))
    snapshot = models.TextField(_("snapshot"))
    cluster = models.TextField(_("database cluster"), db_default="")
    created_at = models.DateTimeField(_("created"), db_default=Now(), editable=False)

    class Meta:
        db_table = "execution_archive_files"
        verbose_name = _("archive file")
        verbose_name_plural = _("archive files")
        default_permissions = ()
        ordering = ["name"]
        indexes = [models.Index(fields=["kind", "day"], name="idx_archive_files_day")]

    def __str__(self) -> str:
        return self.name


class ArchivedRunQuerySet(models.QuerySet["ArchivedRun"]):
    def visible_to(self, user: User) -> Self:
        """Filter to runs that the user could see before they were deleted, by the current owner of their workflow."""
        if can_view_all(user, "executions.view_workflowexecution"):
            return self
        own = Workflow.objects.filter(owner=user.pk).values("pk")
        return self.filter(workflow_id__in=own) if user.pk else self.none()


class ArchivedRun(models.Model):
    """The newest file that contains a run. `version` changes when a row of the run without a stamp is changed or added
    (VERSION in executions/archive/archiving.py)."""

    workflow_execution_id = models.UUIDField(_("workflow execution"), primary_key=True)
    version = models.PositiveIntegerField(_("version"))
    file = models.ForeignKey(
        ArchiveFile, on_delete=models.DB_CASCADE, related_name="archived_runs", verbose_name=_("archive file")
    )
    workflow_id = models.UUIDField(_("workflow id"))
    workflow_name = models.TextField(_("workflow"), db_default="")
    made_at = models.DateTimeField(_("created"))
    restored_at = models.DateTimeField(_("restored"), null=True)

    objects = ArchivedRunQuerySet.as_manager()

    class Meta:
        db_table = "execution_archived_runs"
        verbose_name = _("archived run")
        verbose_name_plural = _("archived runs")
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.workflow_name} · {self.workflow_execution_id}"
