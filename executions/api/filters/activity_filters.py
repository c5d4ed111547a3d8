"""Filters of the activity."""

from datetime import datetime
from uuid import UUID

from executions import partitions
from executions.audit import Through
from executions.models import ActivityKind
from executions.models.activity import ActivityQuerySet
from ledgerkit.db import names
from ledgerkit.rest.filters import DateTimeFilter, MultiChoiceFilter, TextFilter, UUIDFilter

from .filtersets import StrictFilterSet


class ActivityFilters(StrictFilterSet):
    user = TextFilter(method="filter_user", help_text="The username of who did it without a token, as it was then.")
    token = UUIDFilter(method="filter_token", help_text="The id of the token with which it was done.")
    through = MultiChoiceFilter(Through.choices, field_name="through", help_text="One or more interfaces.")
    kind = MultiChoiceFilter(ActivityKind.choices, field_name="kind", help_text="One or more kinds.")
    workflow = UUIDFilter(
        method="filter_workflow",
        help_text=(
            "The id of a workflow: its definition, its runs, those that were deleted, and groups of its errors alone."
        ),
    )
    workflow_execution = UUIDFilter(field_name="run_id", help_text="The id of a run.")
    after = DateTimeFilter(method="filter_after", help_text="At this time or later, to the millisecond.")
    before = DateTimeFilter(method="filter_before", help_text="Before this time, to the millisecond.")

    def filter_user(self, queryset: ActivityQuerySet, name: str, value: str) -> ActivityQuerySet:
        return queryset.by_user(names.forms(value))

    def filter_token(self, queryset: ActivityQuerySet, name: str, value: UUID) -> ActivityQuerySet:
        return queryset.by_token(value)

    def filter_workflow(self, queryset: ActivityQuerySet, name: str, value: UUID) -> ActivityQuerySet:
        return queryset.of_workflows([value])

    def filter_after(self, queryset: ActivityQuerySet, name: str, value: datetime) -> ActivityQuerySet:
        return queryset.filter(id__gte=partitions.bound(value))

    def filter_before(self, queryset: ActivityQuerySet, name: str, value: datetime) -> ActivityQuerySet:
        return queryset.filter(id__lt=partitions.bound(value))
