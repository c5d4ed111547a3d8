"""Filters and form fields for query parameters, with error messages that list the allowed values."""

from collections.abc import Callable
from datetime import datetime
from functools import cache, reduce
from operator import or_
from typing import Any
from uuid import UUID

import django_filters as df
from django import forms
from django.core.validators import MaxLengthValidator
from django.db.models import Model, Q, QuerySet

from ledgerkit.db import json_validation, names
from ledgerkit.db.models import parse_uuid

MAX_SECONDS = 10**10
LAST = 2**31 - 1
SECONDS = f"Expected a number of seconds from 0 to {MAX_SECONDS}."


class MomentField(forms.Field):
    default_error_messages = {"invalid": f"{json_validation.MOMENT} (in an address, + is written %2B)."}

    def to_python(self, value: object) -> datetime | None:
        if value in self.empty_values:
            return None
        try:
            return json_validation.parse_utc_datetime(value)
        except ValueError:
            raise forms.ValidationError(self.error_messages["invalid"], "invalid") from None


class CommaSeparatedWidget(forms.SelectMultiple):
    """Accept `?status=a,b` and `?status=a&status=b`."""

    def value_from_datadict(self, data: Any, files: object, name: str) -> object:
        return [word for text in data.getlist(name) for word in text.split(",")]


class UUIDListField(forms.Field):
    widget = CommaSeparatedWidget
    default_error_messages = {"invalid": "Expected one or more UUIDs, separated by commas."}

    def to_python(self, value: object) -> list[UUID]:
        texts = value if isinstance(value, list) else []
        found = [id for id in map(parse_uuid, texts) if id is not None]
        if len(found) < len(texts):
            raise forms.ValidationError(self.error_messages["invalid"], "invalid")
        return found


class SeveralValuesMixin:
    """Mixin of filters that take several values, by CommaSeparatedWidget."""


class MultiChoiceFilter(SeveralValuesMixin, df.MultipleChoiceFilter):  # type: ignore[misc]  # untyped
    def __init__(self, choices: list[tuple[str, Any]], **more: object) -> None:
        messages = invalid_choice_messages(choices)
        self.offered = [value for value, _label in choices]
        super().__init__(choices=choices, widget=CommaSeparatedWidget, error_messages=messages, **more)

    def filter(self, qs: QuerySet[Model], value: Any) -> QuerySet[Model]:
        """Filter by IN: the conditions with OR that django-filter makes, and its DISTINCT, use other indexes."""
        return qs.filter(**{f"{self.field_name}__in": value}) if value else qs


class ExcludedChoiceFilter(MultiChoiceFilter):
    """Filter by all other choices, which an index on the column finds; by NOT IN it would not."""

    def filter(self, qs: QuerySet[Model], value: Any) -> QuerySet[Model]:
        others = [name for name in self.offered if name not in value]
        return super().filter(qs, others) if value and others else qs.none() if value else qs


class DateTimeFilter(df.IsoDateTimeFilter):  # type: ignore[misc]  # untyped
    field_class = MomentField


class SecondsFilter(df.NumberFilter):  # type: ignore[misc]  # untyped
    def __init__(self, **more: object) -> None:
        messages = dict.fromkeys(("invalid", "min_value", "max_value"), SECONDS)
        super().__init__(min_value=0, max_value=MAX_SECONDS, error_messages=messages, **more)

    def get_max_validator(self) -> None:
        """Return none: the field's `max_value` is lower."""


class IntegerFilter(df.Filter):  # type: ignore[misc]  # untyped
    """Filter by a whole number from 1 to PostgreSQL's last integer."""

    field_class = forms.IntegerField

    def __init__(self, **more: object) -> None:
        messages = dict.fromkeys(("invalid", "min_value", "max_value"), f"Expected a whole number from 1 to {LAST}.")
        super().__init__(min_value=1, max_value=LAST, error_messages=messages, **more)


class BooleanFilter(df.TypedChoiceFilter):  # type: ignore[misc]  # untyped
    """Filter by `true` or `false`. django-filter's own ignores other values."""

    def __init__(self, **more: object) -> None:
        messages = {"invalid_choice": "Expected true or false."}
        choices = [("true", True), ("false", False)]
        super().__init__(choices=choices, coerce="true".__eq__, error_messages=messages, **more)


class UUIDFilter(df.UUIDFilter):  # type: ignore[misc]  # untyped
    def __init__(self, **more: object) -> None:
        super().__init__(error_messages={"invalid": "Expected a UUID."}, **more)


class UUIDListFilter(SeveralValuesMixin, df.Filter):  # type: ignore[misc]  # untyped
    """Filter by one or more ids, of which there are `most`."""

    field_class = UUIDListField

    def __init__(self, most: int, **more: object) -> None:
        self.most = most
        too_many = MaxLengthValidator(most, f"Expected at most {most} UUIDs; found %(show_value)d.")
        super().__init__(validators=[too_many], **more)


@cache
def names_of_several(filterset: type[df.FilterSet] | None) -> tuple[str, ...]:
    """Return the names of the filters that take several values."""
    filters = getattr(filterset, "base_filters", {})
    return tuple(name for name, offered in filters.items() if isinstance(offered, SeveralValuesMixin))


class TextFilter(df.CharFilter):  # type: ignore[misc]  # untyped
    def __init__(self, **more: object) -> None:
        super().__init__(strip=False, max_length=1000, **more)


class ContainsFilter(TextFilter):
    """Substring filter that matches either Unicode form."""

    def filter(self, qs: QuerySet[Model], value: Any) -> QuerySet[Model]:
        return qs.filter(names.contains(self.field_name, value)) if value else qs


class JSONKeyFilter(TextFilter):
    """Filter by a key of a JSON column with `@>`, which the GIN index of the column supports. `as_held` returns the
    possible stored forms of a value."""

    def __init__(
        self, field_name: str, key: str, as_held: Callable[[str], list[Any]] = lambda text: [text], **more: object
    ) -> None:
        super().__init__(field_name=field_name, **more)
        self.key, self.as_held = key, as_held

    def filter(self, qs: QuerySet[Model], value: Any) -> QuerySet[Model]:
        if not value:
            return qs
        holds = (Q(**{f"{self.field_name}__contains": {self.key: held}}) for held in self.as_held(value))
        return qs.filter(reduce(or_, holds))


def invalid_choice_messages(choices: list[tuple[str, Any]]) -> dict[str, str]:
    allowed = ", ".join(value for value, _label in choices)
    return {"invalid_choice": f"Expected one of: {allowed}."}


def name_or_number(text: str) -> list[object]:
    digits = text.removeprefix("-")
    return [text, int(text)] if digits.isascii() and digits.isdigit() and len(digits) < 19 else [text]


def check_uuid(text: str) -> None:
    if parse_uuid(text) is None:
        raise forms.ValidationError("Expected a UUID.", "invalid")


def forms_of_uuid(text: str) -> list[object]:
    """Return the UUID as PostgreSQL writes it, and as it was given if that is another way to write it."""
    id = str(UUID(text))
    return [id] if id == text else [id, text]
