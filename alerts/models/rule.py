"""Rule: which events of which workflows are sent through which channels."""

from collections.abc import Iterable
from typing import Unpack
from uuid import UUID

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from ledgerkit.db import names
from ledgerkit.db.fields import NameField
from ledgerkit.db.models import SaveArguments, VersionedModel, VersionedQuerySet
from workflows.models import Workflow
from workflows.querysets import User, can_view_all

from .channel import Channel


class AlertKind(models.TextChoices):
    FAILURE = "failure", _("failure")
    FIRST_FAILURE = "first_failure", _("first failure after a success")
    RECOVERY = "recovery", _("recovery")
    LATE = "late", _("run takes too long")
    MISSING = "missing", _("expected run is missing")
    NEW_ERROR = "new_error", _("new error")
    ERROR_REGRESSION = "error_regression", _("error came back")
    UPKEEP_SILENT = "upkeep_silent", _("upkeep has not run")


class RuleQuerySet(VersionedQuerySet["Rule"]):
    def visible_to(self, user: User) -> "RuleQuerySet":
        """Filter to the user's own rules; staff who may view rules see all."""
        if can_view_all(user, "alerts.view_rule"):
            return self
        return self.filter(owner_id=user.pk) if user.pk else self.none()


class Rule(VersionedModel):
    """A rule without a workflow is for all: those of its owner, or of everybody if it has no owner.

    It sends at most `most` alerts about one workflow in `within_seconds`. What happens beyond that is held back; when
    the time allows it again, the newest is sent, with the number of the others."""

    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.DB_CASCADE, null=True, blank=True, related_name="alert_rules",
        verbose_name=_("owner"),
    )  # fmt: skip
    name = NameField(_("name"), max_length=255)
    workflow = models.ForeignKey(
        Workflow, on_delete=models.DB_CASCADE, null=True, blank=True, related_name="alert_rules",
        verbose_name=_("workflow"), help_text=_("Empty: all workflows"),
    )  # fmt: skip
    kinds = ArrayField(models.CharField(max_length=50, choices=AlertKind), verbose_name=_("kinds"))
    channels = models.ManyToManyField(Channel, through="RuleChannel", related_name="rules", verbose_name=_("channels"))
    most = models.PositiveSmallIntegerField(
        _("alerts at most"), default=3, db_default=3, validators=[MinValueValidator(1), MaxValueValidator(1_000)],
        help_text=_("About one workflow, in the seconds below: more are held back, and the newest is sent afterwards"),
    )  # fmt: skip
    within_seconds = models.PositiveIntegerField(
        _("within seconds"), default=600, db_default=600,
        validators=[MinValueValidator(1), MaxValueValidator(604_800)],
    )  # fmt: skip
    is_active = models.BooleanField(_("active"), default=True, db_default=True)

    objects = RuleQuerySet.as_manager()

    class Meta:
        db_table = "alert_rules"
        verbose_name = _("alert rule")
        verbose_name_plural = _("alert rules")
        ordering = ["name", "id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(kinds__contained_by=AlertKind.values) & ~Q(kinds=[]), name="alert_rule_kinds_known"
            ),
            models.CheckConstraint(
                condition=Q(most__range=(1, 1_000), within_seconds__range=(1, 604_800)), name="alert_rule_limits"
            ),
            names.constraint("name", "alert_rule_name_clean"),
        ]

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        super().clean()
        if not self.kinds or not set(self.kinds) <= set(AlertKind.values):
            raise ValidationError({"kinds": KINDS}, code="invalid")
        if self.workflow is not None and self.owner_id not in {None, self.workflow.owner_id}:
            raise ValidationError({"workflow": NOT_OF_OWNER}, code="invalid")

    def save(self, **kwargs: Unpack[SaveArguments]) -> None:
        """Validate and save. Raises ValidationError for an unknown kind, and for a workflow of another user."""
        self.clean()
        super().save(**kwargs)

    @property
    def channel_ids(self) -> list[UUID]:
        return list(self.channels.order_by("pk").values_list("pk", flat=True))

    def counts_for(self, workflow: Workflow) -> bool:
        """Return whether the rule is about the workflow, whose owner may have changed."""
        if self.workflow_id not in {None, workflow.pk}:
            return False
        return self.owner_id is None or self.owner_id == workflow.owner_id


class RuleChannel(models.Model):
    """A channel through which a rule sends. Django's own table of such pairs has no cascade in the database."""

    rule = models.ForeignKey(Rule, on_delete=models.DB_CASCADE, db_index=False)
    channel = models.ForeignKey(Channel, on_delete=models.DB_CASCADE)

    class Meta:
        db_table = "alert_rule_channels"
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["rule", "channel"], name="alert_rule_channel_once")]

    def __str__(self) -> str:
        return f"{self.rule_id} {self.channel_id}"


def check_channels(owner: object, channels: Iterable[Channel]) -> None:
    """Raise ValidationError on `channels` if a rule of this owner may not use one: it sends through its owner's, and a
    rule of the site through the site's."""
    if others := [channel.name for channel in channels if channel.owner_id != owner]:
        raise ValidationError({"channels": format_lazy(OF_ANOTHER, names=", ".join(others))}, code="invalid")


OF_ANOTHER = _("These channels belong to somebody else than the rule: {names}.")
KINDS = _("Expected one or more of the known kinds.")
NOT_OF_OWNER = _("The workflow belongs to somebody else than the rule.")
