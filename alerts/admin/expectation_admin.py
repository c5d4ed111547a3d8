from typing import Any

from django.contrib import admin
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from alerts.models import Expectation, ExpectationKind
from alerts.monitor_notices import describe_missed
from ledgerkit.admin.lists import ConstantFilter, StrictAdmin
from ledgerkit.time_zones import clock


class MissedFilter(ConstantFilter):
    title = _("missed")
    parameter_name = "missed"
    offered = (("yes", _("Yes")), ("no", _("No")))

    def chosen(self, queryset: QuerySet[Model], value: str) -> QuerySet[Model]:
        missed = {"miss__is_open": True}
        return queryset.filter(**missed) if value == "yes" else queryset.exclude(**missed)


class KindFilter(ConstantFilter):
    title = _("kind")
    parameter_name = "kind"
    offered = tuple(ExpectationKind.choices)


@admin.register(Expectation)
class ExpectationAdmin(StrictAdmin):
    list_display = ("workflow", "sentence", "is_active", "missed_since")
    list_filter = (MissedFilter, KindFilter)
    list_select_related = ("workflow", "miss")
    search_fields = ("workflow__name",)
    autocompletes = ("workflow",)
    fields = ("workflow", "kind", "seconds", "time", "time_zone", "days", "is_active")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Model]:
        rows: Any = super().get_queryset(request)
        seen: QuerySet[Model] = rows.visible_to(request.user)
        return seen

    @admin.display(description=_("expectation"))
    def sentence(self, row: Expectation) -> str:
        return str(row)

    @admin.display(description=_("missed"))
    def missed_since(self, row: Expectation) -> str:
        miss = getattr(row, "miss", None)
        if miss is None or not miss.is_open:
            return gettext("no")
        return describe_missed(row, miss.occurrence, clock(miss.since, "minutes"))
