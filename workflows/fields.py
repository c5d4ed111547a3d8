"""JSON columns of definitions that mask secrets on the way to the database, in save(), bulk_create(), bulk_update() and
update(), and therefore in the admin, the API and loaddata."""

from collections.abc import Callable, Sequence
from typing import cast

from django.core.exceptions import ValidationError
from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper

from ledgerkit.conf import ledgerkit_settings
from ledgerkit.db import json_validation

from .secret_keys import mask_document, mask_schema


class MaskedDocument(dict[str, object]):
    """A JSON object with masked secrets, which a DefinitionField does not mask again."""


class DefinitionField(models.JSONField):
    mask: Callable[[object, tuple[str, ...]], object] = staticmethod(mask_document)

    def pre_save(self, model_instance: models.Model, add: bool) -> object:
        """Set the stored value in the object too, as if the row was read again."""
        value = self.as_stored(super().pre_save(model_instance, add))
        setattr(model_instance, self.attname, value)
        return value

    def get_db_prep_save(self, value: object, connection: BaseDatabaseWrapper) -> object:
        json_validation.check(self.name, value)
        return super().get_db_prep_save(self.as_stored(value), connection)

    def validate(self, value: object, model_instance: models.Model | None) -> None:
        super().validate(value, model_instance)
        if too_large := json_validation.size_fault(value):
            raise ValidationError(too_large)

    def deconstruct(self) -> tuple[str, str, Sequence[object], dict[str, object]]:
        """Deconstruct as a plain JSONField: the database column is the same."""
        name, _path, args, kwargs = super().deconstruct()
        return name, "django.db.models.JSONField", args, kwargs

    def as_masked(self, document: dict[str, object]) -> MaskedDocument:
        """Return the document with its secrets masked, so that as_stored() leaves it as it is."""
        return MaskedDocument(cast("dict[str, object]", self.as_stored(document)))

    def as_stored(self, value: object) -> object:
        """Return `value` with its secrets masked."""
        if isinstance(value, MaskedDocument) or not isinstance(value, dict | list | tuple):
            return value
        return self.mask(value, ledgerkit_settings.SECRET_KEYS_EXTRA)


class SchemaField(DefinitionField):
    mask = staticmethod(mask_schema)
