"""Filters of the runs of a bulk action."""

from executions.models import BulkState
from ledgerkit.rest.filters import MultiChoiceFilter

from .filtersets import StrictFilterSet


class BulkActionRunFilters(StrictFilterSet):
    state = MultiChoiceFilter(BulkState.choices, field_name="state", help_text="One or more states.")
