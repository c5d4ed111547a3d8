"""Channel: where alerts are sent, by webhook, to Slack or by e-mail."""

from typing import Unpack
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from alerts.webhooks import addresses, signature
from executions.secrets.encryption import decrypt, encrypt
from ledgerkit.db import names
from ledgerkit.db.fields import NameField
from ledgerkit.db.models import SaveArguments, VersionedModel, VersionedQuerySet
from workflows.querysets import User, can_view_all

MOST_RECIPIENTS = 20


class ChannelKind(models.TextChoices):
    WEBHOOK = "webhook", _("webhook")
    SLACK = "slack", "Slack"
    EMAIL = "email", _("e-mail")


class ChannelQuerySet(VersionedQuerySet["Channel"]):
    def visible_to(self, user: User) -> "ChannelQuerySet":
        """Filter to the user's own channels; staff who may view channels see all."""
        if can_view_all(user, "alerts.view_channel"):
            return self
        return self.filter(owner_id=user.pk) if user.pk else self.none()


class Channel(VersionedModel):
    """A channel without an owner belongs to the site. Address and secret are encrypted with the keys of runs' secrets
    and never shown again: those of Slack are passwords by themselves. `host` is the part that may be shown."""

    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.DB_CASCADE, null=True, blank=True, related_name="alert_channels",
        verbose_name=_("owner"),
    )  # fmt: skip
    name = NameField(_("name"), max_length=255)
    kind = models.CharField(_("kind"), max_length=50, choices=ChannelKind)
    host = models.CharField(_("host"), max_length=255, default="", db_default="", editable=False)
    recipients = ArrayField(
        models.EmailField(), verbose_name=_("recipients"), default=list, blank=True,
        db_default=models.Value([], output_field=ArrayField(models.EmailField())),
        help_text=_("Of e-mail: addresses, with commas between them"),
    )  # fmt: skip
    encrypted_address = models.TextField(default="", db_default="", editable=False)
    encrypted_secret = models.TextField(default="", db_default="", editable=False)
    is_active = models.BooleanField(_("active"), default=True, db_default=True)
    failing_since = models.DateTimeField(_("failing since"), null=True, editable=False)
    disabled_at = models.DateTimeField(_("disabled"), null=True, editable=False)

    objects = ChannelQuerySet.as_manager()

    class Meta:
        db_table = "alert_channels"
        verbose_name = _("alert channel")
        verbose_name_plural = _("alert channels")
        ordering = ["name", "id"]
        constraints = [
            models.CheckConstraint(condition=Q(kind__in=ChannelKind.values), name="alert_channel_kind_known"),
            models.CheckConstraint(
                condition=Q(kind="email", encrypted_address="", encrypted_secret="") & ~Q(recipients=[])
                | ~Q(kind="email") & ~Q(encrypted_address="") & Q(recipients=[]),
                name="alert_channel_complete",
            ),
            models.CheckConstraint(
                condition=~Q(kind="webhook") | ~Q(encrypted_secret=""), name="alert_webhook_has_secret"
            ),
            names.constraint("name", "alert_channel_name_clean"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def address(self) -> str:
        (address,) = decrypt(self.encrypted_address)
        return address

    @property
    def secret(self) -> str:
        (secret,) = decrypt(self.encrypted_secret)
        return secret

    def set_address(self, address: str) -> None:
        """Store the address of a webhook. Raises ValidationError on `address` if nothing may be sent there."""
        addresses.check_address(address)
        self.host = (urlsplit(address).hostname or "")[:255]
        self.encrypted_address = encrypt([address])

    def set_secret(self, secret: str) -> None:
        """Store the secret that signs. Raises ValidationError on `secret` if it is not like whsec_..."""
        signature.check_secret(secret)
        self.encrypted_secret = encrypt([secret])

    def clean(self) -> None:
        super().clean()
        if self.kind == ChannelKind.EMAIL:
            self._check_mail()
        elif not self.encrypted_address:
            raise ValidationError({"address": NEEDS_ADDRESS}, code="required")
        elif self.recipients:
            raise ValidationError({"recipients": OF_MAIL}, code="invalid")
        elif self.kind == ChannelKind.WEBHOOK and not self.encrypted_secret:
            raise ValidationError({"secret": NEEDS_SECRET}, code="required")

    def save(self, **kwargs: Unpack[SaveArguments]) -> None:
        """Validate and save. Raises ValidationError for a missing field and for one of another kind of channel."""
        self.clean()
        if self.is_active and self.disabled_at:  # somebody has enabled it again
            self.failing_since = self.disabled_at = None
        if not self.is_active and not self.disabled_at:  # somebody has switched it off
            self.failing_since = None
        super().save(**kwargs)

    def _check_mail(self) -> None:
        if not 0 < len(self.recipients) <= MOST_RECIPIENTS:
            raise ValidationError({"recipients": RECIPIENTS}, code="invalid")
        if self.encrypted_address or self.encrypted_secret:
            raise ValidationError({"kind": OF_WEBHOOK}, code="invalid")


NEEDS_ADDRESS = _("A webhook needs the address to which it is sent.")
NEEDS_SECRET = _("A webhook needs a secret, which signs what is sent.")
OF_MAIL = _("Recipients are of e-mail: leave them empty.")
OF_WEBHOOK = _("A channel with an address stays a webhook: make another one for e-mail.")
RECIPIENTS = _("Expected 1 to 20 addresses.")
