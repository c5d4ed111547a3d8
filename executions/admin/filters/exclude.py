"""Filters that can also exclude: `?not_status=completed,cancelled`."""

from collections.abc import Iterable, Iterator
from typing import ClassVar

from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import ChangeList
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext as _

from executions.admin.types import JSON
from ledgerkit.admin.lists import Chip, ConstantFilter, ModelAdmin

SEPARATOR = ","


class ExcludableFilterMixin(ConstantFilter):
    template = "admin/executions/filter.html"
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

    def chips(self, changelist: ChangeList) -> list[Chip]:
        labels = dict(self.lookup_choices)
        left_out = [
            Chip(
                self.title or "",
                labels.get(value, value),
                changelist.get_query_string(*self._without(value)),
                is_excluded=True,
            )
            for value in self.excluded
        ]
        return [*super().chips(changelist), *left_out]

    def choices(self, changelist: ChangeList) -> Iterator[dict[str, object]]:  # type: ignore[override]  # our own template reads more of each
        name = str(self.parameter_name)
        everything = self.value() is None and not self.excluded
        everywhere = changelist.get_query_string(remove=[name, self.exclusion])
        yield {"selected": everything, "query_string": everywhere, "display": _("All")}
        for value, title in self.lookup_choices:
            yield {
                "selected": self.value() == value,
                "excluded": value in self.excluded,
                "query_string": changelist.get_query_string({name: value}, [self.exclusion]),
                "without": changelist.get_query_string(*self._without(value)),
                "display": title,
            }

    def _without(self, value: str) -> tuple[dict[str, str], list[str]]:
        """Return the parameters to set and to remove in a link that toggles the exclusion of `value`."""
        kept = [each for each in self.excluded if each != value]
        left_out = kept if value in self.excluded else [*kept, value]
        added = {self.exclusion: SEPARATOR.join(left_out)} if left_out else {}
        return added, [str(self.parameter_name), *([] if left_out else [self.exclusion])]
