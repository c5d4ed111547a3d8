"""Responses to repeated requests, and last writes of callers. The base classes of models are in `db/models.py`."""

from datetime import timedelta

from django.db import models
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from ledgerkit.db.models import UUID7Model

KEY_LIFETIME = timedelta(hours=24)


class IdempotencyKeyQuerySet(models.QuerySet["IdempotencyKey"]):
    def expired(self) -> "IdempotencyKeyQuerySet":
        return self.filter(created_at__lt=timezone.now() - KEY_LIFETIME)


class IdempotencyKey(UUID7Model):
    """The stored response to a request, replayed when the request is repeated."""

    caller = models.CharField(max_length=50)
    key = models.CharField(max_length=255)
    request_hash = models.CharField(max_length=64)
    status = models.PositiveSmallIntegerField()
    headers = models.JSONField(default=dict)
    body = models.TextField(blank=True)
    created_at = models.DateTimeField(db_default=Now())

    objects = IdempotencyKeyQuerySet.as_manager()

    class Meta:
        db_table = "idempotency_keys"
        default_permissions = ()
        verbose_name = _("idempotency key")
        verbose_name_plural = _("idempotency keys")
        constraints = [models.UniqueConstraint(fields=["caller", "key"], name="idempotency_key_of_caller")]
        indexes = [models.Index(fields=["created_at"], name="idx_idempotency_keys_created")]

    def __str__(self) -> str:
        return self.key


class LastWriteQuerySet(models.QuerySet["LastWrite"]):
    def expired(self) -> "LastWriteQuerySet":
        return self.filter(at__lt=timezone.now() - KEY_LIFETIME)


class LastWrite(models.Model):
    """Time of the last write of a caller. `db/last_writes.py` stores and reads it, if there is a replica."""

    caller = models.CharField(max_length=50, primary_key=True)
    at = models.DateTimeField()

    objects = LastWriteQuerySet.as_manager()

    class Meta:
        db_table = "last_writes"
        default_permissions = ()
        verbose_name = _("last write")
        verbose_name_plural = _("last writes")

    def __str__(self) -> str:
        return self.caller
