"""Filters of the list of workflows."""

import django_filters as df
from django.db.models import Model, QuerySet

from ledgerkit.db import names
from workflows.models import MAX_NAME


class WorkflowFilters(df.FilterSet):  # type: ignore[misc]  # django-filter is untyped
    name = df.CharFilter(method="filter_name", min_length=1, max_length=MAX_NAME, help_text="The exact name.")

    def filter_name(self, queryset: QuerySet[Model], name: str, value: str) -> object:
        return queryset.filter(name=normalize_name(value))


def normalize_name(name: str) -> str:
    """Return the name in its stored form: in Unicode NFC, without surrounding spaces."""
    return names.nfc(name[: names.MAX_NORMALIZED].strip())
