"""Filters of the activity: who, through what, what, of which workflow or run, and when."""

from datetime import timedelta
from typing import ClassVar, cast
from uuid import UUID

from django.contrib.admin.views.main import ChangeList
from django.db.models import Model, QuerySet
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from executions import partitions
from executions.admin.filters.visible_workflows import visible_workflows
from executions.admin.types import User
from executions.audit import Through
from executions.models import ActivityKind
from executions.models.activity import ActivityQuerySet
from executions.run_conditions import ME
from ledgerkit.admin.list_filters import SeveralFilter, TextFilter
from ledgerkit.admin.lists import Chip
from ledgerkit.db import names
from tokens.models import Token

from .id_filters import LinkedFilter, RunFilter, parse_id
from .period_filters import IdTimeFilter
from .time_filters import IdFromToFilter


class UserFilter(TextFilter):
    title = _("user")
    parameter_name = "user"
    placeholder = _("me, or a username")

    def chips(self, changelist: ChangeList) -> list[Chip]:
        return [
            Chip(each.title, gettext("Me") if each.words == ME else each.words, each.without)
            for each in super().chips(changelist)
        ]

    def chosen(self, queryset: QuerySet[Model], value: str) -> QuerySet[Model]:
        named = [self.request.user.get_username()] if value == ME else names.forms(value)
        return cast("ActivityQuerySet", queryset).by_user(named)


class ThroughFilter(SeveralFilter):
    title = _("through")
    parameter_name = "through"
    offered = Through.choices


class KindFilter(SeveralFilter):
    title = _("kind")
    parameter_name = "kind"
    offered = ActivityKind.choices


class ActivityPeriodFilter(IdTimeFilter):
    offered = (IdTimeFilter.offered[0], ("yesterday", _("Yesterday")), *IdTimeFilter.offered[1:])

    def chosen(self, queryset: QuerySet[Model], value: str) -> QuerySet[Model]:
        if value != "yesterday":
            return super().chosen(queryset, value)
        midnight = timezone.localtime().replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
        before = (midnight - timedelta(hours=12)).replace(hour=0)
        return queryset.filter(id__gte=partitions.bound(before), id__lt=partitions.bound(midnight))


class ActivityFromToFilter(IdFromToFilter):
    offered: ClassVar = (("created", _("time")),)


class TokenFilter(LinkedFilter):
    title = _("token")
    parameter_name = "token"

    def name_of(self, user: User, pk: UUID) -> str | None:
        seen = Token.objects.all() if user.has_perm("tokens.view_token") else Token.objects.none()
        return seen.filter(pk=pk).values_list("name", flat=True).first()

    def chosen(self, queryset: QuerySet[Model], value: str) -> QuerySet[Model]:
        return cast("ActivityQuerySet", queryset).by_token(parse_id(value))


class ActivityRunFilter(RunFilter):
    def chosen(self, queryset: QuerySet[Model], value: str) -> QuerySet[Model]:
        return queryset.filter(run_id=parse_id(value))


class ActivityWorkflowFilter(LinkedFilter):
    """Filter by a workflow: its definition, its runs, those that were deleted, and groups of its errors alone."""

    title = _("workflow")
    parameter_name = "workflow"

    def name_of(self, user: User, pk: UUID) -> str | None:
        return visible_workflows(user).filter(pk=pk).values_list("name", flat=True).first()

    def chosen(self, queryset: QuerySet[Model], value: str) -> QuerySet[Model]:
        return cast("ActivityQuerySet", queryset).of_workflows([parse_id(value)])


ALL = (
    UserFilter,
    ActivityPeriodFilter,
    ThroughFilter,
    KindFilter,
    ActivityFromToFilter,
    TokenFilter,
    ActivityRunFilter,
    ActivityWorkflowFilter,
)
