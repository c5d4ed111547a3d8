"""Filters that can also exclude: `?not_status=completed,cancelled`."""

from collections.abc import Iterable
from typing import ClassVar

from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import ChangeList
from django.db.models import Model, QuerySet
from django.http import HttpRequest

from executions.admin.types import JSON
from ledgerkit.admin.list_filters import SEPARATOR, SeveralFilter
from ledgerkit.admin.lists import Chip, ModelAdmin, Option


class ExcludableFilterMixin(SeveralFilter):
    exclusion: ClassVar[str]  # the parameter that lists the excluded values

    def __init_subclass__(cls, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        cls.exclusion = f"not_{cls.parameter_name}"

    def __init__(self, request: HttpRequest, params: JSON, model: type[Model], model_admin: ModelAdmin) -> None:
        given = params.pop(self.exclusion, [""])[-1]
        self.excluded = [value for value in given.split(SEPARATOR) if value]
        super().__init__(request, params, model, model_admin)

    @classmethod
    def parameters(cls) -> Iterable[str]:
        return (*super().parameters(), cls.exclusion)

    def expected_parameters(self) -> list[str | None]:
        return [*super().expected_parameters(), self.exclusion]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Model]) -> QuerySet[Model]:
        found = super().queryset(request, queryset)
        if not self.excluded:
            return found
        if not set(self.excluded) <= {offered for offered, _title in self.lookup_choices}:
            raise IncorrectLookupParameters
        return found.exclude(**{f"{self.parameter_name}__in": self.excluded})

    @property
    def options(self) -> list[Option]:
        chosen, excluded = self.values, self.excluded
        return [Option(value, title, value in chosen, value in excluded) for value, title in self.lookup_choices]

    def chips(self, changelist: ChangeList) -> list[Chip]:
        labels = dict(self.lookup_choices)
        left_out = [
            Chip(self.title or "", labels.get(value, value), self._taking_in(changelist, value), is_excluded=True)
            for value in self.excluded
        ]
        return [*super().chips(changelist), *left_out]

    def _taking_in(self, changelist: ChangeList, value: str) -> str:
        left = [each for each in self.excluded if each != value]
        return changelist.get_query_string({self.exclusion: SEPARATOR.join(left)} if left else {}, [self.exclusion])
