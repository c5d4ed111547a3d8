"""Fields of the bar that filter nothing: the order of a list, and its columns."""

from collections.abc import Sequence
from typing import ClassVar

from django.contrib.admin.views.main import ChangeList
from django.db.models import Model, Q, QuerySet
from django.db.models.expressions import Combinable
from django.db.models.fields import DateTimeField, DurationField
from django.utils.translation import gettext_lazy as _

from executions import sort_keys
from ledgerkit.admin.list_filters import SeveralFilter
from ledgerkit.admin.lists import Chip, Choice, ConstantFilter
from ledgerkit.db.models import Column


class OrderFilter(ConstantFilter):
    """Order of a list, which an index has each way; newest first without it.

    `KEYS` are the columns or annotations to sort by, by the names of the headings; `usual` is that of the usual order,
    the last first. `EXPRESSIONS` are the annotations, `ANNOTATIONS` the fields of their values.
    """

    is_common = False
    title = _("order")
    parameter_name = "order"
    usual: ClassVar[str] = "created"
    KEYS: ClassVar[dict[str, str]]
    EXPRESSIONS: ClassVar[dict[str, Combinable]] = {}
    ANNOTATIONS: ClassVar[dict[str, Column]] = {}

    @property
    def order(self) -> list[str] | None:
        """Return the columns to sort by, None for the usual order."""
        if (value := self.value()) is None:
            return None
        sign = "-" if value.startswith("-") else ""
        return [f"{sign}{key}" for key in dict.fromkeys((self.KEYS[value.removeprefix("-")], "id"))]

    def chosen(self, queryset: QuerySet[Model], value: str) -> QuerySet[Model]:
        rows: QuerySet[Model] = queryset.annotate(**self.EXPRESSIONS)
        return rows


class RunOrderFilter(OrderFilter):
    offered = (
        ("created", _("Oldest first")),
        ("-started", _("Last start first")),
        ("started", _("First start first")),
        ("-duration", _("Longest first")),
        ("duration", _("Shortest first")),
    )
    KEYS: ClassVar[dict[str, str]] = {"created": "created_at", "started": "by_start", "duration": "by_duration"}
    EXPRESSIONS: ClassVar[dict[str, Combinable]] = {
        "by_start": sort_keys.STARTED, "by_duration": sort_keys.DURATION,
    }  # fmt: skip
    ANNOTATIONS: ClassVar[dict[str, Column]] = {
        "by_start": DateTimeField(), "by_duration": DurationField(),
    }  # fmt: skip


class NodeOrderFilter(OrderFilter):
    """Order of node executions: the index of durations holds those alone that ran and ended."""

    offered = (
        ("created", _("Oldest first")),
        ("-duration", _("Longest first")),
        ("duration", _("Shortest first")),
    )
    KEYS: ClassVar[dict[str, str]] = {"created": "id", "duration": "by_duration"}
    EXPRESSIONS: ClassVar[dict[str, Combinable]] = {"by_duration": sort_keys.NODE_DURATION}
    ANNOTATIONS: ClassVar[dict[str, Column]] = {"by_duration": DurationField()}

    def chosen(self, queryset: QuerySet[Model], value: str) -> QuerySet[Model]:
        ended = sort_keys.HAS_NODE_DURATION if value.endswith("duration") else Q()
        return super().chosen(queryset, value).filter(ended)


class LineOrderFilter(OrderFilter):
    usual = "time"
    offered = (("time", _("Oldest first")),)
    KEYS: ClassVar[dict[str, str]] = {"time": "timestamp"}


class ColumnsFilter(SeveralFilter):
    """Columns of a list beside those that it always has, in the order of the cells of its `_row.html`."""

    is_common = False
    title = _("columns")
    parameter_name = "columns"

    def any_of(self, queryset: QuerySet[Model], values: list[str]) -> QuerySet[Model]:
        return queryset

    def chips(self, changelist: ChangeList) -> list[Chip]:
        return []


class RunColumnsFilter(ColumnsFilter):
    offered: ClassVar[Sequence[Choice]] = (
        ("named_workflow", _("workflow")),
        ("started", _("started")),
        ("duration", _("duration")),
        ("details", _("failure and tags")),
        ("created", _("created")),
        ("ended", _("ended")),
        ("attempt", _("attempt")),
        ("run_id", _("id")),
    )


class NodeColumnsFilter(ColumnsFilter):
    offered: ClassVar[Sequence[Choice]] = (
        ("run", _("workflow execution")),
        ("trigger", _("trigger")),
        ("execution_order", _("order")),
        ("started", _("started")),
        ("duration", _("duration")),
        ("retry_count", _("retries")),
        ("error", _("error")),
        ("created", _("created")),
        ("ended", _("ended")),
        ("attempt", _("attempt")),
        ("row_id", _("id")),
    )


class LineColumnsFilter(ColumnsFilter):
    offered: ClassVar[Sequence[Choice]] = (
        ("severity", _("level")),
        ("run", _("workflow execution")),
        ("node", _("node")),
        ("attempt", _("attempt")),
        ("source", _("source")),
        ("row_id", _("id")),
        ("message_head", _("message")),
    )
