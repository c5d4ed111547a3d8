"""What every table of ours shares: an id that is a clock, a version that guards it, times from one clock."""

from collections.abc import Iterable
from contextlib import nullcontext
from typing import Any
from uuid import UUID

import uuid_utils.compat
from django.db import models, transaction
from django.db.models import F, Func
from django.db.models.functions import Now
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from .audit import audited
from .exceptions import StaleObject

VERSIONLESS = _("Cannot save {kind} {id}: it was read without its version.")
GONE = _("Cannot save {kind} {id}: it was deleted since it was read.")
NEWER = _(
    "Cannot save {kind} {id}: it changed since it was read (version {version}, now {now}). "
    "Read it again and repeat the change."
)

type Value = tuple[models.Field[Any, Any], Any, Any]


def uuid7() -> UUID:
    """A UUID version 7 (RFC 9562): time-ordered, and within this process strictly increasing."""
    return uuid_utils.compat.uuid7()


def parse_uuid(text: Any) -> UUID | None:
    """None for what is not the text of a UUID."""
    try:
        return UUID(text)
    except (ValueError, TypeError, AttributeError):
        return None


def json_value(value: Any) -> models.Value:
    """As a column's default in the database."""
    return models.Value(value, output_field=models.JSONField())


class DatabaseUUID7(Func):
    """The same made by the database, for rows that plain SQL writes (PostgreSQL has its own only from 18 on)."""

    function = "ledger_uuid7"
    output_field = models.UUIDField()


class Octets(Func):
    """How many bytes a text has."""

    function = "octet_length"
    output_field = models.IntegerField()


class UUID7Model(models.Model):
    id = models.UUIDField(_("id"), primary_key=True, default=uuid7, db_default=DatabaseUUID7(), editable=False)

    class Meta:
        abstract = True


class AuditedQuerySet[M: models.Model](models.QuerySet[M]):
    """Of rows whose changes the database writes down, with who made them."""

    def update(self, **changes: Any) -> int:
        with audited(self.db):
            return super().update(**changes)

    def bulk_create(self, objs: Iterable[M], *args: Any, **kwargs: Any) -> list[M]:
        objs = list(objs)
        with audited(self.db) if objs else nullcontext():
            return super().bulk_create(objs, *args, **kwargs)

    def bulk_update(self, objs: Iterable[M], *args: Any, **kwargs: Any) -> int:
        objs = list(objs)
        with audited(self.db) if objs else nullcontext():
            return super().bulk_update(objs, *args, **kwargs)

    def delete(self) -> tuple[int, dict[str, int]]:
        with audited(self.db):
            return super().delete()

    update.alters_data = True  # type: ignore[attr-defined]  # templates may not call it, as in Django's own
    delete.alters_data = True  # type: ignore[attr-defined]
    delete.queryset_only = True  # type: ignore[attr-defined]


class AuditedModel(models.Model):
    """A row whose changes the database writes down, with who made them."""

    class Meta:
        abstract = True

    def save(self, *args: Any, **kwargs: Any) -> None:
        with audited(kwargs.get("using") or self._state.db):
            super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        with audited(kwargs.get("using") or self._state.db):
            return super().delete(*args, **kwargs)


class VersionedQuerySet[M: models.Model](models.QuerySet[M]):
    def update(self, **changes: Any) -> int:
        """Django's, and every row it changes becomes a newer version, so no stale object can undo it."""
        return super().update(**{"version": F("version") + 1, "updated_at": Now()} | changes)

    def bulk_update(self, *args: Any, **kwargs: Any) -> int:
        raise TypeError("bulk_update() cannot tell which objects are stale: save() each, or update() what you select.")

    update.alters_data = True  # type: ignore[attr-defined]  # templates may not call it, as in Django's own

    def update_returning(self, **changes: Any) -> dict[str, Any] | None:
        """Change at most one row in one statement; what it holds afterwards, or None where no row matched."""
        changes = {"version": F("version") + 1, "updated_at": Now()} | changes
        rows = self.returning(list(changes), **changes)
        return dict(zip(changes, rows[0], strict=True)) if rows else None

    def returning(self, names: list[str], **changes: Any) -> list[tuple[Any, ...]]:
        """Change every row in one statement; what each that was changed holds afterwards under these names."""
        fields = [self.model._meta.get_field(name) for name in names]
        query: Any = self.query.chain(models.sql.UpdateQuery)  # as update() makes it, which returns no columns
        query.add_update_values({"version": F("version") + 1, "updated_at": Now()} | changes)
        rows: list[tuple[Any, ...]] = query.get_compiler(self.db).execute_returning_sql(fields)
        return rows


class VersionedModel(UUID7Model):
    """A row that a stale object cannot overwrite: save() matches the version that was read, and raises it by one.

    Raises StaleObject from save() where the row is newer or gone.
    """

    version = models.PositiveIntegerField(_("version"), default=1, db_default=1, editable=False)
    created_at = models.DateTimeField(_("created"), db_default=Now(), editable=False)
    updated_at = models.DateTimeField(_("updated"), db_default=Now(), editable=False)

    class Meta:
        abstract = True

    def save(self, **kwargs: Any) -> None:
        # Django marks the caller's transaction as broken when save() raises: a refusal must leave it usable.
        using = kwargs.get("using") or self._state.db
        with nullcontext() if self._state.adding else transaction.atomic(using=using):
            super().save(**kwargs)

    def _do_update(self, base_qs, using, pk_val, values, update_fields, forced_update, returning_fields):  # type: ignore[no-untyped-def]
        """Django's seam for the UPDATE in save()."""
        guarded = base_qs.filter(**self._read_as(values))
        values, stamps = self._stamped(values)
        returning_fields.extend(stamps)  # in place: save() assigns what comes back by this very list
        rows = super()._do_update(guarded, using, pk_val, values, update_fields, forced_update, returning_fields)
        if not rows:
            raise self._unsaved(using)
        return rows

    def _read_as(self, values: list[Value]) -> dict[str, Any]:
        """What the row must still hold for save() to touch it."""
        if "version" in self.get_deferred_fields():
            raise StaleObject(format_lazy(VERSIONLESS, kind=self._meta.verbose_name, id=self.pk))
        return {"version": self.version}

    def _stamped(self, values: list[Value]) -> tuple[list[Value], list[Any]]:
        stamps = {"version": F("version") + 1, "updated_at": Now()}
        kept = [value for value in values if value[0].name not in stamps]
        fields: list[Any] = [self._meta.get_field(name) for name in stamps]
        return kept + [(field, None, stamps[field.name]) for field in fields], fields

    def _unsaved(self, using: str | None) -> Exception:
        row = {"kind": self._meta.verbose_name, "id": self.pk}
        now = type(self)._base_manager.using(using).filter(pk=self.pk).values_list("version", flat=True).first()
        if now is None:
            return StaleObject(format_lazy(GONE, **row))
        return StaleObject(format_lazy(NEWER, **row, version=self.version, now=now))
