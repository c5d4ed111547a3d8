"""ErrorGroup: equal failures, their state and their history; ErrorFingerprint: what makes them equal, in one workflow.

A group consists of fingerprints: merging and splitting groups moves fingerprints, and so applies to later failures too.
The counts of a group are the sums over its fingerprints, kept by triggers (sql/error_groups.sql).
"""

from typing import Self

from django.conf import settings
from django.db import models
from django.db.models import Exists, F, OuterRef, Q
from django.utils.translation import gettext_lazy as _

from ledgerkit.db.indexes import Index
from ledgerkit.db.models import UUID7Model, VersionedModel, VersionedQuerySet, json_value
from workflows.history import AuditFields
from workflows.models import Workflow
from workflows.querysets import User, can_view_all


class ErrorState(models.TextChoices):
    OPEN = "open", _("open")
    ACKNOWLEDGED = "acknowledged", _("acknowledged")
    MUTED = "muted", _("muted")
    RESOLVED = "resolved", _("resolved")


class ErrorRule(models.TextChoices):
    TRACEBACK = "traceback", _("exception and own frames, else message")
    MESSAGE = "message", _("exception and message")
    CLASS = "class", _("class of the exception alone")
    NODE = "node", _("node alone")


class ErrorGroupQuerySet(VersionedQuerySet["ErrorGroup"]):
    def visible_to(self, user: User) -> Self:
        """Filter to groups of which the user owns all workflows; staff who may view groups see all."""
        if can_view_all(user, "executions.view_errorgroup"):
            return self
        return self.of_workflows_alone(Q(workflow__owner=user.pk)) if user.pk else self.none()

    def of_workflows_alone(self, among: Q) -> Self:
        """Filter to groups all of whose fingerprints match. Another workflow's failures are not shown with them."""
        fingerprints = ErrorFingerprint.objects.filter(group=OuterRef("pk"))
        return self.filter(Exists(fingerprints.filter(among)), ~Exists(fingerprints.filter(~among)))

    def current(self) -> Self:
        """Exclude groups that were merged into others."""
        return self.filter(merged_into=None)


class ErrorGroup(VersionedModel):
    """`opened_at` is the time of the first failure, or of the first one after the group was resolved (`is_regression`).
    `version` counts changes by people, not failures."""

    title = models.TextField(_("error"), default="", db_default="")
    state = models.CharField(
        _("state"), max_length=50, choices=ErrorState, default=ErrorState.OPEN, db_default=ErrorState.OPEN
    )
    muted_until = models.DateTimeField(_("muted until"), null=True)
    resolved_at = models.DateTimeField(_("resolved"), null=True)
    is_regression = models.BooleanField(_("regression"), default=False, db_default=False)
    assignee = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.DB_SET_NULL, null=True, related_name="+", verbose_name=_("assignee")
    )
    merged_into = models.ForeignKey(
        "self", on_delete=models.DB_SET_NULL, null=True, related_name="merged", verbose_name=_("merged into")
    )
    seen = models.PositiveBigIntegerField(_("failures"), default=0, db_default=0)
    first_seen = models.DateTimeField(_("first seen"))
    last_seen = models.DateTimeField(_("last seen"))
    opened_at = models.DateTimeField(_("new since"), db_default=models.functions.Now())

    objects = ErrorGroupQuerySet.as_manager()

    class Meta:
        db_table = "error_groups"
        verbose_name = _("error group")
        verbose_name_plural = _("error groups")
        ordering = ["-opened_at", "-id"]
        default_permissions = ("view", "change")
        constraints = [
            models.CheckConstraint(condition=Q(state__in=ErrorState.values), name="error_group_state_known"),
            models.CheckConstraint(
                condition=Q(state=ErrorState.MUTED, muted_until__isnull=False)
                | (~Q(state=ErrorState.MUTED) & Q(muted_until=None)),
                name="error_group_muted_until",
            ),
            models.CheckConstraint(
                condition=Q(state=ErrorState.RESOLVED, resolved_at__isnull=False)
                | (~Q(state=ErrorState.RESOLVED) & Q(resolved_at=None)),
                name="error_group_resolved_at",
            ),
            models.CheckConstraint(condition=~Q(merged_into=F("id")), name="error_group_not_merged_into_itself"),
        ]
        indexes = [
            Index(fields=["-opened_at", "-id"], name="idx_error_groups_opened", condition=Q(merged_into=None)),
            Index(fields=["-last_seen", "-id"], name="idx_error_groups_last_seen", condition=Q(merged_into=None)),
        ]

    def __str__(self) -> str:
        return self.title or str(self.pk)

    @property
    def owner_id(self) -> object:
        """Return the id of the owner of all its workflows; None if they have several."""
        owners = set(self.fingerprints.values_list("workflow__owner", flat=True))
        return next(iter(owners)) if len(owners) == 1 else None


class ErrorFingerprint(UUID7Model):
    """The features that failures of a workflow have in common. `values` are the values that `rule` has grouped them
    by."""

    workflow = models.ForeignKey(
        Workflow, on_delete=models.DB_CASCADE, db_index=False, related_name="+", verbose_name=_("workflow")
    )
    group = models.ForeignKey(
        ErrorGroup, on_delete=models.DB_CASCADE, related_name="fingerprints", verbose_name=_("error group")
    )
    digest = models.CharField(_("digest"), max_length=32)
    rule = models.CharField(_("grouped by"), max_length=50, choices=ErrorRule)
    title = models.TextField(_("error"), default="", db_default="")
    values = models.JSONField(_("values"), default=dict, db_default=json_value({}))
    seen = models.PositiveBigIntegerField(_("failures"), default=0, db_default=0)
    first_seen = models.DateTimeField(_("first seen"))
    last_seen = models.DateTimeField(_("last seen"))

    class Meta:
        db_table = "error_fingerprints"
        verbose_name = _("fingerprint of errors")
        verbose_name_plural = _("fingerprints of errors")
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["workflow", "digest"], name="error_fingerprint_once")]
        indexes = [Index(fields=["digest"], name="idx_error_fingerprints_digest")]

    def __str__(self) -> str:
        return self.title or self.digest


class ErrorChangeAct(models.TextChoices):
    NEW = "new", _("new")
    REGRESSION = "regression", _("came back")
    CHANGE = "change", _("changed")
    NOTE = "note", _("note")
    MERGE = "merge", _("merged")
    SPLIT = "split", _("split")


class ErrorGroupChange(AuditFields):
    """An entry of a group's history, which a trigger writes: who changed what, and why. The reason of a note is its
    text."""

    group = models.ForeignKey(
        ErrorGroup, on_delete=models.DB_CASCADE, db_index=False, related_name="changes", verbose_name=_("error group")
    )
    act = models.CharField(_("act"), max_length=50, choices=ErrorChangeAct)
    fields = models.JSONField(_("changed fields"), default=dict, db_default=json_value({}))

    class Meta:
        db_table = "error_group_changes"
        verbose_name = _("change of an error group")
        verbose_name_plural = _("changes of error groups")
        default_permissions = ()
        ordering = ["-happened_at", "-id"]
        indexes = [
            Index(fields=["group", "-happened_at", "-id"], name="idx_error_group_changes_group"),
            # For the activity of a user. Most rows are of upkeep, and are found fast without an index.
            Index(
                fields=["username", "id"],
                name="idx_error_group_changes_username",
                condition=Q(token_id=None) & ~Q(username="") & ~Q(username="upkeep"),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.act} {self.happened_at:%Y-%m-%d %H:%M:%S}"
