"""API tokens. Only a digest is stored: the token is displayed once, on creation."""

import hashlib
import secrets
from collections.abc import Iterable
from datetime import datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Case, Func, Q, QuerySet, When
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from ledgerkit.db import names
from ledgerkit.db.fields import NameField
from ledgerkit.db.models import AuditedModel, AuditedQuerySet, UUID7Model
from ledgerkit.db.row_lookup import ITSELF, RowByKey, RowLookup, field_names

if TYPE_CHECKING:
    from django.contrib.auth.models import User

NOTED_EVERY = timedelta(minutes=1)
PREFIX = "ptl_"  # makes leaked tokens recognisable to secret scanners
NOT_READ = {"password", "first_name", "last_name", "email", "last_login", "date_joined"}  # fields of a token's user


class Scope(models.TextChoices):
    EXECUTIONS_READ = "executions:read", _("read executions")
    EXECUTIONS_REPORT = "executions:report", _("report executions")
    EXECUTIONS_CONTROL = "executions:control", _("control executions")
    EXECUTIONS_IMPORT = "executions:import", _("import old executions")
    WORKFLOWS_WRITE = "workflows:write", _("write workflows")


DEFAULT_SCOPES = [Scope.EXECUTIONS_READ.value, Scope.EXECUTIONS_REPORT.value]  # the scopes of an engine
DEFAULT_DAYS = 90


def digest(token: str) -> str:
    """Return the SHA-256 of a token. It needs no salt or key stretching: a token is 256 random bits."""
    return hashlib.sha256(token.encode()).hexdigest()


class TokenQuerySet(AuditedQuerySet["Token"]):
    def usable(self) -> "TokenQuerySet":
        rows = self.filter(Q(expires_at=None) | Q(expires_at__gt=Now()), revoked_at=None)
        return rows.filter(user__is_active=True) if _has_fields("is_active") else rows

    def authenticate(self, secret: str, beside: RowByKey[Any] | None = None) -> "Token | None":
        """Return the usable token with this secret, with its user; else None. The same statement records the use, once
        a minute, and reads the row `beside` it."""
        token = _lookup().first(digest(secret), beside=beside)
        return token if token and token.user.is_active else None

    def issue(
        self,
        *,
        user: "User",
        name: str,
        scopes: list[str],
        expires_at: datetime | None = None,
        bound_to: Iterable[UUID] = (),
    ) -> "tuple[Token, str]":
        """Return the new row and the token in clear text, which cannot be read again."""
        secret = PREFIX + secrets.token_urlsafe(32)
        fields = {"scopes": scopes, "expires_at": expires_at, "bound_to": list(bound_to)}
        return self.create(user=user, name=name, digest=digest(secret), **fields), secret


class Token(AuditedModel, UUID7Model):
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="api_tokens", verbose_name=_("user")
    )
    name = NameField(_("name"), max_length=255)
    digest = models.CharField(_("digest"), max_length=64, unique=True, editable=False)
    scopes = ArrayField(models.CharField(max_length=50, choices=Scope), verbose_name=_("scopes"))
    created_at = models.DateTimeField(_("created"), db_default=Now(), editable=False)
    expires_at = models.DateTimeField(_("expires"), null=True, blank=True)
    revoked_at = models.DateTimeField(_("revoked"), null=True, blank=True, editable=False)
    last_used_at = models.DateTimeField(_("last used"), null=True, blank=True, editable=False)
    bound_to = ArrayField(
        models.UUIDField(),
        default=list,
        db_default=models.Value([], output_field=ArrayField(models.UUIDField())),
        blank=True,
        verbose_name=_("bound to workflows"),
        help_text=_("Ids of the workflows to which this token is limited; empty for all that its user may see."),
    )

    objects = TokenQuerySet.as_manager()

    class Meta:
        db_table = "tokens"
        verbose_name = _("token")
        verbose_name_plural = _("tokens")
        ordering = ["-created_at"]
        constraints = [
            models.CheckConstraint(condition=Q(scopes__contained_by=Scope.values), name="token_scopes_known"),
            names.constraint("name", "token_name_clean"),
        ]

    def __str__(self) -> str:
        return self.name

    def revoke(self) -> None:
        """Revoke the token from the next request on. A second call changes nothing."""
        Token.objects.filter(pk=self.pk, revoked_at=None).update(revoked_at=Now())
        self.refresh_from_db(fields=["revoked_at"])


@cache
def _lookup() -> RowLookup[Token]:
    """Return the lookup of a token by its digest, with its user. The statement records the use."""
    user = get_user_model()
    fields = {ITSELF: field_names(Token), "user": field_names(user, NOT_READ - {user.USERNAME_FIELD})}

    def rows(digest: str) -> QuerySet[Token]:
        return Token.objects.usable().filter(digest=digest).order_by().annotate(is_use_recorded=_note_use())

    return RowLookup(rows, "?" * 64, fields=fields, annotations=["is_use_recorded"])


def _has_fields(*names: str) -> bool:
    """Return whether the project's user model has these fields."""
    return {field.name for field in get_user_model()._meta.get_fields()}.issuperset(names)


def _note_use() -> Case:
    """Record the use if the last recorded one is old enough (sql/token_used.sql), and return whether it was recorded. A
    busy token does not write a row per request."""
    until = Now() - NOTED_EVERY
    note = Func("pk", until, function="token_used", output_field=models.BooleanField())
    return Case(When(Q(last_used_at=None) | Q(last_used_at__lt=until), then=note), default=False)
