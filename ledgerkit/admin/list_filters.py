"""Filters of the bar above a list by several values, and by what somebody types."""

from collections.abc import Iterable
from typing import ClassVar

from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import ChangeList
from django.db.models import Model, QuerySet
from django.http import HttpRequest

from ledgerkit.types import StrOrPromise

from .lists import Chip, Choice, ConstantFilter, ModelAdmin, Option

SEPARATOR = ","


class SeveralFilter(ConstantFilter):
    """A filter by any of several values, which a comma separates in the address."""

    field_template = "admin/ledgerkit/filters/several.html"

    @classmethod
    def canonical(cls, values: list[str]) -> str:
        return SEPARATOR.join(dict.fromkeys(each for value in values for each in value.split(SEPARATOR) if each))

    @property
    def values(self) -> list[str]:
        return [each for each in (self.value() or "").split(SEPARATOR) if each]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Model]) -> QuerySet[Model]:
        if self.value() is None:
            return queryset
        if not self.values or not set(self.values) <= {offered for offered, _title in self.lookup_choices}:
            raise IncorrectLookupParameters
        return self.any_of(queryset, self.values)

    def any_of(self, queryset: QuerySet[Model], values: list[str]) -> QuerySet[Model]:
        return queryset.filter(**{f"{self.parameter_name}__in": values})

    def chips(self, changelist: ChangeList) -> list[Chip]:
        labels = dict(self.lookup_choices)
        return [Chip(self.title or "", labels.get(each, each), self._without(changelist, each)) for each in self.values]

    def _without(self, changelist: ChangeList, value: str) -> str:
        name, left = str(self.parameter_name), [each for each in self.values if each != value]
        return changelist.get_query_string({name: SEPARATOR.join(left)} if left else {}, [name])

    @property
    def options(self) -> list[Option]:
        return [Option(value, title, value in self.values) for value, title in self.lookup_choices]


class TextFilter(ConstantFilter):
    """A filter by what somebody types in a field."""

    field_template = "admin/ledgerkit/filters/text.html"
    placeholder: ClassVar[StrOrPromise] = ""
    min_length: ClassVar[int] = 1
    max_length: ClassVar[int] = 255

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin) -> Iterable[Choice]:
        return [] if (value := self.value()) is None else [(value, value)]

    def has_output(self) -> bool:
        return True

    def queryset(self, request: HttpRequest, queryset: QuerySet[Model]) -> QuerySet[Model]:
        if (text := self.value()) is None:
            return queryset
        if "\0" in text or not self.min_length <= len(text.strip()) <= self.max_length:
            raise IncorrectLookupParameters
        return self.chosen(queryset, text.strip())
