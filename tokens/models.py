"""Tokens with which programs speak to the API. Only a digest is stored: the token is shown once, when it is made."""

import hashlib
import secrets
from datetime import datetime
from typing import Any

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from workflows.base import Identified

PREFIX = "ptl_"  # lets a leaked one be recognised


class Scope(models.TextChoices):
    EXECUTIONS_READ = "executions:read", _("read executions")
    EXECUTIONS_REPORT = "executions:report", _("report executions")
    EXECUTIONS_CONTROL = "executions:control", _("control executions")
    WORKFLOWS_WRITE = "workflows:write", _("write workflows")


def digest(token: str) -> str:
    """SHA-256 is enough: a token is 256 random bits, not a password that could be guessed."""
    return hashlib.sha256(token.encode()).hexdigest()


class TokenQuerySet(models.QuerySet["Token"]):
    def usable(self) -> "TokenQuerySet":
        return self.filter(Q(expires_at=None) | Q(expires_at__gt=Now()), revoked_at=None, user__is_active=True)

    def issue(
        self, *, user: Any, name: str, scopes: list[str], expires_at: datetime | None = None
    ) -> "tuple[Token, str]":
        """The new row, and the token in clear: the only time that anyone sees it."""
        secret = PREFIX + secrets.token_urlsafe(32)
        row = self.create(user=user, name=name, scopes=scopes, expires_at=expires_at, digest=digest(secret))
        return row, secret


class Token(Identified):
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="api_tokens", verbose_name=_("user")
    )
    name = models.CharField(_("name"), max_length=255)
    digest = models.CharField(_("digest"), max_length=64, unique=True, editable=False)
    scopes = ArrayField(models.CharField(max_length=50, choices=Scope), verbose_name=_("scopes"))
    created_at = models.DateTimeField(_("created"), db_default=Now(), editable=False)
    expires_at = models.DateTimeField(_("expires"), null=True, blank=True)
    revoked_at = models.DateTimeField(_("revoked"), null=True, blank=True, editable=False)

    objects = TokenQuerySet.as_manager()

    class Meta:
        db_table = "tokens"
        verbose_name = _("token")
        verbose_name_plural = _("tokens")
        ordering = ["-created_at"]
        constraints = [
            models.CheckConstraint(condition=Q(scopes__contained_by=Scope.values), name="token_scopes_known"),
        ]

    def __str__(self) -> str:
        return self.name

    def revoke(self) -> None:
        """It opens nothing any more, from the next request on; a second call changes nothing."""
        Token.objects.filter(pk=self.pk, revoked_at=None).update(revoked_at=Now())
        self.refresh_from_db(fields=["revoked_at"])
