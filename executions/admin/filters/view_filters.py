"""Fields of the bar that filter nothing: the order of a list, and its columns."""

from typing import ClassVar

from django.contrib.admin.views.main import ChangeList
from django.db.models import Model, QuerySet
from django.db.models.fields import DateTimeField, DurationField
from django.utils.translation import gettext_lazy as _

from executions import sort_keys
from ledgerkit.admin.list_filters import SeveralFilter
from ledgerkit.admin.lists import Chip, ConstantFilter
from ledgerkit.db.models import Column


class OrderFilter(ConstantFilter):
    """Order of the list of runs, each of which an index has; newest first without it."""

    is_common = False
    title = _("order")
    parameter_name = "order"
    offered = (
        ("created", _("Oldest first")),
        ("-started", _("Last start first")),
        ("started", _("First start first")),
        ("-duration", _("Longest first")),
        ("duration", _("Shortest first")),
    )
    KEYS: ClassVar[dict[str, str]] = {"created": "created_at", "started": "by_start", "duration": "by_duration"}
    ANNOTATIONS: ClassVar[dict[str, Column]] = {
        "by_start": DateTimeField(), "by_duration": DurationField(),
    }  # fmt: skip

    @property
    def order(self) -> list[str] | None:
        """Return the columns to sort by, None for the usual order."""
        if (value := self.value()) is None:
            return None
        sign = "-" if value.startswith("-") else ""
        return [f"{sign}{self.KEYS[value.removeprefix('-')]}", f"{sign}id"]

    def chosen(self, queryset: QuerySet[Model], value: str) -> QuerySet[Model]:
        rows: QuerySet[Model] = queryset.annotate(by_start=sort_keys.STARTED, by_duration=sort_keys.DURATION)
        return rows


class ColumnsFilter(SeveralFilter):
    """Columns of the list of runs beside the status."""

    is_common = False
    title = _("columns")
    parameter_name = "columns"
    offered = (
        ("named_workflow", _("workflow")),
        ("started", _("started")),
        ("duration", _("duration")),
        ("details", _("failure and tags")),
        ("created", _("created")),
        ("ended", _("ended")),
        ("attempt", _("attempt")),
        ("run_id", _("id")),
    )

    def any_of(self, queryset: QuerySet[Model], values: list[str]) -> QuerySet[Model]:
        return queryset

    def chips(self, changelist: ChangeList) -> list[Chip]:
        return []
