"""Alert: that a rule found something, and Delivery: one message of it through one channel."""

from uuid import UUID

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from ledgerkit.db.indexes import Index
from ledgerkit.db.models import UUID7Model
from workflows.models import Workflow
from workflows.querysets import User, can_view_all

from .channel import Channel
from .rule import AlertKind, Rule


class AlertState(models.TextChoices):
    SENT = "sent", _("sent")
    HELD = "held", _("held back")
    MERGED = "merged", _("counted in a later one")


class Alert(UUID7Model):
    """`occurrence` names what happened: a rule finds it once. `facts` is what its messages say. `held_back` counts
    those that were held back and are replaced by this one."""

    rule = models.ForeignKey(Rule, on_delete=models.DB_CASCADE, db_index=False, related_name="alerts")
    kind = models.CharField(_("kind"), max_length=50, choices=AlertKind)
    occurrence = models.TextField(_("occurrence"))
    workflow = models.ForeignKey(
        Workflow, on_delete=models.DB_CASCADE, null=True, related_name="alerts", verbose_name=_("workflow")
    )
    facts = models.JSONField(_("facts"))
    state = models.CharField(_("state"), max_length=50, choices=AlertState)
    held_back = models.PositiveIntegerField(_("held back before it"), default=0, db_default=0)
    created_at = models.DateTimeField(_("created"), db_default=Now())
    sent_at = models.DateTimeField(_("sent"), null=True)

    class Meta:
        db_table = "alerts"
        verbose_name = _("alert")
        verbose_name_plural = _("alerts")
        default_permissions = ()
        ordering = ["-created_at", "-id"]
        constraints = [
            models.UniqueConstraint(fields=["rule", "kind", "occurrence"], name="alert_once"),
            models.CheckConstraint(condition=Q(state__in=AlertState.values), name="alert_state_known"),
        ]
        indexes = [
            Index(fields=["rule", "workflow", "sent_at"], name="idx_alerts_rule_workflow_sent"),
            Index(fields=["rule", "workflow"], name="idx_alerts_held", condition=Q(state="held")),
            Index(fields=["created_at"], name="idx_alerts_created"),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} · {self.created_at:%Y-%m-%d %H:%M:%S}"


class DeliveryState(models.TextChoices):
    WAITING = "waiting", _("waiting")
    DELIVERED = "delivered", _("delivered")
    GIVEN_UP = "given_up", _("given up")


class DeliveryQuerySet(models.QuerySet["Delivery"]):
    def visible_to(self, user: User) -> "DeliveryQuerySet":
        """Filter to deliveries through the user's own channels; staff who may view deliveries see all."""
        if can_view_all(user, "alerts.view_delivery"):
            return self
        return self.filter(channel__owner_id=user.pk) if user.pk else self.none()

    def send_again(self) -> int:
        """Put the messages into the outbox again, in whatever state they are, as if they had not been tried. Return
        their number."""
        return self.update(state=DeliveryState.WAITING, next_try_at=Now(), queued_at=Now(), tries=0, tried_at=None)


class Delivery(UUID7Model):
    """A message in the outbox. Its id is that of the message, the same in each try; a receiver may get it twice.

    `next_try_at` is when it is sent (again). While one process sends it, it lies in the future: if that process dies,
    another one sends it then. `queued_at` is when it was put into the outbox: it is given up after days of tries."""

    alert = models.ForeignKey(Alert, on_delete=models.DB_CASCADE, related_name="deliveries", verbose_name=_("alert"))
    channel = models.ForeignKey(
        Channel, on_delete=models.DB_CASCADE, db_index=False, related_name="deliveries", verbose_name=_("channel")
    )
    body = models.TextField(_("message"))
    state = models.CharField(
        _("state"), max_length=50, choices=DeliveryState, default=DeliveryState.WAITING, db_default="waiting"
    )
    tries = models.PositiveIntegerField(_("tries"), default=0, db_default=0)
    next_try_at = models.DateTimeField(_("next try"), db_default=Now())
    answer = models.PositiveSmallIntegerField(_("answer"), null=True)
    error = models.TextField(_("error"), default="", db_default="")
    created_at = models.DateTimeField(_("created"), db_default=Now())
    queued_at = models.DateTimeField(_("put into the outbox"), db_default=Now())
    tried_at = models.DateTimeField(_("last try"), null=True)

    objects = DeliveryQuerySet.as_manager()

    class Meta:
        db_table = "alert_deliveries"
        verbose_name = _("alert delivery")
        verbose_name_plural = _("alert deliveries")
        default_permissions = ("view", "change")
        ordering = ["-created_at", "-id"]
        constraints = [
            models.UniqueConstraint(fields=["alert", "channel"], name="alert_delivery_once"),
            models.CheckConstraint(condition=Q(state__in=DeliveryState.values), name="alert_delivery_state_known"),
        ]
        indexes = [
            Index(fields=["-created_at", "-id"], name="idx_alert_deliveries_created"),
            Index(fields=["channel", "next_try_at"], name="idx_alert_deliveries_waiting", condition=Q(state="waiting")),
        ]

    def __str__(self) -> str:
        return message_id(self.pk)

    @property
    def owner_id(self) -> object:
        """Return the id of its channel's owner."""
        return self.channel.owner_id


def message_id(delivery: UUID | str) -> str:
    return f"msg_{UUID(str(delivery)).hex}"


class Outcome(models.Model):
    """Outcome of the last run of a workflow that completed or failed, as far as the scans have read the history."""

    workflow = models.OneToOneField(Workflow, on_delete=models.DB_CASCADE, primary_key=True, related_name="+")
    has_failed = models.BooleanField(_("failed"))

    class Meta:
        db_table = "alert_outcomes"
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.pk}"
