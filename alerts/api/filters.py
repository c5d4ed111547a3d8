"""Filters of the list of deliveries."""

import django_filters as df

from alerts.models import DeliveryState
from ledgerkit.rest.filters import MultiChoiceFilter, UUIDFilter


class DeliveryFilters(df.FilterSet):  # type: ignore[misc]  # django-filter is untyped
    channel = UUIDFilter(field_name="channel", help_text="Sent through this channel.")
    rule = UUIDFilter(field_name="alert__rule", help_text="Messages of this rule.")
    state = MultiChoiceFilter(choices=DeliveryState.choices, field_name="state", help_text="One or more states.")
