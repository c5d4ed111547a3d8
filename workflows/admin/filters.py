"""Filters of the list of workflows."""

from collections.abc import Iterator
from typing import Any

from django.contrib.admin.views.main import ChangeList
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from ledgerkit.admin.lists import ConstantFilter


class TrashFilter(ConstantFilter):
    title = _("state")
    parameter_name = "state"
    offered = (("deleted", _("In the trash")), ("all", _("All, with the trash")))

    def queryset(self, request: HttpRequest, queryset: Any) -> QuerySet[Model]:
        rows: QuerySet[Model] = queryset.alive() if self.value() is None else super().queryset(request, queryset)
        return rows

    def chosen(self, queryset: QuerySet[Model], value: str) -> QuerySet[Model]:
        return queryset if value == "all" else queryset.exclude(deleted_at=None)

    def choices(self, changelist: ChangeList) -> Iterator[dict[str, object]]:  # type: ignore[override]  # a dict, so that it can get another title
        default, *others = super().choices(changelist)
        yield {**default, "display": _("In use")}
        yield from map(dict, others)


class ActiveFilter(ConstantFilter):
    title = _("active")
    parameter_name = "active"
    offered = (("yes", _("Yes")), ("no", _("No")))

    def chosen(self, queryset: QuerySet[Model], value: str) -> QuerySet[Model]:
        return queryset.filter(is_active=value == "yes")
