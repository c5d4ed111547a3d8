"""Model fields that the apps share."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from django.core.exceptions import ValidationError
from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.lookups import IContains

from . import names

if TYPE_CHECKING:
    CharField = models.CharField[str, str]
else:
    CharField = models.CharField


class NameField(CharField):
    """A name, stored and looked up in Unicode NFC (see `names`)."""

    def to_python(self, value: object) -> object:
        found = super().to_python(value)
        return names.nfc(found) if isinstance(found, str) else found

    def validate(self, value: str | None, model_instance: models.Model | None) -> None:
        super().validate(value, model_instance)
        if fault := names.find_error(value or ""):
            raise ValidationError(fault)

    def pre_save(self, model_instance: models.Model, add: bool) -> object:
        """Set the stored form on the object too."""
        value = super().pre_save(model_instance, add)
        if isinstance(value, str):
            setattr(model_instance, self.attname, value := names.nfc(value))
        return value

    def get_prep_value(self, value: object) -> object:
        found = super().get_prep_value(value)
        return names.nfc(found) if isinstance(found, str) else found

    def get_db_prep_save(self, value: object, connection: BaseDatabaseWrapper) -> object:
        names.check(self.name, value)
        return super().get_db_prep_save(value, connection)

    def deconstruct(self) -> tuple[str, str, Sequence[object], dict[str, object]]:
        """Deconstruct as a plain CharField: the database column is the same."""
        name, _path, args, kwargs = super().deconstruct()
        return name, "django.db.models.CharField", args, kwargs


@NameField.register_lookup
class NameContains(IContains):
    """`icontains` for names. Django's pattern lookups do not call get_prep_value(), so it is normalised here."""

    def get_prep_lookup(self) -> object:
        found = super().get_prep_lookup()
        return names.nfc(found) if isinstance(found, str) else found
