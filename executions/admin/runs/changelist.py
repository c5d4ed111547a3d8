"""The list of runs."""

from collections.abc import Sequence
from contextlib import nullcontext

from django.db.models import Model, QuerySet
from django.http import HttpRequest

from executions.admin.configurable_changelist import ConfigurableChangeList
from executions.admin.filters.presets import EVERYTHING
from executions.admin.filters.time_filters import FieldsFilter
from executions.text_search import Way, Ways
from ledgerkit.db import keyset

PART, ROWS = "part", "rows"


def part_of(request: HttpRequest) -> str | None:
    """Take `part` out of the request and return it, so that no link of the part requests the part again."""
    if (part := request.GET.get(PART)) is None:
        return None
    query = request.GET.copy()
    del query[PART]
    query.update({} if query else EVERYTHING)  # the URL without parameters may redirect to a saved view
    request.GET = query  # type: ignore[assignment]  # a QueryDict as well
    return part


class RunChangeList(ConfigurableChangeList):
    FIXED = ("state",)

    @property
    def ways(self) -> Ways:
        return super().ways or ((Way(nullcontext),) if self.query else ())

    def _first(self, rows: QuerySet[Model], order: Sequence[str]) -> list[Model]:
        return super()._first(rows if self.ways else self._limit_walk(rows, order), order)

    def _limit_walk(self, rows: QuerySet[Model], order: Sequence[str]) -> QuerySet[Model]:
        """Return the rows. With a filter by times or a duration, return only those of the first page, whose ids are
        found in an index with these values (see executions/creation_bounds.py)."""
        parts = next(
            (spec.parts() for spec in self.filter_specs if isinstance(spec, FieldsFilter) and spec.given), None
        )
        if parts is None:
            return rows
        return rows.filter(pk__in=keyset.first_of_parts("created_at", parts, rows, order, self.list_per_page + 1))
